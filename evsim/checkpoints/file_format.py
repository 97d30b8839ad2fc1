"""find_format: which kind of file this is, by its first bytes; a helpful word for each kind that it should not be."""

from __future__ import annotations

from evsim.checkpoints.refusal import Refused

__all__ = ["find_format"]

_FOREIGN = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, not a PyTorch checkpoint"),
    (b"\x93NUMPY", "a NumPy .npy file, not a PyTorch checkpoint"),
    (b"\x1f\x8b", "gzip-compressed: unpack it first"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file that it points to"),
)
_TAR_PLACE = 257


def find_format(head: bytes, size: int) -> str:
    """Tell "zip", "legacy" (the old torch format) and "safetensors" apart.

    Parameters
    ----------
    head : bytes
        The first 512 bytes of the file, or all of it.
    size : int
        Of the file.

    Raises
    ------
    Refused
        When it is none of them, saying what it is instead where that can be seen.
    """
    if not head:
        raise Refused("an empty file")
    if head.startswith(b"PK\x03\x04") or head.startswith(b"PK\x05\x06"):
        return "zip"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size - 8:
        return "safetensors"
    if head.startswith(b"\x80") and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "legacy"
    raise Refused(_describe(head))


def _describe(head: bytes) -> str:
    for magic, description in _FOREIGN:
        if head.startswith(magic):
            return description
    if head[_TAR_PLACE : _TAR_PLACE + 5] == b"ustar":
        return "a tar archive: the format of PyTorch before 0.2, or files packed together; unpack or re-save it"
    if all(byte in b"\t\n\r\f" or 32 <= byte < 127 for byte in head):
        return "a text file, not a PyTorch checkpoint"
    return "neither a PyTorch checkpoint (zip or old format) nor a safetensors file"
