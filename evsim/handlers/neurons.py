"""LIF, PLIF and IF populations: current in, spikes out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from evsim.arithmetic import lanes
from evsim.arithmetic.whole import Fixing, rounded
from evsim.engine.current import Current, CurrentRows
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.acts import Act, Kind
from evsim.handlers.firing import fire_places, gather_and_fire
from evsim.handlers.geometry import Neurons
from evsim.handlers.projections.gather import Gathering

__all__ = ["IF", "LIF", "PLIF", "Population"]

_RUN_NEURONS = 1024
"""Neurons, at most, of neighbouring touched places that are updated in one loop."""

_MOST_AT_ONCE = 1 << 18
"""Neuron-steps, at most, that are updated in one call: a larger population gains nothing from it."""

_REFERENCE_AXES = {"row,col,channel": "channel,row,col"}


class Population:
    """H = V + rate * (X - leak * (V - v_reset));  spike = H >= v_threshold;  V = v_reset if spike else H.

    X is the current of the step plus the bias folded into its writers. A place (pixel or token) whose current
    was not touched may sleep: below threshold the bias alone cannot make its neurons fire. On waking it
    iterates the silent steps it missed (bit for bit what it would have done awake). A channel whose bias can
    reach the threshold is awake at every step.

    Parameters
    ----------
    name : str
        The checkpoint's module name.
    current : Current
        The input; the population reads the sum of the writers that joined before it was built.
    shape : tuple of int
        Shape of the population, channels last; its row-major flat index is the spikes' address.
    axes : str
        The names of these axes, comma separated ("row,col,channel").
    v_threshold, v_reset : float
    rate : float
        1 / tau for LIF, sigmoid(w) for PLIF, 1 for IF (float32).
    leak : {0, 1}
        1 for LIF and PLIF, 0 for IF.
    reference_axes : str, optional
        The order of the axes in the official model's tensors, for comparisons; "token" stands for row and col
        flattened. A map is channel,row,col there.

    Attributes
    ----------
    reference_places : int32 [n_neurons] or None
        Where each neuron is in the reference's tensor, flattened, in place of `reference_axes`.
    thresholds : float32, in fixed point int32 or int16 [n_channels]
        v_threshold; in fixed point in steps of the current, counted from v_reset, as V is.
    steps, rests : float64 [n_channels]
        A real potential is V * steps + rests.
    is_eager : bool
        Whether it takes its currents band by band (see `evsim.engine.current.Taker`). A network says so of the
        populations that stand in it themselves, at each reset: behind a stand-in, currents must be there to be
        looked at.

    Sets its membrane potentials, reads `current`, updates nothing else.
    """

    is_population = True
    reference_places: np.ndarray | None = None

    def __init__(
        self,
        name: str,
        current: Current,
        shape: tuple[int, ...],
        axes: str,
        v_threshold: float = 1.0,
        *,
        v_reset: float = 0.0,
        rate: float = 0.5,
        leak: int = 1,
        reference_axes: str | None = None,
    ) -> None:
        self._join(name, current, shape, axes, reference_axes)
        self.v_threshold, self.v_reset = np.float32(v_threshold), np.float32(v_reset)
        self.rate, self.leak = np.float32(rate), np.float32(leak)
        self._constants = (self.v_threshold, self.v_reset, self.rate, self.leak)
        self.thresholds = np.full(self.bias.size, self.v_threshold)
        self.steps, self.rests = np.ones(self.bias.size), np.zeros(self.bias.size)
        self._take_constants(self._can_fire_alone())
        self._last_step = np.full(current.n_places, -1, np.int64)
        self._fired = np.empty(self._v.size + lanes.LANES, np.int32)
        self._taken: dict[int, tuple[Spikes, OpCounts]] = {}
        self._last_seen = -1
        current.offer(self)

    def _join(
        self,
        name: str,
        current: Current,
        shape: tuple[int, ...],
        axes: str,
        reference_axes: str | None,
        by_place: bool = False,
    ) -> None:
        """What a population of any form is: a name, a shape, a reader of its current."""
        self.name, self.shape, self.axes = name, tuple(shape), axes
        self.reference_axes = reference_axes or _REFERENCE_AXES.get(axes, axes)
        if math.prod(shape) != current.n_places * current.n_channels:
            found = (current.n_places, current.n_channels)
            raise NetworkError(f"{name}: shape {self.shape} does not fit a current of {found} (places, channels)")
        self.current = current
        self.bias, self.wakers = current.join_reader(name, by_place)
        self.is_exact = current.is_whole
        self.is_eager = False

    def _take_constants(self, can_fire_alone: np.ndarray) -> None:
        """What follows from the constants, in the arithmetic of the current."""
        self.sleepless = np.flatnonzero(can_fire_alone).astype(np.int64)
        n_places = max(1, _RUN_NEURONS // self.bias.size)
        self._bias_run, self._threshold_run = (np.tile(values, n_places) for values in (self.bias, self.thresholds))
        self._sleep_rate = np.full(self.bias.size, self._constants[2])
        self._sleep_rate[self.sleepless] = 0  # awake at every step: nothing to catch up on
        self._v = lanes.aligned_zeros((self.current.n_places, self.bias.size), self.current.dtype)
        self._v.fill(self._constants[1])

    @property
    def level(self) -> float:
        """How far the membrane may be from where the current drives it."""
        return float(abs(self.v_threshold) + 2 * abs(self.v_reset))

    @property
    def measure(self) -> float:
        """What its current is compared with: steps far below it tell nothing."""
        return float(abs(self.v_threshold) or abs(self.v_threshold - self.v_reset))

    def by_channel(self, fixing: Fixing) -> tuple[Current, ...]:
        """Threshold, reset and bias are whole numbers of each channel's own."""
        return (self.current,)

    def fix(self, fixing: Fixing) -> None:
        """H = V + (((X - V) * m) >> r) in whole numbers, rate = m / 2^r; the shift rounds down.

        V, H and the threshold are counted from v_reset. H lies between V and X, so V never leaves what v_reset and the
        currents span, and fits their type. A rate of 1 / 2^r is a shift alone; any other has 15 bits.

        Raises
        ------
        NetworkError
            Without a leak V has no bound.
        """
        if not self.leak:
            raise NetworkError(f"{self.name}: integrate-and-fire without leak has no bound, expected LIF or PLIF")
        scale, gains = fixing.scale(self.current), fixing.gains(self.current)
        gains = np.ones(self.bias.size) if gains is None else gains
        mantissa, exponent = math.frexp(float(self.rate))
        rate, shift = (1, 1 - exponent) if mantissa == 0.5 else (round(float(self.rate) * 2**15), 15)
        self.steps = np.ldexp(1 / gains, -np.asarray(scale.exponent))
        v_threshold, v_reset = (rounded(gains * level, scale.exponent) for level in (self.v_threshold, self.v_reset))
        self.rests = v_reset * self.steps
        if self.v_threshold > self.v_reset:  # a threshold below half a step is no reason to fire at rest
            v_threshold = np.maximum(v_threshold, v_reset + 1)
        self.thresholds = (v_threshold - v_reset).astype(scale.dtype)
        self.bias = rounded(gains * self.bias, scale.exponent, scale.dtype)
        self._constants = (0, 0, rate, shift)
        # H grows with V: a neuron fires alone if and only if it does from just below the threshold.
        last_step_up = (self.bias.astype(np.int64) - (v_threshold - v_reset - 1)) * rate >> shift
        self._take_constants(last_step_up >= 1)

    @property
    def n_neurons(self) -> int:
        return self._v.size

    @property
    def wakes_itself(self) -> bool:
        """Whether some neuron must be visited at each step although no event reaches it."""
        return self.sleepless.size > 0

    @property
    def constants_of_charge(self) -> tuple[float, float, float, float] | tuple[int, int, int, int]:
        """v_threshold, v_reset, rate and leak; in whole numbers 0, 0, m and r of a rate m / 2^r, see `thresholds`."""
        return self._constants

    def asynchronous(self) -> Act:
        """A neuron decides whenever something is added to it."""
        return Act(Kind.FIRE, reads=self.current)

    @property
    def geometry(self) -> Neurons:
        """What it says of itself to conventions."""
        return Neurons(self.n_neurons, self.sleepless.size * self.n_neurons // self.bias.size)

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Update every neuron that is awake at `step` and return those that fire."""
        if step in self._taken:
            return self._taken.pop(step)
        clears = self.current.may_clear(step, self.name)
        n_fired, *counted = self._fire(step, self.current.rows(step), clears)
        spikes = Spikes(self._fired[:n_fired].copy())
        self._last_seen = step
        self.current.release(step, self.name, is_clear=clears)  # from here on the next step may be taken
        return spikes, self._counts(*counted)

    def takes(self, step: int) -> bool:
        """Whether currents of `step` may come band by band: no neuron has a step before it still to do."""
        return self.is_eager and (not self.wakes_itself or self._last_seen == step - 1)

    def takes_steps(self, steps: Sequence[int]) -> bool:
        """Whether `take` may be given all these steps at once: a small population, that misses none it must be at."""
        is_small = len(steps) * self._v.size <= _MOST_AT_ONCE
        return is_small and (not self.wakes_itself or steps[-1] - steps[0] == len(steps) - 1)

    def take(
        self, steps: Sequence[int], gathering: Gathering, ends: np.ndarray, bands: np.ndarray, band: CurrentRows
    ) -> np.ndarray:
        """Step by step gather band after band and update its neurons; `handle` then has what fired.

        Returns gather's counts, int64 [n_steps, 4].
        """
        n_steps = len(steps)
        if self._fired.size < n_steps * self._v.size + lanes.LANES:
            self._fired = np.empty(n_steps * self._v.size + lanes.LANES, np.int32)
        counted = np.empty((n_steps, 9), np.int64)
        gather_and_fire(
            gathering, ends, bands, band.value, band.touched, np.array(steps, np.int64), self._bias_run,
            self._threshold_run, self._constants, self._sleep_rate, self.sleepless, self._v, self._last_step,
            self._fired, counted,
        )  # fmt: skip
        begin = 0
        for step, (*_, end, updates, caught_up, biased, read) in zip(steps, counted.tolist(), strict=True):
            self._taken[step] = Spikes(self._fired[begin:end].copy()), self._counts(updates, caught_up, biased, read)
            begin = end
        self._last_seen = steps[-1]
        return counted[:, :4]

    def _fire(self, step: int, rows: CurrentRows, clears: bool) -> tuple[int, ...]:
        return fire_places(
            step, rows.value, rows.touched, self._bias_run, self._threshold_run, self._constants, self._sleep_rate,
            self.sleepless, self._v, self._last_step, 0, self._fired, 0, clears,
        )  # fmt: skip

    def _counts(self, updates: int, caught_up: int, biased: int, accumulators: int) -> OpCounts:
        return OpCounts(
            updates=updates + caught_up,
            silent_updates=updates - accumulators + caught_up,
            bias_adds=biased,
            comparisons=updates,
            state_reads=updates + accumulators,
            state_writes=updates,
        )

    def reset(self) -> None:
        """Back to the state before the first step."""
        self._v.fill(self._constants[1])
        self._last_step.fill(-1)
        self._taken.clear()
        self._last_seen, self.is_eager = -1, False
        self.current.reset()

    def snapshot(self, step: int) -> Callable[[int], tuple[float, float]]:
        """A function that tells H and X of any neuron as they stand now, at `step` (for verification)."""
        v, last_step, value = self._v.copy(), self._last_step.copy(), self.current.rows(step).value.copy()

        def charge_of(address: int) -> tuple[float, float]:
            place, channel = divmod(int(address), self.bias.size)
            potential, bias = v[place, channel], self.bias[channel]
            for _ in range(step - 1 - int(last_step[place])):
                potential += (bias - self.leak * (potential - self.v_reset)) * self._sleep_rate[channel]
            x = value[place, channel] + bias
            return float(potential + (x - self.leak * (potential - self.v_reset)) * self.rate), float(x)

        return charge_of

    def margin(self, address: int, h: float) -> float:
        """How far H of a neuron is above the threshold; negative: below (for verification)."""
        return h - float(self.v_threshold)

    def overrule(self, address: int, charge: float, spike: bool) -> None:
        """Give one neuron the membrane potential it would have had if it had spiked, or not (for verification)."""
        place, channel = divmod(int(address), self.bias.size)
        self._v[place, channel] = self.v_reset if spike else np.float32(charge)

    def _can_fire_alone(self) -> np.ndarray:
        """Channels whose bias drives the membrane to the threshold without any event."""
        if self.leak:
            return self.bias + self.v_reset >= self.v_threshold
        return (self.bias > 0) | (self.v_reset >= self.v_threshold)


def LIF(name, current, shape, axes, v_threshold=1.0, tau=2.0, v_reset=0.0, **options) -> Population:
    """H = V + (X - (V - v_reset)) / tau: leaky integrate-and-fire with decaying input.

    Exact for tau a power of two (every published network has tau = 2), where dividing and multiplying by the
    reciprocal are the same. Parameters as in `Population`.
    """
    return Population(name, current, shape, axes, v_threshold, v_reset=v_reset, rate=1.0 / tau, **options)


def PLIF(name, current, shape, axes, w, v_threshold=1.0, v_reset=0.0, **options) -> Population:
    """H = V + (X - (V - v_reset)) * sigmoid(w): the time constant 1 + exp(-w) was learnt.

    Parameters as in `Population`; `w` is the stored scalar. The sigmoid is rounded where PyTorch rounds it, after
    the exponential and after the sum: rounding only the end would miss its rate by one bit for one w in three.
    """
    rate = np.float32(1) / (np.float32(1) + np.float32(math.exp(-np.float32(w))))
    return Population(name, current, shape, axes, v_threshold, v_reset=v_reset, rate=rate, **options)


def IF(name, current, shape, axes, v_threshold=1.0, v_reset=0.0, **options) -> Population:
    """H = V + X: integrate-and-fire without leak. Parameters as in `Population`."""
    return Population(name, current, shape, axes, v_threshold, v_reset=v_reset, rate=1.0, leak=0, **options)
