"""read_recording: find out what a file is by looking into it, read it, check it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path

from evsim.errors import RecordingError
from evsim.recordings.check import check
from evsim.recordings.decoding import Decoder
from evsim.recordings.discover import formats_of, one_line
from evsim.recordings.options import ReadOptions
from evsim.recordings.recording import Recording

__all__ = ["find_decoder", "find_reader", "read_recording", "refused", "split_index"]

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
        What the caller knows better than the file: `sensor`, `unit`, `normalise`, `size` and the other fields of
        `ReadOptions`.

    Raises
    ------
    RecordingError
        When there is no such file, no reader knows it, or what it holds is damaged, hostile or ambiguous.
    """
    path, suffix_index = split_index(path)
    options = ReadOptions(layout=layout, index=suffix_index if index is None else index, **known)
    reader = find_reader(path, layout)
    with refused(path):
        return check(path, reader.read(path, options), options)


@contextmanager
def refused(path: Path):
    """Everything that goes wrong inside, as one line that names the file."""
    try:
        yield
    except RecordingError as error:
        raise RecordingError(one_line(error, limit=600)) from error.__cause__
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
    if path.is_dir():
        raise RecordingError(f"{path}: is a folder; expected one recording")
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
    except FileNotFoundError:
        raise RecordingError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path}: cannot be opened ({one_line(error)})") from error
    if not head:
        raise RecordingError(f"{path}: is empty (0 bytes)")
    return head


def find_reader(path: Path, layout: str | None = None):
    """The module of `readers/` that knows this file, or the one called `layout`."""
    from evsim.recordings import readers

    head = _head(path)
    formats = formats_of(readers)
    if layout in formats:
        return formats[layout]
    for reader in formats.values():
        if reader.recognises(path, head):
            return reader
    kind = "text" if _is_text(head) else f"bytes starting {head[:8].hex(' ')}"
    raise RecordingError(f"{path}: not a recording evsim knows (found {kind}; known: {', '.join(formats)})")


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
    named = [streams[options.layout]] if options.layout in streams else streams.values()
    for reader in named:
        if options.layout in streams or reader.recognises(Path(path), head):
            return reader.Decoder(path, options)
    raise RecordingError(f"{path}: not events that can be read as they arrive (known: {', '.join(streams)})")


def _is_text(head: bytes) -> bool:
    return not any(byte < 9 or 13 < byte < 32 for byte in head)
