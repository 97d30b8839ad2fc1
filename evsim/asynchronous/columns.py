"""Names of the columns of the tables that the compiled loop works on.

A table is one flat array; a handler `h` or a reading `r` is the place where its row begins, so that a column of it is
``acts[h + KIND]``.
"""

from __future__ import annotations

from evsim.engine.ledger import COUNTS

# --- acts: one row a handler ------------------------------------------------------------------------------------------
(
    KIND, MARKS_AT, SUMS_AT, READING, N_COLUMNS, WEIGHTS, FIXED_AT, ROUTE_AT, ROUTE_END, DEST_AT, DEST_END,
    N_MAP_BIASED, HAS_SPIKED, NUMBERS,
) = range(14)  # fmt: skip
"""`NUMBERS` opens the numbers of its `Act`; HAS_SPIKED changes in a run. One more row has the routes of the input."""
MOST_NUMBERS = 11
FIRST_COUNT = NUMBERS + MOST_NUMBERS
"""Behind them, what the handler has done in this step, in the order of `OpCounts`."""
ACT_SIZE = FIRST_COUNT + len(COUNTS)

# --- readings: one row for each handler that reads a current ---------------------------------------------------------
(
    X_AT, PLACE_AT, N_PLACES, N_CHANNELS, OWNER, BIAS_AT, READS_AS, ALONE_AT, ALONE_END, N_BIASED, N_BIASED_ALONE,
    IS_DRIVEN, CONSTANTS_AT, BUCKET, N_DIRTY, IS_HOT, BIAS_ON, READING_SIZE,
) = range(18)  # fmt: skip
"""ALONE: channels whose bias alone makes them fire. IS_DRIVEN: some bias is positive. BUCKET: of the queue. N_DIRTY,
IS_HOT and BIAS_ON change in a run."""

# --- now: numbers of the run as it goes ------------------------------------------------------------------------------
(
    STEP, STATUS, CURSOR, N_WAITING, LOWEST, SEQUENCE, N_GROUP, DELIVERIES, ORDER, MICRO_STEPS, WITHDRAWN, BEST,
    LAST_CHANGE, FIRST_WORD, CARRIED, N_CURVE, STRIDE, MOST_WAITING, N_INPUTS, N_RELAYED, RANDOM_STATE, N_NOW,
) = range(22)  # fmt: skip
"""LAST_CHANGE, FIRST_WORD: deliveries when the readout last changed its class, and first received something."""

RUNNING, DONE, AT_BARRIER, DECIDED = range(4)
"""What STATUS says."""

# --- places and neurons ----------------------------------------------------------------------------------------------
LAST_STEP = 0
N_FIRED, ORDER_OF = range(2)

# --- flags of a neuron, marks of a place -----------------------------------------------------------------------------
QUEUED, RESET = 1, 2
TOUCHED, HOT = 1, 2

# --- counts: columns of OpCounts -------------------------------------------------------------------------------------
EVENTS_IN, EVENTS_OUT, EVENT_ACS, ACS, GRADED_ACS, MACS, MASKS, BIAS_ADDS, RESIDUAL_ADDS, SCALINGS, UPDATES = (
    FIRST_COUNT + COUNTS.index(name)
    for name in (
        "events_in", "events_out", "event_acs", "acs", "graded_acs", "macs", "masks", "bias_adds", "residual_adds",
        "scalings", "updates",
    )
)  # fmt: skip
COMPARISONS, WEIGHT_READS, STATE_READS, STATE_WRITES, QUEUE_OPS, MEMBRANE_ADDS = (
    FIRST_COUNT + COUNTS.index(name)
    for name in ("comparisons", "weight_reads", "state_reads", "state_writes", "queue_ops", "membrane_adds")
)
