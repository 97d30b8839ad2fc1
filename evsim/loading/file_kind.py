"""What a file of weights is, by its first bytes and members: evsim's own, or a training checkpoint."""

from __future__ import annotations

import os
import zipfile

from evsim.checkpoints.weights import HEADER

__all__ = ["is_checkpoint", "is_weights"]


def is_weights(path: str) -> bool:
    """Whether this is a weights file of evsim."""
    return HEADER in _members(path)


def is_checkpoint(path: str) -> bool:
    """A torch zip holds data.pkl; a legacy pickle and safetensors are told by how they begin."""
    if any(name.endswith("/data.pkl") for name in _members(path)):
        return True
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        head = file.read(16)
    return head[:1] == b"\x80" or head[8:9] == b"{"


def _members(path: str) -> list[str]:
    if not os.path.isfile(path):  # a device may never end
        return []
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return []
