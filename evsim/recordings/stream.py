"""iter_events: a recording of any length in pieces, so that memory holds one piece and not the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.check import EventCheck, RawEvents
from evsim.recordings.clock import MAX_TIME
from evsim.recordings.decoding import Columns, Decoder, decode_stream, describe, join
from evsim.recordings.options import ReadOptions
from evsim.recordings.places import guess_sensor
from evsim.recordings.read import find_reader, read_recording, reader_name, refuse_index, refused, split_index
from evsim.recordings.recording import EventRecording

__all__ = ["iter_events"]

CHUNK_EVENTS = 2**20


def iter_events(
    path,
    chunk_events: int = CHUNK_EVENTS,
    layout: str | None = None,
    sensor: tuple[int, int] | None = None,
    index: int | str | None = None,
    unit: str | None = None,
    drop_outside: bool = False,
) -> Iterator[EventRecording]:
    """The events of a file in order of time, `chunk_events` at a time (the last piece is shorter).

    Put together, the pieces equal ``read_recording(path)``; notes are those known when a piece is yielded. Raw binary
    formats, text, and HDF5 with a column or a table of events are read as they are needed; other files are read whole
    and then cut. Where a file does not say its sensor's size, it is read twice.

    Events out of order are put in order if they are less than a piece away from their place.

    Raises
    ------
    RecordingError
        As `read_recording`; also when events are further out of order than that.
    """
    if chunk_events < 1:
        raise RecordingError(f"chunk_events is {chunk_events}; expected at least 1")
    path, suffix_index = split_index(path)
    index = suffix_index if index is None else index
    options = ReadOptions(layout, sensor, index, unit, drop_outside=drop_outside)
    reader = find_reader(path, layout)
    with refused(path):
        pieces = _pieces(path, reader, options, chunk_events)
        if pieces is None:
            yield from _cut(_whole(path, options), chunk_events)
            return
        known = options
        if options.sensor is None:
            known = replace(options, sensor=_sensor(path, pieces, drop_outside))
            pieces = _pieces(path, reader, options, chunk_events)
        checked = EventCheck(path, known, reader_name(reader))
        yield from _in_order(path, (checked.piece(piece) for piece in pieces))
        checked.finish()


def _pieces(path: Path, reader, options: ReadOptions, n: int) -> Iterator[RawEvents] | None:
    """The events as the reader gives them, n at a time; None where it can only give them all."""
    if hasattr(reader, "Decoder"):
        refuse_index(path, reader, options)
        return _decoded(path, reader.Decoder(path, options), n)
    return reader.pieces(path, options, n) if hasattr(reader, "pieces") else None


def _decoded(path: Path, decoder: Decoder, n: int) -> Iterator[RawEvents]:
    with open(path, "rb") as stream:
        for columns in _exact(decode_stream(stream, decoder), n):
            yield describe(decoder, columns)


def _whole(path: Path, options: ReadOptions) -> EventRecording:
    recording = read_recording(path, **vars(options))
    if not isinstance(recording, EventRecording):
        raise RecordingError(f"{path}: holds no events ({recording.layout})")
    return recording


def _cut(recording: EventRecording, chunk_events: int) -> Iterator[EventRecording]:
    for at in range(0, recording.t.size, chunk_events):
        yield _part(recording, slice(at, at + chunk_events))


def _part(recording: EventRecording, part: slice) -> EventRecording:
    return replace(recording, **{name: getattr(recording, name)[part] for name in "txyp"})


def _sensor(path: Path, pieces: Iterator[RawEvents], drop_outside: bool) -> tuple[int, int]:
    """What the file says, or what its furthest event needs."""
    row = col = -1
    for piece in pieces:
        if piece.sensor is not None:
            return piece.sensor
        if drop_outside:
            raise RecordingError(
                f"{path}: --drop-outside needs the size of the sensor, which the file does not say; say --sensor "
                "HEIGHTxWIDTH too"
            )
        row, col = max(row, int(piece.y.max())), max(col, int(piece.x.max()))
    if row < 0:
        raise RecordingError(f"{path}: holds no events")
    return guess_sensor(path, (row, col))


def _exact(pieces: Iterator[Columns], n: int) -> Iterator[Columns]:
    """The same events in pieces of n."""
    held: list[Columns] = []
    size = 0
    for columns in pieces:
        held.append(columns)
        size += columns.t.size
        while size >= n:
            whole = join(held)
            yield Columns(*(column[:n] for column in whole))
            held = [Columns(*(column[n:] for column in whole))]
            size -= n
    if size:
        yield join(held)


def _in_order(path: Path, pieces: Iterator[EventRecording]) -> Iterator[EventRecording]:
    """Pieces whose times overlap, put in order; one piece is held back to see whether the next reaches into it."""
    held = next(pieces, None)
    if held is None:
        raise RecordingError(f"{path}: holds no events")
    done = -MAX_TIME
    for piece in pieces:
        held, following = _swap_late(held, piece)
        yield _after(path, held, done)
        held, done = following, held.t[-1]
    yield _after(path, held, done)


def _after(path: Path, piece: EventRecording, done: int) -> EventRecording:
    if piece.t[0] < done:
        raise RecordingError(
            f"{path}: events are out of order by more than a piece; read it whole, or in larger pieces"
        )
    return piece


def _swap_late(first: EventRecording, second: EventRecording) -> tuple[EventRecording, EventRecording]:
    """Two pieces of the same sizes whose events are in order across them."""
    if second.t[0] >= first.t[-1]:
        return first, second
    order = np.argsort(np.concatenate([first.t, second.t]), kind="stable")
    n = first.t.size
    both = {name: np.concatenate([getattr(first, name), getattr(second, name)])[order] for name in "txyp"}
    notes = (*second.notes, "events that ran backwards across pieces were put in order")
    sorted_ = replace(second, **both, notes=notes)
    return _part(sorted_, slice(0, n)), _part(sorted_, slice(n, None))
