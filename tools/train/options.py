"""The command line. Names are the official scripts' own wherever they have one: they end up in the checkpoint."""

import argparse
from pathlib import Path

from tools.train.datasets import DATASETS, Dataset
from tools.train.networks import NETWORKS, preset

__all__ = ["complete", "parser"]


def _sizes(p: argparse._ArgumentGroup) -> None:
    """What None means depends on network and data: see networks.preset."""
    for name in ("in-channels", "dim", "layer", "group-size"):
        p.add_argument(f"--{name}", type=int)
    p.add_argument("--mlp-ratio", type=float)
    for name in ("planes", "num-heads", "patch-sizes"):
        p.add_argument(f"--{name}", type=int, nargs="+", help="one number, or one a stage")
    p.add_argument("--blocks", type=int, nargs=3, help="DSSA and GWFFN pairs a stage (SpikingResformer)")
    p.add_argument("--pooling-stat", help="four characters, 1 where a stage pools (SDT)")
    p.add_argument("--spike-mode", choices=("lif", "plif"))
    p.add_argument("--prologue", choices=("default", "conv3x3"))
    p.add_argument("--shortcut", choices=("sew", "ms"))
    p.add_argument("--variant", choices=("cifar10", "imagenet", "cifar10dvs"))
    p.add_argument("--n-convs", type=int, help="group-wise convolutions a feed-forward (SpikingResformer)")
    p.add_argument("--attention", choices=("sdsa", "ssa", "dssa"), help="of --network ablated")
    p.add_argument("--dvs-mode", action="store_true", default=None)
    p.add_argument("--time-steps", type=int, default=4)


def _training(p: argparse._ArgumentGroup) -> None:
    p.add_argument("--epochs", type=int, default=20)
    p.add_argument("--batch-size", type=int, default=20)
    p.add_argument("--lr", type=float, default=3e-3)
    p.add_argument("--warmup-epochs", type=float, default=2)
    p.add_argument("--weight-decay", type=float, default=0.06)
    p.add_argument("--smoothing", type=float, default=0.05)
    p.add_argument("--clip-grad", type=float, default=1.0)
    p.add_argument("--shift", type=int, default=3, help="random shift, pixels")
    p.add_argument("--hflip", type=float, default=0.0, help="chance of a mirrored batch")
    p.add_argument("--n-train", type=int, help="train on so many samples only")
    p.add_argument("--n-watch", type=int, default=1000, help="test samples looked at after each epoch")
    p.add_argument("--TET", action="store_true", help="temporal efficient training: a loss for each step")
    p.add_argument("--TET-means", type=float, default=1.0)
    p.add_argument("--TET-lamb", type=float, default=0.0)
    p.add_argument("--rate-penalty", type=float, default=0.0, help="price of the mean firing rate in the loss")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--resume", default="", help="continue from this last.pth.tar")
    p.add_argument("--initial-checkpoint", default="", help="start from these weights, but the head (transfer)")


def parser() -> argparse.ArgumentParser:
    """All options of `python -m tools.train`."""
    p = argparse.ArgumentParser("python -m tools.train", description=__doc__)
    p.add_argument("--network", required=True, dest="model", choices=sorted(NETWORKS))
    p.add_argument("--dataset", required=True, choices=sorted(DATASETS))
    p.add_argument("--root", required=True, type=Path, help="folder of the data, or the file itself")
    p.add_argument("--output", type=Path, default=Path("runs"), help="folder for checkpoints, log and card")
    _sizes(p.add_argument_group("network"))
    _training(p.add_argument_group("training"))
    return p


def complete(args: argparse.Namespace, data: Dataset) -> argparse.Namespace:
    """Fill what was not said from the preset and the data; one word for every official synonym."""
    sizes = preset(args.model, "events" if data.mean is None else "images")
    for name, value in sizes.items():
        if getattr(args, name, None) is None:
            setattr(args, name, value)
    if args.model == "spikingresformer" and args.blocks:
        args.layers = [["DSSA", "GWFFN"] * n for n in args.blocks]
    if args.model != "spikingresformer":
        args.num_heads = args.num_heads if isinstance(args.num_heads, int) else args.num_heads[0]
    if args.in_channels is None:
        three = args.model == "spikingresformer" and data.mean is None  # two polarities and their sum
        args.in_channels = 3 if three else data.in_channels
    args.num_classes, args.time_step, args.T = data.n_classes, args.time_steps, args.time_steps
    args.mean, args.std = (values and list(values) for values in (data.mean, data.std))
    args.crop_pct = 1.0
    args.root, args.output = str(args.root), str(args.output)  # a Path in a checkpoint would need its own unpickler
    return args
