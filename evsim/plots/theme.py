"""Colours and sizes: safe for colour-blind readers, light or dark, fit for a paper column."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass

from evsim.plots.sizes import SMALLEST_FONT

__all__ = ["DARK", "LIGHT", "PALETTE", "THEMES", "Theme", "density_map", "drawn_with", "embedded_fonts", "polarity_map"]

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#999999")
"""Okabe and Ito's colours (2008), told apart with every common colour deficiency."""


@dataclass(frozen=True)
class Theme:
    """Ink and paper; `spike` is also the colour of ON events, `off` that of OFF events."""

    name: str
    paper: str
    ink: str
    faint: str
    spike: str
    off: str
    density: tuple[str, ...]


LIGHT = Theme(
    "light", "#ffffff", "#1a1a1a", "#c8c8c8", "#0072B2", "#D55E00", ("#ffffff", "#9cc9e3", "#0072B2", "#00263d")
)
DARK = Theme(
    "dark", "#14181c", "#e8e8e8", "#4a5058", "#56B4E9", "#E69F00", ("#14181c", "#0d4f78", "#56B4E9", "#f4fbff")
)
THEMES = {"light": LIGHT, "dark": DARK}


def density_map(theme: Theme):
    """From no spike (the paper) to a spike at every place; lightness alone tells them apart."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(f"evsim-{theme.name}", theme.density)


def polarity_map(theme: Theme):
    """From OFF events over none (the paper) to ON events."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(f"evsim-polarity-{theme.name}", (theme.off, theme.paper, theme.spike))


@contextmanager
def drawn_with(theme: Theme, font_size: float = 7.0):
    """Matplotlib settings for everything made inside."""
    import matplotlib as mpl

    small = max(SMALLEST_FONT, font_size - 1)
    settings = {
        "font.size": font_size,
        "axes.titlesize": font_size,
        "axes.labelsize": font_size,
        "xtick.labelsize": small,
        "ytick.labelsize": small,
        "legend.fontsize": small,
        "figure.facecolor": theme.paper,
        "axes.facecolor": theme.paper,
        "savefig.facecolor": theme.paper,
        "text.color": theme.ink,
        "axes.labelcolor": theme.ink,
        "axes.edgecolor": theme.ink,
        "xtick.color": theme.ink,
        "ytick.color": theme.ink,
        "axes.linewidth": 0.5,
        "xtick.major.width": 0.5,
        "ytick.major.width": 0.5,
        "text.parse_math": False,  # a dollar in a name is a dollar
    }
    with mpl.rc_context(settings | _EMBEDDED):
        yield


_EMBEDDED = {"pdf.fonttype": 42, "ps.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "evsim"}


@contextmanager
def embedded_fonts():
    """What ``savefig`` writes inside has TrueType fonts in a PDF, as journals ask, and text as text in an SVG."""
    import matplotlib as mpl

    with mpl.rc_context(_EMBEDDED):
        yield
