"""Figures as images inside the page, each with words for those who do not see it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from io import BytesIO

from evsim.plots.theme import LIGHT, drawn_with
from evsim.reports.element import Markup, element

__all__ = ["picture", "zoomable"]

_DPI = 200
_N_COLOURS = 128
_PHONE_INCHES = 4
"""Wider pictures scroll on a phone, so that their words stay large enough to read."""


def picture(width: float, height: float, draw: Callable, alt: str, caption: str = "") -> Markup:
    """A figure of one Axes that `draw` fills; sizes in inches."""
    from matplotlib.figure import Figure

    with drawn_with(LIGHT, 8):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.add_subplot())
        image = _image(figure, alt)
    if width > _PHONE_INCHES:
        image = element("div", image, class_="wide", tabindex="0", role="region", aria_label=caption or "chart")
    return element("figure", image, *([element("figcaption", caption)] if caption else []))


def zoomable(figure, alt: str, name: str) -> Markup:
    """A finished figure in a frame that scrolls, with buttons that widen the image."""
    with drawn_with(LIGHT):
        image = _image(figure, alt)
    buttons = [
        element("button", sign, type="button", data_zoom=step, aria_label=f"zoom {word}, {name}")
        for sign, step, word in (("+", "1", "in"), ("\u2212", "-1", "out"))
    ]
    frame = element("div", image, class_="frame", tabindex="0", role="region", aria_label=f"raster of {name}")
    return element("figure", frame, element("p", *buttons, class_="zoom"), class_="raster")


def _image(figure, alt: str) -> Markup:
    """As a PNG of few colours, a third of the bytes."""
    from PIL import Image

    drawn, small = BytesIO(), BytesIO()
    figure.savefig(drawn, format="png", dpi=_DPI)
    pixels = Image.open(drawn).convert("RGB")
    pixels.quantize(_N_COLOURS).save(small, format="png", optimize=True)
    width, height = pixels.size
    data = base64.b64encode(small.getvalue()).decode("ascii")
    return element("img", src=f"data:image/png;base64,{data}", alt=alt, width=width // 2, height=height // 2)
