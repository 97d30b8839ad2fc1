"""How wide a text is in print, near enough to choose columns: Computer Modern, letter by letter."""

from __future__ import annotations

import re

__all__ = ["DIGIT", "best_lines", "longest_part", "text_width"]

DIGIT = 0.531
"""Width of a digit in units of the font size, at 8 points."""

_NARROW = set("iIl.,:;'|!()[]/ ")
_LEAN = set("fjrt-")
_WIDE = set("mwMW%@")


def text_width(text: str) -> float:
    """Width in units of the font size."""
    return 1.06 * sum(map(_letter, text))


def longest_part(name: str) -> float:
    """Width of the longest part of a name that is not broken."""
    return max(map(text_width, re.split(r"(?<=[\s._/:-])", name)))


def best_lines(heading: str, room: float = 0.0) -> list[str]:
    """A heading in as few lines as are no wider than `room`, at most three; else as narrow as three make it."""
    words = heading.split()
    found = [[heading]]
    for first in range(1, len(words)):
        rest = words[first:]
        found.append([" ".join(words[:first]), " ".join(rest)])
        found += [[" ".join(words[:first]), " ".join(rest[:n]), " ".join(rest[n:])] for n in range(1, len(rest))]
    return min(found, key=lambda lines: (max(room, round(max(map(text_width, lines)), 1)), len(lines)))


def _letter(letter: str) -> float:
    if letter in _NARROW:
        return 0.31
    if letter in _LEAN:
        return 0.39
    if letter in _WIDE:
        return 0.88
    return 0.74 if letter.isupper() else 0.51
