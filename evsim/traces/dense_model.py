"""The dense PyTorch model of a checkpoint, asked in a process of its own: evsim itself never loads PyTorch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import evsim
from evsim.engine.network import Network
from evsim.errors import EvsimError
from evsim.recordings.discover import one_line
from evsim.recordings.steps import Steps
from evsim.traces.reference import Reference, read_reference
from evsim.traces.verify import Verification, verify

__all__ = ["dense_input", "dense_reference", "verify_against_dense"]

RUNNER = "tools.train.reference"
LARGEST_CHUNK = 200
CHUNK_NEURON_STEPS = 10**8
"""So many spikes, one byte each, are compared at a time."""


def verify_against_dense(
    network: Network,
    checkpoint: str,
    samples: Iterable[Steps],
    order: str = "stage",
    watch: Callable[[int], None] = lambda n_done: None,
) -> Verification:
    """All three levels of agreement with the PyTorch model of `checkpoint`, over as many recordings as there are.

    Parameters
    ----------
    network : Network
    checkpoint : str
        As `tools.train` writes it.
    samples : iterable of Steps
        Both sides get exactly these.
    order : {"step", "stage"}
    watch : callable, optional
        Told after each chunk how many recordings are done.

    Raises
    ------
    EvsimError
        No PyTorch, no checkout with `tools`, or the model cannot be run.
    """
    total, samples = Verification(), iter(samples)
    while chunk := list(islice(samples, _chunk_size(network))):
        reference = dense_reference(checkpoint, chunk)
        total.add(verify(network, [steps.spikes for steps in chunk], reference, order))
        watch(total.samples)
    if not total.samples:
        raise EvsimError("no recording to verify on")
    return total


def dense_reference(checkpoint: str, samples: Sequence[Steps]) -> Reference:
    """Spikes and logits of the PyTorch model for the inputs of `samples`."""
    root = _checkout()
    if not os.path.isfile(checkpoint):
        raise EvsimError(f"{checkpoint}: no such file, expected the checkpoint of a PyTorch model")
    with TemporaryDirectory() as folder:
        inputs, output = os.path.join(folder, "inputs.npz"), os.path.join(folder, "reference.npz")
        np.savez(inputs, input=dense_input(samples))
        words = [os.path.abspath(checkpoint), "--inputs", inputs, "--output", output]
        command = [sys.executable, "-m", RUNNER, *words]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        if done.returncode:
            why = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise EvsimError(f"{checkpoint}: its PyTorch model could not be run ({one_line(why)})")
        return read_reference(output)


def dense_input(samples: Sequence[Steps]) -> np.ndarray:
    """What PyTorch gets: images [n, channels, height, width] or frames [n, n_steps, channels, height, width]."""
    if len({(len(steps), steps.constant) for steps in samples}) != 1:
        raise EvsimError("recordings of different kinds or numbers of steps cannot be verified together")
    return np.stack([_maps(steps)[0] if steps.constant else np.stack(list(_maps(steps))) for steps in samples])


def _maps(steps: Steps) -> list[np.ndarray]:
    """float32 [n_channels, height, width] of each step; of the first where all are the same."""
    size = int(np.prod(steps.shape))
    spikes = steps.spikes[:1] if steps.constant else steps.spikes
    return [np.moveaxis(s.to_dense(size).reshape(steps.shape), -1, 0).astype(np.float32) for s in spikes]


def _chunk_size(network: Network) -> int:
    neuron_steps = network.n_steps * sum(population.n_neurons for population in network.populations())
    return min(LARGEST_CHUNK, max(1, CHUNK_NEURON_STEPS // max(1, neuron_steps)))


def _checkout() -> Path:
    """The folder that has `tools`; the training code is no part of the installed package."""
    if find_spec("torch") is None:
        raise EvsimError("--against-torch needs PyTorch: pip install 'evsim[train]'")
    for root in _candidates():
        if (root / "tools" / "train" / "reference.py").is_file():
            return root
    raise EvsimError(
        "--against-torch needs the model definitions in tools/train, which only a clone of evsim's repository has: "
        "run it from there"
    )


def _candidates() -> Iterator[Path]:
    yield Path(evsim.__file__).resolve().parents[1]
    yield Path.cwd()
