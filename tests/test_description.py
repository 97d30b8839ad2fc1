"""What `evsim info` says of a recording is counted, not guessed."""

import numpy as np

from evsim.recordings import EventRecording, FrameRecording, ImageRecording, describe


def test_events():
    n = 1000
    t, x, y = np.arange(n) * 1000, np.arange(n) % 40, np.arange(n) // 40 % 20
    p = (np.arange(n) % 4 == 0).astype(np.int8)
    lines = describe(EventRecording(t, x, y, p, (30, 50), "made", 4, ("by hand",)))
    assert lines == [
        "recording: made",
        "sensor 30 rows x 50 columns",
        "1,000 events in 0.999 s, 1,001 a second, from 0 to 999000 us",
        "polarity: 25.0 % on",
        "pixels: 800 of 1,500 sent events (53.3 %)",
        "label 4",
        "note: by hand",
    ]


def test_hot_pixels():
    x = np.concatenate([np.arange(500) % 50, np.full(100, 7)])
    y = np.concatenate([np.arange(500) // 50, np.full(100, 3)])
    lines = describe(EventRecording(np.arange(600), x, y, np.zeros(600, np.int8), (30, 50), "made"))
    assert lines[-1] == "hot pixels: 1 with 16.8 % of the events; the worst is at row 3, column 7 with 101"


def test_frames_images_and_nothing():
    lines = describe(FrameRecording(np.eye(4, dtype=np.float32).reshape(1, 1, 4, 4), "made"))
    assert lines[1:] == [
        "frames (steps, channels, height, width): 1x1x4x4",
        "values: whole numbers from 0 to 1, 25.0 % not zero",
    ]
    lines = describe(ImageRecording(np.full((3, 2, 2), 0.5, np.float32), "made", label=0))
    assert lines[-2:] == ["values: real numbers from 0.5 to 0.5, 100.0 % not zero", "label 0"]
    none = np.empty(0, np.int64)
    assert describe(EventRecording(none, none, none, none, (3, 4), "made"))[-1] == "no events"
