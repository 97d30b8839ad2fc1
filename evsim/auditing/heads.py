"""The literal counts of an attention handler, head by head; they add up to the ledger's or are not given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evsim.auditing.source_log import Operand, SourceLog
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes

__all__ = ["count_pairs", "split_heads"]


def split_heads(
    handler, operands: Mapping[str, Operand], steps: tuple[OpCounts, ...], log: SourceLog
) -> tuple[OpCounts, ...] | None:
    """Additions and masks of each head over all steps, or None where the handler has no heads.

    Heads do not share a place, so an event belongs to one head and so does what it causes. A split that does not
    add up to the ledger is withheld: a number in the report is never a guess.
    """
    if not hasattr(handler, "split_by_head"):
        return None
    split = handler.split_by_head(_Told(steps, operands, log))
    heads = tuple(OpCounts(acs=int(a), event_acs=int(a), masks=int(m)) for a, m in split)
    found = sum(heads, start=OpCounts())
    literal = sum(steps, start=OpCounts())
    return heads if (found.acs, found.masks) == (literal.acs, literal.masks) else None


def count_pairs(
    handler, operands: Mapping[str, Operand], steps: tuple[OpCounts, ...], log: SourceLog
) -> dict[str, int]:
    """Coincidences of the operands of a handler that multiplies two of them first, by the pair's name."""
    return handler.pairs(_Told(steps, operands, log)) if hasattr(handler, "pairs") else {}


@dataclass(frozen=True)
class _Told:
    """See `evsim.handlers.geometry.Told`."""

    steps: tuple[OpCounts, ...]
    operands: Mapping[str, Operand]
    log: SourceLog

    def events(self, port: str) -> np.ndarray:
        return self.operands[port].events

    def by_head(self, port: str) -> np.ndarray:
        return self.operands[port].by_head

    def spikes(self, port: str, step: int) -> Spikes:
        return self.log.spikes(self.operands[port].source, step)
