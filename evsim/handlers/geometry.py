"""What a handler says of itself, in the few words that a counting convention needs: sizes, never weights.

One small class a kind of handler, which the handler's own property `geometry` returns. A handler without one is
`Other`: it keeps its literal counts, and no published convention says anything about it. What a handler cannot know
(how the reference multiplies, whether it runs a layer once or at every step) it is told by whoever builds the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from evsim.engine.spikes import Spikes
from evsim.handlers.window import Window

__all__ = [
    "Attention", "DenseArray", "Elementwise", "FixedMap", "Geometry", "Mean", "Neurons", "Other", "Output", "Pool",
    "Product", "Sum", "Synapses", "Told", "View", "acs_by_head", "geometry_of", "masks_by_head",
]  # fmt: skip


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
        rows, columns = self.window.kernels
        return rows * columns * (self.n_in // self.groups) * self.n_out

    @property
    def dense_macs(self) -> int:
        """k^2 * H_out * W_out * C_in / g * C_out: the usual formula, which multiplies the zeros of the padding too."""
        return self.window.out_height * self.window.out_width * self.n_weights

    @property
    def inner_macs(self) -> int:
        """The dense products whose input lies inside the map."""
        rows, columns = (sum(map(len, self.window.taps(axis))) for axis in (0, 1))
        return rows * columns * (self.n_in // self.groups) * self.n_out


@dataclass(frozen=True, slots=True)
class Attention:
    """One handler of an attention.

    Parameters
    ----------
    mechanism : {"sdsa", "qka", "ssa", "dssa"}
    part : str
        Which of the mechanism's handlers: coincidence, sum, gate; sum, gate; product; map, value.
    n_tokens, n_heads, head_channels : int
        Of the spiking operand. The map of DSSA has one channel a patch and head.
    n_columns : int
        What one event of the operand adds to, in its head.
    starts_with : {"qk", "kv"}
        The order in which the official code multiplies, where there are two products.
    n_features : int
        Channels of the stream that attends, where they are not those of the spiking operand: what DSSA calls D.
    scales_by_shift : bool
        Whether the scale is a power of two, so that a shift does what a product would.
    keeps_spikes : bool
        Whether `split_by_head` asks for the spikes themselves, not for their numbers alone.

    The handler splits its own counts: ``split_by_head(told)`` returns the additions and masks of each head over all
    steps, int64 [n_heads, 2].
    """

    mechanism: str
    part: str
    n_tokens: int
    n_heads: int
    head_channels: int
    n_columns: int = 1
    starts_with: str = "qk"
    keeps_spikes: bool = False
    n_features: int = 0
    scales_by_shift: bool = False

    @property
    def n_channels(self) -> int:
        return self.n_heads * self.head_channels

    @property
    def n_attending(self) -> int:
        """Tokens times channels of the stream that attends: what the cost of an attention is measured by."""
        return self.n_tokens * (self.n_features or self.n_channels)

    @property
    def n_places(self) -> int:
        return self.n_tokens * self.n_channels


@dataclass(frozen=True, slots=True)
class Neurons:
    """A population of spiking neurons.

    Parameters
    ----------
    n_neurons : int
    n_sleepless : int or None
        Neurons whose bias alone reaches the threshold, so that they are updated at every step; None where nobody knows,
        as in a trace that did not keep it.
    n_thresholds : int
        Comparisons of an update.
    """

    n_neurons: int
    n_sleepless: int | None = 0
    n_thresholds: int = 1


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
class Output:
    """The logits, and whether the reference takes their mean over the steps itself."""

    n_classes: int
    is_averaged: bool


@dataclass(frozen=True, slots=True)
class View:
    """The same values at other places, or several streams side by side."""

    n_inputs: int
    n_outputs: int


@dataclass(frozen=True, slots=True)
class Elementwise:
    """One operation at each place: a mask, a scale, an added stream."""

    n_inputs: int
    n_outputs: int


@dataclass(frozen=True, slots=True)
class FixedMap:
    """Weights that are no parameters and the same for every channel: average pools, wavelets, sums along an axis.

    Parameters
    ----------
    n_inputs, n_outputs : int
    n_links : int
        Pairs of an input and an output place with a weight that is not zero.
    """

    n_inputs: int
    n_outputs: int
    n_links: int


@dataclass(frozen=True, slots=True)
class Product:
    """A matrix product of two operands that both come with the input, `n_batch` times.

    Parameters
    ----------
    n_batch, n_rows, n_inner, n_columns : int
        [n_rows, n_inner] times [n_inner, n_columns].
    """

    n_batch: int
    n_rows: int
    n_inner: int
    n_columns: int

    @property
    def n_inputs(self) -> int:
        return self.n_batch * self.n_inner * (self.n_rows + self.n_columns)

    @property
    def n_outputs(self) -> int:
        return self.n_batch * self.n_rows * self.n_columns

    @property
    def dense_macs(self) -> int:
        return self.n_outputs * self.n_inner


@dataclass(frozen=True, slots=True)
class DenseArray:
    """An operation without an event-driven form, on whole arrays at every step."""

    n_inputs: int
    n_outputs: int


@dataclass(frozen=True, slots=True)
class ReadoutArrays:
    """A program behind the last neurons, once a run on whole arrays, whatever stands in them."""

    n_classes: int


@dataclass(frozen=True, slots=True)
class Other:
    """Anything else."""


Geometry = (
    Synapses
    | Attention
    | Neurons
    | Pool
    | Mean
    | Sum
    | Output
    | View
    | Elementwise
    | FixedMap
    | Product
    | DenseArray
    | ReadoutArrays
    | Other
)


class Told(Protocol):
    """What an attention is told about a finished run, to split its counts by head."""

    @property
    def steps(self) -> tuple:
        """Its own counts at each step."""

    def events(self, port: str) -> np.ndarray:
        """Events that arrived at a port, int64 [n_steps]."""

    def by_head(self, port: str) -> np.ndarray:
        """The same by head, int64 [n_steps, n_heads]."""

    def spikes(self, port: str, step: int) -> Spikes:
        """The events themselves, where the geometry says `keeps_spikes`."""


def geometry_of(handler: object) -> Geometry:
    """What a handler says of itself; `Other` where it says nothing."""
    return getattr(handler, "geometry", Other())


def acs_by_head(acs: np.ndarray) -> np.ndarray:
    """Additions of each head, and no masks."""
    return np.stack([acs, np.zeros_like(acs)], axis=1)


def masks_by_head(masks: np.ndarray) -> np.ndarray:
    """Masks of each head, and no additions."""
    return np.stack([np.zeros_like(masks), masks], axis=1)
