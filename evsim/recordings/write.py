"""write_events_hdf5: evsim's own file for events, readable by anything that reads HDF5."""

from __future__ import annotations

import numpy as np

from evsim.outputs import output_hdf5
from evsim.recordings.recording import EventRecording

__all__ = ["write_events_hdf5"]


def write_events_hdf5(path, recording: EventRecording, source: str = "", licence: str = "") -> None:
    """Write `events/{t, x, y, p}` and the attributes sensor_height, sensor_width, label, source, licence.

    The file appears under its name only when it is complete.

    Parameters
    ----------
    path : str or path
        Replaced if it exists.
    recording : EventRecording
        t is stored as int64 microseconds, x and y as uint16, p as uint8; each compressed without loss.
    source, licence : str
        Where the recording comes from and under what terms it may be passed on.
    """
    with output_hdf5(path) as file:
        _write_columns(file.create_group("events"), recording)
        _write_attributes(file, recording, source, licence)


def _write_columns(group, recording: EventRecording) -> None:
    types = {"t": np.int64, "x": np.uint16, "y": np.uint16, "p": np.uint8}
    for name, dtype in types.items():
        column = getattr(recording, name).astype(dtype)
        group.create_dataset(name, data=column, compression="gzip", compression_opts=9, shuffle=True)


def _write_attributes(file, recording: EventRecording, source: str, licence: str) -> None:
    file.attrs["sensor_height"], file.attrs["sensor_width"] = recording.sensor
    if recording.label is not None:
        file.attrs["label"] = int(recording.label)
    for name, text in (("source", source), ("licence", licence)):
        if text:
            file.attrs[name] = text
