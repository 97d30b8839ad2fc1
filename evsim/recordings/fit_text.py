"""Fit as a word that a command line and a weights file can carry."""

from __future__ import annotations

from evsim.errors import RecordingError
from evsim.recordings.fit import Fit

__all__ = ["parse_fit"]


def parse_fit(text: str | None) -> Fit | None:
    """``crop``, ``pad``, ``downsample=2`` or ``average=2`` as a `Fit`; None stays None."""
    if text is None:
        return None
    word, _, number = text.partition("=")
    known = {
        "crop": lambda: Fit(crop="centre"),
        "pad": lambda: Fit(pad=True),
        "downsample": lambda: Fit(downsample=int(number)),
        "average": lambda: Fit(downsample=int(number), average=True),
    }
    if word not in known or bool(number) != (word in ("downsample", "average")) or (number and not number.isdigit()):
        raise RecordingError(f"fit {text!r}: expected crop, pad, downsample=N or average=N")
    return known[word]()
