"""What a handler is, in the few words that a counting convention needs: sizes, never weights.

One small class a kind of handler and one function that tells the kind. A handler that is not known here is
`Other`: it keeps its literal counts, and no published convention says anything about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch

from evsim.attention.dssa import RealProduct
from evsim.attention.sdsa import Coincidence, Gate, TokenSum
from evsim.attention.ssa import SSA
from evsim.neurons import Population
from evsim.pooling import CurrentMaxPool, PlaneDilation, SpikeMaxPool
from evsim.projections.conv import Conv2d, Window
from evsim.readout import RealLinear, TokenMean
from evsim.spike_sum import SpikeMean, SpikeSum

__all__ = ["Attention", "Geometry", "Mean", "Neurons", "Other", "Pool", "Sum", "Synapses", "geometry_of"]


@dataclass(frozen=True, slots=True)
class Synapses:
    """A convolution, or a linear layer as a convolution of kernel 1 on every token.

    Parameters
    ----------
    window : Window
    n_in, n_out : int
        Channels.
    groups : int
    has_bias : bool
        Whether the layer has a bias of its own, apart from a folded BatchNorm.
    is_linear : bool
        Whether the official module is a linear layer; a 1x1 convolution is none.
    is_once : bool
        Whether the official model runs the layer once, on a mean over the steps, and not at every step.
    """

    window: Window
    n_in: int
    n_out: int
    groups: int = 1
    has_bias: bool = False
    is_linear: bool = False
    is_once: bool = False

    @property
    def n_inputs(self) -> int:
        return self.window.height * self.window.width * self.n_in

    @property
    def n_outputs(self) -> int:
        return self.window.out_height * self.window.out_width * self.n_out

    @property
    def n_weights(self) -> int:
        return self.window.kernel**2 * (self.n_in // self.groups) * self.n_out

    @property
    def dense_macs(self) -> int:
        """k^2 * H_out * W_out * C_in / g * C_out: the usual formula, which multiplies the zeros of the padding too."""
        return self.window.out_height * self.window.out_width * self.n_weights

    @property
    def inner_macs(self) -> int:
        """The dense products whose input lies inside the map."""
        w = self.window
        taps = _inner_taps(w.height, w.out_height, w) * _inner_taps(w.width, w.out_width, w)
        return taps * (self.n_in // self.groups) * self.n_out


def _inner_taps(size: int, out_size: int, window: Window) -> int:
    """Pairs of an output row and a kernel row that meet a real input row."""
    rows = (y * window.stride - window.padding + k for y in range(out_size) for k in range(window.kernel))
    return sum(0 <= row < size for row in rows)


@dataclass(frozen=True, slots=True)
class Attention:
    """One handler of an attention.

    Parameters
    ----------
    mechanism : {"sdsa", "ssa", "dssa"}
    part : str
        Which of the mechanism's handlers: coincidence, sum, gate; product; map, value.
    n_tokens, n_heads, head_channels : int
        Of the spiking operand. The map of DSSA has one channel a patch and head.
    n_columns : int
        What one event of the operand adds to, in its head.
    starts_with : {"qk", "kv"}
        The order in which the official code multiplies, where there are two products.
    """

    mechanism: str
    part: str
    n_tokens: int
    n_heads: int
    head_channels: int
    n_columns: int = 1
    starts_with: str = "qk"

    @property
    def n_channels(self) -> int:
        return self.n_heads * self.head_channels

    @property
    def n_places(self) -> int:
        return self.n_tokens * self.n_channels


@dataclass(frozen=True, slots=True)
class Neurons:
    """A population of spiking neurons.

    Parameters
    ----------
    n_neurons : int
    n_sleepless : int
        Neurons whose bias alone reaches the threshold, so that they are updated at every step.
    """

    n_neurons: int
    n_sleepless: int = 0


@dataclass(frozen=True, slots=True)
class Pool:
    """A maximum over windows, of spikes (`of_spikes`) or of real-valued currents."""

    n_inputs: int
    n_outputs: int
    of_spikes: bool


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over tokens."""

    n_tokens: int
    n_channels: int


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum of two spike streams (SEW)."""

    n_places: int


@dataclass(frozen=True, slots=True)
class Other:
    """Anything else."""


Geometry = Synapses | Attention | Neurons | Pool | Mean | Sum | Other


@singledispatch
def geometry_of(handler, network) -> Geometry:
    """The geometry of one handler of `network`."""
    return Other()


@geometry_of.register
def _(handler: Conv2d, network) -> Geometry:
    sizes = (handler.window, handler.n_in, handler.n_out, handler.groups)
    return Synapses(*sizes, has_bias=handler.has_bias, is_linear=handler.n_weight_axes == 2)


@geometry_of.register
def _(handler: Population, network) -> Geometry:
    return Neurons(handler.n_neurons, handler.sleepless.size * handler.n_neurons // handler.bias.size)


@geometry_of.register
def _(handler: SpikeMaxPool, network) -> Geometry:
    height, width, n_channels = handler.shape
    return Pool(handler.n_inputs, height * width * n_channels, of_spikes=True)


@geometry_of.register
def _(handler: PlaneDilation, network) -> Geometry:
    return Pool(handler.n_inputs, handler.n_inputs, of_spikes=True)


@geometry_of.register
def _(handler: CurrentMaxPool, network) -> Geometry:
    target = handler.target
    return Pool(handler.n_inputs, target.n_places * target.n_channels, of_spikes=False)


@geometry_of.register
def _(handler: TokenMean, network) -> Geometry:
    return Mean(handler.source.n_places, handler.source.n_channels)


@geometry_of.register
def _(handler: SpikeMean, network) -> Geometry:
    return Mean(handler.n_tokens, handler.current.n_channels)


@geometry_of.register
def _(handler: SpikeSum, network) -> Geometry:
    return Sum(handler.n_inputs // 2)


@geometry_of.register
def _(handler: RealLinear, network) -> Geometry:
    n_out, n_in = handler.weight.shape
    # Spikformer averages over the steps before its head, the others behind it
    is_once = network.name.startswith("spikformer")
    return Synapses(Window(1, 1), n_in, n_out, has_bias=handler.has_bias, is_linear=True, is_once=is_once)


@geometry_of.register
def _(handler: SSA, network) -> Geometry:
    sizes = (handler.current.n_places, handler.n_heads, handler.head_channels)
    return Attention("ssa", "product", *sizes, starts_with=handler.official_order)


@geometry_of.register
def _(handler: RealProduct, network) -> Geometry:
    n_heads, part = handler.scale.size, "map" if handler.transposed else "value"
    sizes = (handler.current.n_places, n_heads, handler.n_rows)
    return Attention("dssa", part, *sizes, n_columns=handler.current.n_channels // n_heads)


@geometry_of.register
def _(handler: Coincidence, network) -> Geometry:
    following = network.handlers[network.handlers.index(handler) :]
    column = next(h for h in following if isinstance(h, TokenSum))  # the gate's column sum tells the heads
    n_tokens, n_heads, head_channels = _column_shape(column, network)
    return Attention("sdsa", "coincidence", n_tokens, n_heads, head_channels)


@geometry_of.register
def _(handler: TokenSum, network) -> Geometry:
    return Attention("sdsa", "sum", *_column_shape(handler, network))


@geometry_of.register
def _(handler: Gate, network) -> Geometry:
    gate = network.sources[network.handlers.index(handler)]["gate"]
    n_heads, head_channels = _population(network, gate).shape
    return Attention("sdsa", "gate", handler.n_inputs // handler.n_channels - 1, n_heads, head_channels)


def _column_shape(column: TokenSum, network) -> tuple[int, int, int]:
    n_heads, head_channels = _population(network, column.current.readers[0]).shape
    return column.n_inputs // column.current.n_channels, n_heads, head_channels


def _population(network, name: str) -> Population:
    return next(p for p in network.populations() if p.name == name)
