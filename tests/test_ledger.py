import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim.engine.ledger import Ledger, OpCounts

NAMES = OpCounts._fields
COUNTS = st.builds(OpCounts, **{name: st.integers(0, 2**40) for name in NAMES})
ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), COUNTS), max_size=12)


def test_counts_add_field_by_field():
    a, b = OpCounts(acs=1, macs=20, queue_ops=5), OpCounts(acs=2, updates=7, queue_ops=1)
    assert a + b == OpCounts(acs=3, macs=20, updates=7, queue_ops=6)


@given(COUNTS, COUNTS, COUNTS)
def test_addition_is_commutative_and_associative_and_has_a_zero(a, b, c):
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + OpCounts() == a


def test_counts_are_frozen():
    with pytest.raises(AttributeError):
        OpCounts().acs = 1


def test_as_dict_names_every_count():
    assert OpCounts(masks=3).as_dict() == {**dict.fromkeys(NAMES, 0), "masks": 3}


@given(ROWS)
def test_totals_are_sums_of_what_was_charged(charges):
    ledger = Ledger()
    for name, step, counts in charges:
        ledger.charge(name, step, counts)

    def expected(wanted_name, wanted_step):
        chosen = [c for n, s, c in charges if wanted_name in (None, n) and wanted_step in (None, s)]
        return sum(chosen, start=OpCounts())

    assert len(list(ledger.rows())) == len({(name, step) for name, step, _ in charges})
    assert all(counts == expected(name, step) for name, step, counts in ledger.rows())
    for name in (None, "a", "b", "never"):
        for step in (None, 0, 3):
            assert ledger.total(name, step) == expected(name, step)
    assert ledger.by_handler() == {name: expected(name, None) for name, _, _ in charges}


def test_rows_come_in_the_order_of_their_first_charge():
    ledger = Ledger()
    for name, step in (("b", 0), ("a", 1), ("b", 0), ("a", 0)):
        ledger.charge(name, step, OpCounts(acs=1))
    assert [(name, step, counts.acs) for name, step, counts in ledger.rows()] == [("b", 0, 2), ("a", 1, 1), ("a", 0, 1)]


def test_traffic_is_added_to_what_a_handler_counted():
    counts = OpCounts(events_in=1, acs=3, queue_ops=2, membrane_adds=4).with_traffic(5, 6, 7)
    assert counts == OpCounts(events_in=6, events_out=6, acs=3, queue_ops=14, membrane_adds=4)
