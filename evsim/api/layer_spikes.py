"""LayerSpikes: what one layer sent during a run, step by step or as one dense array."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from evsim.engine.network import INPUT, Network
from evsim.engine.spikes import Spikes
from evsim.traces.trace import Probe

__all__ = ["LayerSpikes", "SpikesByLayer"]


class LayerSpikes(Sequence[Spikes]):
    """The spikes of one layer: a sequence with one `Spikes` a step.

    Parameters
    ----------
    name : str
        The checkpoint's module name, or "input".
    by_step : sequence of Spikes
    shape : tuple of int
        Of the layer in one step, channels last; a spike's address is the flat row-major index into it.
    axes : str
        Names of the axes of `shape`, comma separated: "row,col,channel".
    reference_axes : str
        The axes of the layer's tensor in the model it came from ("channel,row,col"); "token" is row and col flattened.
    """

    def __init__(
        self, name: str, by_step: Sequence[Spikes], shape: tuple[int, ...], axes: str, reference_axes: str
    ) -> None:
        self.name = name
        self.shape, self.axes, self.reference_axes = tuple(shape), axes, reference_axes
        self._by_step = tuple(by_step)

    def __len__(self) -> int:
        return len(self._by_step)

    def __getitem__(self, step):
        return self._by_step[step]

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.shape))
        return f"<{self.name}: {self.n_spikes:,} spikes in {len(self)} steps, {size} ({self.axes})>"

    @property
    def n_spikes(self) -> int:
        """Events over all steps, whatever their payload."""
        return sum(map(len, self._by_step))

    @property
    def rate(self) -> float:
        """Events per neuron and step."""
        return self.n_spikes / (math.prod(self.shape) * len(self)) if len(self) and math.prod(self.shape) else 0.0

    def dense(self) -> np.ndarray:
        """The spikes as the model's own tensor has them.

        Returns
        -------
        array [n_steps, ...]
            In the order of `reference_axes`. bool for binary spikes; int32 for graded ones (event counts, sums of
            spikes); float32 for real values.
        """
        kinds = [spikes.payload.dtype for spikes in self._by_step if spikes.payload is not None]
        flat = np.stack([spikes.to_dense(math.prod(self.shape)) for spikes in self._by_step])
        values = flat.astype(np.result_type(*kinds)) if kinds else flat.astype(bool)
        return self._in_reference_axes(values.reshape(len(self), *self.shape))

    def _in_reference_axes(self, values: np.ndarray) -> np.ndarray:
        own = self.axes.split(",")
        sizes = dict(zip(own, self.shape, strict=True))
        spread = self.reference_axes.replace("token", "row,col").split(",")
        ordered = values.transpose(0, *(own.index(axis) + 1 for axis in spread))
        sizes["token"] = sizes.get("row", 1) * sizes.get("col", 1)
        return ordered.reshape(len(values), *(sizes[axis] for axis in self.reference_axes.split(",")))


class SpikesByLayer(Mapping[str, LayerSpikes]):
    """`LayerSpikes` by module name, in run order: "input", then every layer that sends spikes."""

    def __init__(self, network: Network, probe: Probe, n_steps: int) -> None:
        self._probe, self._n_steps = probe, n_steps
        self._shapes = {INPUT: (network.input_shape, "row,col,channel", "channel,row,col")}
        for handler in network.handlers:
            if getattr(handler, "is_population", False):
                self._shapes[handler.name] = (handler.shape, handler.axes, handler.reference_axes)

    def __getitem__(self, name: str) -> LayerSpikes:
        if name not in self._shapes:
            near = [known for known in self._shapes if name in known] or list(self._shapes)
            raise KeyError(f"no layer {name!r} that sends spikes; there is {', '.join(near[:5])}")
        by_step = [self._probe.spikes(name, step) for step in range(self._n_steps)]
        return LayerSpikes(name, by_step, *self._shapes[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)

    def __repr__(self) -> str:
        return "\n".join(repr(layer) for layer in self.values())
