"""The literal counts of an attention handler, head by head; they add up to the ledger's or are not given."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.audit.geometry import Attention
from evsim.audit.source_log import Operand, SourceLog
from evsim.ledger import OpCounts
from evsim.spikes import Spikes

__all__ = ["split_heads"]


def split_heads(
    handler, geometry, operands: Mapping[str, Operand], steps: tuple[OpCounts, ...], log: SourceLog
) -> tuple[OpCounts, ...] | None:
    """Additions and masks of each head over all steps, or None where the handler is no attention.

    Heads do not share a place, so an event belongs to one head and so does what it causes. A split that does not
    add up to the ledger is withheld: a number in the report is never a guess.
    """
    if not isinstance(geometry, Attention):
        return None
    split = _SPLITS[geometry.mechanism, geometry.part](handler, geometry, operands, log)
    heads = tuple(OpCounts(acs=int(a), unit_acs=int(a), masks=int(m)) for a, m in split)
    found = sum(heads, start=OpCounts())
    literal = sum(steps, start=OpCounts())
    return heads if (found.acs, found.masks) == (literal.acs, literal.masks) else None


def _split_coincidence(handler, geometry, operands, log):
    """One mask for each event of the operand that sent fewer, at steps where both sent some."""
    k, v = operands["k"], operands["v"]
    both = (k.events > 0) & (v.events > 0)
    fewer = np.where((k.events <= v.events)[:, None], k.by_head, v.by_head)
    return _masks(fewer[both].sum(axis=0))


def _split_sum(handler, geometry, operands, log):
    """One addition for each event."""
    acs = operands["spikes"].by_head.sum(axis=0)
    return np.stack([acs, np.zeros_like(acs)], axis=1)


def _split_gate(handler, geometry, operands, log):
    """One mask for each event of q, at steps where some gate is open."""
    return _masks(operands["q"].by_head[operands["gate"].events > 0].sum(axis=0))


def _split_rows(handler, geometry, operands, log):
    """Each event adds one row of its head's real-valued operand."""
    acs = operands["spikes"].by_head.sum(axis=0) * geometry.n_columns
    return np.stack([acs, np.zeros_like(acs)], axis=1)


def _split_product(handler, geometry, operands, log):
    """Each head handled again by itself, in the order that was taken for all heads together."""
    from evsim.audit.one_head import handle_head

    n_steps = operands["q"].n_steps
    inboxes = [{port: log.spikes(o.source, step) for port, o in operands.items()} for step in range(n_steps)]
    order = [handler.chosen_order(inbox) if all(map(len, inbox.values())) else None for inbox in inboxes]
    split = np.zeros((geometry.n_heads, 2), np.int64)
    for head in range(geometry.n_heads):
        for inbox, first in zip(inboxes, order, strict=True):
            if first is not None:
                counts = handle_head(geometry, {p: _of_head(s, geometry, head) for p, s in inbox.items()}, first)
                split[head] += (counts.acs, counts.masks)
    return split


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
