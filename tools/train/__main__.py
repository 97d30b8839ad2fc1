"""`python -m tools.train --network sdt --dataset nmnist --root DATA`: train one network, write it and its card."""

import csv
from pathlib import Path

import torch

from tools.train.card import write_card
from tools.train.checkpoint import load_encoder, save_checkpoint
from tools.train.datasets import read_dataset
from tools.train.evaluate import evaluate
from tools.train.loop import console, fit
from tools.train.networks import build
from tools.train.options import complete, parser

__all__ = ["main", "train"]


def train(args, data) -> dict:
    """Train as `args` say; checkpoint, log and card go to `args.output`. Returns the card."""
    torch.manual_seed(args.seed)
    name, folder = f"{args.model}_{args.dataset}", Path(args.output)
    run = folder / name
    run.mkdir(parents=True, exist_ok=True)
    model = build(args)
    if args.initial_checkpoint:
        console.print("fresh:", *load_encoder(model, Path(args.initial_checkpoint)), soft_wrap=True)
    optimizer = fit(model, data, args, run)
    score, seconds = evaluate(model, data, args), logged_seconds(run / "log.csv")
    save_checkpoint(folder / f"{name}.pth.tar", model, optimizer, args, args.epochs - 1, 100 * score.accuracy)
    return write_card(folder / f"{name}.json", model, data, args, score, seconds)


def logged_seconds(log: Path) -> float:
    """Training time of all epochs, those before a resumption too."""
    with log.open(newline="") as f:
        return sum(float(row["seconds"]) for row in csv.DictReader(f))


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    args = parser().parse_args(argv)
    data = read_dataset(args.dataset, args.root, args.time_steps)
    card = train(complete(args, data), data)["pytorch"]
    low, high = card["wilson_95"]
    console.print(f"{card['correct']} of {card['n']} right, 95 % interval [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    main()
