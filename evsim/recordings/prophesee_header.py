"""The text lines a Prophesee file starts with: `% name value`, up to `% end` or the first line without a percent."""

from __future__ import annotations

import re

from evsim.errors import RecordingError

__all__ = ["begins_with_header", "evt_version", "first_time_of_header", "read_header", "sensor_of_header"]

MAX_BYTES = 2**16
LINE = re.compile(rb"%[ -~\t]*\r?\n")
# Cameras whose files do not say their size say what wrote them.
PLUGINS = {"gen31": (480, 640), "gen3": (480, 640), "gen4": (720, 1280), "imx636": (720, 1280), "genx320": (320, 320)}


def begins_with_header(head: bytes) -> bool:
    """Whether the first line is one of these."""
    return LINE.match(head) is not None


def read_header(path, data: bytes) -> tuple[dict[str, str], int] | None:
    """The values by lower-case name and the length of the header; None while its end is not in `data` yet."""
    fields: dict[str, str] = {}
    at = 0
    while found := LINE.match(data, at):
        at = found.end()
        name, _, value = found.group().decode("ascii")[1:].strip().partition(" ")
        if name == "end":
            return fields, at
        fields.setdefault(name.lower(), value.strip())
    if at > MAX_BYTES:
        raise RecordingError(f"{path}: the header is longer than {MAX_BYTES} bytes")
    # An unfinished line may become a header line; what is surely not text cannot.
    tail = data[at:]
    unfinished = not tail or (tail.startswith(b"%") and b"\n" not in tail and re.fullmatch(rb"%[ -~\t\r]*", tail))
    return None if unfinished else (fields, at)


def evt_version(fields: dict[str, str]) -> str | None:
    """ "2.0", "2.1" or "3.0" from `% evt 3.0` or `% format EVT3;...`, or None."""
    if "evt" in fields:
        return fields["evt"]
    kind = fields.get("format", "").partition(";")[0]
    return {"EVT2": "2.0", "EVT21": "2.1", "EVT3": "3.0"}.get(kind)


def first_time_of_header(path, fields: dict[str, str], notes: list[str]) -> int:
    """Microseconds to be added to every time: faery writes times from 0 and the first one as `% t0 308`."""
    text = fields.get("t0", "0")
    if not re.fullmatch(r"\d{1,18}", text):
        raise RecordingError(f"{path}: the header says t0 {text!r}; expected microseconds")
    if int(text):
        notes.append(f"t0 {text} us was added to the time stamps")
    return int(text)


def sensor_of_header(fields: dict[str, str]) -> tuple[int, int] | None:
    """Height and width, from whichever of the ways of saying it is there."""
    sizes = dict(part.split("=", 1) for part in fields.get("format", "").split(";") if "=" in part)
    width, _, height = fields.get("geometry", "").partition("x")
    for rows, cols in (
        (sizes.get("height"), sizes.get("width")),
        (height, width),
        (fields.get("height"), fields.get("width")),
    ):
        if rows and cols and re.fullmatch(r"[1-9]\d{0,4}", rows) and re.fullmatch(r"[1-9]\d{0,4}", cols):
            return int(rows), int(cols)
    plugin = fields.get("plugin_name", "").lower()
    return next((size for name, size in PLUGINS.items() if name in plugin), None)
