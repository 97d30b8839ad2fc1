"""Producers that multiply two operands: streams of spikes, an attention of three, spikes and a current."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evsim.graph.lower.producers.producer import Producer
from evsim.graph.lower.values import Events, Stored
from evsim.handlers.attention.ssa import SSA
from evsim.handlers.products.real_product import RealProduct
from evsim.handlers.products.spike_product import IntegerProduct, SpikeProduct
from evsim.handlers.views.address_map import AddressMap

__all__ = ["HeadProduct", "Pairs", "WithReal"]


@dataclass(eq=False)
class Pairs(Producer):
    """A matrix product of two streams, whose orders lead to [batch, row, inner] and [batch, inner, column]."""

    left: Events
    right: Events
    sizes: tuple[int, int, int, int]
    left_order: np.ndarray
    right_order: np.ndarray
    scales: ClassVar[str] = "batch"
    maps: ClassVar[bool] = True
    sends: ClassVar[bool] = True

    @property
    def unit(self) -> float:
        return self.left.unit * self.right.unit

    def _product(self, building, current, scale, result):
        kind = SpikeProduct if self.left.kind == self.right.kind == "B" else IntegerProduct
        maps = [
            AddressMap(order, events.n_places)
            for events, order in ((self.left, self.left_order), (self.right, self.right_order))
        ]
        name = building.name(self.path, "matmul")
        return kind(name, self.sizes, current, scale, maps[0], maps[1], result)

    def write(self, building, current, scale, result) -> None:
        product = self._product(
            building, current, self.unit * scale if scale.size > 1 else self.unit * scale[0], result
        )
        building.add(product, left=self.left.source, right=self.right.source)

    def send(self, building) -> tuple[str, float]:
        product = self._product(building, None, 1.0, None)
        return building.add(product, left=self.left.source, right=self.right.source), self.unit

    @property
    def n_batch(self) -> int:
        return self.sizes[0]

    def batch_of(self, at: np.ndarray) -> np.ndarray:
        return at // (self.sizes[1] * self.sizes[3])


@dataclass(eq=False)
class HeadProduct(Producer):
    """Spiking self-attention: scale * Q K^T V, head by head."""

    operands: dict[str, Events]
    orders: dict[str, np.ndarray]
    n_heads: int
    factor: float
    official_order: str
    scales: ClassVar[str] = "one"

    def takes(self, scale: np.ndarray) -> bool:
        """A power of two: its products stay exact."""
        unit = math.prod(events.unit for events in self.operands.values())
        return math.frexp(self.factor * unit * float(scale[0]))[0] == 0.5

    def write(self, building, current, scale, result) -> None:
        maps = {port: AddressMap(order, self.operands[port].n_places) for port, order in self.orders.items()}
        maps = {port: map for port, map in maps.items() if not map.is_identity}
        unit = math.prod(events.unit for events in self.operands.values())
        layer = SSA(
            building.name(self.path, "qkv"), self.n_heads, self.factor * unit * float(scale[0]), current,
            official_order=self.official_order, maps=maps,
        )  # fmt: skip
        building.add(layer, **{port: events.source for port, events in self.operands.items()})


@dataclass(eq=False)
class WithReal(Producer):
    """A matrix product of spikes and a current; sizes are (tokens, batch, rows, columns)."""

    spikes: Events
    stored: Stored
    sizes: tuple[int, int, int, int]
    operand_order: np.ndarray
    spike_order: np.ndarray
    scales: ClassVar[str] = "batch"
    maps: ClassVar[bool] = True

    def write(self, building, current, scale, result) -> None:
        source = self.stored.current
        operand = AddressMap(self.operand_order, source.n_places * source.n_channels)
        spikes = AddressMap(self.spike_order, self.spikes.n_places)
        scale = np.broadcast_to(scale * self.spikes.unit, (self.sizes[1],))
        name = building.name(self.path, "matmul")
        layer = RealProduct(name, source, operand, scale, self.sizes, current, spikes, result)
        building.add(layer, spikes=self.spikes.source)
        building.release(source)

    @property
    def n_batch(self) -> int:
        return self.sizes[1]

    def batch_of(self, at: np.ndarray) -> np.ndarray:
        return at // self.sizes[3] % self.sizes[1]
