"""warm_up: have the kernels ready before a clock or a second thread starts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numba.core import event

from evsim.engine.network import Network
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.handlers.attention.ssa import SSA
from evsim.networks import families
from evsim.networks import family as family_of

__all__ = ["WarmedUp", "small_networks", "warm_up", "warm_up_families"]

_BIAS = 8.0
"""Of every BatchNorm in a made-up network: far above every threshold, so that each neuron fires at each step."""


@dataclass(frozen=True)
class WarmedUp:
    """One family whose kernels are ready.

    Parameters
    ----------
    title : str
    n_networks : int
        Small networks that were run; 0 for a family that shares all its kernels with another.
    n_compiled : int
        Kernels that this process compiled; the others came from Numba's cache, or were there.
    seconds : float
    """

    title: str
    n_networks: int
    n_compiled: int
    seconds: float


def warm_up(network: Network) -> None:
    """Compile the kernels of `network`, or load them from the cache, by running it once on made-up events.

    They are events of every kind: binary, graded and real.
    """
    height, width, n_channels = network.input_shape
    address = np.arange(height * width * n_channels, dtype=np.int32)
    kinds = [Spikes(address), *(Spikes(address, np.full(address.size, 3, kind)) for kind in (np.int32, np.float32))]
    simulate(network, [*kinds, kinds[-1]])
    network.reset()


def warm_up_families() -> Iterator[WarmedUp]:
    """Compile or load every kernel of every family, by running the small networks that the families name.

    A recorded network is whatever its graph says, so nobody can make one up: its kernels compile at its first run.
    """
    for family in (family for family in families() if hasattr(family, "tensor_shapes")):
        begin, hps = time.perf_counter(), getattr(family, "SMALLEST", ())
        with _compilations() as compiled:
            for hp in hps:
                _warm_up_in_both_orders(family.build(_firing_tensors(family, hp), hp))
        yield WarmedUp(family.TITLE, len(hps), len(compiled), time.perf_counter() - begin)


def small_networks(names: Iterable[str]) -> Iterator[Network]:
    """The small networks of some families, in which every neuron fires."""
    for family in map(family_of, names):
        for hp in getattr(family, "SMALLEST", ()):
            yield family.build(_firing_tensors(family, hp), hp)


def _warm_up_in_both_orders(network: Network) -> None:
    """Spiking self-attention chooses an order by the events at hand, and has a kernel for each."""
    attentions = [handler for handler in network.handlers if isinstance(handler, SSA)]
    for order in ("kv", "qk") if attentions else (None,):
        for attention in attentions:
            attention.order = order
        warm_up(network)


def _firing_tensors(family: ModuleType, hp: object) -> Mapping[str, np.ndarray]:
    """Weights of a network in which every neuron fires, so that no kernel is passed over in silence."""
    live, _ = family.tensor_shapes(hp)
    return {name: np.full(shape, _value(name, shape), np.float32) for name, shape in live.items()}


def _value(name: str, shape: tuple[int, ...]) -> float:
    part = name.rpartition(".")[2]
    if part == "bias":
        return _BIAS
    if part.startswith("firing_rate"):
        return 0.5
    if len(shape) > 1:
        return 1 / 1024
    return 0.0 if part in ("running_mean", "w") else 1.0


@contextmanager
def _compilations() -> Iterator[list]:
    """A list of the kernels that are compiled, not loaded from the cache, while it is entered."""
    found = []

    class Listener(event.Listener):
        def on_start(self, compilation):
            found.append(compilation.data["dispatcher"])

        def on_end(self, compilation):
            pass

    with event.install_listener("numba:compile", Listener()):
        yield found
