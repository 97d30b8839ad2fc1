"""Firing: one step of the membranes of a population, place by place, and the list of the neurons that fire.

A place that no current touched sleeps: only its neurons whose bias alone can make them fire are updated. A touched one
first catches up on the steps it slept through.
"""

from __future__ import annotations

import numpy as np

from evsim.arithmetic.inner_kernel import inner_kernel
from evsim.arithmetic.kernel import kernel
from evsim.arithmetic.whole_lanes import charge, fire
from evsim.handlers.projections.gather import gather_tiles, index_step

__all__ = ["fire_places", "gather_and_fire"]


@inner_kernel(error_model="numpy", forceinline=True)
def _catch_up(n_missed, bias, rate, constants, v):
    """Iterate the steps a sleeping place missed, under its bias alone."""
    for _ in range(n_missed):
        for j in range(v.size):
            v[j] = charge(v[j], bias[j], rate[j], constants)


@inner_kernel(error_model="numpy", forceinline=True)
def _wake(step, begin, end, bias, sleep_rate, constants, v, last_step):
    """Let the places from `begin` to `end` catch up to `step`; returns the steps they had missed in all."""
    n_missed_in_all = np.int64(0)
    for place in range(begin, end):
        n_missed = step - 1 - last_step[place]
        last_step[place] = step
        n_missed_in_all += n_missed
        if n_missed > 0:
            _catch_up(n_missed, bias, sleep_rate, constants, v[place])
    return n_missed_in_all


@inner_kernel(error_model="numpy", forceinline=True)
def _count_touched(touched, place, most):
    """Touched places in a row from `place` on, `most` at most: one loop for all pays where channels are few."""
    n = 0
    while n < most and place + n < touched.size and touched[place + n]:
        n += 1
    return n


@kernel(error_model="numpy")
def fire_places(
    step, value, touched, bias_run, threshold_run, constants, sleep_rate, sleepless, v, last_step, first_place, fired,
    n_fired, clears,
):  # fmt: skip
    """One step of the neurons that are awake; those that fire are appended to `fired`, which holds `n_fired` already.

    Parameters
    ----------
    value, touched : arrays
        Of the `Current`, or of a band of it whose first place is `first_place`; set to zero if `clears`.
    bias_run, threshold_run : arrays
        Of all channels of one place, and again of the next, for as many places as one loop takes.
    sleepless : int64 [n]
        Channels whose bias alone can make them fire; their `sleep_rate` is 0, so that they catch up on nothing.
    v, last_step : arrays
        Membranes [n_places, n_channels], and the step that each place was at last.

    Returns
    -------
    n_fired, updates, caught_up, bias_adds, accumulators : int
        The length of the list; the others are counts, see `evsim.engine.ledger.OpCounts`.
    """
    _, v_reset, rate, _ = constants
    n_places, n_channels = v.shape
    bias = bias_run[:n_channels]
    n_biased = 0
    n_biased_sleepless = sleepless.size
    for j in range(n_channels):
        n_biased += bias[j] != 0
    all_v, all_values = v.reshape(-1), value.reshape(-1)
    n_touched = 0
    n_missed_in_all = 0
    n_sleeping = 0
    place = np.int64(0)  # a plain 0 has a type of its own, for which all that is called is compiled once more
    while place < n_places:
        run = _count_touched(touched, place, bias_run.size // n_channels)
        if run == 0:
            if sleepless.size == 0:  # nobody to visit: on to the next place that was touched
                begin = place
                while place < n_places and not touched[place]:
                    place += 1
                n_sleeping += place - begin
                continue
            for i in range(sleepless.size):
                j = sleepless[i]
                h = charge(v[place, j], bias[j], rate, constants)
                spike = h >= threshold_run[j]
                v[place, j] = v_reset if spike else h
                fired[n_fired] = (first_place + place) * n_channels + j  # stays where n_fired moves on
                n_fired += spike
            n_sleeping += 1
            place += 1
            continue
        n_missed_in_all += _wake(step, place, place + run, bias, sleep_rate, constants, v, last_step)
        begin, end = place * n_channels, (place + run) * n_channels
        first = first_place * n_channels
        n_fired = fire(all_values, bias_run, threshold_run, all_v, constants, clears, begin, end, first, fired, n_fired)
        for done in range(place, place + run if clears else place):
            touched[done] = 0
        n_touched += run
        place += run
    n_updates = n_touched * n_channels + n_sleeping * sleepless.size
    n_caught_up = n_missed_in_all * (n_channels - sleepless.size)
    n_bias_adds = (n_touched + n_missed_in_all) * n_biased + (n_sleeping - n_missed_in_all) * n_biased_sleepless
    return n_fired, n_updates, n_caught_up, n_bias_adds, n_touched * n_channels


@kernel(error_model="numpy")
def gather_and_fire(
    gathering, ends, bands, value, touched, steps, bias_run, threshold_run, constants, sleep_rate, sleepless, v,
    last_step, fired, counted,
):  # fmt: skip
    """For each step, for each band: the sums of its places, then one step of its neurons, while both are in cache."""
    # Plain constants have types of their own, for which `fire_places` would be compiled once more.
    n_fired, clears = np.int64(0), np.bool_(True)
    event = np.int64(0)
    for i in range(steps.size):
        step_gathering = index_step(gathering, event, ends[i])
        event = ends[i]
        counted[i, :] = 0
        for b in range(bands.shape[0]):
            begin, end = bands[b, 2], bands[b, 3]
            counts = gather_tiles(step_gathering, (bands[b, 0], bands[b, 1], begin), value, touched)
            for j in range(4):
                counted[i, j] += counts[j]
            more = fire_places(
                steps[i], value[: end - begin], touched[: end - begin], bias_run, threshold_run, constants, sleep_rate,
                sleepless, v[begin:end], last_step[begin:end], begin, fired, n_fired, clears,
            )  # fmt: skip
            n_fired = more[0]
            for j in range(4):
                counted[i, 5 + j] += more[1 + j]
        counted[i, 4] = n_fired
