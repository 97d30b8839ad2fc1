"""Producers that add, average or compare: events that are moved, means, pools."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evsim.graph.lower.producers.producer import Producer
from evsim.graph.lower.values import Events, Stored
from evsim.handlers.average_pool import AveragePool
from evsim.handlers.elementwise.axis_sum import AxisSum
from evsim.handlers.pooling import CurrentMaxPool
from evsim.handlers.readout import TokenMean
from evsim.handlers.spike_sum import SpikeMean
from evsim.handlers.views.address_map import AddressMap
from evsim.handlers.window import Window

__all__ = ["Average", "MaxPool", "MeanOfCurrent", "Moved", "SpikeMeanOf"]


@dataclass(eq=False)
class Moved(Producer):
    """Events added where they stand, or several into one place (`target` int32, of the events' shape)."""

    events: Events
    target: np.ndarray
    factor: float = 1.0
    scales: ClassVar[str] = "one"
    maps: ClassVar[bool] = True
    sends: ClassVar[bool] = True

    def _targets(self, result: AddressMap | None) -> np.ndarray:
        """Of each place of the source; -1: of none."""
        targets = self.target.reshape(-1)
        if result is not None:
            targets = np.append(_moved_to(result), -1)[targets]
        places, keep = self.events.at.reshape(-1), self.events.at.reshape(-1) >= 0
        target_of = np.full(self.events.n_places, -1, np.int32)
        target_of[places[keep]] = targets[keep]
        return target_of

    def write(self, building, current, scale, result) -> None:
        unit = self.events.unit * self.factor * float(scale[0])
        layer = AxisSum(building.name(self.path, "add"), self._targets(result), current, unit=unit)
        building.add(layer, spikes=self.events.source)

    def send(self, building) -> tuple[str, float]:
        n = math.prod(self.space)
        layer = AxisSum(building.name(self.path, "sum"), self._targets(None), None, n_outputs=n)
        return building.add(layer, spikes=self.events.source), self.events.unit * self.factor


@dataclass(eq=False)
class SpikeMeanOf(Producer):
    """The mean over all tokens of a stream of spikes."""

    events: Events
    order: np.ndarray
    n_tokens: int

    def write(self, building, current, scale, result) -> None:
        layer = SpikeMean(building.name(self.path, "mean"), self.n_tokens, current)
        building.add(layer, spikes=building.deliver(self.events, self.order, self.path))


@dataclass(eq=False)
class Average(Producer):
    """Means over windows of spikes."""

    events: Events
    order: np.ndarray
    window: Window | None
    n_channels: int
    count_padding: bool = True
    divisor: int | None = None
    adaptive: tuple[tuple[int, int], tuple[int, int]] | None = None
    sends: ClassVar[bool] = True

    def _pool(self, building, current):
        name = building.name(self.path, "pool")
        if self.adaptive is not None:
            return AveragePool.adaptive(name, *self.adaptive, self.n_channels, current)
        return AveragePool(name, self.window, self.n_channels, current, self.count_padding, self.divisor)

    def write(self, building, current, scale, result) -> None:
        building.add(self._pool(building, current), spikes=building.deliver(self.events, self.order, self.path))

    def send(self, building) -> tuple[str, float]:
        pool = self._pool(building, None)
        spikes = building.deliver(self.events, self.order, self.path)
        return building.add(pool, spikes=spikes), pool.unit * self.events.unit


@dataclass(eq=False)
class MaxPool(Producer):
    """A maximum over windows of a current."""

    stored: Stored
    window: Window
    sets: ClassVar[bool] = True

    def write(self, building, current, scale, result) -> None:
        layer = CurrentMaxPool(building.name(self.path, "pool"), self.stored.current, current, self.window)
        building.add(layer)
        building.release(self.stored.current)


@dataclass(eq=False)
class MeanOfCurrent(Producer):
    """The mean over all places of a current."""

    stored: Stored

    def write(self, building, current, scale, result) -> None:
        building.add(TokenMean(building.name(self.path, "mean"), self.stored.current, current))
        building.release(self.stored.current)


def _moved_to(result: AddressMap) -> np.ndarray:
    """The target of each source of a map without fan-out; -1: nowhere."""
    target_of = np.full(result.n_sources, -1, np.int32)
    reached = result.source_of >= 0
    target_of[result.source_of[reached]] = np.flatnonzero(reached)
    return target_of
