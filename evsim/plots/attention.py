"""plot_attention: which tokens and channels pass the gate of spike-driven attention."""

from __future__ import annotations

import numpy as np

from evsim.engine.network import INPUT
from evsim.errors import TraceError
from evsim.plots.color_bar import add_color_bar
from evsim.plots.events import event_image, input_values
from evsim.plots.room import keep_in_slot
from evsim.plots.theme import LIGHT, Theme
from evsim.traces.trace import Trace

__all__ = ["gate_passes", "plot_attention"]


def plot_attention(ax, trace: Trace, block: int = 0, head: int | None = None, step: int | None = None,
                   theme: Theme = LIGHT):  # fmt: skip
    """Tokens over the input: the more of their channels pass the gate, the larger the square.

    Below the picture, one column a channel, the darker the more steps its gate was open; the bar says how many.

    Parameters
    ----------
    ax : matplotlib Axes
    trace : Trace
        Of a Spike-driven Transformer.
    block : int
    head, step : int, optional
        All together when left out.
    theme : Theme

    Returns
    -------
    Axes
        Its attribute ``evsim_passes`` [rows, cols] is the number of query spikes that passed at each token.

    Raises
    ------
    TraceError
        The trace has no such block, head or step, or its attention has no gate.
    """
    passes, opened = gate_passes(trace, block, head, step)
    height, width = trace.layers[INPUT].shape[:2]
    event_image(ax, input_values(trace, step), theme, bar=False)
    rows, cols = np.nonzero(passes)
    share = passes[rows, cols] / max(1, passes.max(initial=0))
    tall, wide = height / passes.shape[0], width / passes.shape[1]
    _draw_squares(ax, cols, rows, np.sqrt(share), (tall, wide), theme)
    strip = height * 0.07
    extent = (-0.5, width - 0.5, height + 1.8 * strip, height + 0.8 * strip)
    n_steps = 1 if step is not None else trace.n_steps
    gates = ax.imshow(
        opened[None], aspect="auto", extent=extent, cmap=_gate_map(theme), vmin=0, vmax=n_steps, interpolation="nearest"
    )
    ax.set_xlim(-0.5, width - 0.5)
    ax.set_ylim(height + 1.8 * strip, -0.5)
    ax.set_aspect("equal")
    total = int(passes.sum())
    chosen = [f"{word} {value}" for word, value in (("head", head), ("step", step)) if value is not None]
    ax.set_title(f"{', '.join([f'block {block}', *chosen])}: {total:,} spikes pass", loc="left")
    ax.set_xlabel(
        f"{int((opened > 0).sum())} of {opened.size} gates opened\nat most {passes.max(initial=0)} passes a token"
    )
    add_color_bar(ax, gates, "steps with the gate open", sorted({0, n_steps}))
    ax.evsim_passes = passes
    keep_in_slot(ax)
    return ax


def gate_passes(
    trace: Trace, block: int, head: int | None = None, step: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Query spikes behind an open gate by token [rows, cols], and openings by channel [n_channels].

    Raises
    ------
    TraceError
        As `plot_attention`.
    """
    name = f"block.{block}.attn"
    queries, gates = trace.layers.get(f"{name}.q_lif"), trace.layers.get(f"{name}.talking_heads_lif")
    if queries is None or gates is None or queries.axes != "row,col,channel" or len(gates.shape) != 2:
        raise TraceError(f"the trace has no gate in block {block} (no {name}.talking_heads_lif and {name}.q_lif)")
    n_heads, inside = gates.shape
    for word, value, bound in (("head", head, n_heads), ("step", step, trace.n_steps)):
        if value is not None and not 0 <= value < bound:
            raise TraceError(f"{word} {value}: the trace has {word}s 0 to {bound - 1}")
    rows, cols, n_channels = queries.shape
    open_at = np.zeros((trace.n_steps, n_channels), bool)
    open_at[gates.step, gates.address] = True
    if head is not None:
        open_at[:, np.arange(n_channels) // inside != head] = False
    if step is not None:
        open_at[np.arange(trace.n_steps) != step] = False
    passed = open_at[queries.step, queries.address % n_channels]
    tokens = np.bincount(queries.address[passed] // n_channels, minlength=rows * cols)
    return tokens.reshape(rows, cols), open_at.sum(axis=0)


def _draw_squares(ax, cols, rows, sides, token: tuple[float, float], theme: Theme) -> None:
    from matplotlib.collections import PolyCollection

    tall, wide = token
    x, y = (cols + 0.5) * wide - 0.5, (rows + 0.5) * tall - 0.5
    a, b = 0.46 * wide * sides, 0.46 * tall * sides
    corners = np.stack([[x - a, y - b], [x + a, y - b], [x + a, y + b], [x - a, y + b]]).transpose(2, 0, 1)
    ax.add_collection(PolyCollection(corners, facecolor="#009E7355", edgecolor=theme.ink, linewidth=0.5))


def _gate_map(theme: Theme):
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("evsim-gate", (theme.faint, "#009E73", theme.ink))
