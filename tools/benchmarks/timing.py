"""Interleaved timing in child processes: one child a workload and number of threads, all contestants in it."""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tools.benchmarks.evsim_contestant import Evsim
from tools.benchmarks.workload import Unavailable, Workload, find, read_workload, write_workload

__all__ = ["Measurement", "measure", "peak_memory", "prepare"]


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
    _in_child(1, _prepare, name, shared, path)


def measure(path: Path, threads: int, rounds: int, compiled: bool) -> Measurement:
    """Time every contestant in a child process that has `threads` threads."""
    return _in_child(threads, _measure, path, threads, rounds, compiled)


def peak_memory(path: Path, contestant: str) -> int:
    """Largest resident size in bytes of a child process that runs one contestant ("evsim" or "torch") once."""
    return _in_child(1, _peak_memory, path, contestant)


def _in_child(threads: int, function, *arguments):
    os.environ["OMP_NUM_THREADS"] = str(threads)  # inherited by the child, before it loads torch
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def _prepare(name: str, shared: Path | None, path: Path) -> None:
    write_workload(path, find(name, shared))


def _measure(path: Path, threads: int, rounds: int, compiled: bool) -> Measurement:
    workload = read_workload(path)
    contestants, notes = _contestants(workload, threads, compiled)
    n_inputs = len(workload.inputs)
    logits = {c.name: np.stack([c.run(i) for i in range(n_inputs)]) for c in contestants}  # the warm-up, too
    seconds: dict[str, list[float]] = {c.name: [] for c in contestants}
    for _ in range(rounds):
        for contestant in contestants:  # interleaved: whatever disturbs the machine disturbs all of them
            begin = time.perf_counter()
            for i in range(n_inputs):
                contestant.run(i)
            seconds[contestant.name].append((time.perf_counter() - begin) / n_inputs)
    difference = {key: float(np.abs(value - logits[Evsim.name]).max()) for key, value in logits.items()}
    return Measurement(workload.name, workload.title, threads, seconds, difference, notes)


def _contestants(workload: Workload, threads: int, compiled: bool):
    import torch

    from tools.benchmarks.torch_contestants import dense_contestants

    torch.set_num_threads(threads)
    contestants, notes = [Evsim(workload, threads)], []
    for make in dense_contestants(workload, compiled):
        try:
            contestants.append(make())
        except Unavailable as reason:
            if str(reason) not in notes:
                notes.append(str(reason))
    return contestants, notes


def _peak_memory(path: Path, contestant: str) -> int:
    workload = read_workload(path)
    if contestant == Evsim.name:
        Evsim(workload, 1).run(0)
    else:
        from tools.benchmarks.torch_contestants import dense_contestants

        next(dense_contestants(workload, compiled=False))().run(0)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
