"""plot_events: the recording itself."""

from __future__ import annotations

import math

import numpy as np

from evsim.engine.network import INPUT
from evsim.errors import RecordingError
from evsim.plots.color_bar import add_color_bar
from evsim.plots.room import keep_in_slot
from evsim.plots.theme import LIGHT, Theme, polarity_map
from evsim.recordings.recording import EventRecording, FrameRecording, Recording
from evsim.traces.trace import Trace

__all__ = ["event_image", "input_values", "plot_events"]

_BINS = 200


def plot_events(ax, recording: Recording, over: str = "space", theme: Theme = LIGHT):
    """ON and OFF events where they fell, or how many a second.

    Parameters
    ----------
    ax : matplotlib Axes
    recording : Recording
        A still image is drawn as it is, whatever `over` says.
    over : {"space", "time"}
        Space: a pixel's colour is the polarity it saw more often. Time: ON upwards, OFF downwards.
    theme : Theme

    Returns
    -------
    Axes

    Raises
    ------
    RecordingError
        `over` is neither of the two.
    """
    if over not in ("space", "time"):
        raise RecordingError(f"over is {over!r}; expected 'space' or 'time'")
    if isinstance(recording, EventRecording) and over == "time":
        return _draw_rates(ax, recording, theme)
    if isinstance(recording, EventRecording):
        counts = event_counts(recording)
    elif isinstance(recording, FrameRecording):
        counts = recording.frames.sum(axis=0) if over == "space" else recording.frames
    else:
        counts = recording.image
    if over == "time" and isinstance(recording, FrameRecording):
        return _draw_steps(ax, counts, theme)
    return event_image(ax, np.moveaxis(counts, 0, -1), theme)


def event_counts(recording: EventRecording) -> np.ndarray:
    """Events [2, height, width]: OFF, ON."""
    height, width = recording.sensor
    place = (recording.p.astype(np.int64) * height + recording.y) * width + recording.x
    return np.bincount(place, minlength=2 * height * width).reshape(2, height, width)


def event_image(ax, values: np.ndarray, theme: Theme = LIGHT, bar: bool = True):
    """[height, width, channels]: two channels as OFF and ON, three as a picture, any other by their sum.

    With `bar`, a colour bar, but for a picture of three colours.
    """
    image, label, extend = None, "value, sum of channels", "neither"
    if values.shape[-1] == 2:
        net = np.asarray(values[..., 1], float) - values[..., 0]
        top = np.percentile(np.abs(net[net != 0]), 95) if net.any() else 1.0  # one hot pixel must not dim all others
        image = ax.imshow(net, cmap=polarity_map(theme), vmin=-top, vmax=top, interpolation="nearest")
        label, extend = "ON less OFF events a pixel", "both" if top < np.abs(net).max() else "neither"
    elif values.shape[-1] == 3:
        low, high = float(values.min()), float(values.max())
        ax.imshow((values - low) / ((high - low) or 1.0), interpolation="nearest")
    else:
        image = ax.imshow(values.sum(axis=-1), cmap="gray", interpolation="nearest")
        label = "value" if values.shape[-1] == 1 else label
    ax.set(xticks=[], yticks=[])
    if bar and image is not None:
        add_color_bar(ax, image, label, extend=extend)
        keep_in_slot(ax)
    return ax


def input_values(trace: Trace, step: int | None = None) -> np.ndarray:
    """What the network of a trace was given, [height, width, channels]: the sum over steps, or one step."""
    data = trace.layers[INPUT]
    chosen = slice(None) if step is None else data.step == step
    payload = None if data.payload is None else data.payload[chosen].astype(float)
    return np.bincount(data.address[chosen], payload, minlength=math.prod(data.shape)).reshape(data.shape)


def _draw_rates(ax, recording: EventRecording, theme: Theme):
    first, last = (int(recording.t[0]), int(recording.t[-1])) if recording.t.size else (0, 0)
    edges = np.linspace(first, max(last, first + 1), _BINS + 1)
    seconds = (edges[1] - edges[0]) / 1e6
    for polarity, sign, colour, word in ((1, 1, theme.spike, "on"), (0, -1, theme.off, "off")):
        counts, _ = np.histogram(recording.t[recording.p == polarity], edges)
        ax.fill_between((edges[:-1] - first) / 1e3, sign * counts / seconds, step="post", color=colour, label=word)
    _finish_rates(ax, "time, ms", "events a second", theme)
    return ax


def _draw_steps(ax, frames: np.ndarray, theme: Theme):
    """Frames have no clock: one bar a step."""
    totals = frames.sum(axis=(2, 3))
    signs = [(1, 1, theme.spike, "on"), (0, -1, theme.off, "off")] if frames.shape[1] == 2 else []
    for channel, sign, colour, word in signs or [(slice(None), 1, theme.spike, "all")]:
        heights = totals[:, channel] if signs else totals.sum(axis=1)
        ax.bar(range(len(frames)), sign * heights, width=0.84, color=colour, label=word)
    _finish_rates(ax, "step", "events a step", theme)
    return ax


def _finish_rates(ax, x: str, y: str, theme: Theme) -> None:
    from matplotlib.ticker import FuncFormatter

    ax.axhline(0, color=theme.ink, linewidth=0.5)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):,.0f}"))
    ax.set(xlabel=x, ylabel=y)
    ax.legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    keep_in_slot(ax)
