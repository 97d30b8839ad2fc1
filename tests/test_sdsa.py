"""The handlers of spike-driven self-attention, alone and chained as the two variants chain them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.network import INPUT, Network
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.attention.sdsa import Coincidence, Gate, TokenSum
from evsim.handlers.dilation import PlaneDilation
from evsim.handlers.neurons import LIF
from evsim.handlers.pooling import SpikeMaxPool
from evsim.handlers.projections.conv import Conv2d, Window
from evsim.handlers.readout import Readout, TokenMean
from tests import twins
from tests.contract import check_handler, random_spikes

SEEDS, DENSITIES = st.integers(0, 2**32), st.sampled_from([0.05, 0.3, 0.9])


def spikes(*address):
    return Spikes(np.array(address, np.int32))


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_coincidence_tests_the_smaller_operand_against_the_larger():
    out, counts = Coincidence("kv", 5, 2).handle(0, {"k": spikes(1, 4, 5, 9), "v": spikes(4, 8)})
    assert out.address.tolist() == [4]
    assert counts == OpCounts(masks=2, state_reads=2, state_writes=4)


def test_coincidence_does_nothing_with_one_operand():
    out, counts = Coincidence("kv", 5, 2).handle(0, {"v": spikes(1, 2)})
    assert (len(out), counts) == (0, OpCounts())


def test_token_sum_adds_one_for_each_event_to_its_column():
    column = Current(1, 3)
    _, counts = TokenSum("sum", 4, column).handle(0, {"spikes": spikes(0, 2, 3, 9, 11)})
    assert column.rows(0).value.tolist() == [[3, 0, 2]]  # addresses modulo 3: 0, 2, 0, 0, 2
    assert counts == OpCounts(acs=5, event_acs=5, state_reads=5, state_writes=5)


def test_gate_passes_the_open_channels_at_one_mask_a_query_spike():
    out, counts = Gate("gate", 3, 4).handle(0, {"q": spikes(0, 1, 5, 6, 9), "gate": spikes(1, 3)})
    assert out.address.tolist() == [1, 5, 9]
    assert counts == OpCounts(masks=5, state_reads=5, state_writes=2)


def test_gate_tests_the_queries_of_a_single_token_too():
    out, counts = Gate("gate", 1, 4).handle(0, {"q": spikes(0, 1, 3), "gate": spikes(3)})
    assert out.address.tolist() == [3]
    assert counts == OpCounts(masks=3, state_reads=3, state_writes=1)


@pytest.mark.parametrize("port", ["q", "gate"])
def test_gate_does_nothing_with_one_operand(port):
    out, counts = Gate("gate", 3, 4).handle(0, {port: spikes(1)})
    assert (len(out), counts) == (0, OpCounts())


def test_a_column_with_several_places_is_refused():
    with pytest.raises(NetworkError, match="sum: sums tokens into one place"):
        TokenSum("sum", 4, Current(4, 3))


# --- against the twins ------------------------------------------------------------------------------------------------


@given(SEEDS, DENSITIES, DENSITIES)
def test_coincidence_equals_and_whichever_operand_is_larger(seed, k_density, v_density):
    rng = np.random.default_rng(seed)
    k, v = random_spikes(rng, 40, k_density), random_spikes(rng, 40, v_density)
    out, counts = Coincidence("kv", 10, 4).handle(0, {"k": k, "v": v})
    swapped, swapped_counts = Coincidence("kv", 10, 4).handle(0, {"k": v, "v": k})
    assert out.address.tolist() == swapped.address.tolist() == sorted({*k.address} & {*v.address})
    assert counts == swapped_counts


@given(SEEDS, DENSITIES, DENSITIES)
def test_gate_never_passes_a_closed_channel_nor_holds_back_an_open_one(seed, q_density, gate_density):
    rng = np.random.default_rng(seed)
    q, gate = random_spikes(rng, 5 * 7, q_density), random_spikes(rng, 7, gate_density)
    out, _ = Gate("gate", 5, 7).handle(0, {"q": q, "gate": gate} if len(q) and len(gate) else {})
    assert out.address.tolist() == [a for a in q.address if a % 7 in gate.address]


def pairs(rng, first, second, sizes):
    """Both operands, one alone, both silent, one after the other."""
    both = {first: random_spikes(rng, sizes[0], 0.5), second: random_spikes(rng, sizes[1], 0.3)}
    dense = {first: random_spikes(rng, sizes[0], 1.0), second: random_spikes(rng, sizes[1], 1.0)}
    return [both, {first: both[first]}, None, {second: both[second]}, dense, {}]


def test_coincidence_obeys_the_contract(rng):
    check_handler(lambda: Coincidence("kv", 6, 4), pairs(rng, "k", "v", (24, 24)))


def test_gate_obeys_the_contract(rng):
    check_handler(lambda: Gate("gate", 4, 6), pairs(rng, "q", "gate", (24, 6)))


def test_token_sum_obeys_the_contract(rng):
    inboxes = [{"spikes": random_spikes(rng, 24, density)} for density in (0.3, 1.0)]
    check_handler(lambda: TokenSum("sum", 4, Current(1, 6)), [inboxes[0], None, inboxes[1]])


# --- both variants ----------------------------------------------------------------------------------------------------


def attention(dilates, height=3, width=4, n_channels=4, n_heads=2):
    """The attention alone: q, k and v are the input's three groups of channels, each through one population."""
    n_tokens, shape = height * width, (height, width, n_channels)
    net = Network("attention", (height, width, 3 * n_channels), 4)
    for i, role in enumerate("qkv"):
        weight = np.zeros((n_channels, 3 * n_channels, 1, 1))
        weight[range(n_channels), range(i * n_channels, (i + 1) * n_channels)] = 2  # one event, one spike
        x = Current(n_tokens, n_channels)
        net.add(Conv2d(f"{role}_conv", weight, None, Window(height, width), x), INPUT)
        net.add(LIF(role, x, shape, "row,col,channel"))
    k, v = "k", "v"
    if dilates:
        erode = Window(height, width, kernel=3, padding=1)
        k, v = (net.add(SpikeMaxPool(f"{role}_erode", erode, n_channels), role) for role in "kv")
    kv = net.add(Coincidence("kv", n_tokens, n_channels), k=k, v=v)
    if dilates:
        kv = net.add(PlaneDilation("kv_erode", n_tokens, n_heads, n_channels), kv)
    column = Current(1, n_channels)
    net.add(TokenSum("kv_sum", n_tokens, column), kv)
    gate = net.add(LIF("gate", column, (n_heads, n_channels // n_heads), "head,channel", 0.5))
    x = net.add(Gate("qkv", n_tokens, n_channels), q="q", gate=gate)
    if dilates:
        x = net.add(PlaneDilation("qkv_erode", n_tokens, n_heads, n_channels), x)
    out, mean = Current(n_tokens, n_channels), Current(1, n_channels)
    net.add(Conv2d("proj", np.eye(n_channels)[:, :, None, None], None, Window(height, width), out), x)
    net.add(TokenMean("mean", out, mean))
    net.add(Readout("readout", mean))
    return net


def test_an_open_column_is_one_where_k_and_v_met():
    net, recorder = attention(dilates=False), twins.Recorder()
    frame = np.zeros((3, 4, 12))
    frame[:, :, 0] = frame[:, :, 1] = 1  # q: channels 0 and 1 everywhere
    frame[1, 1, 4 + 0] = frame[1, 1, 8 + 0] = 1  # k and v meet in channel 0
    frame[1, 1, 4 + 1] = frame[2, 2, 8 + 1] = 1  # and miss each other in channel 1
    result = simulate(net, [Spikes.from_dense(frame)], [recorder])
    assert recorder.sent["kv", 0].address.tolist() == [(1 * 4 + 1) * 4]
    assert recorder.sent["gate", 0].address.tolist() == [0]  # one coincidence: V = 0 + (1 - 0) / 2 = threshold
    assert recorder.sent["qkv", 0].address.tolist() == [token * 4 for token in range(12)]
    assert result.ledger.total("qkv").masks == 24
    assert result.logits.tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("order", ["step", "stage"])
@pytest.mark.parametrize("dilates", [False, True], ids=["plain", "event camera"])
def test_both_variants_equal_their_dense_twin(rng, dilates, order):
    net, recorder = attention(dilates), twins.Recorder()
    recording = [random_spikes(rng, 3 * 4 * 12, density) for density in (0.3, 0.0, 0.1, 0.6)]
    result = simulate(net, recording, [recorder], order)
    expected = twins.run(net, recording)
    twins.assert_same_run(net, result, recorder, expected)
    assert len(recorder.sent["qkv", 3]) > 0, "the example is too quiet to mean anything"
