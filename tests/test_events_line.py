"""Time against events: the arithmetic, not the time."""

import numpy as np
import pytest

from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.networks import sdt
from evsim.recordings.recording import EventRecording
from tests.test_rates import SDT, workload
from tools.benchmarks.events_line import describe, fit, fit_both, measure
from tools.benchmarks.thinned import Run, thin, without_biases


def test_a_straight_line_is_found():
    line = fit([0, 10, 20, 40], [1.0, 1.5, 2.0, 3.0])
    assert (line.slope, line.intercept, line.r_squared) == pytest.approx((0.05, 1.0, 1.0))


def test_two_costs_are_told_apart():
    acs, updates = np.array([0, 1e6, 2e6, 9e6]), np.array([0, 5e5, 3e5, 4e5])
    plane = fit_both(acs, updates, 1e-3 + 2e-11 * acs + 1e-9 * updates)
    found = (plane.an_addition, plane.an_update, plane.intercept, plane.r_squared)
    assert found == pytest.approx((2e-11, 1e-9, 1e-3, 1.0))


def test_runs_are_interleaved_and_the_blank_one_is_a_share_of_the_full_one():
    calls, now = [], [0.0]

    def run(fraction):
        def call():
            calls.append(fraction)
            now[0] += 0.01 + fraction

        return Run(fraction, int(1000 * fraction), call, lambda: (int(1e6 * fraction), 0))

    subject = measure("made up", "made up", [run(f) for f in (0.0, 0.5, 1.0)], 5, clock=lambda: now[0])
    assert calls == [0.0, 0.5, 1.0] * 6
    assert subject.blank_share == pytest.approx(0.01 / 1.01)
    assert subject.over_events.r_squared == pytest.approx(1)
    assert subject.over_acs.intercept == pytest.approx(0.01)
    assert "below 5 %" in describe(subject)


def test_a_thinned_recording_is_part_of_a_fuller_one():
    n = np.arange(200)
    whole = EventRecording(
        n.astype(np.int64), n.astype(np.int32), n.astype(np.int32), (n % 2).astype(np.int8), (200, 200), ""
    )
    tenth, half = thin(whole, 0.1), thin(whole, 0.5)
    assert (tenth.t.size, half.t.size, thin(whole, 0).t.size, thin(whole, 1).t.size) == (20, 100, 0, 200)
    assert set(tenth.t) < set(half.t)
    assert np.all(np.diff(half.t) > 0)
    np.testing.assert_array_equal(half.x, half.t)


def test_without_biases_silence_costs_nothing():
    quiet = without_biases(workload(sdt, SDT)).network()
    result = simulate(quiet, [Spikes.none()] * 4)
    assert result.ledger.total().acs == 0
    assert not any(quiet.sleepless_stages())
