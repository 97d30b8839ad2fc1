"""Output files: each appears under its name whole or not at all, and never in the place of an input.

Every verb and every ``write_*`` writes through `output_file`. The bytes go into a file of a private name beside the
target, created exclusively, so that no link is followed and no two writers share it; once all are on the disk it is
renamed. A full disk, an error or an interruption leaves the old file as it was.
"""

from __future__ import annotations

import io
import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import BinaryIO, TextIO

from evsim.errors import EvsimError

__all__ = ["check_outputs", "output_file", "output_hdf5", "output_text", "write_output"]

_GROWTH = 2**20
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)


@contextmanager
def output_file(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """A binary file to write, seek and tell in; when the block ends without an error, it becomes `path`.

    A device or a pipe (``/dev/stdout``) is written to as it is. A link is replaced, not followed.

    Raises
    ------
    EvsimError
        The file cannot be written: no such folder, no permission, no space.
    """
    target = os.fspath(path)
    try:
        if _is_stream(target):
            with open(target, "wb") as file:
                yield file
            return
        with _created_beside(target) as (file, temporary):
            yield file
            file.flush()
            os.fsync(file.fileno())
            file.close()
            os.replace(temporary, target)
    except OSError as error:
        raise EvsimError(f"{target}: cannot be written: {error.strerror or error}") from None


@contextmanager
def output_text(path: str | os.PathLike) -> Iterator[TextIO]:
    """As `output_file`, for UTF-8 text whose line ends stay as they are written."""
    with output_file(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="", write_through=True)
        try:
            yield text
            text.flush()
        finally:
            with suppress(OSError, ValueError):
                text.detach()


@contextmanager
def output_hdf5(path: str | os.PathLike, **options) -> Iterator:
    """As `output_file`, for an `h5py.File`; the options are those of h5py.

    It is made in memory: HDF5 crashes the process when it cannot close a file for want of space.
    """
    import h5py

    with h5py.File("memory", "w", driver="core", backing_store=False, block_size=_GROWTH, **options) as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    write_output(path, image)


def write_output(path: str | os.PathLike, content: bytes) -> None:
    """Write a whole file; see `output_file`."""
    with output_file(path) as file:
        file.write(content)


def check_outputs(outputs: Mapping[str, str | None], inputs: Iterable[str | os.PathLike | None] = ()) -> None:
    """Refuse before the work what could not be written after it, and what would replace an input.

    Parameters
    ----------
    outputs : mapping of str to str or None
        Paths by the option that names them.
    inputs : iterable of path or None
        Files, ``file::index`` or folders that are read; what is no path is passed over.

    Raises
    ------
    EvsimError
        An output is an input or lies among the files of an input folder, two outputs are one file, or its folder is
        not there or cannot be written.
    """
    wanted = {option: path for option, path in outputs.items() if path is not None and not _is_stream(path)}
    seen: dict[str, str] = {}
    for option, path in wanted.items():
        _check_place(option, path)
        other = seen.setdefault(os.path.realpath(path), option)
        if other != option:
            raise EvsimError(f"{option} {path}: is the file of {other} too; give each its own")
    existing = {option: path for option, path in wanted.items() if os.path.exists(path)}
    if not existing:
        return
    for name in inputs:
        for option, path in existing.items():
            if name is not None and _is_or_holds(os.fspath(name), path):
                raise EvsimError(f"{option} {path}: would replace an input; write to another file")


def _check_place(option: str, path: str) -> None:
    folder = os.path.dirname(path) or "."
    if not path or os.path.isdir(path):
        raise EvsimError(f"{option} {path}: is a folder; expected the name of a file to write")
    if not os.path.isdir(folder):
        raise EvsimError(f"{option} {path}: cannot be written: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise EvsimError(f"{option} {path}: cannot be written: no permission to write in {folder}")


def _is_or_holds(name: str, output: str) -> bool:
    """Whether an existing output is the input `name`, or below it where that is a folder."""
    for candidate in (name, name.rpartition("::")[0]):
        if candidate and os.path.isdir(candidate):
            folder = os.path.realpath(candidate)
            return os.path.commonpath([folder, os.path.realpath(output)]) == folder
        with suppress(OSError, ValueError):
            if candidate and os.path.samefile(candidate, output):
                return True
    return False


def _is_stream(path: str) -> bool:
    """Something that bytes are sent to, and that no file may replace: a device, a pipe."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


@contextmanager
def _created_beside(target: str) -> Iterator[tuple[BinaryIO, str]]:
    """A new file in the folder of `target`, with the target's permissions if it exists; removed if it stays."""
    temporary = os.path.join(os.path.dirname(target), f".evsim-{secrets.token_hex(8)}.part")
    descriptor = os.open(temporary, _FLAGS, 0o666)
    try:
        with suppress(OSError, AttributeError):
            os.fchmod(descriptor, stat.S_IMODE(os.stat(target).st_mode))
        with open(descriptor, "wb") as file:
            yield file, temporary
    finally:
        with suppress(OSError):
            os.remove(temporary)
