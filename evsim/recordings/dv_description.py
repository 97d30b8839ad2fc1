"""The XML description in an AEDAT 4 header: which streams hold events, and of what sensor."""

from __future__ import annotations

from evsim.errors import RecordingError
from evsim.recordings.discover import one_line

__all__ = ["event_streams"]


def event_streams(path, text: bytes) -> dict[int, tuple[int, int] | None]:
    """Height and width (or None) of each stream of events, by its number, in ascending order."""
    from xml.etree import ElementTree

    # A description never declares entities; one that does wants to grow in memory.
    if b"<!" in text:
        raise RecordingError(f"{path}: damaged: declarations in the description of the streams")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise RecordingError(f"{path}: damaged description of the streams ({one_line(error)})") from error
    found = {}
    for node in root.iter("node"):
        name = node.get("name", "")
        if name.isascii() and name.isdigit() and len(name) < 9 and _value(node, "typeIdentifier") == "EVTS":
            found[int(name)] = _sensor(node)
    return dict(sorted(found.items()))


def _value(node, key: str) -> str | None:
    return next((attr.text for attr in node.findall("attr") if attr.get("key") == key), None)


def _sensor(node) -> tuple[int, int] | None:
    info = next((child for child in node.findall("node") if child.get("name") == "info"), None)
    sides = [_value(info, key) or "" for key in ("sizeY", "sizeX")] if info is not None else []
    if len(sides) == 2 and all(side.isascii() and side.isdigit() and 0 < len(side) < 6 for side in sides):
        return int(sides[0]), int(sides[1])
    return None
