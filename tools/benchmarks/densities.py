"""How dense the operands of a run are: what each layer reads and each population sends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from evsim.engine.network import Network
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.handlers.neurons import Population

__all__ = ["Densities"]


class Densities:
    """density = events / (places x steps), graded events counted once; an observer for `simulate`.

    Parameters
    ----------
    network : Network
    n_steps : int
    """

    def __init__(self, network: Network, n_steps: int) -> None:
        self._network, self._n_steps = network, n_steps
        self._n_events: dict[str, int] = {}

    @classmethod
    def of(cls, network: Network, recording: Sequence[Spikes]) -> Densities:
        """Of one run."""
        densities = cls(network, len(recording))
        simulate(network, recording, [densities])
        return densities

    def show(self, name: str, step: int, spikes: Spikes) -> None:
        """Called by the simulator."""
        self._n_events[name] = self._n_events.get(name, 0) + len(spikes)

    def of_names(self, names: Iterable[str]) -> dict[str, float]:
        """Percent by name: sent by a population, read by any handler with one operand."""
        wanted, found = set(names), {}
        for handler, sources in zip(self._network.handlers, self._network.sources, strict=True):
            if handler.name in wanted and isinstance(handler, Population):
                found[handler.name] = self._percent(handler.name, handler.n_neurons)
            elif handler.name in wanted:
                found[handler.name] = self._percent(sources["spikes"], handler.n_inputs)
        return found

    def _percent(self, source: str, n_places: int) -> float:
        return 100 * self._n_events.get(source, 0) / (n_places * self._n_steps)
