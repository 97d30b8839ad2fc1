"""AEDAT 2.0 (jAER): a text header, then pairs of a 32-bit address and a 32-bit time, high byte first.

What the bits of an address mean depends on the camera, which newer files name (`# AEChip: ...`). Coordinates count from
the bottom in these cameras; they are turned so that row 0 is the top one. Published networks were trained on other
readings of CIFAR10-DVS, so those can be asked for by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings.aedat_header import aedat_version, read_header_lines
from evsim.recordings.decoding import Columns
from evsim.recordings.header_decoder import HeaderDecoder
from evsim.recordings.options import ReadOptions
from evsim.recordings.wrapping import Unwrap

PAIR_BYTES = 8
DAVIS_OTHER = np.uint32(1 << 31 | 1 << 10)


@dataclass(frozen=True)
class Camera:
    """How addresses are read: `place` gives x, y, p; `other` are the bits that mark what is no event."""

    name: str
    sensor: tuple[int, int]
    place: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
    other: np.uint32


def _dvs128(name: str, place) -> Camera:
    def bits(address: np.ndarray) -> tuple[np.ndarray, ...]:
        low, high, polarity = address >> 1 & 127, address >> 8 & 127, address & 1
        return place(low, high, polarity)

    return Camera(name, (128, 128), bits, np.uint32(1 << 15))


def _davis(name: str, height: int, width: int) -> Camera:
    def bits(address: np.ndarray) -> tuple[np.ndarray, ...]:
        return width - 1 - (address >> 12 & 1023), height - 1 - (address >> 22 & 511), address >> 11 & 1

    return Camera(name, (height, width), bits, DAVIS_OTHER)


CAMERAS = {
    # As jAER draws it: mirrored columns, and a polarity bit of 0 means brighter.
    "dvs128": _dvs128("DVS128", lambda low, high, p: (127 - low, 127 - high, 1 - p)),
    # As SpikingJelly stores CIFAR10-DVS; networks trained with it expect this.
    "cifar10dvs": _dvs128("DVS128 as SpikingJelly reads it", lambda low, high, p: (127 - high, 127 - low, 1 - p)),
    # As tonic.io.read_dvs_128, and so tonic.datasets.CIFAR10DVS.
    "tonic": _dvs128("DVS128 as tonic reads it", lambda low, high, p: (high, low, p)),
    "davis240": _davis("DAVIS240", 180, 240),
    "davis346": _davis("DAVIS346", 260, 346),
    "davis640": _davis("DAVIS640", 480, 640),
}
LAYOUTS = tuple(CAMERAS)


def recognises(path: Path, head: bytes) -> bool:
    """Whether the signature of version 2 is there."""
    return (aedat_version(head) or b"").startswith(b"2.")


class Decoder(HeaderDecoder):
    """Header, then pairs."""

    layout = "AEDAT 2.0"

    def __init__(self, path, options: ReadOptions) -> None:
        super().__init__(path, options)
        self._wanted = options.layout if options.layout in CAMERAS else None
        self._camera: Camera | None = None
        self._unwrap = Unwrap(32)
        self._others = 0

    def parse_header(self, data: bytes):
        return read_header_lines(self._path, data)

    def read_records(self, data: bytes, start: int) -> tuple[Columns, int]:
        used = (len(data) - start) // PAIR_BYTES * PAIR_BYTES
        pairs = np.frombuffer(data, ">u4", used // 4, start).reshape(-1, 2)
        address = pairs[:, 0].astype(np.uint32)
        t = self._unwrap(pairs[:, 1].astype(np.int64))
        event = (address & self._camera.other) == 0
        self._others += event.size - int(np.count_nonzero(event))
        x, y, p = self._camera.place(address[event].astype(np.int32))
        return Columns(t[event], x, y, p.astype(np.int8)), start + used

    def late_notes(self) -> list[str]:
        others = f"{self._others} samples that are no polarity events were left out"
        return self._unwrap.notes + ([others] if self._others else [])

    def begin(self, lines: list[str]) -> None:
        chip = next((line.partition(":")[2].strip() for line in lines if line.lower().startswith("aechip")), "")
        self._camera = CAMERAS[self._wanted] if self._wanted else self._named(chip)
        self.sensor = self._camera.sensor
        self.layout = f"AEDAT 2.0, {self._camera.name}"
        if not self._wanted and self._camera is CAMERAS["dvs128"]:
            self.notes.append(
                ("" if chip else "the file names no camera and was read as DVS128; ")
                + "addresses as jAER draws them (--layout cifar10dvs reads them as SpikingJelly, tonic as tonic)"
            )

    def _named(self, chip: str) -> Camera:
        known = re.search(r"dvs128|davis240|davis346|davis640", chip.lower())
        if known:
            return CAMERAS[known.group()]
        if chip:
            raise RecordingError(
                f"{self._path}: unknown camera {chip!r}; say --layout with one of {', '.join(CAMERAS)}"
            )
        return CAMERAS["dvs128"]
