"""`python -m tools.train.reference CHECKPOINT --root DATA`: what PyTorch says, for others to be compared with.

Writes CHECKPOINT's neighbour `.reference.npz`: logits of the whole test set in float32 and float64, labels, and the
packed spikes of every population for the first recordings (`spk/<module>`, shapes in `meta_json`, recording first).
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from tools.train.batches import prepare
from tools.train.checkpoint import load_checkpoint
from tools.train.datasets import Dataset, read_dataset
from tools.train.evaluate import mean_logits
from tools.train.loop import console
from tools.train.models.neurons import LIF
from tools.train.networks import build

__all__ = ["all_logits", "load_model", "main", "record_spikes"]


def load_model(path: Path) -> tuple[torch.nn.Module, argparse.Namespace]:
    """The network of a checkpoint of ours in evaluation mode, and its arguments."""
    wrapper = load_checkpoint(path)
    model = build(wrapper["args"])
    model.load_state_dict(wrapper["state_dict"])
    return model.eval(), wrapper["args"]


def inputs(data: Dataset, args, rows: slice) -> torch.Tensor:
    return prepare(torch.from_numpy(data.x_test[rows].astype("float32")), data, args.in_channels)


@torch.no_grad()
def all_logits(model, data: Dataset, args, dtype=torch.float32, batch: int = 50) -> np.ndarray:
    """Logits [n, classes] of the test set; float64 converts the float32 weights."""
    model = model.to(dtype)
    parts = range(0, len(data.y_test), batch)
    return torch.cat([mean_logits(model, inputs(data, args, slice(i, i + batch)).to(dtype)) for i in parts]).numpy()


@torch.no_grad()
def record_spikes(model, data: Dataset, args, n: int) -> dict[str, np.ndarray]:
    """Spikes [n, T, ...] of every population that was called, as bool."""
    spikes, handles = {}, []
    for name, module in model.named_modules():
        if isinstance(module, LIF):
            hook = lambda m, i, s, name=name: spikes.__setitem__(name, s.bool().numpy().swapaxes(0, 1))  # noqa: E731
            handles.append(module.register_forward_hook(hook))
    model.float()(inputs(data, args, slice(n)))
    for handle in handles:
        handle.remove()
    return spikes


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    p = argparse.ArgumentParser("python -m tools.train.reference", description=__doc__.splitlines()[0])
    p.add_argument("checkpoint", type=Path)
    p.add_argument("--root", type=Path, required=True)
    p.add_argument("--n-spikes", type=int, default=4, help="recordings whose spikes are kept")
    cli = p.parse_args(argv)
    model, args = load_model(cli.checkpoint)
    data = read_dataset(args.dataset, cli.root, args.time_steps)
    spikes = record_spikes(model, data, args, cli.n_spikes)
    logits = all_logits(model, data, args)
    exact = all_logits(model, data, args, torch.float64)
    meta = {"spike_shapes": {name: s.shape for name, s in spikes.items()}, "torch": torch.__version__}
    packed = {f"spk/{name}": np.packbits(s) for name, s in spikes.items()}
    path = cli.checkpoint.with_name(cli.checkpoint.name.split(".")[0] + ".reference.npz")
    arrays = {"logits_f32": logits, "logits_f64": exact, "labels": data.y_test, "meta_json": json.dumps(meta)}
    np.savez_compressed(path, **arrays, **packed)
    right, same = (logits.argmax(1) == data.y_test).sum(), (logits.argmax(1) == exact.argmax(1)).sum()
    console.print(f"{path.name}: {right} of {len(logits)} right; float64 agrees on {same}")


if __name__ == "__main__":
    main()
