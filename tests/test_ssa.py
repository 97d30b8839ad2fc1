"""Spiking self-attention: exact in both orders, the cheaper one chosen, every operation counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.attention.ssa import SSA
from evsim.handlers.neurons import LIF
from tests import naive
from tests.contract import check_handler, needs_jit, random_spikes


def attend(q, k, v, n_heads=1, scale=0.125, order=None):
    """What one call adds to a fresh current, where, and its counts."""
    current = Current(*q.shape)
    handler = SSA("attn", n_heads, scale, current, order)
    inbox = {port: Spikes.from_dense(x) for port, x in zip("qkv", (q, k, v), strict=True) if x.any()}
    spikes, counts = handler.handle(0, inbox)
    assert len(spikes) == 0
    rows = current.rows(0)
    return rows.value, rows.touched != 0, counts


@given(
    n_tokens=st.integers(1, 9),
    n_heads=st.integers(1, 3),
    head_channels=st.sampled_from([1, 5, 64, 70]),
    density=st.tuples(*[st.sampled_from([0.0, 0.03, 0.2, 0.7, 1.0])] * 3),
    order=st.sampled_from(["kv", "qk", None]),
    seed=st.integers(0, 2**31),
)
def test_value_places_and_counts_equal_the_slow_twin(n_tokens, n_heads, head_channels, density, order, seed):
    rng = np.random.default_rng(seed)
    q, k, v = (rng.random((n_tokens, n_heads * head_channels)) < d for d in density)
    value, touched, counts = attend(q, k, v, n_heads, 0.25, order)
    expected, reached, expected_counts = naive.ssa(q, k, v, n_heads, 0.25, order)
    np.testing.assert_array_equal(value, expected)
    np.testing.assert_array_equal(touched, reached)
    assert counts == expected_counts


@given(
    n_tokens=st.integers(1, 70),
    head_channels=st.sampled_from([3, 16, 40, 65, 255, 256, 300]),
    density=st.tuples(*[st.sampled_from([0.004, 0.03, 0.2, 1.0])] * 3),
    most_by_pair=st.sampled_from([0, 3, 10**6]),
    seed=st.integers(0, 2**31),
)
def test_pairs_one_by_one_and_rows_of_keys_are_the_same(n_tokens, head_channels, density, most_by_pair, seed):
    rng = np.random.default_rng(seed)
    q, k, v = (rng.random((n_tokens, 2 * head_channels)) < d for d in density)
    current = Current(*q.shape)
    handler = SSA("attn", 2, 0.25, current, "qk")
    if head_channels <= 255:  # the coincidences of more do not fit a byte
        handler.scratch.most_by_pair = most_by_pair
    expected, reached, expected_counts = naive.ssa(q, k, v, 2, 0.25, "qk")
    for _ in range(2):  # what a call needs zero it leaves zero
        inbox = {port: Spikes.from_dense(x) for port, x in zip("qkv", (q, k, v), strict=True) if x.any()}
        assert handler.handle(0, inbox)[1] == expected_counts
        np.testing.assert_array_equal(current.rows(0).value, expected)
        np.testing.assert_array_equal(current.rows(0).touched != 0, reached)
        current.reset()


@pytest.mark.parametrize("order", ["kv", "qk", None])
def test_attention_obeys_the_contract(rng, order):
    inboxes = [{port: random_spikes(rng, 6 * 8, density) for port in "qkv"} for density in (0.1, 0.5, 0.9)]
    check_handler(lambda: SSA("attn", 2, 0.25, Current(6, 8), order), [*inboxes, None, {"q": inboxes[0]["q"]}])


@needs_jit
@pytest.mark.parametrize(("density", "cheaper"), [(0.01, "acs_qk_first"), (0.2, "acs_kv_first")])
def test_the_cheaper_order_runs_and_the_other_is_on_record(rng, density, cheaper):
    q, k, v = (rng.random((196, 512)) < density for _ in range(3))
    _, _, counts = attend(q, k, v, n_heads=8)
    assert counts.acs == getattr(counts, cheaper) == min(counts.acs_kv_first, counts.acs_qk_first)
    assert counts.acs_kv_first != counts.acs_qk_first


def test_by_hand():
    """One head, two tokens, two channels: K^T V = [[1, 0], [0, 0]], so token 0 receives one coincidence."""
    q = np.array([[1, 0], [0, 1]], bool)
    k = np.array([[0, 0], [1, 0]], bool)
    v = np.array([[0, 1], [1, 0]], bool)
    value, touched, counts = attend(q, k, v, scale=0.5, order="kv")
    np.testing.assert_array_equal(value, [[0.5, 0], [0, 0]])
    np.testing.assert_array_equal(touched, [True, False])
    assert counts == OpCounts(
        masks=2,
        acs=3,
        event_acs=3,
        scalings=2,
        state_reads=5,
        state_writes=3,
        acs_kv_first=3,
        acs_qk_first=2,
        order_ands=2,
    )


def test_a_silent_operand_costs_nothing(rng):
    q, k = (rng.random((4, 8)) < 0.5 for _ in range(2))
    value, touched, counts = attend(q, k, np.zeros((4, 8), bool))
    assert counts == OpCounts()
    assert not value.any()
    assert not touched.any()


def test_heads_do_not_mix(rng):
    q, k, v = np.zeros((3, 4, 8), bool)
    q[:, :4], k[:, 4:], v[:] = True, True, True
    value, _, counts = attend(q, k, v, n_heads=2)
    assert not value.any()
    assert (counts.acs, counts.masks) == (0, 16)


def test_attention_is_exact_and_verified_so():
    current = Current(4, 8)
    SSA("attn", 2, 0.125, current)
    assert LIF("lif", current, (4, 8), "token,channel", 0.5).is_exact


def test_what_cannot_be_is_refused():
    with pytest.raises(NetworkError, match="attn: 8 channels do not divide by 3 heads"):
        SSA("attn", 3, 0.125, Current(4, 8))
    with pytest.raises(NetworkError, match=r"attn: scale 0.1 is no power of two"):
        SSA("attn", 2, 0.1, Current(4, 8))
