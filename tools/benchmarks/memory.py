"""Peak memory, as a user meets it: evsim by its command from a weights file, torch by a model that runs once."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from evsim.checkpoints.weights import Weights, write_weights
from tools.benchmarks.child import in_child
from tools.benchmarks.workload import Unavailable, read_workload

__all__ = ["BOUNDED", "Memory", "bound", "peak_memory"]

Memory = dict[str, int]
"""Bytes: "evsim" and each dense model (contiguous) at its peak, "weights" of all tensors in float32."""

BOUNDED = "sdt_8_384"
"""The workload for which a bound was set."""


def bound(memory: Memory) -> int:
    """1.3 x the weights in float32 + 300 MB: the bound that evsim set itself for SDT-8-384."""
    return round(1.3 * memory["weights"] + 300e6)


def peak_memory(path: Path) -> Memory:
    """Of a prepared workload, its first input, one thread."""
    weights, image = path.with_suffix(".weights.npz"), path.with_suffix(".input.npy")
    n_bytes = in_child(1, _write_files, path, weights, image)
    memory = {"weights": n_bytes, "evsim": _of_evsim(weights, image)}
    for which in range(2):
        name, peak = in_child(1, _of_torch, path, which)
        if name is not None:
            memory[name] = peak
    return memory


def _write_files(path: Path, weights: Path, image: Path) -> int:
    workload = read_workload(path)
    header = {"family": workload.family.FAMILY, "hyper_parameters": asdict(workload.hp)}
    write_weights(weights, Weights(dict(workload.tensors), header))
    np.save(image, workload.inputs[0])
    return workload.weight_bytes


def _of_evsim(weights: Path, image: Path) -> int:
    """What ``evsim run`` itself reports."""
    command = [sys.executable, "-m", "evsim", "run", "--json", "--weights", str(weights), "--input", str(image)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    return json.loads(done.stdout)["peak_memory_bytes"]


def _of_torch(path: Path, which: int) -> tuple[str | None, int]:
    """Name and peak of a dense model, by its place in the table; the checkpoint is dropped before the model runs."""
    from tools.benchmarks.torch_contestants import dense_contestants

    workload = read_workload(path)
    try:
        model = list(dense_contestants(workload, compiled=False))[which]()
    except Unavailable:
        return None, 0
    del workload
    model.run(0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return model.name, peak
