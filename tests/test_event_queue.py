import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim.engine.event_queue import ORDERS, EventQueue
from evsim.engine.spikes import Spikes

PLACES = st.tuples(st.integers(0, 5), st.integers(0, 5))


def drain(queue):
    popped = []
    while queue:
        popped.append(queue.pop())
    return popped


@given(st.lists(PLACES), st.sampled_from(sorted(ORDERS)))
def test_pops_each_pending_place_once_in_the_declared_order(places, order):
    queue = EventQueue(order)
    for step, stage in places:
        queue.push(step, stage, "spikes", Spikes.none())
    assert len(queue) == len(set(places))
    popped = [(step, stage) for step, stage, _ in drain(queue)]
    by_stage = sorted(set(places), key=lambda place: (place[1], place[0]))
    assert popped == (sorted(set(places)) if order == "step" else by_stage)


def test_both_orders_differ_on_the_smallest_example():
    popped = {}
    for order in ORDERS:
        queue = EventQueue(order)
        queue.push(0, 1, "spikes", Spikes.none())
        queue.push(1, 0, "spikes", Spikes.none())
        popped[order] = [(step, stage) for step, stage, _ in drain(queue)]
    assert popped == {"step": [(0, 1), (1, 0)], "stage": [(1, 0), (0, 1)]}


def test_deliveries_to_one_place_merge_into_one_inbox_in_push_order(rng):
    queue = EventQueue()
    sent = {port: Spikes(rng.integers(0, 9, 1, "int32")) for port in ("v", "k", "a", "q")}
    for port, spikes in sent.items():
        queue.push(3, 7, port, spikes)
    [(step, stage, inbox)] = drain(queue)
    assert (step, stage) == (3, 7)
    assert list(inbox) == ["v", "k", "a", "q"]
    assert all(inbox[port] is spikes for port, spikes in sent.items())


@given(st.lists(st.lists(PLACES, max_size=4)), st.sampled_from(sorted(ORDERS)))
def test_never_goes_back_while_pushes_go_forward(batches, order):
    queue, key, latest = EventQueue(order), ORDERS[order], (-1, -1)
    for batch in batches:
        for step, stage in batch:
            if key(step, stage) > latest:
                queue.push(step, stage, "spikes", Spikes.none())
        if queue:
            step, stage, _ = queue.pop()
            assert key(step, stage) > latest
            latest = key(step, stage)


def test_a_place_popped_and_pushed_again_starts_with_an_empty_inbox():
    queue = EventQueue()
    queue.push(0, 0, "k", Spikes.none())
    queue.pop()
    queue.push(0, 0, "v", Spikes.none())
    assert list(queue.pop()[2]) == ["v"]
    assert len(queue) == 0


def test_an_unknown_order_is_refused():
    with pytest.raises(KeyError):
        EventQueue("random")


def test_a_stage_is_taken_with_all_its_steps():
    queue = EventQueue("stage")
    for step, stage in ((2, 1), (0, 1), (1, 0), (0, 3)):
        queue.push(step, stage, "spikes", Spikes.none())
    queue.push(2, 1, "bias", Spikes.none())
    assert queue.pop_stage()[0] == 0
    stage, turns = queue.pop_stage()
    assert (stage, [step for step, _ in turns]) == (1, [0, 2])
    assert [set(inbox) for _, inbox in turns] == [{"spikes"}, {"spikes", "bias"}]
    assert queue.next_stage() == 3
