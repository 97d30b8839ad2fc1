"""Accuracy with its interval, and firing rates."""

import math
from dataclasses import dataclass

import torch
from torch import nn

from tools.train.batches import prepare
from tools.train.datasets import Dataset
from tools.train.rates import watch_rates

__all__ = ["Score", "evaluate", "mean_logits", "wilson"]


def wilson(correct: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """95 % score interval of a proportion."""
    p, z2 = correct / n, z * z
    centre, half = p + z2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return (centre - half) / (1 + z2 / n), (centre + half) / (1 + z2 / n)


@dataclass(frozen=True)
class Score:
    """What a test set said.

    Parameters
    ----------
    correct, n : int
        Right answers, and of how many.
    rates : dict of str to float
        Mean firing rate of each population.
    """

    correct: int
    n: int
    rates: dict[str, float]

    @property
    def accuracy(self) -> float:
        return self.correct / self.n

    @property
    def mean_rate(self) -> float:
        return sum(self.rates.values()) / len(self.rates)


def mean_logits(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Logits [B, classes], whether the network averages its steps or not."""
    y = model(x)
    return y.mean(0) if y.dim() == 3 else y


@torch.no_grad()
def evaluate(model: nn.Module, data: Dataset, args, n: int | None = None) -> Score:
    """The first n test samples (all by default), in evaluation mode."""
    model.eval()
    labels = torch.from_numpy(data.y_test[:n])
    correct, sums = 0, {}
    with watch_rates(model) as rates:
        for rows in torch.arange(len(labels)).split(50):
            x = prepare(torch.from_numpy(data.x_test[rows.numpy()].astype("float32")), data, args.in_channels)
            correct += int((mean_logits(model, x).argmax(1) == labels[rows]).sum())
            for name, rate in rates.items():
                sums[name] = sums.get(name, 0.0) + float(rate) * len(rows)
    return Score(correct, len(labels), {name: total / len(labels) for name, total in sums.items()})
