"""Sizes of pictures as print and projectors have them: a width, and a font that is read at that width."""

from __future__ import annotations

from dataclasses import dataclass

from evsim.errors import EvsimError

__all__ = ["SIZES", "SMALLEST_FONT", "Size", "find_size", "small_font"]

SMALLEST_FONT = 6.0
"""Points. Journals ask for no less at print size."""


@dataclass(frozen=True)
class Size:
    """Width in inches and font in points of a picture that is set without scaling."""

    name: str
    width: float
    font: float

    @property
    def scale(self) -> float:
        """How much larger than in a column of print everything is drawn."""
        return self.font / _PRINT_FONT


_PRINT_FONT = 7.0

SIZES = {
    "column": Size("column", 3.25, _PRINT_FONT),
    "text": Size("text", 6.75, _PRINT_FONT),
    "slide": Size("slide", 10.0, 12.0),
}
"""A column and the text width of a two-column article; a slide of 10 inches."""


def find_size(name: str) -> Size:
    """A size by its name.

    Raises
    ------
    EvsimError
        No such size.
    """
    if name not in SIZES:
        raise EvsimError(f"--size {name}: expected {', '.join(SIZES)}")
    return SIZES[name]


def small_font() -> float:
    """Points for what stands beside the data: a sixth less than the text around, and never below `SMALLEST_FONT`."""
    from matplotlib import rcParams

    return max(SMALLEST_FONT, 0.83 * rcParams["font.size"])
