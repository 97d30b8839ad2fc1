"""Interleaved timing in child processes: one child a workload and number of threads, all contestants in it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from tools.benchmarks.child import in_child
from tools.benchmarks.evsim_contestant import FORMS, Evsim
from tools.benchmarks.target import check_held
from tools.benchmarks.workload import Unavailable, Workload, find, read_workload, write_workload

__all__ = ["FEWEST_ROUNDS", "Contestant", "Measurement", "interleave", "measure", "prepare"]

FEWEST_ROUNDS = 5
"""A median and extremes of fewer say little."""


class Contestant(Protocol):
    """Whoever takes part."""

    name: str

    def run(self, index: int) -> np.ndarray: ...


@dataclass
class Measurement:
    """One workload at one number of threads.

    Parameters
    ----------
    workload, title : str
    threads : int
    seconds : dict of str to list of float
        Per contestant, one entry a round: the mean time of one input.
    logits_difference : dict of str to float
        Largest absolute difference from evsim's logits.
    notes : list of str
        Contestants that could not take part, and why.
    """

    workload: str
    title: str
    threads: int
    seconds: dict[str, list[float]]
    logits_difference: dict[str, float]
    notes: list[str] = field(default_factory=list)


def prepare(name: str, shared: Path | None, path: Path) -> None:
    """Prepare a workload, in a child process, and keep it in a file.

    Raises
    ------
    Unavailable
        It needs reference data that is not there.
    """
    in_child(1, _prepare, name, shared, path)


def measure(path: Path, threads: int, rounds: int, compiled: bool) -> Measurement:
    """Time every contestant in a child process that has `threads` threads."""
    return in_child(threads, _measure, path, threads, rounds, compiled)


def interleave(contestants: Sequence[Contestant], n_inputs: int, rounds: int) -> dict[str, list[float]]:
    """Seconds an input, by contestant, one entry a round; in a round each runs once, whatever disturbs the machine."""
    seconds: dict[str, list[float]] = {c.name: [] for c in contestants}
    for _ in range(rounds):
        for contestant in contestants:
            begin = time.perf_counter()
            for i in range(n_inputs):
                contestant.run(i)
            seconds[contestant.name].append((time.perf_counter() - begin) / n_inputs)
    return seconds


def _prepare(name: str, shared: Path | None, path: Path) -> None:
    write_workload(path, find(name, shared))


def _measure(path: Path, threads: int, rounds: int, compiled: bool) -> Measurement:
    workload = read_workload(path)
    contestants, notes = _contestants(workload, threads, compiled)
    check_held()
    n_inputs = len(workload.inputs)
    logits = {c.name: np.stack([c.run(i) for i in range(n_inputs)]) for c in contestants}  # the warm-up, too
    seconds = interleave(contestants, n_inputs, rounds)
    difference = {key: float(np.abs(value - logits[Evsim.default]).max()) for key, value in logits.items()}
    return Measurement(workload.name, workload.title, threads, seconds, difference, notes)


def _contestants(workload: Workload, threads: int, compiled: bool) -> tuple[list[Contestant], list[str]]:
    import torch

    from tools.benchmarks.torch_contestants import dense_contestants

    torch.set_num_threads(threads)
    makers = [lambda form=form: Evsim(workload, threads, form) for form in FORMS]
    contestants, notes = [], []
    for make in (*makers, *dense_contestants(workload, compiled)):
        try:
            contestants.append(make())
        except Unavailable as reason:
            if str(reason) not in notes:
                notes.append(str(reason))
    return contestants, notes
