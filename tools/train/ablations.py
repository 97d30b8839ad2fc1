"""`python -m tools.train.ablations --root DATA --output DIR`: the claims of the papers, small enough to repeat.

Four studies, each with at least three seeds: where the shortcut sits, which attention, the group-wise convolution,
and whether a network that has seen MNIST learns N-MNIST from fewer recordings. Every run leaves its checkpoint, log
and card; a run whose card exists is not repeated.
"""

import argparse
import json
import statistics
from pathlib import Path

from tools.train.__main__ import train
from tools.train.datasets import read_dataset
from tools.train.loop import console
from tools.train.options import complete, parser

__all__ = ["STUDIES", "main"]

_EVENTS = "--dataset nmnist --epochs 8 --batch-size 25 --warmup-epochs 1"
_RESFORMER = "--network spikingresformer --prologue default --planes 32 48 64 --group-size 16"
_FEW = "--dataset nmnist --n-train 200 --epochs 15 --batch-size 20 --lr 2e-3"

# study -> arm -> command line; "after" names the arm whose checkpoint comes first.
STUDIES = {
    "shortcut": {
        "membrane": {"options": f"--network spikformer_v2 --shortcut ms {_EVENTS}"},
        "sew": {"options": f"--network spikformer_v2 --shortcut sew {_EVENTS}"},
    },
    "attention": {
        "sdsa": {"options": f"--network ablated --attention sdsa {_EVENTS}"},
        "ssa": {"options": f"--network ablated --attention ssa {_EVENTS}"},
        "dssa": {"options": f"--network ablated --attention dssa --mlp-ratio 4.5 {_EVENTS}"},
    },
    "groupwise": {
        "on": {"options": f"{_RESFORMER} --n-convs 1 {_EVENTS}"},
        "off": {"options": f"{_RESFORMER} --n-convs 0 {_EVENTS}"},
    },
    "transfer": {
        "mnist": {
            "options": f"{_RESFORMER} --dataset mnist --in-channels 3 --n-train 5000 --epochs 1 --batch-size 25 "
            "--warmup-epochs 0.2 --shift 2"
        },
        "scratch": {"options": f"{_RESFORMER} {_FEW}"},
        "transferred": {"options": f"{_RESFORMER} {_FEW}", "after": "mnist"},
    },
}


def run(arm: dict, seed: int, folder: Path, before: Path | None, root: Path) -> dict:
    """The card of one training, from its file where it is done already."""
    done = next(iter(folder.glob("*.json")), None)
    if done:
        return json.loads(done.read_text())
    words = [*arm["options"].split(), "--root", str(root), "--output", str(folder), "--seed", str(seed)]
    if before:
        words += ["--initial-checkpoint", str(next(iter(before.glob("*.pth.tar"))))]
    args = parser().parse_args(words)
    data = read_dataset(args.dataset, args.root, args.time_steps)
    return train(complete(args, data), data)


def summary(cards: list[dict]) -> dict:
    """Mean and spread over seeds next to every single result."""
    scores = [card["pytorch"]["accuracy"] for card in cards]
    return {
        "parameters": cards[0]["parameters"],
        "n_test": cards[0]["pytorch"]["n"],
        "accuracy": scores,
        "wilson_95": [card["pytorch"]["wilson_95"] for card in cards],
        "mean": statistics.mean(scores),
        "sd_over_seeds": statistics.stdev(scores) if len(scores) > 1 else None,
        "mean_rate": statistics.mean(card["pytorch"]["mean_rate"] for card in cards),
        "training_seconds": [card["training_seconds"] for card in cards],
    }


def study(name: str, seeds: range, root: Path, output: Path) -> dict:
    """All arms of one study, seed by seed, so that an interrupted study is still balanced."""
    arms, cards = STUDIES[name], {arm: [] for arm in STUDIES[name]}
    for seed in seeds:
        for arm, what in arms.items():
            before = output / name / what["after"] / f"seed{seed}" if "after" in what else None
            cards[arm].append(run(what, seed, output / name / arm / f"seed{seed}", before, root))
        results = {arm: summary(done) for arm, done in cards.items()}
        report = {"study": name, "seeds": [*seeds][: seed - seeds.start + 1], "arms": results}
        report["options"] = {arm: what["options"] for arm, what in arms.items()}
        (output / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n")
    return results


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    p = argparse.ArgumentParser("python -m tools.train.ablations", description=__doc__.splitlines()[0])
    p.add_argument("--root", type=Path, required=True)
    p.add_argument("--output", type=Path, required=True)
    p.add_argument("--seeds", type=int, default=3)
    p.add_argument("--study", nargs="+", choices=sorted(STUDIES), default=list(STUDIES))
    args = p.parse_args(argv)
    for name in args.study:
        for arm, row in study(name, range(args.seeds), args.root, args.output).items():
            console.print(f"{name} {arm}: {row['mean']:.3f} +- {row['sd_over_seeds'] or 0:.3f} of {row['accuracy']}")


if __name__ == "__main__":
    main()
