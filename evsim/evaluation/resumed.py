"""check_resumed: what a journal says must still be true of the dataset and the network."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import lru_cache

from evsim.engine.ledger import COUNTS
from evsim.evaluation.dataset import Item
from evsim.evaluation.journal import Journal
from evsim.evaluation.outcome import TOP, Outcome

__all__ = ["check_resumed", "content_of"]


def check_resumed(journal: Journal, items: Sequence[Item], n_classes: int) -> None:
    """Refuse a journal with a line that this dataset and network cannot have made.

    Every file named by the journal is read once more: its content must be what it was.

    Raises
    ------
    EvsimError
        An unknown recording, a label other than the dataset's, classes the network does not have, counts that are no
        counts, or a file that was changed since. The line is named.
    """
    known = {item.id: item for item in items}
    for outcome in journal.outcomes.values():
        item = known.get(outcome.id)
        if item is None:
            raise journal.refusal(outcome.id, f"is of recording {outcome.id!r}, which this run does not have")
        if outcome.label != item.label:
            raise journal.refusal(outcome.id, f"has the label {outcome.label}, the dataset {item.label}")
        if not _is_possible(outcome, n_classes):
            raise journal.refusal(outcome.id, f"has classes or counts that no network of {n_classes} classes gives")
        if outcome.content != content_of(item.path):
            raise journal.refusal(outcome.id, f"is of another content than {item.path} has now")


def content_of(path: str) -> str | None:
    """SHA-256 of a file; None where it cannot be read. A file that did not change is read once."""
    try:
        state = os.stat(path)
        return _sha256(path, state.st_size, state.st_mtime_ns, state.st_ino)
    except OSError:
        return None


@lru_cache(maxsize=64)
def _sha256(path: str, *state: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_possible(outcome: Outcome, n_classes: int) -> bool:
    if not _is_number(outcome.seconds) or not isinstance(outcome.error, (str, type(None))):
        return False
    if outcome.error is not None:
        return not outcome.counts
    in_range = all(0 <= place < n_classes for place in outcome.top)
    whole = len(set(outcome.top)) == len(outcome.top) == min(TOP, n_classes)
    counted = set(outcome.counts) == set(COUNTS) and all(type(n) is int and n >= 0 for n in outcome.counts.values())
    return in_range and whole and counted


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value < float("inf")
