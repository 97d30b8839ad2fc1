"""The end of a network: the mean over tokens, a classifier of real values, and the logits as a mean over steps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.arithmetic.kernel import kernel
from evsim.arithmetic.whole import FINEST, Claim, Fixing, divided, moved, rounded, weight_exponent
from evsim.engine.current import Current, CurrentRows
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.acts import Act, Kind
from evsim.handlers.geometry import Mean, Output, Synapses
from evsim.handlers.window import Window

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
        _, self.wakers = source.join_reader(name, by_place=True)
        target.join_writer(name, source.bias if source.bias.ndim == 1 else source.bias.mean(axis=0))
        self._is_fixed = False

    def by_channel(self, fixing: Fixing) -> tuple[Current, ...]:
        """A channel meets no other, so its steps may be its own, as long as source and target measure alike."""
        return self.source, self.target

    def gains(self, fixing: Fixing) -> np.ndarray | None:
        """Those of the source."""
        return fixing.gains(self.source)

    def claim(self, fixing: Fixing) -> Claim:
        """A mean is no larger than the largest value; it is rounded once."""
        source = fixing.scale(self.source)
        finest = FINEST + 0 * source.exponent
        return Claim(finest, finest, source.reach, 1)

    def fix(self, fixing: Fixing) -> None:
        """The quotient is rounded (half up) from the steps of `source` to those of `target`."""
        self._is_fixed = True

    @property
    def geometry(self) -> Mean:
        """What it says of itself to conventions."""
        return Mean(self.source.n_places, self.source.n_channels)

    def asynchronous(self) -> Act:
        """A running mean: each contribution is divided as it comes."""
        n_channels = self.source.n_channels
        by = np.broadcast_to(self.target.exponent - self.source.exponent, n_channels)
        numbers = (self.source.n_places,)
        return Act(Kind.MEAN, numbers, (), self.source, self.target, n_sums=2 * n_channels, scales=by)

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Average the current of `step`; sums in float64 or int64, so that their order does not show."""
        source, n_channels = self.source.rows(step), self.source.n_channels
        sums = np.zeros(n_channels, np.int64 if self._is_fixed else np.float64)
        n_added = _add_touched(source.value, source.touched, sums)
        self.source.release(step, self.name)
        if n_added == 0:
            return Spikes.none(), OpCounts()
        target = self.target.rows(step)
        target.value[0] += self._mean(sums).astype(target.value.dtype)
        target.touched[0] = 1
        return Spikes.none(), OpCounts(
            residual_adds=n_added,
            scalings=n_channels,
            state_reads=n_added + n_channels,
            state_writes=n_channels,
        )

    def _mean(self, sums: np.ndarray) -> np.ndarray:
        if not self._is_fixed:
            return sums / self.source.n_places
        return divided(sums, self.source.n_places, self.target.exponent - self.source.exponent)

    def reset(self) -> None:
        """Forget the currents of unfinished steps."""
        self.source.reset()
        self.target.reset()


@kernel(error_model="numpy")
def _add_touched(value, touched, sums):
    """sums += rows of the touched places, in their order; returns how many values were added."""
    n_places = 0
    for place in range(touched.size):
        if touched[place]:
            n_places += 1
            row = value[place]
            for j in range(sums.size):
                sums[j] += row[j]
    return n_places * sums.size


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
    is_once : bool
        Whether the reference classifies once, a mean over the steps; nothing here depends on it.

    Raises
    ------
    NetworkError
        The sizes do not fit.

    One MAC per class and channel whose value is not 0; another is not multiplied. Incs `target`, reads `source` and its
    weights.
    """

    constants = ("weight",)

    def __init__(
        self,
        name: str,
        weight: np.ndarray,
        bias: np.ndarray | None,
        source: Current,
        target: Current,
        is_once: bool = False,
    ) -> None:
        expected = (target.n_channels, source.n_channels)
        if weight.shape != expected:
            raise NetworkError(f"{name}: weight is {weight.shape}, its currents are {expected} (classes, channels)")
        self.name = name
        self.source, self.target = source, target
        self.weight = np.asarray(weight, np.float64)
        self.has_bias, self.is_once = bias is not None, is_once
        self.n_inputs = source.n_channels
        self._finer: int | None = None
        _, self.wakers = source.join_reader(name)
        constant = self.weight @ source.bias
        target.join_writer(name, constant if bias is None else constant + bias)

    def claim(self, fixing: Fixing) -> Claim:
        """Every weight, as rounded, times the largest value of its channel in `source`; a sum is rounded once."""
        weight, exponent, finest = self._whole(fixing)
        reach = (np.abs(weight) + 2.0 ** -(exponent + 1)) * fixing.scale(self.source).bound * 2.0**-finest
        return Claim(FINEST, FINEST, float(reach.sum(axis=1).max(initial=0)), 1)

    def by_channel(self, fixing: Fixing) -> tuple[Current, ...]:
        """Its weights take in the scale of each channel; the classes have one for all."""
        return (self.source,)

    def fix(self, fixing: Fixing) -> None:
        """Whole weights; a sum is int64 and is rounded once, to the steps of `target`.

        Where the channels of `source` have scales of their own, a weight is divided by the scale of its channel first,
        and has 16 bits.
        """
        weight, exponent, finest = self._whole(fixing)
        self.weight = rounded(weight, exponent)
        self._finer = finest + exponent - self.target.exponent

    def _whole(self, fixing: Fixing) -> tuple[np.ndarray, int, int]:
        """The weights in units of the finest channel of `source`, their scale, and that channel's."""
        scale, gains = fixing.scale(self.source), fixing.gains(self.source)
        finest = int(np.max(scale.exponent))
        if gains is None:
            return self.weight, weight_exponent(self.weight, fixing.bits), finest
        weight = self.weight * np.ldexp(1 / gains, finest - scale.exponent)
        return weight, weight_exponent(weight, 16), finest

    @property
    def geometry(self) -> Synapses:
        """What it says of itself to conventions."""
        n_out, n_in = self.weight.shape
        told = {"has_bias": self.has_bias, "is_linear": True, "is_once": self.is_once}
        return Synapses(Window(1, 1), n_in, n_out, **told)

    def asynchronous(self) -> Act:
        """A value that changes is multiplied again, the others are not."""
        n_classes, n_channels = self.weight.shape
        numbers = (n_channels, n_classes, -(self._finer or 0), int(self._finer is not None))
        n_sums, weights = 2 * n_classes + n_channels, np.ascontiguousarray(self.weight.T)
        return Act(Kind.CLASSIFY, numbers, (), self.source, self.target, n_sums=n_sums, weights=weights)

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Classify the current of `step`; products are summed in float64 or int64, as there is one row."""
        source = self.source.rows(step)
        counts = self._classify(source.value[0], self.target.rows(step)) if source.touched[0] else OpCounts()
        self.source.release(step, self.name)
        return Spikes.none(), counts

    def reset(self) -> None:
        """Forget the currents of unfinished steps."""
        self.source.reset()
        self.target.reset()

    def _classify(self, value: np.ndarray, target: CurrentRows) -> OpCounts:
        nonzero = np.flatnonzero(value)
        sums = self.weight[:, nonzero] @ value[nonzero]
        with np.errstate(over="ignore"):  # a logit that is not finite ends the run
            target.value[0] += (sums if self._finer is None else moved(sums, -self._finer)).astype(target.value.dtype)
        target.touched[0] = 1
        n_classes, n_channels = self.weight.shape
        macs = n_classes * nonzero.size
        memory = {"weight_reads": macs, "state_reads": n_channels + n_classes, "state_writes": n_classes}
        return OpCounts(macs=macs, **memory)


class Readout:
    """logits[step] = current of the classifier;  logits = their mean over all steps, silent ones included.

    Parameters
    ----------
    name : str
    current : Current
        [1, n_classes], written by the classifier layer.
    is_averaged : bool
        Whether the reference takes this mean itself, and does not leave it to its user or take it before it
        classifies; nothing here depends on it.

    Sets its logits, reads `current`.
    """

    def __init__(self, name: str, current: Current, is_averaged: bool = False) -> None:
        self.name = name
        self.current = current
        self.is_averaged = is_averaged
        self.bias, self.wakers = current.join_reader(name)
        self.n_inputs = self.bias.size
        self._by_step: dict[int, np.ndarray] = {}

    @property
    def geometry(self) -> Output:
        """What it says of itself to conventions."""
        return Output(self.n_inputs, self.is_averaged)

    @property
    def n_classes(self) -> int:
        """Logits, which are all it reads."""
        return self.n_inputs

    def fix(self, fixing: Fixing) -> None:
        """Logits are float32: a whole current divided by its scale, plus the bias."""

    def asynchronous(self) -> Act:
        """Logits are sums; `handle` keeps them at the end of a step."""
        return Act(Kind.READ_OUT, (), (), self.current)

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Keep the classifier's current of `step`."""
        rows = self.current.rows(step)
        self._by_step[step] = self._real(rows.value[0]) + self.bias
        self.current.release(step, self.name)
        n = self.n_inputs
        return Spikes.none(), OpCounts(bias_adds=int(np.count_nonzero(self.bias)), state_reads=n, state_writes=n)

    def _real(self, value: np.ndarray) -> np.ndarray:
        return np.ldexp(value.astype(np.float32), -self.current.exponent)

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
