"""Unpacking compressed blocks of unknown origin, never to more than a bound."""

from __future__ import annotations

import io

from evsim.errors import RecordingError
from evsim.recordings.discover import one_line

__all__ = ["unpack_lz4", "unpack_zstd"]


def unpack_lz4(path, data: bytes, limit: int) -> bytes:
    """An LZ4 frame."""
    try:
        import lz4.frame
    except ImportError:
        raise _missing(path, "LZ4", "lz4") from None
    decompressor = lz4.frame.LZ4FrameDecompressor()
    try:
        plain = decompressor.decompress(data, max_length=limit)
    except (RuntimeError, EOFError, MemoryError) as error:
        raise RecordingError(f"{path}: damaged LZ4 block ({one_line(error)})") from error
    if not decompressor.eof:
        raise RecordingError(f"{path}: an LZ4 block is cut short or unpacks to more than {limit} bytes")
    return plain


def unpack_zstd(path, data: bytes, limit: int) -> bytes:
    """A Zstandard frame."""
    try:
        import zstandard
    except ImportError:
        raise _missing(path, "Zstandard", "zstandard") from None
    try:
        with zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(io.BytesIO(data)) as stream:
            plain = stream.read(limit + 1)
    except (zstandard.ZstdError, MemoryError) as error:
        raise RecordingError(f"{path}: damaged Zstandard block ({one_line(error)})") from error
    if len(plain) > limit:
        raise RecordingError(f"{path}: a Zstandard block unpacks to more than {limit} bytes")
    return plain


def _missing(path, method: str, package: str) -> RecordingError:
    return RecordingError(f"{path}: is packed with {method}, which needs the package {package}: pip install {package}")
