"""Network: handlers in run order and the edges between them; it does no arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from evsim.arithmetic.precision import FLOAT
from evsim.engine.current import Current
from evsim.engine.handler import Handler, Population, Readout
from evsim.errors import NetworkError

__all__ = ["INPUT", "Edge", "Network"]

INPUT = "input"
"""Name of the source that stands for the recording."""


class Edge(NamedTuple):
    """Where a handler's spikes go: to `port` of the handler at `stage`. A `wakes` edge delivers even no spikes."""

    stage: int
    port: str
    wakes: bool = False


class Network:
    """Handlers in the order in which they run within a step.

    Add them from input to output: a source must already be there, so an edge pointing backwards cannot be
    declared. A handler that reads a `Current` (it has `wakers`) is woken by each of the current's writers.

    Parameters
    ----------
    name : str
    input_shape : (int, int, int)
        Height, width and channels of one step's input.
    n_steps : int
        Steps the network was trained with.

    Attributes
    ----------
    precision : str
        In which arithmetic it runs: float32 as built, else as `evsim.arithmetic.fixed_point.fix` made it.
    input_name : str
        Name of the source that stands for the recording.
    recorded : object or None
        What a recorded network knows of the model it came from, see `evsim.networks.recorded`.
    """

    input_name = INPUT
    recorded: object | None = None

    def __init__(self, name: str, input_shape: tuple[int, int, int], n_steps: int) -> None:
        self.name = name
        self.input_shape = input_shape
        self.n_steps = n_steps
        self.precision = FLOAT
        self.handlers: list[Handler] = []
        self.sources: list[dict[str, str]] = []
        self._stages: dict[str, int] = {}
        self._edges: dict[str, list[Edge]] = {INPUT: []}

    def add(self, handler: Handler, spikes: str | None = None, **ports: str) -> str:
        """Append a handler; each keyword names the source of one port. Returns the handler's name.

        Raises
        ------
        NetworkError
            A name is taken, or a source is not (yet) in the network.
        """
        if handler.name in self._stages or handler.name == INPUT:
            raise NetworkError(f"{self.name}: two handlers are called {handler.name!r}")
        stage = len(self.handlers)
        if spikes is not None:
            ports["spikes"] = spikes
        edges = [(source, Edge(stage, port)) for port, source in ports.items()]
        edges += [(waker, Edge(stage, waker, wakes=True)) for waker in getattr(handler, "wakers", ())]
        for source, _ in edges:
            self._check_is_before(source, handler.name)
        for source, edge in edges:
            self._edges[source].append(edge)
        self._stages[handler.name] = stage
        self._edges[handler.name] = []
        self.handlers.append(handler)
        self.sources.append(ports)
        return handler.name

    def edges_from(self, name: str) -> list[Edge]:
        """Where the spikes of `name` go, in the order in which the edges were declared."""
        return self._edges[name]

    def sleepless_stages(self) -> Iterator[int]:
        """Stages that must be visited at each step, because a bias alone can make a neuron fire."""
        return (stage for stage, h in enumerate(self.handlers) if getattr(h, "wakes_itself", False))

    def populations(self) -> list[Population]:
        """The spiking populations in run order."""
        return [h for h in self.handlers if getattr(h, "is_population", False)]

    @property
    def readout(self) -> Readout:
        """The handler that holds the logits: the last one."""
        last = self.handlers[-1] if self.handlers else None
        if not hasattr(last, "logits_by_step"):
            raise NetworkError(f"{self.name}: the last handler must be a Readout")
        return last

    @staticmethod
    def currents_of(handler: Handler) -> list[Current]:
        """The currents that a handler joined; one without any works on spikes, which are whole numbers already."""
        return [part for part in vars(handler).values() if isinstance(part, Current)]

    def reset(self) -> None:
        """Every handler back to the state before the first step."""
        for handler in self.handlers:
            handler.reset()
        for population in self.populations():
            population.is_eager = True

    def _check_is_before(self, source: str, target: str) -> None:
        if source not in self._edges:
            raise NetworkError(f"{self.name}: {target!r} listens to {source!r}, which is not before it")
