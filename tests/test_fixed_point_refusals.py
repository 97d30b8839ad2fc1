"""What fixed point refuses, each in one line, and what it leaves as it is."""

import numpy as np
import pytest

from evsim.arithmetic.fixed_point import fix
from evsim.engine.current import Current
from evsim.engine.network import INPUT, Network
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.errors import EvsimError, NetworkError
from evsim.handlers.neurons import IF, LIF
from evsim.handlers.projections.linear import Linear
from evsim.handlers.readout import Readout


def chain(neurons, weight=1.0, bias=None):
    net, current, logits = Network("chain", (1, 1, 2), 2), Current(1, 2), Current(1, 2)
    net.add(Linear("linear", np.full((2, 2), weight), bias, 1, current), INPUT)
    net.add(Linear("head", np.eye(2), None, 1, logits), net.add(neurons("lif", current, (1, 2), "token,channel")))
    net.add(Readout("readout", logits))
    return net


def test_an_unknown_precision_is_refused():
    with pytest.raises(EvsimError, match="int4: expected float32, int16, int8"):
        fix(chain(LIF), "int4")


def test_float32_changes_nothing():
    net = chain(LIF)
    assert fix(net, "float32") is net
    assert net.precision == "float32"
    assert net.handlers[0].blocks.values.dtype == np.float32


def test_a_network_is_fixed_once():
    net = fix(chain(LIF), "int16")
    with pytest.raises(EvsimError, match="is in int16 already"):
        fix(net, "int8")


def test_neurons_without_a_leak_are_refused():
    with pytest.raises(NetworkError, match="lif: integrate-and-fire without leak has no bound"):
        fix(chain(IF), "int16")


def test_an_event_beyond_the_proof_is_refused():
    net = fix(chain(LIF), "int16")
    few, many = (Spikes(np.array([0], np.int32), np.array([value], np.int32)) for value in (4095, 4096))
    simulate(net, [few, few])
    with pytest.raises(EvsimError, match="linear: an event of value 4096, whole-number sums are proved up to 4095"):
        simulate(net, [many])


def test_a_pixel_beyond_the_proof_is_refused():
    net = fix(chain(LIF), "int16")
    with pytest.raises(EvsimError, match=r"linear: an event of value 5000.5, .* up to 4095"):
        simulate(net, [Spikes(np.array([0], np.int32), np.array([5000.5], np.float32))])


def test_sums_that_no_scale_holds_are_refused():
    with pytest.raises(NetworkError, match="linear: sums reach"):
        fix(chain(LIF, bias=np.array([1e20, 0])), "int16")


def test_a_handler_that_knows_no_whole_numbers_is_refused():
    class Odd:
        def __init__(self, current):
            self.name, self.current = "odd", current
            current.join_writer("odd")

        def reset(self):
            pass

    net = Network("odd", (1, 1, 1), 1)
    net.add(Odd(Current(1, 1)))
    with pytest.raises(NetworkError, match="odd: Odd cannot run in whole numbers"):
        fix(net, "int16")
