"""describe: a recording in a few lines for a person who asks whether it is the right one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from evsim.recordings.recording import EventRecording, FrameRecording, ImageRecording, Recording

__all__ = ["describe"]

# A pixel is called hot when it sends more than this share of all events and this many times its fair share.
HOT_SHARE, HOT_TIMES = 0.005, 50


def describe(recording: Recording) -> list[str]:
    """What was found, one fact a line: layout, size, duration, rate, polarity, hot pixels, label, notes."""
    kinds = {EventRecording: _events, FrameRecording: _frames, ImageRecording: _image}
    lines = [f"recording: {recording.layout}", *kinds[type(recording)](recording)]
    if recording.label is not None:
        lines.append(f"label {recording.label}")
    return lines + [f"note: {note}" for note in recording.notes]


def _events(recording: EventRecording) -> Iterator[str]:
    height, width = recording.sensor
    yield f"sensor {height} rows x {width} columns"
    n = recording.t.size
    if not n:
        yield "no events"
        return
    first, last = int(recording.t[0]), int(recording.t[-1])
    seconds = (last - first) / 1e6
    rate = f", {n / seconds:,.0f} a second" if seconds else ""
    yield f"{n:,} events in {seconds:.6g} s{rate}, from {first} to {last} us"
    yield f"polarity: {100 * np.count_nonzero(recording.p) / n:.1f} % on"
    pixels, counts = np.unique(recording.y.astype(np.int64) * width + recording.x, return_counts=True)
    share = 100 * pixels.size / (height * width)
    yield f"pixels: {pixels.size:,} of {height * width:,} sent events ({share:.1f} %)"
    yield from _hot(pixels, counts, n, width)


def _hot(pixels: np.ndarray, counts: np.ndarray, n: int, width: int) -> Iterator[str]:
    """Pixels that send far more than the others: stuck ones, which a network was not trained on."""
    fair = n / max(1, pixels.size)
    hot = np.flatnonzero(counts > max(HOT_SHARE * n, HOT_TIMES * fair))
    if hot.size:
        most = int(counts[hot].max())
        worst = int(pixels[hot[np.argmax(counts[hot])]])
        yield (
            f"hot pixels: {hot.size} with {100 * counts[hot].sum() / n:.1f} % of the events; the worst is at row "
            f"{worst // width}, column {worst % width} with {most:,}"
        )


def _frames(recording: FrameRecording) -> Iterator[str]:
    frames = recording.frames
    yield "frames (steps, channels, height, width): " + "x".join(map(str, frames.shape))
    yield from _values(frames)


def _image(recording: ImageRecording) -> Iterator[str]:
    yield "image (channels, height, width): " + "x".join(map(str, recording.image.shape))
    yield from _values(recording.image)


def _values(values: np.ndarray) -> Iterator[str]:
    kind = "whole numbers" if np.array_equal(values, np.rint(values)) else "real numbers"
    nonzero = 100 * np.count_nonzero(values) / values.size
    yield f"values: {kind} from {values.min():g} to {values.max():g}, {nonzero:.1f} % not zero"
