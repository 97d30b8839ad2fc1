"""Workload: a network and its inputs; one file each under workloads/."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np

from evsim.checkpoints.header import read_header_values
from evsim.engine.network import Network
from evsim.engine.spikes import Spikes
from evsim.networks import family
from tools.benchmarks import workloads

__all__ = ["Unavailable", "Workload", "find", "names", "read_rates", "read_workload", "write_workload"]


class Unavailable(Exception):
    """A workload lacks its data, or a contestant cannot run it: the message says which and why."""


@dataclass(frozen=True, eq=False)
class Workload:
    """What every contestant runs.

    Parameters
    ----------
    name, title : str
    family : module
        One of `evsim.networks`.
    tensors : mapping of str to array
        The checkpoint.
    hp : HyperParameters
        Of the family.
    inputs : float32 array
        Frames [n_inputs, n_steps, channels, height, width] or images [n_inputs, channels, height, width].
    rates : mapping of str to (float, float)
        Of a tuned workload (see `tools.benchmarks.rates`): percent wanted and achieved, by layer or population.
    """

    name: str
    title: str
    family: ModuleType
    tensors: Mapping[str, np.ndarray]
    hp: object
    inputs: np.ndarray
    rates: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def weight_bytes(self) -> int:
        """Size of all tensors in float32."""
        return 4 * sum(tensor.size for tensor in self.tensors.values())

    def network(self) -> Network:
        """A new evsim network."""
        return self.family.build(self.tensors, self.hp)

    def recording(self, index: int) -> list[Spikes]:
        """One input as evsim takes it; the same image at every step is one object."""
        values = self.inputs[index]
        if values.ndim == 3:
            return [Spikes.from_dense(values.transpose(1, 2, 0))] * self.hp.n_steps
        return [Spikes.from_dense(frame.transpose(1, 2, 0)) for frame in values]


def write_workload(path: Path, workload: Workload) -> None:
    """Keep a prepared workload: preparing one may take longer, and more memory, than running it."""
    meta = {"name": workload.name, "title": workload.title, "family": workload.family.FAMILY, "hp": asdict(workload.hp)}
    meta["rates"] = dict(workload.rates)
    np.savez(path, **workload.tensors, __inputs__=workload.inputs, __meta__=np.array(json.dumps(meta)))


def read_workload(path: Path) -> Workload:
    """What `write_workload` kept."""
    with np.load(path) as file:
        arrays = dict(file.items())
    inputs, meta = arrays.pop("__inputs__"), json.loads(str(arrays.pop("__meta__")))
    module = family(meta["family"])
    hp = read_header_values(str(path), meta["hp"], module.HyperParameters)
    rates = {name: (wanted, achieved) for name, (wanted, achieved) in meta["rates"].items()}
    return Workload(meta["name"], meta["title"], module, arrays, hp, inputs, rates)


def read_rates(path: Path) -> Mapping[str, tuple[float, float]]:
    """Only the rates of what `write_workload` kept."""
    with np.load(path) as file:
        return json.loads(str(file["__meta__"]))["rates"]


def names() -> list[str]:
    """Every workload there is."""
    return [module.name for module in pkgutil.iter_modules(workloads.__path__)]


def find(name: str, shared: Path | None) -> Workload:
    """Load one workload.

    Raises
    ------
    Unavailable
        It needs reference data that is not there.
    """
    module = importlib.import_module(f"{workloads.__name__}.{name}")
    try:
        return module.load(name, shared)
    except FileNotFoundError as error:
        raise Unavailable(f"{name}: needs {error.filename}") from None
