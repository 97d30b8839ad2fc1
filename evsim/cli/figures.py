"""What the picture-making verbs share."""

from __future__ import annotations

import io
import os
import re

from evsim.api.load import load
from evsim.errors import EvsimError
from evsim.outputs import output_file
from evsim.plots.theme import THEMES, Theme, embedded_fonts
from evsim.runs.preparation import Preparation
from evsim.traces.trace import Trace, read_trace

__all__ = ["parse_theme", "parse_width", "trace_of", "write_figure"]

_INCHES = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / 72}
_FORMATS = ("pdf", "svg", "png")
_MOST_PIXELS = 40_000_000
"""Drawing takes 20 bytes a pixel."""


def parse_width(text: str) -> float:
    """``3.5in``, ``89mm``, ``9cm`` or ``252pt`` in inches.

    Raises
    ------
    EvsimError
        Not a length between 1 and 60 inches.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(in|cm|mm|pt)?", text.strip())
    inches = float(match[1]) * _INCHES[match[2] or "in"] if match else 0.0
    if not 1 <= inches <= 60:
        raise EvsimError(f"--width {text}: expected a length like 3.5in or 89mm, from 1 to 60 inches")
    return inches


def parse_theme(name: str) -> Theme:
    """A theme by its name."""
    if name not in THEMES:
        raise EvsimError(f"--theme {name}: expected {' or '.join(THEMES)}")
    return THEMES[name]


def trace_of(trace_path: str | None, weights: str, recording: str | None, preparation: Preparation) -> Trace:
    """A trace from its file, or of a run made now."""
    if trace_path is not None:
        return read_trace(trace_path)
    return load(weights).run(recording, preparation=preparation).trace


def write_figure(figure, path: str, dpi: int) -> None:
    """Write a figure.

    Raises
    ------
    EvsimError
        An unknown format, a bitmap too large to draw, or the file cannot be written.
    """
    suffix = os.path.splitext(path)[1].lstrip(".").lower()
    if suffix not in _FORMATS:
        raise EvsimError(f"{path}: pictures are written as {', '.join(_FORMATS)}, not {suffix or 'without a suffix'}")
    if suffix == "png":
        _check_pixels(path, figure, dpi)
    drawn = io.BytesIO()  # matplotlib closes what it could not write with an error of its own
    with embedded_fonts():
        figure.savefig(drawn, format=suffix, dpi=dpi, metadata=_plain(suffix))
    with output_file(path) as file:
        file.write(drawn.getbuffer())


def _check_pixels(path: str, figure, dpi: int) -> None:
    width, height = (round(float(inches) * dpi) for inches in figure.get_size_inches())
    if width * height > _MOST_PIXELS:
        raise EvsimError(
            f"{path}: {width:,} x {height:,} pixels, at most {_MOST_PIXELS:,} are drawn; take a smaller --width or "
            "--dpi, fewer layers (--layer), or a .pdf"
        )


def _plain(suffix: str) -> dict:
    """No dates in the file, so that the same run gives the same bytes."""
    return {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}[suffix]
