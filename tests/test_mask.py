"""Mask and AndNot: products of two spike streams, broadcast either way."""

import numpy as np
import pytest

from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.elementwise.mask import AndNot, Mask
from evsim.handlers.views.address_map import AddressMap
from tests.contract import check_handler, random_spikes

N_TOKENS, N_CHANNELS = 5, 4
SHAPES = {
    "place by place": ((N_TOKENS, N_CHANNELS), (N_TOKENS, N_CHANNELS)),
    "a channel gates": ((N_TOKENS, N_CHANNELS), (1, N_CHANNELS)),
    "a token gates": ((N_TOKENS, 1), (N_TOKENS, N_CHANNELS)),
    "both are spread": ((N_TOKENS, 1), (1, N_CHANNELS)),
    "a number gates": ((N_TOKENS, N_CHANNELS), (1, 1)),
}


def onto(shape, transposed=False):
    def view(a):
        return np.broadcast_to(a.T if transposed else a, (N_TOKENS, N_CHANNELS))

    return AddressMap.of_view(view, shape[::-1] if transposed else shape)


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("kind", [Mask, AndNot])
def test_obeys_the_contract(rng, shapes, transposed, kind):
    ports = ("left", "right") if kind is Mask else ("kept", "absent")
    kinds = [("binary", "binary"), ("binary", "integer"), ("integer", "binary"), ("integer", "integer")]
    inboxes = [
        {port: random_spikes(rng, np.prod(shape), 0.6, k) for port, shape, k in zip(ports, shapes, pair, strict=True)}
        for pair in kinds
    ]
    alone = [{port: inboxes[0][port]} for port in ports]
    check_handler(lambda: kind("mask", onto(shapes[0], transposed), onto(shapes[1])), [*inboxes, None, *alone])


def test_counts_by_hand():
    full = AddressMap.identity(4)
    left = Spikes(np.array([0, 1, 2], np.int32), np.array([3, 1, -2], np.int32))
    right = Spikes(np.array([0, 1, 2, 3], np.int32), np.array([-2, 5, -1, 7], np.int32))
    spikes, counts = Mask("mask", full, full).handle(0, {"left": left, "right": right})
    assert spikes.to_dense(4).tolist() == [-6, 5, 2, 0]
    # three tests; of the coincidences only 3 x -2 is a product, which is -2 or 3 added twice
    assert counts == OpCounts(masks=3, event_acs=1, acs=2, graded_acs=1, state_reads=3, state_writes=4)


def test_a_payload_is_no_larger_than_the_product_of_the_largest():
    full = AddressMap.identity(4)
    assert Mask("mask", full, full).payload_bound({"left": 3, "right": 4}) == 12
    assert AndNot("not", full, full).payload_bound({"kept": 3, "absent": 4}) == 3


@pytest.mark.parametrize("kind", [Mask, AndNot])
def test_operands_of_different_sizes_are_refused(kind):
    with pytest.raises(NetworkError, match=r"mask: .*4.*5.*expected as many"):
        kind("mask", AddressMap.identity(4), AddressMap.identity(5))


@pytest.mark.parametrize("density", [0.005, 0.5])
def test_nothing_is_left_of_a_step_and_padding_meets_nobody(rng, density):
    source_of = np.where(rng.random(600) < 0.5, np.arange(600), -1)
    mask = Mask("mask", AddressMap.identity(600), AddressMap(source_of, 600))
    for _ in range(3):
        left, right = rng.random(600) < 0.9, rng.random(600) < density
        left[:3], right[:3] = True, True
        inbox = {"left": Spikes.from_dense(left), "right": Spikes.from_dense(right)}
        found, counts = mask.handle(0, inbox)
        np.testing.assert_array_equal(found.to_dense(600), left & right & (source_of >= 0))
        assert counts.masks in (left.sum(), (right & (source_of >= 0)).sum())
