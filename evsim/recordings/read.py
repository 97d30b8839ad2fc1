"""read_recording: find out what a file is by looking into it, read it, check it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from evsim.errors import EvsimError, RecordingError
from evsim.recordings.check import check
from evsim.recordings.column_order import is_order
from evsim.recordings.decoding import Decoder, read_decoded
from evsim.recordings.discover import formats_of, one_line, only_one
from evsim.recordings.entries import APPLE_DOUBLE, require_file
from evsim.recordings.options import ReadOptions
from evsim.recordings.recording import Recording

__all__ = [
    "check_layout",
    "find_decoder",
    "find_reader",
    "read_recording",
    "reader_name",
    "refuse_index",
    "refused",
    "split_index",
]

HEAD_BYTES = 4096


def read_recording(
    path: str | os.PathLike, layout: str | None = None, index: int | str | None = None, **known
) -> Recording:
    """Read one recording; `.layout` says what was found, `.notes` what had to be assumed.

    Parameters
    ----------
    path : str or path
        The file. `file.h5::12` is recording 12 (or the recording with key 12) of a file that holds many.
    layout, index, **known
        What the caller knows better than the file: `sensor`, `unit`, `normalise`, `drop_outside` and the other fields
        of `ReadOptions`.

    Raises
    ------
    RecordingError
        When there is no such file, no reader knows it, or what it holds is damaged, hostile or ambiguous.
    """
    path, suffix_index = split_index(path)
    options = ReadOptions(layout=layout, index=suffix_index if index is None else index, **known)
    reader = find_reader(path, layout)
    with refused(path):
        return check(path, _read(reader, path, options), options, reader_name(reader))


def _read(reader: ModuleType, path: Path, options: ReadOptions):
    if hasattr(reader, "read"):
        return reader.read(path, options)
    refuse_index(path, reader, options)
    return read_decoded(path, reader.Decoder(path, options))


def refuse_index(path: Path, reader: ModuleType, options: ReadOptions) -> None:
    """Refuse to look for another recording in a format that holds one a file."""
    if not getattr(reader, "HOLDS_MANY", False):
        only_one(path, options.index)


@contextmanager
def refused(path: Path):
    """Everything that goes wrong inside, as one line that names the file."""
    try:
        yield
    except RecordingError as error:
        raise RecordingError(one_line(error, limit=600)) from error.__cause__
    except EvsimError:
        raise
    # A damaged file can make h5py, zipfile or numpy raise nearly anything; the user needs one line, the cause is kept.
    except Exception as error:
        raise RecordingError(f"{path}: damaged or not readable ({one_line(error)})") from error


def split_index(path: str | os.PathLike) -> tuple[Path, str | None]:
    """`file.h5::12` as the file and the recording asked for; a file really called so wins."""
    text = os.fspath(path)
    if "::" in text and not os.path.exists(text):
        text, _, index = text.rpartition("::")
        return Path(text), index
    return Path(text), None


def _head(path: Path) -> bytes:
    require_file(path)
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be opened ({one_line(error)})") from error
    if not head:
        raise RecordingError(f"{path}: is empty (0 bytes)")
    if head.startswith(APPLE_DOUBLE):
        raise RecordingError(f"{path}: is what a Mac keeps beside a file (AppleDouble), not a recording")
    return head


def reader_name(reader: ModuleType) -> str:
    """The short name of a module of `readers/`, which a user may say as the layout."""
    return reader.__name__.rpartition(".")[2]


def find_reader(path: Path, layout: str | None = None) -> ModuleType:
    """The module of `readers/` that knows this file, or the one called `layout`.

    Raises
    ------
    RecordingError
        No file, no reader that knows it, or a layout that means nothing to the one that does.
    """
    from evsim.recordings import readers

    head = _head(path)
    formats = formats_of(readers)
    if layout in formats:
        return formats[layout]
    for reader in formats.values():
        if reader.recognises(path, head):
            check_layout(path, reader, layout)
            return reader
    kind = "text" if _is_text(head) else f"bytes starting {head[:8].hex(' ')}"
    raise RecordingError(f"{path}: not a recording evsim knows (found {kind}; known: {', '.join(formats)})")


def check_layout(path, reader: ModuleType, layout: str | None) -> None:
    """Refuse a layout that this reader would pass over."""
    known = (reader_name(reader), *getattr(reader, "LAYOUTS", ()))
    takes_order = getattr(reader, "TAKES_ORDER", False)
    if layout is None or layout in known or (takes_order and is_order(layout)):
        return
    order = ", an order of columns such as txyp" if takes_order else ""
    raise RecordingError(
        f"{path}: --layout {layout} does not go with this file; expected {', '.join(known)}{order}"
        + ("" if takes_order or not is_order(layout) else " (its columns are fixed)")
    )


def find_decoder(head: bytes, path="-", options: ReadOptions | None = None) -> Decoder:
    """A decoder for standard input or a growing file that starts with `head` (4096 bytes, if there are as many).

    Raises
    ------
    RecordingError
        When no format that can be read as it arrives is known by these bytes. N-MNIST has no signature and must be
        named: ``ReadOptions(layout="nmnist")``.
    """
    from evsim.recordings import readers

    options = options or ReadOptions()
    streams = {name: module for name, module in formats_of(readers).items() if hasattr(module, "Decoder")}
    if options.layout in streams:
        return streams[options.layout].Decoder(path, options)
    for reader in streams.values():
        if reader.recognises(Path(path), head):
            check_layout(path, reader, options.layout)
            return reader.Decoder(path, options)
    raise RecordingError(f"{path}: not events that can be read as they arrive (known: {', '.join(streams)})")


def _is_text(head: bytes) -> bool:
    return not any(byte < 9 or 13 < byte < 32 for byte in head)
