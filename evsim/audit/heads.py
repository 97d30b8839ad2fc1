"""The literal counts of an attention handler, head by head; they add up to the ledger's or are not given."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.attention.ssa import SSA
from evsim.audit.geometry import Attention
from evsim.audit.source_log import Operand, SourceLog
from evsim.current import Current
from evsim.ledger import OpCounts
from evsim.spikes import Spikes

__all__ = ["count_pairs", "split_heads"]


def split_heads(
    handler, geometry, operands: Mapping[str, Operand], steps: tuple[OpCounts, ...], log: SourceLog
) -> tuple[OpCounts, ...] | None:
    """Additions and masks of each head over all steps, or None where the handler is no attention.

    Heads do not share a place, so an event belongs to one head and so does what it causes. A split that does not
    add up to the ledger is withheld: a number in the report is never a guess.
    """
    if not isinstance(geometry, Attention):
        return None
    split = _SPLITS[geometry.mechanism, geometry.part](geometry, operands, steps, log)
    heads = tuple(OpCounts(acs=int(a), unit_acs=int(a), masks=int(m)) for a, m in split)
    found = sum(heads, start=OpCounts())
    literal = sum(steps, start=OpCounts())
    return heads if (found.acs, found.masks) == (literal.acs, literal.masks) else None


def count_pairs(geometry, operands: Mapping[str, Operand], n_steps: int, log: SourceLog) -> dict[str, int]:
    """sum over channels of (tokens with q) * (tokens with k), and over tokens and heads of k's and v's events."""
    if not isinstance(geometry, Attention) or geometry.mechanism != "ssa":
        return {}
    pairs = {"qk": 0, "kv": 0}
    n_rows = geometry.n_tokens * geometry.n_heads
    for step in range(n_steps):
        q, k, v = (log.spikes(operands[port].source, step).address for port in "qkv")
        channels = [np.bincount(x % geometry.n_channels, minlength=geometry.n_channels) for x in (q, k)]
        rows = [np.bincount(x // geometry.head_channels, minlength=n_rows) for x in (k, v)]
        pairs["qk"] += int(channels[0] @ channels[1])
        pairs["kv"] += int(rows[0] @ rows[1])
    return pairs


def _split_coincidence(geometry, operands, steps, log):
    """One mask for each event of the operand that sent fewer, at steps where both sent some."""
    k, v = operands["k"], operands["v"]
    both = (k.events > 0) & (v.events > 0)
    fewer = np.where((k.events <= v.events)[:, None], k.by_head, v.by_head)
    return _masks(fewer[both].sum(axis=0))


def _split_sum(geometry, operands, steps, log):
    """One addition for each event."""
    acs = operands["spikes"].by_head.sum(axis=0)
    return np.stack([acs, np.zeros_like(acs)], axis=1)


def _split_gate(geometry, operands, steps, log):
    """One mask for each event of q, at steps where some gate is open."""
    return _masks(operands["q"].by_head[operands["gate"].events > 0].sum(axis=0))


def _split_rows(geometry, operands, steps, log):
    """Each event adds one row of its head's real-valued operand."""
    acs = operands["spikes"].by_head.sum(axis=0) * geometry.n_columns
    return np.stack([acs, np.zeros_like(acs)], axis=1)


def _split_product(geometry, operands, steps, log):
    """Each head multiplied again by itself, in the order that was taken for all heads together."""
    split = np.zeros((geometry.n_heads, 2), np.int64)
    for step, counts in enumerate(steps):
        inbox = {port: log.spikes(operand.source, step) for port, operand in operands.items()}
        if not counts.masks:
            continue  # an operand was silent: nothing was done
        order = "kv" if counts.acs_kv_first <= counts.acs_qk_first else "qk"
        for head in range(geometry.n_heads):
            split[head] += _multiply_head({p: _of_head(s, geometry, head) for p, s in inbox.items()}, geometry, order)
    return split


def _multiply_head(inbox: Mapping[str, Spikes], geometry: Attention, order: str) -> tuple[int, int]:
    """Additions and masks of one head; where it lacks an operand its keys were tested in vain."""
    if not all(map(len, inbox.values())):
        return 0, len(inbox["k"])
    alone = SSA("head", 1, 1.0, Current(geometry.n_tokens, geometry.head_channels), order)
    counts = alone.handle(0, inbox)[1]
    return counts.acs, counts.masks


def _masks(masks: np.ndarray) -> np.ndarray:
    return np.stack([np.zeros_like(masks), masks], axis=1)


def _of_head(spikes: Spikes, geometry: Attention, head: int) -> Spikes:
    """The spikes of one head, addressed as if it were the only one."""
    token, channel = np.divmod(spikes.address, geometry.n_channels)
    here = channel // geometry.head_channels == head
    return Spikes((token * geometry.head_channels + channel % geometry.head_channels)[here].astype(np.int32))


_SPLITS = {
    ("sdsa", "coincidence"): _split_coincidence,
    ("sdsa", "sum"): _split_sum,
    ("sdsa", "gate"): _split_gate,
    ("dssa", "map"): _split_rows,
    ("dssa", "value"): _split_rows,
    ("ssa", "product"): _split_product,
}
