"""The card of a trained network: what it is, what it learnt from, how well, how often it fires."""

import json
from pathlib import Path

import torch

from tools.train.checkpoint import public_args
from tools.train.datasets import Dataset
from tools.train.evaluate import Score, wilson

__all__ = ["write_card"]

# Arguments that say how it was trained; the rest say what it is.
_TRAINING = (
    "seed", "epochs", "batch_size", "lr", "warmup_epochs", "weight_decay", "smoothing", "clip_grad", "shift", "hflip",
    "n_train", "TET", "TET_lamb", "TET_means", "rate_penalty",
)  # fmt: skip


def write_card(path: Path, model: torch.nn.Module, data: Dataset, args, score: Score, seconds: float) -> dict:
    """Write the JSON card next to the checkpoint and return it."""
    low, high = wilson(score.correct, score.n)
    options = vars(public_args(args))
    card = {
        "network": args.model,
        "dataset": data.card,
        "sizes": {k: options[k] for k in options if k not in _TRAINING},
        "training": {k: options.get(k) for k in _TRAINING} | {"transferred": bool(args.initial_checkpoint)},
        "training_seconds": round(seconds, 1),
        "selection": "last epoch; the test set chose nothing",
        "parameters": sum(p.numel() for p in model.parameters()),
        "pytorch": {
            "version": torch.__version__,
            "correct": score.correct,
            "n": score.n,
            "accuracy": score.accuracy,
            "wilson_95": [low, high],
            "mean_rate": score.mean_rate,
            "rates": score.rates,
        },
    }
    path.write_text(json.dumps(card, indent=1) + "\n")
    return card
