"""Products of two spike streams, and of spikes with a real operand, on any batch axes and in any layout."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.attention.ssa import SSA
from evsim.handlers.products.real_product import RealProduct
from evsim.handlers.products.spike_product import IntegerProduct, SpikeProduct
from evsim.handlers.views.address_map import AddressMap
from tests.contract import check_handler, dyadic, random_spikes

SIZES = (2, 3, 4, 5)
N_LEFT, N_RIGHT = 2 * 3 * 4, 2 * 4 * 5
PAIRS = [("binary", "binary"), ("integer", "binary"), ("integer", "integer")]


def inboxes(rng, density=0.4):
    both = [{"left": random_spikes(rng, N_LEFT, density, a), "right": random_spikes(rng, N_RIGHT, density, b)}
            for a, b in PAIRS]  # fmt: skip
    return [*both, None, {"left": both[0]["left"]}, {"left": both[0]["left"], "right": Spikes.none()}]


LAYOUTS = {
    "canonical": {},
    "heads inside tokens": {
        "left": AddressMap.of_view(lambda a: a.transpose(1, 0, 2), (3, 2, 4)),
        "right": AddressMap.of_view(lambda a: a.transpose(1, 2, 0), (5, 2, 4)),
        "result": AddressMap.of_view(lambda a: a.transpose(1, 0, 2), (2, 3, 5)),
    },
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("scale", [1.0, 0.125, [0.5, 0.3]], ids=str)
@pytest.mark.parametrize("kind", [SpikeProduct, IntegerProduct])
def test_into_a_current_obeys_the_contract(rng, layout, scale, kind):
    shape = (6, 5) if layout == {} else (3, 10)
    if "right" in layout:  # right is stored (column, batch, inner)
        layout = layout | {"right": AddressMap.of_view(lambda a: a.transpose(1, 2, 0), (5, 2, 4))}
    check_handler(lambda: kind("product", SIZES, Current(*shape), scale, **layout), inboxes(rng))


@pytest.mark.parametrize("kind", [SpikeProduct, IntegerProduct])
def test_sent_as_spikes_obeys_the_contract(rng, kind):
    check_handler(lambda: kind("product", SIZES, None), inboxes(rng))


def test_counts_by_hand():
    left = Spikes(np.array([0, 1, 3], np.int32))  # row 0: k 0 and 1; row 1: k 1
    right = Spikes(np.array([0, 1, 2], np.int32))  # k 0: j 0 and 1; k 1: j 0
    product = SpikeProduct("product", (1, 2, 2, 2), Current(2, 2), 0.5)
    counts = product.handle(0, {"left": left, "right": right})[1]
    assert product.current.rows(0).value.tolist() == [[1.0, 0.5], [0.5, 0]]
    assert counts == OpCounts(event_acs=4, acs=4, masks=4, scalings=4, state_reads=8, state_writes=8)
    graded = Spikes(left.address, np.array([3, 1, -1], np.int32))
    counts = IntegerProduct("product", (1, 2, 2, 2), None).handle(0, {"left": graded, "right": right})[1]
    assert counts == OpCounts(event_acs=4, acs=8, graded_acs=3, state_reads=4, state_writes=4)


def test_an_operand_may_be_the_same_for_every_batch(rng):
    right = random_spikes(rng, 20, 0.5)
    left = random_spikes(rng, N_LEFT, 0.5)
    shared = AddressMap.of_view(lambda a: np.broadcast_to(a, (2, 4, 5)), (4, 5))
    product = SpikeProduct("product", SIZES, Current(6, 5), right=shared)
    product.handle(0, {"left": left, "right": right})
    expected = left.to_dense(N_LEFT).reshape(2, 3, 4) @ right.to_dense(20).reshape(4, 5)
    np.testing.assert_array_equal(product.current.rows(0).value, expected.reshape(6, 5))


@given(st.integers(1, 6), st.integers(1, 3), st.integers(1, 5), st.integers(0, 2**32))
def test_two_products_make_the_spiking_attention(n_tokens, n_heads, d, seed):
    rng = np.random.default_rng(seed)
    n = n_tokens * n_heads * d
    q, k, v = (random_spikes(rng, n, 0.5) for _ in range(3))
    attention = SSA("attention", n_heads, 0.25, Current(n_tokens, n_heads * d))
    attention.handle(0, {p: s for p, s in {"q": q, "k": k, "v": v}.items() if len(s)})
    by_head = AddressMap.of_view(lambda a: a.transpose(1, 0, 2), (n_tokens, n_heads, d))
    transposed = AddressMap.of_view(lambda a: a.transpose(1, 2, 0), (n_tokens, n_heads, d))
    first = SpikeProduct("qk", (n_heads, n_tokens, d, n_tokens), None, left=by_head, right=transposed)
    back = AddressMap.of_view(lambda a: a.transpose(1, 0, 2), (n_heads, n_tokens, d))
    second = IntegerProduct(
        "qkv", (n_heads, n_tokens, n_tokens, d), Current(n_tokens, n_heads * d), 0.25, right=by_head, result=back
    )
    map, _ = first.handle(0, {p: s for p, s in {"left": q, "right": k}.items() if len(s)})
    second.handle(0, {p: s for p, s in {"left": map, "right": v}.items() if len(s)})
    np.testing.assert_array_equal(second.current.rows(0).value, attention.current.rows(0).value)


def test_attention_takes_operands_in_any_layout(rng):
    spikes = {port: random_spikes(rng, 24, 0.5) for port in "qkv"}
    by_head = AddressMap.of_view(lambda a: a.transpose(1, 0, 2), (2, 4, 3))  # stored head by head
    plain = SSA("attention", 2, 0.5, Current(4, 6))
    mapped = SSA("attention", 2, 0.5, Current(4, 6), maps={"q": by_head, "v": by_head})
    moved = {port: by_head.move(s) if port != "k" else s for port, s in spikes.items()}
    assert plain.handle(0, moved)[1] == mapped.handle(0, spikes)[1]
    np.testing.assert_array_equal(plain.current.rows(0).value, mapped.current.rows(0).value)


def test_products_that_cannot_be_are_refused():
    identity = AddressMap.identity
    for make, words in [
        (lambda: SpikeProduct("p", SIZES, Current(5, 5)), "30 products go to 30 places, its current has 25"),
        (lambda: SpikeProduct("p", SIZES, Current(6, 5), left=identity(23)), r"operands of \(23, 40\) places"),
        (lambda: SpikeProduct("p", SIZES, None, scale=0.5), "neither a scale nor a map"),
        (
            lambda: SpikeProduct("p", SIZES, Current(6, 5), result=AddressMap(np.zeros(30, int), 30)),
            "30 of|for 30 products",
        ),
        (lambda: SSA("p", 2, 0.5, Current(4, 6), maps={"q": identity(23)}), "the map of q has 23 places"),
    ]:
        with pytest.raises(NetworkError, match=words):
            make()


# --- real operands ----------------------------------------------------------------------------------------------------


def real_product(bias, layout=True):
    """Two tokens, two heads, three rows, four columns; y is [3 rows, 2 heads x 4 columns]."""
    y = Current(3, 8)
    y.join_writer("W", bias)
    operand = AddressMap.of_view(lambda a: a.transpose(1, 0, 2), (3, 2, 4))
    maps = {}
    if layout:
        maps["spikes"] = AddressMap.of_view(lambda a: a.transpose(2, 0, 1), (2, 3, 2))  # stored (head, row, token)
        maps["result"] = AddressMap.of_view(lambda a: a.transpose(1, 0, 2), (2, 2, 4))  # head by head
    return RealProduct("product", y, operand, [0.5, 2.0], (2, 2, 3, 4), Current(4, 4), **maps)


@pytest.mark.parametrize("layout", [False, True])
@pytest.mark.parametrize("by_place", [False, True])
def test_real_product_obeys_the_contract(layout, by_place):
    rng = np.random.default_rng(5)
    bias = dyadic(rng, *(3, 8) if by_place else (8,))
    inboxes = [
        {"spikes": random_spikes(rng, 12, density), "current": (dyadic(rng, 3, 8), np.ones(3))}
        for density in (0.3, 1.0, 0.0)
    ]
    check_handler(lambda: real_product(bias, layout), [*inboxes, None, {"spikes": random_spikes(rng, 12, 0.5)}])


def test_a_real_product_of_graded_events_is_refused():
    with pytest.raises(NetworkError, match="events with a value, expected binary spikes"):
        real_product(np.zeros(8)).handle(0, {"spikes": Spikes(np.array([0], np.int32), np.array([2], np.int32))})
