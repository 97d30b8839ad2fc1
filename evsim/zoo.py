"""The bundled networks and recordings, by name."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from evsim.errors import CheckpointError

__all__ = ["DEFAULT_RECORDING", "DEFAULT_WEIGHTS", "bundled", "find_weights", "zoo_folder"]

DEFAULT_WEIGHTS = "sdt-nmnist"
DEFAULT_RECORDING = "nmnist_digit_7.h5"


def zoo_folder() -> Path:
    """Where the bundled files are."""
    return Path(str(files("evsim.networks.zoo")))


def bundled() -> list[str]:
    """Names of the bundled networks."""
    return sorted(path.stem for path in zoo_folder().glob("*.npz"))


def find_weights(name_or_path: str) -> str:
    """A path as it is, or the path of a bundled network called so.

    Raises
    ------
    CheckpointError
        Neither a file nor a bundled name.
    """
    if Path(name_or_path).exists():
        return name_or_path
    if name_or_path in bundled():
        return str(zoo_folder() / f"{name_or_path}.npz")
    known = ", ".join(bundled()) or "none"
    raise CheckpointError(f"{name_or_path}: no such file, and no bundled network of that name (bundled: {known})")
