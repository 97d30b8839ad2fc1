"""General handlers in whole numbers: exact where they say so, else a refusal with a reason."""

import numpy as np
import pytest

from evsim.arithmetic.fixed_point import fix
from evsim.engine.current import Current
from evsim.engine.network import INPUT, Network
from evsim.errors import NetworkError
from evsim.handlers.average_pool import AveragePool, CurrentAveragePool
from evsim.handlers.dense_node import DenseNode
from evsim.handlers.elementwise.affine import Affine, Copy
from evsim.handlers.elementwise.axis_sum import AxisSum, Identity
from evsim.handlers.elementwise.mask import AndNot, Mask
from evsim.handlers.neuron_forms.forms import Leaky
from evsim.handlers.neuron_forms.population import population
from evsim.handlers.neurons import LIF
from evsim.handlers.payload_max_pool import PayloadMaxPool
from evsim.handlers.products.real_product import RealProduct
from evsim.handlers.products.spike_product import IntegerProduct, SpikeProduct
from evsim.handlers.projections.conv import Conv2d
from evsim.handlers.projections.fixed_map import LinearMap
from evsim.handlers.projections.real_conv import RealConv
from evsim.handlers.readout_program import ReadoutProgram
from evsim.handlers.spike_sum import SpikeSum
from evsim.handlers.views.address_map import AddressMap
from evsim.handlers.views.route import Concatenate, Route
from evsim.handlers.window import Window
from tests.contract import dyadic, random_spikes

N = 16  # places of each stream: 4 x 4 pixels of one channel, or 2 batches of 2 x 4
IDENTITY = AddressMap.identity(N)
SIZES = (2, 2, 4, 2)  # 16 places on the left and 16 on the right, 8 products


def network(add, shape, end=LIF):
    """Two binary populations "a" and "b", their sum "sum" of payload up to 2, and what `add(net, current)` builds."""
    net = Network("net", (4, 4, 1), 2)
    rng = np.random.default_rng(1)
    for name in "ab":
        x = Current(N, 1)
        net.add(Conv2d(f"{name}_conv", dyadic(rng, 1, 1, 3, 3), None, Window(4, 4, 3, 1, 1), x), INPUT)
        net.add(LIF(name, x, (4, 4, 1), "row,col,channel"), f"{name}_conv")
    net.add(SpikeSum("sum", N), stream="a", branch="b")
    current = Current(*shape)
    add(net, current)
    spikes = net.add(end("end", current, shape, "token,channel"))
    net.add(ReadoutProgram("readout", lambda x: x.sum(axis=(0, 1)), [("spikes", shape)], shape[1]), spikes)
    return net


HAAR = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, -1, 0, 0], [0, 0, 1, -1]]) / 2
EXACT = {
    "sum along an axis": (lambda x: AxisSum("h", np.arange(N) // 4, x), "sum", (4, 1)),
    "identity": (lambda x: Identity("h", x), "sum", (4, 4)),
    "average": (lambda x: AveragePool("h", Window(4, 4, 2, 2), 1, x), "sum", (4, 1)),
    "haar": (lambda x: LinearMap("h", HAAR, 1, 4, x), "sum", (4, 4)),
    "product": (lambda x: SpikeProduct("h", SIZES, x, 0.25), "a b", (4, 2)),
    "product of integers": (lambda x: IntegerProduct("h", SIZES, x, [0.5, 2.0]), "sum sum", (4, 2)),
}


@pytest.mark.parametrize(("make", "sources", "shape"), EXACT.values(), ids=EXACT)
@pytest.mark.parametrize("precision", ["int16", "int8"])
def test_whole_numbers_are_the_real_ones_in_steps(rng, make, sources, shape, precision):
    ports = dict(zip(("spikes",) if " " not in sources else ("left", "right"), sources.split(), strict=True))
    kinds = {port: "binary" if source in "ab" else "sums" for port, source in ports.items()}

    def add(net, current):
        net.add(make(current), **ports)

    real, whole = network(add, shape), fix(network(add, shape), precision)
    for step in range(4):
        inbox = {port: random_spikes(rng, N, 0.5) for port in ports}
        for port in ports:
            if kinds[port] == "sums":
                inbox[port] = type(inbox[port])(inbox[port].address, np.int32(1 + (inbox[port].address % 2)))
        found = []
        for net in (real, whole):
            handler = next(h for h in net.handlers if h.name == "h")
            counts = handler.handle(step, inbox)[1]
            rows = handler.current.rows(step)
            found.append((np.ldexp(rows.value.astype(np.float64), -handler.current.exponent), rows.touched, counts))
        np.testing.assert_array_equal(found[0][0], found[1][0])
        np.testing.assert_array_equal(found[0][1], found[1][1])
        assert found[0][2] == found[1][2]


def test_a_copy_is_exact():
    def add(net, current):
        first = Current(4, 4)
        net.add(Identity("h", first), "sum")
        net.add(Copy("copy", first, current, AddressMap.of_view(np.transpose, (4, 4))))

    net = fix(network(add, (4, 4)), "int16")
    identity, copy = (next(h for h in net.handlers if h.name == name) for name in ("h", "copy"))
    spikes = random_spikes(np.random.default_rng(2), N, 0.5)
    identity.handle(0, {"spikes": spikes})
    copy.handle(0, {})
    value = np.ldexp(copy.target.rows(0).value.astype(float), -copy.target.exponent)
    np.testing.assert_array_equal(value.T.reshape(-1), spikes.to_dense(N))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_whole_network_of_exact_parts_runs_and_counts_alike(rng, threads):
    from evsim.engine.simulator import simulate

    def add(net, current):
        places = net.add(Route("route", AddressMap.of_view(np.transpose, (4, 4))), "a")
        both = net.add(Mask("mask", IDENTITY, IDENTITY), left=places, right="sum")
        rest = net.add(AndNot("not", IDENTITY, IDENTITY), kept="sum", absent="b")
        halves = {p: AddressMap(np.where(np.arange(2 * N) // N == i, np.arange(2 * N) % N, -1), N)
                  for i, p in enumerate(("x", "y"))}  # fmt: skip
        joined = net.add(Concatenate("cat", halves), x=both, y=rest)
        pooled = net.add(PayloadMaxPool("pool", Window(8, 4, 2, 2), 1), joined)
        net.add(AxisSum("h", np.arange(8) // 2, current), pooled)

    whole = fix(network(add, (4, 1)), "int16")
    recording = [random_spikes(rng, N, 0.6, "integer") for _ in range(4)]
    result = simulate(whole, recording, threads=threads)
    assert result.ledger.total("h").acs > 0
    np.testing.assert_array_equal(result.logits, simulate(whole, recording, order="step").logits)


def between(make):
    """`make(source, target)` between a current that "a" writes and that of the end."""

    def add(net, current):
        first = Current(4, 4)
        net.add(Identity("h", first), "a")
        net.add(make(first, current))

    return add


REFUSED = {
    "a scale": (between(lambda s, t: Affine("r", s, t, 0.5)), (4, 4), "r: a scaled current cannot run in whole"),
    "a real layer": (
        between(lambda s, t: RealConv("r", np.eye(4), None, Window(1, 4), s, t)), (4, 4), "r: multiplies real values"),
    "a mean of real values": (
        between(lambda s, t: CurrentAveragePool("r", Window(1, 4, (1, 2), (1, 2)), s, t)), (2, 4),
        "r: a fixed map of real"),
    "a dense node": (
        between(lambda s, t: DenseNode("r", np.tanh, [(s, (4, 4))], t)), (4, 4), "r: runs densely on real values"),
    "a third": (
        lambda net, x: net.add(AveragePool("r", Window(4, 4, 2, 2), 1, x, divisor=3), "a"), (4, 1),
        "r: weights of 0.333.* have no exact whole numbers, expected a power of two"),
    "weights of several sizes": (
        lambda net, x: net.add(LinearMap("r", HAAR * [[1], [1], [1], [3]], 1, 4, x), "a"), (4, 4),
        "r: weights of None .* have no exact whole numbers"),
    "a unit": (lambda net, x: net.add(Identity("r", x, 0.3), "a"), (4, 4), "r: adds units of 0.3"),
    "a scale of a product": (
        lambda net, x: net.add(SpikeProduct("r", SIZES, x, 0.3), left="a", right="b"), (4, 2),
        "r: scale 0.3 .*expected a power of two"),
}  # fmt: skip


@pytest.mark.parametrize(("add", "shape", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_exact_is_refused_with_a_reason(add, shape, words):
    with pytest.raises(NetworkError, match=words):
        fix(network(add, shape), "int16")


def test_neurons_of_another_form_are_refused():
    def soft(name, current, shape, axes):
        return population(name, current, shape, axes, Leaky(tau=2.0, v_reset=None))

    with pytest.raises(NetworkError, match="end: neurons of the form Leaky cannot run in whole numbers"):
        fix(network(lambda net, x: net.add(Identity("h", x), "a"), (4, 4), soft), "int16")


def test_a_real_product_is_rounded_once_as_dssa_is(rng):
    def add(net, current):
        y = Current(4, 4)
        net.add(Identity("h", y), "a")
        operand = AddressMap.of_view(lambda a: a.reshape(4, 2, 2).transpose(1, 0, 2), (4, 4))
        net.add(RealProduct("r", y, operand, [0.3, 0.7], (2, 2, 4, 2), current), "b")

    whole = fix(network(add, (2, 4)), "int16")
    handler = next(h for h in whole.handlers if h.name == "r")
    rows = handler.y.rows(0)
    rows.value[:], rows.touched[:] = 1 << handler.y.exponent, 1
    handler.handle(0, {"spikes": random_spikes(rng, N, 1.0)})
    found = np.ldexp(handler.current.rows(0).value.astype(float), -handler.current.exponent)
    np.testing.assert_allclose(found, np.tile([1.2, 1.2, 2.8, 2.8], (2, 1)), atol=2.0**-9)
