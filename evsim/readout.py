"""The end of a network: the mean over tokens, a classifier of real values, and the logits as a mean over steps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.current import Current, CurrentRows
from evsim.errors import NetworkError
from evsim.ledger import OpCounts
from evsim.spikes import Spikes

__all__ = ["Readout", "RealLinear", "TokenMean"]


class TokenMean:
    """X[channel] = mean over tokens of the source current; an untouched token holds the bias alone.

    Parameters
    ----------
    name : str
    source : Current
        [n_tokens, n_channels].
    target : Current
        [1, n_channels]; inherits the bias of `source`.

    An addition of one token's value is a residual add (a sum of streams, not a weight), the division a scaling.
    Incs `target`, reads `source`.
    """

    def __init__(self, name: str, source: Current, target: Current) -> None:
        if (target.n_places, target.n_channels) != (1, source.n_channels):
            found = (target.n_places, target.n_channels)
            raise NetworkError(f"{name}: writes {(1, source.n_channels)} (places, channels) into a current of {found}")
        self.name = name
        self.source, self.target = source, target
        self.n_inputs = source.n_places * source.n_channels
        _, self.wakers = source.join_reader(name)
        target.join_writer(name, source.bias)

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Average the current of `step`; sums in float64, so that their order does not show."""
        source = self.source.rows(step)
        touched = source.value[source.touched.astype(bool)]
        self.source.release(step, self.name)
        if touched.size == 0:
            return Spikes.none(), OpCounts()
        target = self.target.rows(step)
        target.value[0] += (touched.sum(axis=0, dtype=np.float64) / self.source.n_places).astype(np.float32)
        target.touched[0] = 1
        n_channels = self.source.n_channels
        return Spikes.none(), OpCounts(
            residual_adds=touched.size,
            scalings=n_channels,
            state_reads=touched.size + n_channels,
            state_writes=n_channels,
        )

    def reset(self) -> None:
        """Forget the currents of unfinished steps."""
        self.source.reset()
        self.target.reset()


class RealLinear:
    """X = W x + b on real values, where a network classifies its residual stream and not spikes.

    The constant part of `source` is multiplied once, at build time, and becomes the constant part of `target`; a
    step multiplies what the events added to it.

    Parameters
    ----------
    name : str
        The checkpoint's module name.
    weight : float [n_classes, n_channels]
    bias : float [n_classes] or None
    source : Current
        [1, n_channels], all its writers joined.
    target : Current
        [1, n_classes].

    Raises
    ------
    NetworkError
        The sizes do not fit.

    One MAC per channel and class. Incs `target`, reads `source` and its weights.
    """

    constants = ("weight",)

    def __init__(
        self, name: str, weight: np.ndarray, bias: np.ndarray | None, source: Current, target: Current
    ) -> None:
        expected = (target.n_channels, source.n_channels)
        if weight.shape != expected:
            raise NetworkError(f"{name}: weight is {weight.shape}, its currents are {expected} (classes, channels)")
        self.name = name
        self.source, self.target = source, target
        self.weight = np.asarray(weight, np.float64)
        self.has_bias = bias is not None
        self.n_inputs = source.n_channels
        _, self.wakers = source.join_reader(name)
        constant = self.weight @ source.bias
        target.join_writer(name, constant if bias is None else constant + bias)

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Classify the current of `step`; products are summed in float64, as there is one row."""
        source = self.source.rows(step)
        counts = self._classify(source.value[0], self.target.rows(step)) if source.touched[0] else OpCounts()
        self.source.release(step, self.name)
        return Spikes.none(), counts

    def reset(self) -> None:
        """Forget the currents of unfinished steps."""
        self.source.reset()
        self.target.reset()

    def _classify(self, value: np.ndarray, target: CurrentRows) -> OpCounts:
        target.value[0] += (self.weight @ value).astype(np.float32)
        target.touched[0] = 1
        n_classes, n_channels = self.weight.shape
        macs = n_classes * n_channels
        memory = {"weight_reads": macs, "state_reads": n_channels + n_classes, "state_writes": n_classes}
        return OpCounts(macs=macs, **memory)


class Readout:
    """logits[step] = current of the classifier;  logits = their mean over all steps, silent ones included.

    Parameters
    ----------
    name : str
    current : Current
        [1, n_classes], written by the classifier layer.

    Sets its logits, reads `current`.
    """

    def __init__(self, name: str, current: Current) -> None:
        self.name = name
        self.current = current
        self.bias, self.wakers = current.join_reader(name)
        self.n_inputs = self.bias.size
        self._by_step: dict[int, np.ndarray] = {}

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Keep the classifier's current of `step`."""
        rows = self.current.rows(step)
        self._by_step[step] = rows.value[0] + self.bias
        self.current.release(step, self.name)
        n = self.n_inputs
        return Spikes.none(), OpCounts(bias_adds=int(np.count_nonzero(self.bias)), state_reads=n, state_writes=n)

    def logits_by_step(self, n_steps: int) -> np.ndarray:
        """float32 [n_steps, n_classes]; a step without an event holds the bias."""
        return np.stack([self._by_step.get(step, self.bias) for step in range(n_steps)])

    def logits(self, n_steps: int) -> np.ndarray:
        """float32 [n_classes]."""
        return self.logits_by_step(n_steps).mean(axis=0, dtype=np.float64).astype(np.float32)

    def reset(self) -> None:
        """Forget every step."""
        self._by_step.clear()
        self.current.reset()
