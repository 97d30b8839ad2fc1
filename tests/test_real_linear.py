import numpy as np
import pytest

from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.readout import Readout, RealLinear
from tests.contract import check_handler

WEIGHT = np.array([[1.0, 2, 3], [4, 5, 6]])


def make(bias=None):
    """A classifier behind a current whose constant part is (0.5, 0, 0)."""
    source, target = Current(1, 3), Current(1, 2)
    source.join_writer("mean", np.array([0.5, 0, 0]))
    return RealLinear("head", WEIGHT, bias, source, target)


def test_classifies_the_current_and_multiplies_nothing_by_zero():
    layer = make()
    rows = layer.source.rows(0)
    rows.value[0], rows.touched[0] = (1, 0, -1), 1
    spikes, counts = layer.handle(0, {"mean": Spikes.none()})
    assert len(spikes) == 0
    assert layer.target.rows(0).value.tolist() == [[-2, -2]]
    assert counts == OpCounts(macs=4, weight_reads=4, state_reads=5, state_writes=2)
    assert layer.wakers == ("mean",)


def test_a_silent_step_costs_nothing_and_shows_the_constant_part():
    layer = make(np.array([10.0, 20]))
    readout = Readout("readout", layer.target)
    assert layer.handle(0, {"mean": Spikes.none()})[1] == OpCounts()
    assert readout.logits_by_step(2).tolist() == [[10.5, 22.0]] * 2


def test_a_weight_of_another_shape_is_refused():
    with pytest.raises(NetworkError, match=r"head: weight is \(3, 2\), its currents are \(2, 3\)"):
        RealLinear("head", WEIGHT.T, None, Current(1, 3), Current(1, 2))


def test_obeys_the_contract():
    written = {"mean": Spikes.none(), "current": (np.array([[1.0, -2, 3]]), np.ones(1))}
    check_handler(make, [written, {"mean": Spikes.none()}, None, written])
