"""The end of a network: the mean over tokens, and the logits as a mean over steps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.current import Current
from evsim.errors import NetworkError
from evsim.ledger import OpCounts
from evsim.spikes import Spikes

__all__ = ["Readout", "TokenMean"]


class TokenMean:
    """X[channel] = mean over tokens of the source current; an untouched token holds the bias alone.

    Parameters
    ----------
    name : str
    source : Current
        [n_tokens, n_channels].
    target : Current
        [1, n_channels]; inherits the bias of `source`.

    An addition of one token's value is a residual add (a sum of streams, not a weight). Incs `target`,
    reads `source`.
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
            residual_adds=touched.size, state_reads=touched.size + n_channels, state_writes=n_channels
        )

    def reset(self) -> None:
        """Forget the currents of unfinished steps."""
        self.source.reset()
        self.target.reset()


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
