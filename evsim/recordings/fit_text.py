"""Fit as text that a command line and a weights file can carry."""

from __future__ import annotations

import re
from collections.abc import Callable

from evsim.errors import RecordingError
from evsim.recordings.fit import CHANNELS, Fit

__all__ = ["parse_fit"]

EXPECTED = "crop, crop=TOP:LEFT, pad, resize, resize=HxW, downsample=N, average=N, on_off_sum, or several with commas"


def parse_fit(text: str | None) -> Fit | None:
    """``crop``, ``pad``, ``downsample=2``, ``average=2``, ``resize``, ``on_off_sum`` or a list of them as a `Fit`.

    None stays None, and ``none`` is a fit that changes nothing. The order in the text does not matter: `Fit` says in
    which order things are done. ``str`` of the result is the text again, in that order.

    Raises
    ------
    RecordingError
        When the text is anything else, says something twice, or asks for what cannot be.
    """
    if text is None:
        return None
    if text == "none":
        return Fit()
    asked: dict[str, object] = {}
    for word in text.split(","):
        meaning = _meaning(word.strip())
        if meaning is None:
            raise RecordingError(f"fit {text!r}: expected {EXPECTED}")
        if asked.keys() & meaning.keys():
            raise RecordingError(f"fit {text!r}: {word.strip()!r} contradicts or repeats an earlier word")
        asked |= meaning
    try:
        return Fit(**asked)
    except RecordingError as error:
        raise RecordingError(f"fit {text!r}: {error}") from None


# Each pattern's numbers become the arguments of its meaning.
_WORDS: dict[str, Callable[..., dict[str, object]]] = {
    r"crop": lambda: {"crop": "centre"},
    r"crop=(\d{1,5}):(\d{1,5})": lambda top, left: {"crop": (top, left)},
    r"pad": lambda: {"pad": True},
    r"resize": lambda: {"resize": "network"},
    r"resize=(\d{1,5})x(\d{1,5})": lambda height, width: {"resize": (height, width)},
    r"downsample=(\d{1,5})": lambda factor: {"downsample": factor},
    r"average=(\d{1,5})": lambda factor: {"downsample": factor, "average": True},
}


def _meaning(word: str) -> dict[str, object] | None:
    if word in CHANNELS:
        return {"channels": word}
    for pattern, meaning in _WORDS.items():
        found = re.fullmatch(pattern, word, re.ASCII)
        if found:
            return meaning(*(int(number) for number in found.groups()))
    return None
