"""`python -m tools.train.reference CHECKPOINT --root DATA`: what PyTorch says, for others to be compared with.

Writes CHECKPOINT's neighbour `.reference.npz`: logits of the whole test set in float32 and float64, labels, and the
packed spikes of every population for the first recordings (`spk/<module>`, shapes in `meta_json`, recording first).

With `--inputs FILE.npz` in place of `--root` the model sees the prepared input in that file (`input`, images or frames
of counts) and nothing else: `input`, float32 logits and the spikes of all of it go to `--output`. This is how
`evsim verify --against-torch` asks.
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

__all__ = ["all_logits", "load_model", "main", "record_spikes", "run_recorded"]


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


def record_spikes(model, data: Dataset, args, n: int) -> dict[str, np.ndarray]:
    """Spikes [n, T, ...] of every population that was called, as bool."""
    return run_recorded(model, inputs(data, args, slice(n)))[1]


@torch.no_grad()
def run_recorded(model, x: torch.Tensor) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Logits [n, classes] of prepared input, and spikes [n, T, ...] of every population that was called."""
    spikes, handles = {}, []
    for name, module in model.named_modules():
        if isinstance(module, LIF):
            hook = lambda m, i, s, name=name: spikes.__setitem__(name, s.bool().numpy().swapaxes(0, 1))  # noqa: E731
            handles.append(module.register_forward_hook(hook))
    logits = mean_logits(model.float(), x).numpy()
    for handle in handles:
        handle.remove()
    return logits, spikes


def answer(model, inputs_path: Path, output: Path, batch: int = 10) -> None:
    """Run prepared input from a file; batches, because a dense model holds every map of a batch at once."""
    x = np.load(inputs_path)["input"]
    parts = [run_recorded(model, torch.from_numpy(x[i : i + batch])) for i in range(0, len(x), batch)]
    spikes = {name: np.concatenate([found[name] for _, found in parts]) for name in parts[0][1]}
    logits = np.concatenate([part for part, _ in parts])
    np.savez_compressed(output, input=x, logits_f32=logits, **packed(spikes))


def packed(spikes: dict[str, np.ndarray]) -> dict:
    """Entries of a reference file."""
    meta = {"spike_shapes": {name: s.shape for name, s in spikes.items()}, "torch": torch.__version__}
    return {"meta_json": json.dumps(meta)} | {f"spk/{name}": np.packbits(s) for name, s in spikes.items()}


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    p = argparse.ArgumentParser("python -m tools.train.reference", description=__doc__.splitlines()[0])
    p.add_argument("checkpoint", type=Path)
    given = p.add_mutually_exclusive_group(required=True)
    given.add_argument("--root", type=Path, help="data folder: run the checkpoint's own test set")
    given.add_argument("--inputs", type=Path, help="prepared input (.npz)")
    p.add_argument("--output", type=Path, help="with --inputs: the file to write")
    p.add_argument("--n-spikes", type=int, default=4, help="recordings whose spikes are kept")
    cli = p.parse_args(argv)
    if (cli.inputs is None) != (cli.output is None):
        p.error("--inputs and --output go together")
    model, args = load_model(cli.checkpoint)
    if cli.inputs:
        answer(model, cli.inputs, cli.output)
        return
    data = read_dataset(args.dataset, cli.root, args.time_steps)
    spikes = record_spikes(model, data, args, cli.n_spikes)
    logits = all_logits(model, data, args)
    exact = all_logits(model, data, args, torch.float64)
    path = cli.checkpoint.with_name(cli.checkpoint.name.split(".")[0] + ".reference.npz")
    arrays = {"logits_f32": logits, "logits_f64": exact, "labels": data.y_test}
    np.savez_compressed(path, **arrays, **packed(spikes))
    right, same = (logits.argmax(1) == data.y_test).sum(), (logits.argmax(1) == exact.argmax(1)).sum()
    console.print(f"{path.name}: {right} of {len(logits)} right; float64 agrees on {same}")


if __name__ == "__main__":
    main()
