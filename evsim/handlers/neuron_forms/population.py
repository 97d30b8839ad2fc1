"""A population of neurons of any form, and the choice between it and the one whose kernel knows leaky neurons best."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numba import types
from numba.extending import overload

from evsim.arithmetic import lanes
from evsim.arithmetic.inner_kernel import inner_kernel
from evsim.arithmetic.kernel import kernel
from evsim.arithmetic.whole import Fixing
from evsim.engine.current import Current, CurrentRows
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.geometry import Neurons
from evsim.handlers.neuron_forms.arithmetic import MOST_SPIKES, charge, constants_of, fire, settle
from evsim.handlers.neuron_forms.calm import calm_range
from evsim.handlers.neuron_forms.forms import Form, IntegerLeak, LateReset, Leaky, MultiSpike, Quantiser, Signed
from evsim.handlers.neurons import Population

__all__ = ["FormPopulation", "population"]


def population(
    name: str, current: Current, shape: tuple[int, ...], axes: str, form: Form, reference_axes: str | None = None
) -> Population:
    """The population of a form: a plain `Population` where that computes the same, bit for bit, else `FormPopulation`.

    Parameters as in `Population`.
    """
    options = {"reference_axes": reference_axes}
    if _is_plain(form) and current.bias.ndim == 1:
        if form.input == "integrates":
            options |= {"rate": 1.0, "leak": 0}
        else:
            options |= {"rate": form.rate if form.tau is None else 1 / form.tau}
        return Population(name, current, shape, axes, form.v_threshold, v_reset=form.v_reset, **options)
    return FormPopulation(name, current, shape, axes, form, **options)


def _is_plain(form: Form) -> bool:
    """Hard reset, one threshold for all, H >= threshold, and a reciprocal that is exact where there is a tau."""
    if not isinstance(form, Leaky) or form.strict or form.v_reset is None or form.input == "whole":
        return False
    constants = (form.v_threshold, form.v_reset, form.tau, form.rate)
    is_exact = form.tau is None or (np.ndim(form.tau) == 0 and math.frexp(form.tau)[0] == 0.5)
    return is_exact and all(constant is None or np.ndim(constant) == 0 for constant in constants)


class FormPopulation(Population):
    """Neurons of any form: charged by the current of the step and its bias, they fire and settle as `form` says.

    A place whose current was not touched sleeps while all its neurons are calm (`evsim.handlers.neuron_forms.calm`).
    One that holds a neuron which might fire without an event, or on its own after a reset by subtraction, is restless
    and updated at the next step whatever comes; neurons whose bias alone can make them fire are updated at every step.
    So the population is called at each step, and a call that updates nobody costs nothing.

    Parameters
    ----------
    name : str
        The model's module name.
    current : Current
        The input, with a bias for each channel, or for each place and channel.
    shape, axes, reference_axes
        As in `Population`.
    form : Form

    Raises
    ------
    NetworkError
        The shape does not fit the current, or constants by channel do not fit its channels.

    An update, a comparison for each threshold and a load and store for each word of state, as in `Population`; a
    quantiser has no membrane to update. Sets its state, reads `current`, updates nothing else.
    """

    def __init__(
        self,
        name: str,
        current: Current,
        shape: tuple[int, ...],
        axes: str,
        form: Form,
        reference_axes: str | None = None,
    ) -> None:
        self._join(name, current, shape, axes, reference_axes, by_place=True)
        self.form = form
        self.v_threshold = getattr(form, "v_threshold", np.float32(0.5))
        self._constants = constants_of(form)
        for constant in self._constants:
            if np.ndim(constant) and constant.shape != (current.n_channels,):
                raise NetworkError(
                    f"{name}: {constant.size} constants by channel, its current has {current.n_channels}"
                )
        self._bias = np.ascontiguousarray(np.atleast_2d(self.bias), np.float32)
        self._calm = calm_range(form, self._bias)
        self._awake = self._calm.sleepless.astype(np.uint8)
        self._awake_start = np.concatenate([[0], np.cumsum(self._calm.sleepless.sum(axis=1))]).astype(np.int64)
        self._awake_channel = np.nonzero(self._calm.sleepless)[1].astype(np.int64)
        n_places, n_channels = current.n_places, current.n_channels
        self._v = lanes.aligned_zeros((n_places if form.n_states > 0 else 1, n_channels))
        self._w = lanes.aligned_zeros((n_places, n_channels)) if form.n_states > 1 else None
        self._restless = np.zeros(n_places, np.uint8)
        self._last_step = np.full(n_places, -1, np.int64)
        self._sent = np.empty((2, n_places * n_channels + lanes.LANES), np.int32)
        self._row, self._mask = np.zeros(n_channels, np.int32), np.zeros(-(-n_channels // 16) * 16, np.uint8)
        self._start()

    @property
    def level(self) -> float:
        """How far the membrane may be from where the current drives it."""
        return float(np.max(np.abs(self.v_threshold)))

    @property
    def n_neurons(self) -> int:
        return self.current.n_places * self.current.n_channels

    @property
    def wakes_itself(self) -> bool:
        """Whether it must be visited at each step: always, where neurons may be restless."""
        return self.form.n_states > 0 or bool(self._calm.sleepless.any())

    @property
    def geometry(self) -> Neurons:
        """What it says of itself to conventions."""
        n_sleepless = int(self._calm.sleepless.sum())
        n_sleepless *= self.current.n_places if self._bias.shape[0] == 1 else 1
        return Neurons(self.n_neurons, n_sleepless, self.form.n_thresholds)

    def fix(self, fixing: Fixing) -> None:
        """Only neurons of a plain `Population` have whole numbers.

        Raises
        ------
        NetworkError
            Always.
        """
        raise NetworkError(
            f"{self.name}: neurons of the form {type(self.form).__name__} cannot run in whole numbers (these need a "
            "hard reset, one threshold, a bias by channel and tau a power of two); use --precision float32"
        )

    def payload_bound(self, bounds: Mapping[str, int]) -> int:
        """The largest event."""
        if isinstance(self.form, IntegerLeak | Quantiser):
            return int(max(np.max(self.form.high), -np.min(getattr(self.form, "low", 0))))
        return int(MOST_SPIKES) if isinstance(self.form, MultiSpike) else 1

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Update every neuron that is awake at `step` and return those that fire."""
        clears = self.current.may_clear(step, self.name)
        rows = self.current.rows(step)
        n, *counted = _advance(
            step, rows.value, rows.touched, clears, self._bias, self._constants, self._calm.low, self._calm.high,
            self._awake, self._awake_start, self._awake_channel, self._v, self._w, self._last_step, self._restless,
            self._row, self._mask, *self._sent,
        )  # fmt: skip
        self.current.release(step, self.name, is_clear=clears)
        address, payload = self._sent[:, :n].copy()
        spikes = Spikes(address, None if self.form.sends == "B" or np.all(payload == 1) else payload)
        return spikes, self._counted(*counted)

    def reset(self) -> None:
        """Back to the state before the first step."""
        self._start()
        self.is_eager = False
        self.current.reset()

    def asynchronous(self) -> None:
        """Keeps its barrier: what is known without one is the plain form."""

    def takes(self, step: int) -> bool:
        """Currents come whole."""
        return False

    def take(self, step: int, gathering: tuple, bands: np.ndarray, band: CurrentRows) -> tuple[int, ...]:
        raise NotImplementedError("a population that takes no bands")

    def snapshot(self, step: int) -> Callable[[int], tuple[float, float]]:
        """A function that tells H and X of any neuron as they stand now, at `step` (for verification)."""
        v, last_step = self._v.copy(), self._last_step.copy()
        w = None if self._w is None else self._w.copy()
        value = self.current.rows(step).value.copy()

        def charge_of(address: int) -> tuple[float, float]:
            place, j = divmod(int(address), self.current.n_channels)
            bias = self._bias[place % self._bias.shape[0], j]
            potential, synapse = v[place % len(v), j], np.float32(0) if w is None else w[place, j]
            if not self._awake[place % len(self._awake), j]:
                for _ in range(step - 1 - int(last_step[place])):
                    potential, synapse = charge(self._constants, j, bias, potential, synapse)
            x = value[place, j] + bias
            return float(charge(self._constants, j, x, potential, synapse)[0]), float(x)

        return charge_of

    def margin(self, address: int, h: float) -> float:
        """How far H of a neuron is above the nearest level at which it sends something else; negative: below."""
        j = int(address) % self.current.n_channels

        def constant(name: str) -> float:
            return float(np.broadcast_to(getattr(self.form, name), (self.current.n_channels,))[j])

        if isinstance(self.form, Signed):
            above, below = h - constant("v_threshold"), -(h + constant("neg_threshold") + constant("inhibit"))
            return max(above, below)
        if isinstance(self.form, MultiSpike):
            return h - max(1, round(h / constant("v_threshold"))) * constant("v_threshold")
        if not isinstance(self.form, IntegerLeak | Quantiser):
            return h - constant("v_threshold")
        unit = constant("v_threshold") if isinstance(self.form, IntegerLeak) else 1.0
        low = constant("low") if isinstance(self.form, Quantiser) else 0.0
        level = min(max(h / unit, low), constant("high") - 2.0**-20)
        nearest = math.floor(level) + 0.5
        return (h / unit - nearest) * unit

    def overrule(self, address: int, h: float, spike: int) -> None:
        """Give one neuron the state it would have had if it had sent `spike` (for verification)."""
        place, j = divmod(int(address), self.current.n_channels)
        h = np.float32(h)
        if isinstance(self.form, LateReset):  # what it sent is remembered in the membrane alone
            fire_at = np.broadcast_to(self._constants.fire_at, (self.current.n_channels,))[j]
            h = max(h, fire_at) if spike else min(h, np.nextafter(fire_at, np.float32(-np.inf)))
        self._v[place % len(self._v), j] = settle(self._constants, j, h, np.int32(spike))
        self._restless[place] = 1

    def _start(self) -> None:
        self._v[:] = self._calm.rest
        if self._w is not None:
            self._w[:] = 0
        is_calm = (self._calm.low <= self._calm.rest) & (self._calm.rest <= self._calm.high)
        self._restless[:] = ~is_calm.all(axis=1)
        self._last_step.fill(-1)

    def _counted(self, awake: int, caught_up: int, biased: int, accumulators: int) -> OpCounts:
        n_states = self.form.n_states
        return OpCounts(
            updates=awake + caught_up if n_states else 0,
            silent_updates=awake - accumulators + caught_up if n_states else 0,
            bias_adds=biased,
            comparisons=awake * self.form.n_thresholds,
            state_reads=awake * n_states + accumulators,
            state_writes=awake * n_states,
        )


@inner_kernel(error_model="numpy")
def _update(c, x_row, bias, low, high, v, w, sent):
    """One step of the neurons of a place; whether one of them might fire on its own at the next."""
    n_restless = np.int32(0)
    if w is None:  # decided when it is compiled; few enough arrays to be vectorised
        for j in range(x_row.size):
            h, _ = charge(c, j, x_row[j] + bias[j], v[j], np.float32(0))
            s = fire(c, j, h)
            v[j] = settle(c, j, h, s)
            sent[j] = s
        for j in range(x_row.size):
            n_restless += np.int32(not ((v[j] >= low[j]) & (v[j] <= high[j])))
    else:
        for j in range(x_row.size):
            h, w[j] = charge(c, j, x_row[j] + bias[j], v[j], w[j])
            s = fire(c, j, h)
            v[j] = settle(c, j, h, s)
            sent[j] = s
        for j in range(x_row.size):
            is_calm = (v[j] >= low[j]) & (v[j] <= high[j]) & ((w[j] == 0) | (low[j] == -np.inf))
            n_restless += np.int32(not is_calm)
    return n_restless > 0


@inner_kernel(error_model="numpy")
def _update_one(c, j, x, v, w):
    """One step of neuron j of a place; what it sends."""
    if w is None:
        h, _ = charge(c, j, x, v[j], np.float32(0))
    else:
        h, w[j] = charge(c, j, x, v[j], w[j])
    s = fire(c, j, h)
    v[j] = settle(c, j, h, s)
    return s


@inner_kernel(error_model="numpy")
def _catch_up(c, n_missed, bias, awake, v, w):
    """Iterate the silent steps that a calm place missed; its sleepless neurons missed none."""
    for _ in range(n_missed):
        for j in range(bias.size):
            if not awake[j]:
                _update_one(c, j, bias[j], v, w)


def _row_of(states, place):
    """The states of one place; None where there are none."""
    return None if states is None else states[place]


@overload(_row_of)
def _choose_row(states, place):
    if isinstance(states, types.NoneType):
        return lambda states, place: None
    return lambda states, place: states[place]


@inner_kernel(error_model="numpy")
def _count_biased(bias, awake):
    """Neurons with a bias, and those of them that are sleepless."""
    n_biased, n_sleepless = 0, 0
    for j in range(bias.size):
        n_biased += bias[j] != 0
        n_sleepless += (bias[j] != 0) & (awake[j] != 0)
    return n_biased, n_sleepless


@kernel(error_model="numpy")
def _advance(
    step, value, touched, clears, bias, c, low, high, awake, awake_start, awake_channel, v, w, last_step, restless,
    row, mask, fired, payload,
):  # fmt: skip
    n_places, n_channels = value.shape
    is_by_place = bias.shape[0] > 1
    n, n_awake, n_caught_up, n_biased, n_touched = np.int64(0), 0, 0, 0, 0
    n_with_bias, n_sleepless_with_bias = _count_biased(bias[0], awake[0])
    for place in range(n_places):
        b = place if is_by_place else 0
        first, end = awake_start[b], awake_start[b + 1]
        at_v = v[place if v.shape[0] > 1 else 0]
        at_w = _row_of(w, place)
        if touched[place] or restless[place]:
            if is_by_place:
                n_with_bias, n_sleepless_with_bias = _count_biased(bias[b], awake[b])
            n_missed = step - 1 - last_step[place]
            if n_missed > 0 and v.shape[0] > 1:
                _catch_up(c, n_missed, bias[b], awake[b], at_v, at_w)
                n_caught_up += n_missed * (n_channels - (end - first))
                n_biased += n_missed * (n_with_bias - n_sleepless_with_bias)
            last_step[place] = step
            restless[place] = _update(c, value[place], bias[b], low[b], high[b], at_v, at_w, row)
            n_before, first_address = n, place * n_channels
            for j in range(n_channels):
                mask[j] = row[j] != 0
            n = lanes.list_nonzero(mask, n_channels, first_address, fired, n)
            for event in range(n_before, n):
                payload[event] = row[fired[event] - first_address]
            n_awake += n_channels
            n_biased += n_with_bias
            if touched[place]:
                n_touched += 1
                if clears:
                    touched[place] = 0
                    value[place, :] = 0
            continue
        for i in range(first, end):
            j = awake_channel[i]
            s = _update_one(c, j, value[place, j] + bias[b, j], at_v, at_w)
            if s != 0:
                fired[n] = place * n_channels + j
                payload[n] = s
                n += 1
            n_biased += bias[b, j] != 0
        n_awake += end - first
    return n, n_awake, n_caught_up, n_biased, n_touched * n_channels
