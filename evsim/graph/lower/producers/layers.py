"""Producers that are layers: convolutions of events, of currents, and regions of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evsim.engine.current import Current
from evsim.graph.lower.producers.producer import Producer
from evsim.graph.lower.values import Events, Stored
from evsim.handlers.projections.conv import Conv2d
from evsim.handlers.projections.linear import Linear
from evsim.handlers.projections.real_conv import RealConv
from evsim.handlers.readout import RealLinear
from evsim.handlers.window import Window

__all__ = ["Convolution", "RealConvolution", "Region"]


@dataclass(eq=False)
class Convolution(Producer):
    """A convolution or linear layer of events; `weight` float64 [c_out, c_in / groups, rows, columns]."""

    events: Events
    order: np.ndarray
    weight: np.ndarray
    window: Window
    groups: int = 1
    norm: str | None = None
    has_bias: bool = False
    n_weight_axes: int = 4
    scales: ClassVar[str] = "channels"

    @property
    def is_linear(self) -> bool:
        w = self.window
        plain = (w.kernels, w.strides, w.paddings) == ((1, 1), (1, 1), (0, 0))
        return plain and self.groups == 1

    def write(self, building, current, scale, result) -> None:
        weight = self.weight * (self.events.unit * scale).reshape(-1, 1, 1, 1)
        name = building.name(self.path, "conv")
        if self.is_linear:
            layer = Linear(name, weight[:, :, 0, 0], None, current.n_places, current)
        else:
            layer = Conv2d(name, weight, None, self.window, current, self.groups)
        layer.norm, layer.has_bias, layer.n_weight_axes = self.norm, self.has_bias, self.n_weight_axes
        building.add(layer, spikes=building.deliver(self.events, self.order, self.path))


@dataclass(eq=False)
class Region(Convolution):
    """A layer behind a layer without neurons between them: `weight` and `window` are those of both as one.

    Parameters
    ----------
    inner : Convolution
        The layers before.
    inner_scale : float64 array
        What each channel between the two is multiplied by.
    outer : (array, Window, int)
        The layer itself: weight, window on the map of the inner one, groups.
    written_cost, fused_cost : float
        Additions and products a step, as written and as one, at the measured rate of the spikes.
    """

    inner: Convolution | None = None
    inner_scale: np.ndarray | None = None
    outer: tuple = ()
    written_cost: float = 0.0
    fused_cost: float = 0.0

    def write(self, building, current, scale, result) -> None:
        if not building.as_written and self.fused_cost <= self.written_cost:
            building.notes.append(f"{self.path}: fused with the layers before it into one convolution of spikes")
            super().write(building, current, scale, result)
            return
        weight, window, groups = self.outer
        between = Current(*self.inner.space)
        self.inner.write(building, between, self.inner_scale, None)
        at = np.arange(between.n_places * between.n_channels, dtype=np.int32)
        layer = RealConvolution(self.path, self.space, Stored(between, at), weight, window, groups)
        building.notes.append(f"{self.path}: multiplies real values, there are no neurons before it")
        layer.write(building, current, scale, result)


@dataclass(eq=False)
class RealConvolution(Producer):
    """The same of a current."""

    stored: Stored
    weight: np.ndarray
    window: Window
    groups: int = 1
    is_once: bool = False
    scales: ClassVar[str] = "channels"

    def write(self, building, current, scale, result) -> None:
        weight = self.weight * scale.reshape(-1, 1, 1, 1)
        name = building.name(self.path, "conv")
        source = self.stored.current
        is_classifier = source.n_places == 1 and self.weight.shape[2:] == (1, 1) and self.groups == 1
        if is_classifier and self.window.width == 1:
            layer = RealLinear(name, weight[:, :, 0, 0], None, source, current, is_once=self.is_once)
        else:
            layer = RealConv(name, weight, None, self.window, source, current, self.groups)
        building.add(layer)
        building.release(source)
