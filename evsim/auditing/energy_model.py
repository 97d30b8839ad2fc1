"""Energy models: constants with their sources, kept as data (TOML), not as code.

A file holds ``title``, ``word_bits`` and one table an operation with ``pj`` (or ``by_bytes``, a list of [bytes of
memory, pJ] joined by straight lines), ``source`` and ``verified``. ``verified = false`` says that nobody here has
read the number in the source it is attributed to; every output repeats it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from evsim.errors import EvsimError
from evsim.files import read_bounded

__all__ = ["OPERATIONS", "Constant", "EnergyModel", "bundled_models", "choose_models", "find_model", "read_model"]

DEFAULT_MODELS = ("pair_4.6_0.9", "step_simple")

LARGEST_FILE = 2**20
OPERATIONS = {
    "add": "an addition",
    "synop": "an addition caused by an event, its weight read included",
    "mac": "a product and addition",
    "multiply": "a product",
    "mask": "an AND or select",
    "compare": "a comparison",
    "update": "a membrane update",
    "weight_read": "a weight word read",
    "state_read": "a state word read",
    "state_write": "a state word written",
    "event": "an event delivered",
}
"""What a model may price; what it does not price is shown as left out, never as free."""

_TEXTS = {"title": str, "note": str, "technology_nm": (int, float), "word_bits": int, "cite": list}


@dataclass(frozen=True, slots=True)
class Constant:
    """The price of one operation: `pj`, or (bytes, pJ) points between which it is linear."""

    source: str
    verified: bool
    pj: float = 0.0
    by_bytes: tuple[tuple[float, float], ...] = ()

    def at(self, n_bytes: float = 0.0) -> float:
        """pJ for a memory of `n_bytes`; beyond the last points the end values hold."""
        if not self.by_bytes:
            return self.pj
        sizes, prices = zip(*self.by_bytes, strict=True)
        return float(np.interp(n_bytes, sizes, prices))


@dataclass(frozen=True)
class EnergyModel:
    """Prices by operation.

    Parameters
    ----------
    name, title, note : str
    cite : tuple of str
        Keys of `references.bib`.
    word_bits : int
        Size of a weight or state word, for the size of a memory and for fewer bits.
    constants : dict of str to Constant
        Keys from `OPERATIONS`.
    """

    name: str
    title: str
    word_bits: int
    constants: dict[str, Constant]
    note: str = ""
    cite: tuple[str, ...] = ()

    def price(self, operation: str, n_bytes: float = 0.0) -> float | None:
        """pJ of one operation, or None where the model has no constant for it."""
        constant = self.constants.get(operation)
        return None if constant is None else constant.at(n_bytes)

    @property
    def unverified(self) -> list[str]:
        """Operations whose constant nobody has checked against its source."""
        return [name for name, constant in self.constants.items() if not constant.verified]


def bundled_models() -> dict[str, Path]:
    """The models that come with evsim, by name."""
    folder = Path(str(files("evsim.auditing"))) / "energy"
    return {path.name.removesuffix(".toml"): path for path in sorted(folder.glob("*.toml"))}


def choose_models(names: Sequence[str] | None = None) -> list[EnergyModel]:
    """The models called `names`; the two usual ones for None, every bundled one for ["all"], none for ["none"]."""
    chosen = list(names or DEFAULT_MODELS)
    if chosen == ["none"]:
        return []
    return [find_model(name) for name in (bundled_models() if chosen == ["all"] else chosen)]


def find_model(name_or_path: str) -> EnergyModel:
    """A bundled model by name, or a user's own file.

    Raises
    ------
    EvsimError
        Neither, or the file is no energy model.
    """
    bundled = bundled_models()
    if name_or_path in bundled:
        return read_model(bundled[name_or_path])
    if not Path(name_or_path).exists():
        raise EvsimError(f"--energy {name_or_path}: no such file, and no bundled model (bundled: {', '.join(bundled)})")
    return read_model(Path(name_or_path))


def read_model(path: Path) -> EnergyModel:
    """Read and check one TOML file.

    Raises
    ------
    EvsimError
        Unreadable, no TOML, an unknown key, or a constant without a number and a source.
    """
    try:
        table = tomllib.loads(read_bounded(path, LARGEST_FILE).decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise EvsimError(f"{path}: not a readable TOML file ({error})") from None
    constants = {}
    for key, value in table.items():
        if key in OPERATIONS:
            constants[key] = _constant(path, key, value)
        elif not isinstance(value, _TEXTS.get(key, ())):
            known = ", ".join([*_TEXTS, *OPERATIONS])
            raise EvsimError(f"{path}: {key} = {value!r}: unknown or of the wrong type, expected one of {known}")
    if not {"add", "synop"} & set(constants):
        raise EvsimError(f"{path}: no table [add] or [synop]: an energy model prices an addition at least")
    title, bits = table.get("title", path.stem), table.get("word_bits", 32)
    if not 1 <= bits <= 64:
        raise EvsimError(f"{path}: word_bits = {bits}, expected 1 to 64")
    cite = tuple(str(key) for key in table.get("cite", []))
    return EnergyModel(path.name.removesuffix(".toml"), title, bits, constants, table.get("note", ""), cite)


def _constant(path: Path, key: str, table: object) -> Constant:
    if not isinstance(table, dict) or ("pj" in table) == ("by_bytes" in table):
        raise EvsimError(f"{path}: [{key}]: expected a table with either pj = NUMBER or by_bytes = [[BYTES, PJ], ...]")
    unknown = set(table) - {"pj", "by_bytes", "source", "verified"}
    if unknown:
        raise EvsimError(f"{path}: [{key}]: {sorted(unknown)[0]} is unknown, expected pj or by_bytes, source, verified")
    source, verified = table.get("source"), table.get("verified", False)
    if not isinstance(source, str) or not source.strip():
        raise EvsimError(f'{path}: [{key}]: no source = "...": a constant without a source cannot be cited')
    if not isinstance(verified, bool):
        raise EvsimError(f"{path}: [{key}]: verified = {verified!r}, expected true or false")
    points = table.get("by_bytes", [[0, table.get("pj")]])
    if not _are_points(points):
        raise EvsimError(f"{path}: [{key}]: expected numbers from 0 up, sizes rising; found {points!r}")
    if "pj" in table:
        return Constant(source, verified, float(table["pj"]))
    return Constant(source, verified, by_bytes=tuple((float(size), float(pj)) for size, pj in points))


def _are_points(points: object) -> bool:
    """A nonempty list of [bytes, pJ], finite and not negative, bytes rising."""
    if not isinstance(points, list) or not points or not all(isinstance(p, list) and len(p) == 2 for p in points):
        return False
    numbers = [value for point in points for value in point]
    if not all(isinstance(n, (int, float)) and not isinstance(n, bool) and 0 <= n < 1e12 for n in numbers):
        return False
    sizes = [size for size, _ in points]
    return sizes == sorted(set(sizes))
