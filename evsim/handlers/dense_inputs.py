"""What operations on whole arrays read: streams as dense arrays, currents with their bias."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from evsim.engine.current import Current
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError

__all__ = ["DenseInputs"]

Source = str | Current
"""A port, or a current."""


class DenseInputs:
    """The operands of one step as arrays, float32, of the shapes asked for.

    Parameters
    ----------
    reader : str
        Name of the handler.
    sources : sequence of (str or Current, shape)
        A port and the shape of its stream, or a current, whose addresses are seen in that shape.

    Raises
    ------
    NetworkError
        A shape does not fit its current, or there is nothing to read.
    """

    def __init__(self, reader: str, sources: Sequence[tuple[Source, tuple[int, ...]]]) -> None:
        if not sources:
            raise NetworkError(f"{reader}: reads nothing, expected a port or a current")
        self.reader, self.shapes = reader, [tuple(shape) for _, shape in sources]
        self.sources = [source for source, _ in sources]
        self.currents = [source for source in self.sources if isinstance(source, Current)]
        self.biases: list[np.ndarray | None] = []
        self.wakers: tuple[str, ...] = ()
        for source, shape in zip(self.sources, self.shapes, strict=True):
            if not isinstance(source, Current):
                self.biases.append(None)
                continue
            if math.prod(shape) != source.n_places * source.n_channels:
                found = (source.n_places, source.n_channels)
                raise NetworkError(f"{reader}: reads {shape} from a current of {found} (places, channels)")
            bias, wakers = source.join_reader(reader, by_place=True)
            self.biases.append(bias)
            self.wakers += tuple(name for name in wakers if name not in self.wakers)

    @property
    def n_places(self) -> int:
        """Values of all operands."""
        return sum(math.prod(shape) for shape in self.shapes)

    def is_silent(self, step: int, inbox: Mapping[str, Spikes]) -> bool:
        """Whether no event came and none touched a current."""
        has_events = any(len(inbox.get(source, ())) for source in self.sources if isinstance(source, str))
        return not has_events and not any(current.rows(step).touched.any() for current in self.currents)

    def arrays(self, step: int, inbox: Mapping[str, Spikes]) -> list[np.ndarray]:
        """The operands of `step`."""
        return [
            self._array(source, shape, bias, step, inbox)
            for source, shape, bias in zip(self.sources, self.shapes, self.biases, strict=True)
        ]

    def silent_arrays(self) -> list[np.ndarray]:
        """The operands of a step at which nothing came: zeros, and biases."""
        shown = []
        for source, shape, bias in zip(self.sources, self.shapes, self.biases, strict=True):
            zeros = np.zeros(shape, np.float32)
            if bias is not None:
                zeros += np.broadcast_to(bias, (source.n_places, source.n_channels)).reshape(shape)
            shown.append(zeros)
        return shown

    def release(self, step: int) -> None:
        """Give the currents of `step` back."""
        for current in self.currents:
            current.release(step, self.reader)

    def reset(self) -> None:
        """Forget the currents of unfinished steps."""
        for current in self.currents:
            current.reset()

    def _array(self, source, shape, bias, step, inbox) -> np.ndarray:
        if bias is None:
            return inbox.get(source, Spikes.none()).to_dense(math.prod(shape)).astype(np.float32).reshape(shape)
        value = source.rows(step).value
        real = value if value.dtype == np.float32 else np.ldexp(value.astype(np.float32), -source.exponent)
        return (real + bias).astype(np.float32).reshape(shape)
