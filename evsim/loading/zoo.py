"""The bundled networks and recordings, by name."""

from __future__ import annotations

import zipfile
from importlib.resources import files
from pathlib import Path

from evsim.checkpoints.weights import HEADER, read_weights
from evsim.errors import CheckpointError

__all__ = ["DEFAULT_RECORDING", "DEFAULT_WEIGHTS", "bundled", "default_recording", "find_weights", "zoo_folder"]

DEFAULT_WEIGHTS = "sdt-nmnist"
DEFAULT_RECORDING = "nmnist_digit_7.h5"


def zoo_folder() -> Path:
    """Where the bundled files are."""
    return Path(str(files("evsim.networks.zoo")))


def bundled() -> list[str]:
    """Names of the bundled networks."""
    return sorted(path.stem for path in zoo_folder().glob("*.npz") if _is_weights(path))


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


def default_recording(weights_path: str) -> str:
    """The bundled recording that a network is shown when nobody names another: for a bundled one, its card's."""
    is_ours = Path(weights_path).resolve().parent == zoo_folder().resolve()
    card = read_weights(weights_path).header.get("card", {}) if is_ours else {}
    return str(zoo_folder() / card.get("recording", DEFAULT_RECORDING))


def _is_weights(path: Path) -> bool:
    """A weights file, not images, which are kept as .npz too."""
    with zipfile.ZipFile(path) as archive:
        return HEADER in archive.namelist()
