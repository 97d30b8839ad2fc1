"""Room for words: names short enough for their picture, and axes that leave space for what stands beside them.

A layout engine of matplotlib moves axes so that no words overlap. Without one, ``plt.subplots(1, 2)`` has fixed gaps
that are too narrow for the names of layers; `keep_in_slot` then makes the axes smaller inside their own share.
"""

from __future__ import annotations

from collections.abc import Sequence

from evsim.plain_text import plain
from evsim.plots.sizes import SMALLEST_FONT, small_font

__all__ = ["in_lines", "inches_of", "keep_in_slot", "name_rows", "points_for_rows", "shortened", "slot_inches"]

_LETTER = 0.6
"""Mean width of a letter in units of the font size."""

_NAMES_SHARE = 0.42
"""Most of a slot's width that names may take."""


def shortened(name: str, most: int) -> str:
    """At most `most` letters; the end of a name tells more than its middle."""
    head = max(most // 3, min(len("block.0"), most // 2))
    return name if len(name) <= most else f"{name[:head]}\u2026{name[len(name) - most + head + 1 :]}"


def in_lines(text: str, n_letters: float) -> str:
    """In lines no longer than `n_letters`, as far as there are spaces."""
    import textwrap

    most = max(10, int(n_letters))
    return "\n".join("\n".join(textwrap.wrap(line, most, break_long_words=False)) for line in text.split("\n"))


def inches_of(ax) -> tuple[float, float]:
    """Width and height of `ax`."""
    box = ax.get_window_extent()
    return box.width / ax.figure.dpi, box.height / ax.figure.dpi


def points_for_rows(ax, n_lines_above: int = 0) -> float:
    """Points of height that rows can have, when a label of x and `n_lines_above` of small text have theirs."""
    from matplotlib import rcParams

    _give_back(ax)
    taken = 3.6 * rcParams["font.size"] + 1.4 * n_lines_above * small_font()
    return max(1.0, min(72 * inches_of(ax)[1], 72 * slot_inches(ax)[1] - taken))


def name_rows(ax, names: Sequence[str], limits: tuple[float, float] | None = None, n_lines_above: int = 0) -> None:
    """Names at the rows 0, 1, ... of `ax`, in a font that fits a row; where none does, at every second or third row.

    Parameters
    ----------
    ax : matplotlib Axes
    names : sequence of str
    limits : tuple of float, optional
        Of the y axis, bottom first.
    n_lines_above : int
        Lines of small text, of a legend for one, that will stand above.
    """
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties

    names = [plain(name) for name in names]
    points = points_for_rows(ax, n_lines_above) / max(1, len(names))
    usual = FontProperties(size=rcParams["ytick.labelsize"]).get_size_in_points()
    size = max(SMALLEST_FONT, min(usual, 0.9 * points))
    every = max(1, -(-int(size) // max(1, int(points + 0.5))))
    most = max(8, int(_NAMES_SHARE * 72 * slot_inches(ax)[0] / (_LETTER * size)))
    shown = range(0, len(names), every)
    has_two_lines = points > 2.6 * size
    words = [in_lines(names[row], most) if has_two_lines and " " in names[row] else names[row] for row in shown]
    words = ["\n".join(shortened(line, most) for line in name.split("\n")) for name in words]
    ax.set_yticks(list(shown), words, fontsize=size)
    if limits is not None:
        ax.set_ylim(*limits)


def keep_in_slot(ax) -> None:
    """Make `ax` smaller until its words lie within its share of the figure: its cell and half of each gap around.

    Does nothing where a layout engine is at work, or for axes whose place was given in numbers.
    """
    cell = _cell_of(ax)
    if cell is None or ax.figure.get_layout_engine() is not None:
        return
    ax.set_subplotspec(cell)
    words, figure = ax.get_tightbbox(), ax.figure.bbox
    if words is None:
        return
    words = words.transformed(ax.figure.transFigure.inverted())
    own = cell.get_position(ax.figure)
    left, right, bottom, top = _share(cell, ax.figure)
    pad_x, pad_y = (3 / 72 * ax.figure.dpi / side for side in (figure.width, figure.height))
    before, after = _margins(own.x0, own.x1, left + own.x0 - words.x0 + pad_x, right - (words.x1 - own.x1) - pad_x)
    below, above = _margins(own.y0, own.y1, bottom + own.y0 - words.y0 + pad_y, top - (words.y1 - own.y1) - pad_y)
    if max(before, after, below, above) <= 0:
        return
    wide, tall = own.width - before - after, own.height - below - above
    inner = cell.subgridspec(
        3, 3, wspace=0, hspace=0, width_ratios=(before, wide, after), height_ratios=(above, tall, below)
    )
    ax.evsim_cell = cell
    ax.set_subplotspec(inner[1, 1])


def _give_back(ax) -> None:
    """Undo what an earlier picture in the same Axes took from their cell."""
    if hasattr(ax, "evsim_cell"):
        ax.set_subplotspec(ax.evsim_cell)


def _cell_of(ax):
    return getattr(ax, "evsim_cell", None) or ax.get_subplotspec()


def slot_inches(ax) -> tuple[float, float]:
    """Width and height of the share of the figure that belongs to `ax`."""
    cell = _cell_of(ax)
    if cell is None:
        width, height = inches_of(ax)
        return 1.3 * width, 1.3 * height
    left, right, bottom, top = _share(cell, ax.figure)
    width, height = ax.figure.bbox.size / ax.figure.dpi
    return (right - left) * width, (top - bottom) * height


def _share(cell, figure) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of a cell with half of the gaps around it, in parts of the figure."""
    from matplotlib.gridspec import GridSpec

    grid = cell.get_gridspec()
    bottoms, tops, lefts, rights = grid.get_grid_positions(figure)
    rows, cols = cell.rowspan, cell.colspan
    is_whole = isinstance(grid, GridSpec)  # else the grid lies in a cell of another
    outer = (0.0, 1.0, 0.0, 1.0) if is_whole else (lefts[0], rights[-1], bottoms[-1], tops[0])
    left = outer[0] if cols.start == 0 else (rights[cols.start - 1] + lefts[cols.start]) / 2
    right = outer[1] if cols.stop == len(lefts) else (rights[cols.stop - 1] + lefts[cols.stop]) / 2
    bottom = outer[2] if rows.stop == len(tops) else (bottoms[rows.stop - 1] + tops[rows.stop]) / 2
    top = outer[3] if rows.start == 0 else (bottoms[rows.start - 1] + tops[rows.start]) / 2
    return left, right, bottom, top


def _margins(low: float, high: float, lowest: float, highest: float) -> tuple[float, float]:
    """What to leave free at both ends of [low, high]; at least a quarter of it stays."""
    before, after = max(0.0, lowest - low), max(0.0, high - highest)
    most = 0.75 * (high - low)
    shrink = min(1.0, most / (before + after)) if before + after else 1.0
    return before * shrink, after * shrink
