"""What the lines above the events of a text file say: names of columns, unit, size of the sensor, first time."""

from __future__ import annotations

import re
from dataclasses import dataclass

from evsim.recordings.field_names import FieldName, parse_name

__all__ = ["TextHeader", "is_comment", "names_in", "read_header", "separator_of", "split_fields"]

# Width before height everywhere: Metavision's `%geometry:640,480`, `# resolution 640x480`, tonic's sensor_size.
SIZE = re.compile(r"\b(?:geometry|resolution|sensor[ _]?size)\b\W{0,3}(\d{1,5})\s*[x,; \u00d7]\s*(\d{1,5})\b")
WIDTH, HEIGHT = (re.compile(rf"\b(?:sensor[ _])?{side}\b\W{{0,3}}(\d{{1,5}})\b") for side in ("width", "height"))
FIRST_TIME = re.compile(r"^\W*t0\b\W{0,3}(\d{1,18})\b")


@dataclass(frozen=True)
class TextHeader:
    """Names in a comment, height and width, first time (microseconds); None where no line says so."""

    names: tuple[str, ...] | None = None
    sensor: tuple[int, int] | None = None
    first_time: int = 0
    is_metavision: bool = False


def is_comment(line: bytes) -> bool:
    """Whether a line says nothing about events."""
    return not line.strip() or line.lstrip()[:1] in (b"#", b"%")


def separator_of(line: bytes) -> bytes | None:
    """What stands between the fields of a line: the first of ``; tab ,`` that occurs, or None for white space."""
    return next((sign for sign in (b";", b",", b"\t") if sign in line), None)


def split_fields(line: bytes, separator: bytes | None) -> list[bytes]:
    """The fields of a line; between two separators there is a field, be it empty."""
    fields = line.split() if separator is None else line.split(separator)
    return [field.strip().strip(b"\"'") for field in fields]


def names_in(line: bytes) -> list[str]:
    """The names in a line of names; "time (s)" is one name."""
    text = re.sub(r"\s+(?=[(\[])", "", line.decode("latin-1").strip())
    kept = re.sub(r"[(\[][^)\]]*[)\]]", lambda found: re.sub(r"[,;\s]+", "/", found.group()), text)
    return [
        name.decode("latin-1") for name in split_fields(kept.encode("latin-1"), separator_of(kept.encode("latin-1")))
    ]


def read_header(lines: list[bytes]) -> TextHeader:
    """What the comments above the first event say; of two that say the same thing, the later one counts."""
    names = sensor = None
    width = height = first_time = 0
    for line in lines:
        text = line.decode("latin-1").lower().strip()
        names = _names(line) or names
        size, wide, high, first = (form.search(text) for form in (SIZE, WIDTH, HEIGHT, FIRST_TIME))
        sensor = (int(size[2]), int(size[1])) if size else sensor
        width, height = int(wide[1]) if wide else width, int(high[1]) if high else height
        first_time = int(first[1]) if first else first_time
    if width and height and sensor is None:
        sensor = (height, width)
    is_metavision = any(line.lstrip().lower().startswith(b"%geometry") for line in lines)
    return TextHeader(names, sensor, first_time, is_metavision)


def _names(line: bytes) -> tuple[str, ...] | None:
    """The names of the columns in a comment: "# t x y p", "# Format: time (float s), x, y, polarity (0=off) as ..."."""
    words = re.sub(rb"^[#%\s!]*(?:[A-Za-z ]{1,20}:)?", b"", line)
    names = names_in(words)
    # A sentence may follow the last name.
    names = [name.split()[0] if name.split() else name for name in names]
    parsed = [parse_name(name) for name in names]
    found = [name.short for name in parsed if name is not None]
    is_list = len(found) == len(names) or separator_of(words) is not None
    return tuple(names) if is_list and sorted(found) == sorted("txyp") else None


def parsed_columns(names: tuple[str, ...] | list[str]) -> dict[str, FieldName]:
    """What each name of t, x, y and p says beyond itself."""
    return {parsed.short: parsed for name in names if (parsed := parse_name(name))}
