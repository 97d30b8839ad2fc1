"""`python -m tools.train.pretrain --root DATA --output DIR`: does masked pre-training help Spikformer V2 here?

For each seed: pre-train an encoder on unlabelled MNIST (doubled to 64x64: 16 tokens), fine-tune it on a few labelled
images, and train the same network on the same images from scratch: both for a few epochs, and for more. What is done
is not repeated.
"""

import argparse
import json
import statistics
import time
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import torch

from tools.train.__main__ import train
from tools.train.batches import epoch_batches
from tools.train.checkpoint import public_args
from tools.train.datasets import Dataset, read_dataset
from tools.train.loop import console, make_optimizer
from tools.train.models.masked import MaskedAutoencoder, draw_visible
from tools.train.options import complete, parser

__all__ = ["main", "pretrain"]

_SIZES = "--network spikformer_v2 --dataset mnist --shortcut ms --dim 32 --layer 2 --batch-size 50"
DECODER = {"decoder_dim": 32, "decoder_layer": 2}


def enlarged(data: Dataset, factor: int = 2) -> Dataset:
    """Every pixel as a square of pixels: the stem divides by 16, and four tokens are too few to hide any."""
    grow = lambda x: x.repeat(factor, -1).repeat(factor, -2)  # noqa: E731
    return replace(data, x_train=grow(data.x_train), x_test=grow(data.x_test))


def options(words: str, data: Dataset, root: Path, output: Path, seed: int) -> Namespace:
    """Arguments of one training."""
    argv = [*_SIZES.split(), *words.split(), "--root", str(root), "--output", str(output), "--seed", str(seed)]
    args = complete(parser().parse_args(argv), data)
    args.img_size = data.x_train.shape[-1]
    return args


def encoder_sizes(args: Namespace) -> dict:
    names = ("in_channels", "dim", "num_heads", "layer", "mlp_ratio", "time_step", "shortcut", "img_size")
    return {name: getattr(args, name) for name in names}


def pretrain(data: Dataset, args: Namespace, path: Path, mask_ratio: float = 0.5) -> list[float]:
    """Write an official-style pre-training file and return the mean loss of each epoch."""
    torch.manual_seed(args.seed)
    model = MaskedAutoencoder(**encoder_sizes(args), **DECODER).train()
    optimizer, scheduler = make_optimizer(model, data, args)
    losses = []
    for epoch in range(args.epochs):
        generator, seen = torch.Generator().manual_seed(args.seed * 100_003 + epoch), []
        for x, _ in epoch_batches(data, args, epoch):
            loss = model(x, draw_visible(len(x), model.side, mask_ratio, generator))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), args.clip_grad)
            optimizer.step()
            scheduler.step()
            seen.append(float(loss.detach()))
        losses.append(statistics.mean(seen))
        console.print(f"pre-training epoch {epoch}: loss {losses[-1]:.4f}")
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = Namespace(**vars(public_args(args)), **DECODER, mask_ratio=mask_ratio)
    wrapper = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": args.epochs - 1}
    torch.save({**wrapper, "scaler": {}, "args": kept}, path)
    return losses


def compare(seed: int, data: Dataset, cli: argparse.Namespace, result: dict) -> dict:
    """One seed: the same network, the same labelled images, with and without pre-training.

    The arms that are "longer" have so many epochs more as the pre-training saw images. What `result` holds of an
    earlier run is not repeated.
    """
    folder = cli.output / f"seed{seed}"
    file, start = folder / "pretrained.pth", time.perf_counter()
    if "pretrain_losses" not in result:
        words = f"--epochs {cli.pretrain_epochs} --n-train {cli.n_unlabelled} --lr 2e-3 --warmup-epochs 0.5 --shift 4"
        losses = pretrain(data, options(words, data, cli.root, folder, seed), file)
        seconds = round(time.perf_counter() - start, 1)
        result |= {"seed": seed, "pretrain_losses": losses, "pretrain_seconds": seconds}
    more = round(cli.pretrain_epochs * cli.n_unlabelled / cli.n_labelled)
    tuned = f" --initial-checkpoint {file}"
    arms = {"scratch": (0, ""), "finetuned": (0, tuned), "longer": (more, ""), "finetuned_longer": (more, tuned)}
    for arm, (n_more, first) in arms.items():
        if arm not in result:
            words = f"--epochs {cli.epochs + n_more} --n-train {cli.n_labelled} --lr 2e-3 --batch-size 25 --shift 4"
            args = options(f"{words} --n-watch 200{first}", data, cli.root, folder / arm, seed)
            result[arm] = train(args, data)["pytorch"]
    return result


def earlier(path: Path, settings: dict) -> list[dict]:
    """Results of an earlier run with the same settings, whatever its number of seeds."""
    if not path.exists():
        return []
    report = json.loads(path.read_text())
    same = {k: v for k, v in report["settings"].items() if k != "seeds"} == {
        k: v for k, v in settings.items() if k != "seeds"
    }
    if not same:
        raise SystemExit(f"{path} was made with other settings ({report['settings']}): choose another --output")
    return report["results"]


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    p = argparse.ArgumentParser("python -m tools.train.pretrain", description=__doc__.splitlines()[0])
    p.add_argument("--root", type=Path, required=True)
    p.add_argument("--output", type=Path, required=True)
    p.add_argument("--seeds", type=int, default=3)
    p.add_argument("--n-unlabelled", type=int, default=3000)
    p.add_argument("--n-labelled", type=int, default=200)
    p.add_argument("--n-test", type=int, default=1000)
    p.add_argument("--pretrain-epochs", type=int, default=2)
    p.add_argument("--epochs", type=int, default=15)
    cli = p.parse_args(argv)
    data = read_dataset("mnist", cli.root, 4)
    data = enlarged(replace(data, x_test=data.x_test[: cli.n_test], y_test=data.y_test[: cli.n_test]))
    settings = {k: v for k, v in vars(cli).items() if k not in ("root", "output")}
    done = earlier(cli.output / "mim.json", settings)
    results = []
    for seed in range(cli.seeds):
        results.append(compare(seed, data, cli, done[seed] if seed < len(done) else {}))
        arms = ("scratch", "finetuned", "longer", "finetuned_longer")
        means = {arm: statistics.mean(r[arm]["accuracy"] for r in results) for arm in arms}
        report = {"question": "MIM pre-training against scratch", "settings": settings, "mean_accuracy": means}
        kept = [*results, *done[seed + 1 :]]
        (cli.output / "mim.json").write_text(json.dumps(report | {"results": kept}, indent=1) + "\n")
        console.print(f"after seed {seed}: {means}")


if __name__ == "__main__":
    main()
