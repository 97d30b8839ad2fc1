"""OpCounts and Ledger: the integers that the kernels return, one row a handler and step."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeVar

__all__ = [
    "COUNTS", "FORMER_NAMES", "FORMER_NAMES_NOTE", "Ledger", "OpCounts", "with_former_names", "with_present_names",
]  # fmt: skip

Number = TypeVar("Number", int, float)

FORMER_NAMES = {"acs": "event_acs", "unit_acs": "acs"}
"""What the first version of every file called a count, and what it is called now."""
FORMER_NAMES_NOTE = "unit_acs is acs under its former name and goes with the next schema; what was acs is event_acs"


class OpCounts(NamedTuple):
    """What one call of a handler really did. Counts add; none is derived from a firing rate.

    A tuple, because two are made and added at every call of a handler.

    Parameters
    ----------
    events_in : int
        Events delivered to the handler (rows of every `Spikes` in its inbox, whatever their payload).
    events_out : int
        Events the handler sent.
    acs : int
        Accumulates: additions of one weight to one accumulator because of one spike, an event of payload n being n
        spikes: sum over the delivered events of abs(n) x (targets reached). Where there are no weights, one per unit
        added. An event at a border reaches fewer targets and counts fewer.
    event_acs : int
        The same with each event once, whatever its payload: sum over the delivered events of (targets reached). It is
        how often the kernel added, and equals `acs` for binary spikes.
    graded_acs : int
        The part of `event_acs` whose payload is not 1: additions that need a product or a repetition.
    macs : int
        Multiply-accumulates caused by real-valued (float) events, or by a classifier of real values.
    zero_macs : int
        The part of `macs` whose real operand was exactly 0. No handler multiplies by zero: it is not 0 only in files of
        earlier versions, whose classifier multiplied every channel of a mean.
    masks : int
        AND or select of one spike with another operand in an attention.
    bias_adds : int
        Additions of a nonzero folded bias to an input current, one per membrane update of such a neuron, and one
        per class whenever the readout is called; where an attention reads the current as an operand, one per value
        it reads.
    residual_adds : int
        Additions of one stream to another as an operation of their own: one for each event of the branch that a
        SEW sum adds to its stream. A membrane shortcut adds in place while the projection accumulates, and costs
        none.
    scalings : int
        Multiplications of a finished sum by a constant (the scales of an attention, the 1 / n of a mean): one per
        value scaled, not per addition, so apart from `macs`. A scale that is a power of two could be a shift.
    updates : int
        Membrane updates (leak and integrate) really performed; a sleeping neuron costs none, the silent
        steps it catches up on when it wakes cost one each.
    silent_updates : int
        The part of `updates` at places that no event reached in that step: the steps that a neuron catches up on, and
        the steps of a neuron that its bias alone keeps awake.
    comparisons : int
        Threshold tests (one per membrane update, but none for the silent steps a sleeper catches up on, which
        cannot fire), comparisons of two values in a max-pool of currents, and marks in a max-pool or dilation of
        spikes: one for each place that one spike marks.
    weight_reads : int
        Weight words loaded: one for each weight addition or multiply-accumulate.
    state_reads, state_writes : int
        Words of accumulators and membrane potentials loaded and stored. A projection loads and stores an
        accumulator once in each step in which it touches it, however many weights it adds meanwhile; a token sum
        once for each event. A population loads the accumulators of touched places, and loads and stores a membrane
        potential once per wake-up. An attention stores one operand as marks and loads a mark for each event of the
        other. The marks of spike pooling are already its comparisons.
    queue_ops : int
        Events the handler took from the event queue plus those it put there, once for each edge they leave by.
        The recording's own events are charged to whoever takes them.
    membrane_adds : int
        Only in the asynchronous mode, where a projection adds to membranes and not to a current that its readers
        share: additions to the membranes of a population, `acs` times the populations that read the current, and what
        a pool or a mean of currents passes on. 0 in the synchronous mode, where a population takes the finished sum in
        its update. Never part of `acs`: an addition of one weight to two membranes is one `acs` and two of these.
    acs_kv_first, acs_qk_first : int
        Not work, but what it was chosen from: the `acs` that Q (K^T V) and (Q K^T) V would each have cost for the
        spikes at hand. Zero everywhere but in spiking self-attention, where `acs` is the smaller of the two.
    order_ands : int
        What that choice cost: ANDs of two words of 64 channels, which find the nonzero entries of Q K^T without
        multiplying. The network does not ask for them, so they are part of no other count and have no energy.
    dense_macs : int
        Multiply-accumulates of a `DenseNode`, by the formula of its shapes: an operation without an event-driven form,
        run on whole arrays at every step. Apart from all else, and never in `macs`.
    """

    events_in: int = 0
    events_out: int = 0
    acs: int = 0
    event_acs: int = 0
    graded_acs: int = 0
    macs: int = 0
    zero_macs: int = 0
    masks: int = 0
    bias_adds: int = 0
    residual_adds: int = 0
    scalings: int = 0
    updates: int = 0
    silent_updates: int = 0
    comparisons: int = 0
    weight_reads: int = 0
    state_reads: int = 0
    state_writes: int = 0
    queue_ops: int = 0
    acs_kv_first: int = 0
    acs_qk_first: int = 0
    order_ands: int = 0
    dense_macs: int = 0
    membrane_adds: int = 0

    def __add__(self, other: OpCounts) -> OpCounts:
        return OpCounts._make(map(operator.add, self, other))

    def with_traffic(self, delivered: int, sent: int, pushed: int) -> OpCounts:
        """These counts of a handler, which knows nothing of the queue, and what it took and put there."""
        if not (delivered or sent or pushed):
            return self
        counts = list(self)
        counts[_EVENTS_IN] += delivered
        counts[_EVENTS_OUT] += sent
        counts[_QUEUE_OPS] += delivered + pushed
        return tuple.__new__(OpCounts, counts)  # what `_make` does, but for a check that its length is right

    def as_dict(self) -> dict[str, int]:
        """The counts by name, as plain integers."""
        return dict(zip(COUNTS, map(int, self), strict=True))

    @property
    def unit_acs(self) -> int:
        """The former name of `acs`; it goes with the next version."""
        warnings.warn("OpCounts.unit_acs is called acs now, and what was acs event_acs", FutureWarning, stacklevel=2)
        return self.acs


COUNTS = OpCounts._fields
_EVENTS_IN, _EVENTS_OUT, _QUEUE_OPS = map(COUNTS.index, ("events_in", "events_out", "queue_ops"))


def with_present_names(counts: Mapping[str, Number]) -> dict[str, Number]:
    """Counts out of a file of any version, under today's names: only the first version has no `event_acs`."""
    if "event_acs" in counts:
        return {name: count for name, count in counts.items() if name in COUNTS}
    return {FORMER_NAMES.get(name, name): count for name, count in counts.items()}


def with_former_names(counts: Mapping[str, Number]) -> dict[str, Number]:
    """Counts for a file of the second version, which still says `unit_acs` for `acs` beside it."""
    return {**counts, **({"unit_acs": counts["acs"]} if "acs" in counts else {})}


class Ledger:
    """Who did how much at which step; only the simulator writes it."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, int], OpCounts] = {}

    def charge(self, name: str, step: int, counts: OpCounts) -> None:
        """Add `counts` to the row of handler `name` at `step`."""
        row = self._rows.get((name, step))
        self._rows[name, step] = counts if row is None else row + counts

    def rows(self) -> Iterator[tuple[str, int, OpCounts]]:
        """Every (handler, step, counts), in the order in which they were first charged."""
        for (name, step), counts in self._rows.items():
            yield name, step, counts

    def total(self, name: str | None = None, step: int | None = None) -> OpCounts:
        """The sum over all rows, or over those of one handler, one step, or both."""
        return sum(
            (c for n, s, c in self.rows() if name in (None, n) and step in (None, s)),
            start=OpCounts(),
        )

    def by_handler(self) -> dict[str, OpCounts]:
        """The sum over steps for each handler that was ever called."""
        totals: dict[str, OpCounts] = {}
        for name, _, counts in self.rows():
            totals[name] = totals.get(name, OpCounts()) + counts
        return totals
