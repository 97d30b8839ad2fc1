"""The bundled networks and recordings, by name."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from evsim.checkpoints.weights import HEADER, read_weights
from evsim.engine.ledger import with_present_names
from evsim.errors import CheckpointError
from evsim.files import check_readable

__all__ = [
    "DEFAULT_RECORDING",
    "DEFAULT_WEIGHTS",
    "bundled",
    "bundled_recordings",
    "card_of",
    "default_recording",
    "find_any",
    "find_recording",
    "find_weights",
    "recording_for",
    "zoo_folder",
]

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
        Neither a file nor a bundled name, or no file that ends.
    """
    if Path(name_or_path).exists():
        check_readable(name_or_path, CheckpointError)
        return name_or_path
    if name_or_path in bundled():
        return str(zoo_folder() / f"{name_or_path}.npz")
    known = ", ".join(bundled()) or "none"
    raise CheckpointError(f"{name_or_path}: no such file, and no bundled network of that name (bundled: {known})")


def find_recording(name_or_path: str) -> str:
    """A path as it is, or the path of a bundled recording called so; ``::12`` behind it stays."""
    name, sign, index = name_or_path.partition("::")
    if Path(name_or_path).exists() or Path(name).exists() or Path(name).name != name:
        return name_or_path
    return str(zoo_folder() / name) + sign + index if name in bundled_recordings() else name_or_path


def find_any(name_or_path: str) -> str:
    """A path as it is, or the path of a bundled network or recording called so."""
    if not Path(name_or_path).exists() and name_or_path in bundled():
        return find_weights(name_or_path)
    return find_recording(name_or_path)


def bundled_recordings() -> list[str]:
    """Names of the bundled recordings."""
    files = (path for path in zoo_folder().iterdir() if path.suffix in (".h5", ".npz"))
    return sorted(path.name for path in files if path.suffix == ".h5" or not _is_weights(path))


def default_recording(weights_path: str) -> str:
    """The bundled recording that a network is shown when nobody names another: for a bundled one, its card's."""
    is_ours = Path(weights_path).resolve().parent == zoo_folder().resolve()
    return recording_for(read_weights(weights_path).header if is_ours else {})


def recording_for(header: Mapping[str, object]) -> str:
    """The bundled recording that the card in a weights file's header names, or the default one."""
    card = header.get("card")
    named = card.get("recording") if isinstance(card, dict) else None
    return str(zoo_folder() / (named if named in bundled_recordings() else DEFAULT_RECORDING))


def card_of(header: Mapping[str, object]) -> dict | None:
    """The card in a weights file's header, counts under today's names; None where there is none."""
    card = header.get("card")
    if not isinstance(card, dict) or not isinstance(card.get("mean_counts"), dict):
        return card if isinstance(card, dict) else None
    return card | {"mean_counts": with_present_names(card["mean_counts"])}


def _is_weights(path: Path) -> bool:
    """A weights file, not images, which are kept as .npz too."""
    with zipfile.ZipFile(path) as archive:
        return HEADER in archive.namelist()
