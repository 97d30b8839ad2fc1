"""What an HDF5 file says beside its events: the size of the sensor, the label, the cameras it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

from evsim.errors import RecordingError
from evsim.recordings.arrays import single_label
from evsim.recordings.safe_hdf5 import attribute, dataset, kind_of, read_array
from evsim.recordings.stated_sensor import PAIRS, SIZES, stated_sensor

__all__ = ["MOST_ENTRIES", "Cameras", "label_of", "places_below", "sensor_of"]

MOST_ENTRIES = 64
DEPTH = 3


def places_below(file) -> Iterator[str]:
    """The root ("") and what lies up to three groups below it, some entries of each group, nearer ones first."""
    level = [""]
    for _ in range(DEPTH + 1):
        yield from level
        groups = [place for place in level if not place or kind_of(file, place) == "group"]
        level = [
            f"{place}/{name}" if place else name
            for place in groups
            for name in islice(file[place] if place else file, MOST_ENTRIES)
        ]


@dataclass(frozen=True)
class Cameras:
    """The places of a file where events of one layout are: one a camera.

    Parameters
    ----------
    usual : tuple of str
        Where they are as a rule; these come first.
    is_camera : callable
        ``is_camera(file, place)``.
    """

    usual: tuple[str, ...]
    is_camera: Callable[[object, str], bool]

    def are_usual(self, file) -> bool:
        """Whether there are events at a usual place."""
        return any(self.is_camera(file, place) for place in self.usual)

    def are_anywhere(self, file) -> bool:
        """Whether there are events at any place that is not too deep."""
        return any(self.is_camera(file, place) for place in places_below(file))

    def choose(self, path, file, index: int | str | None) -> tuple[str, tuple[str, ...]]:
        """The place of the events asked for, and a note when the file holds those of another camera too.

        Parameters
        ----------
        index : int, str or None
            A number, a place, or a word of it ("right"); None is the first.
        """
        found = [place for place in self.usual if self.is_camera(file, place)]
        found += [place for place in places_below(file) if place not in found and self.is_camera(file, place)]
        shown = [place or "/" for place in found]
        if index is None or not found:
            others = ", ".join(map(repr, shown[1:]))
            note = f"the file also has events of {others} (--index {shown[1]} reads them)" if others else ""
            return (found or self.usual)[0], (note,) * bool(note)
        asked = str(index)
        matches = [at for at, name in enumerate(shown) if asked == name or asked in name.split("/")]
        if not matches and asked.isdecimal() and int(asked) < len(found):
            matches = [int(asked)]
        if len(matches) != 1:
            raise RecordingError(f"{path}: there are no events {asked!r}; it has {', '.join(map(repr, shown))}")
        return found[matches[0]], ()


def sensor_of(file, place: str = "") -> tuple[int, int] | None:
    """Height and width as the file states them, nearest to the events first, or None."""
    parts = place.split("/") if place else []
    for end in range(len(parts), -1, -1):
        where = "/".join(parts[:end])
        for inside in (where, f"{where}/calib" if where else "calib"):
            found = _stated(file, inside)
            if found:
                return found
    return None


def _stated(file, where: str) -> tuple[int, int] | None:
    names = (*SIZES, *(name for pair in PAIRS for name in pair))
    return stated_sensor({name: partial(_value, file, where, name) for name in names})


def _value(file, where: str, name: str):
    """An attribute, or a small dataset of that name."""
    if not where or kind_of(file, where) in ("group", "array", "table"):
        found = attribute(file, (name,), (where or "/",))
        if found is not None:
            return found
    place = f"{where}/{name}" if where else name
    if kind_of(file, place) == "array" and dataset(file, place).size in (1, 2, 3):
        return read_array(file, place)
    return None


def label_of(file, place: str = "") -> int | None:
    """The class from an attribute or a dataset `label`, or None."""
    value = attribute(file, ("label",), ("/", place) if place else ("/",))
    if value is None and kind_of(file, "label") == "array":
        value = read_array(file, "label")
    return single_label(value)
