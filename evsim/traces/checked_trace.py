"""What a trace file says, checked before it is believed: types, sizes that the file can hold, events in order.

Rules that every trace of evsim obeys: within a layer (step, address) rises, the ledger has a handler and step once, the
counts are whole numbers from 0, and more steps than `MOST_SILENT_STEPS` have left rows in the ledger.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from evsim.engine.ledger import COUNTS, Ledger, OpCounts, with_present_names
from evsim.errors import RecordingError, TraceError
from evsim.files import check_readable
from evsim.plain_text import plain
from evsim.recordings.discover import one_line
from evsim.recordings.safe_hdf5 import dataset, filters_of, kind_of, open_hdf5
from evsim.recordings.safe_heap import check_heaps

__all__ = ["MOST_STEPS", "CheckedTrace", "open_trace"]

MOST_STEPS = 100_000
MOST_SILENT_STEPS = 10_000
MOST_PLACES = 2**31
"""What addresses of 32 bits can reach; a larger shape is a damaged file."""
MOST_LAYERS = 10_000
LARGEST_PROVENANCE = 2**22
ALLOWANCE = 2**24
LARGEST_RATIO = 300
"""Events of a trace pack a hundredfold at most."""
PLAIN_FILTERS = {1, 2, 3}
"""deflate, shuffle and the check sum of HDF5: none leaves bytes of an array as it finds them in memory."""
_TEXTS = ("network", "version", "precision", "mode")
_TABLES = ("weights", "input")
_FILE_KEYS = ("file", "sha256", "layout")


@contextmanager
def open_trace(path: str | os.PathLike) -> Iterator[CheckedTrace]:
    """An opened trace file; whatever is wrong with it becomes one line that names it.

    Raises
    ------
    TraceError
        Not a plain file, not HDF5, or damaged in a way that the HDF5 library notices.
    """
    check_readable(path, TraceError)
    try:
        with open_hdf5(path) as file:
            check_heaps(os.fspath(path))
            yield CheckedTrace(path, file)
    except TraceError:
        raise
    except RecordingError as error:
        raise TraceError(str(error)) from None
    except MemoryError:
        raise TraceError(f"{path}: does not fit into memory") from None
    except Exception as error:  # h5py raises nearly anything on a damaged file
        raise TraceError(f"{path}: not a readable evsim trace ({one_line(error)})") from None


class CheckedTrace:
    """Reads the parts of a trace, all of them together no larger than the file can hold.

    Parameters
    ----------
    path : str or path
    file : h5py.File
    """

    def __init__(self, path: str | os.PathLike, file) -> None:
        self._path, self._file = path, file
        self._bytes_left = ALLOWANCE + LARGEST_RATIO * os.path.getsize(path)

    def attribute(self, name: str, place: str = "/"):
        """An attribute, or None."""
        node = self._file if place == "/" else self._file[place]
        return node.attrs[name] if name in node.attrs else None

    def n_steps(self, n_rows: int) -> int:
        """Of the run; `n_rows` are the rows of the ledger."""
        value = self.attribute("n_steps")
        n_steps = int(value) if np.ndim(value) == 0 and np.asarray(value).dtype.kind in "iu" else 0
        if not 1 <= n_steps <= MOST_STEPS:
            found = value if value is None else np.asarray(value).tolist()
            raise self._refusal(f"n_steps is {found!r}, expected a whole number from 1 to {MOST_STEPS:,}")
        if n_steps > MOST_SILENT_STEPS + n_rows:
            raise self._refusal(f"n_steps is {n_steps:,}, but the ledger has only {n_rows:,} rows")
        return n_steps

    def layers(self) -> list[str]:
        """The names below ``spikes`` in run order, as far as ``layer_order`` tells."""
        if kind_of(self._file, "spikes") != "group":
            raise self._refusal("has no group 'spikes'")
        group = self._file["spikes"]
        if len(group) > MOST_LAYERS:
            raise self._refusal(f"has {len(group):,} layers, at most {MOST_LAYERS:,} are read")
        names = list(group)
        order = self.attribute("layer_order")
        told = [name for name in np.ravel(order) if isinstance(name, str)] if order is not None else []
        known = set(names)
        return list(dict.fromkeys([*(name for name in told if name in known), *names]))

    def shape(self, name: str) -> tuple[tuple[int, ...], str]:
        """The sizes of a layer, and the names of its axes."""
        place = f"spikes/{name}"
        if kind_of(self._file, place) != "group":
            raise self._refusal(f"{place} is no group")
        sizes, axes = np.asarray(self.attribute("shape", place)), self.attribute("axes", place)
        if sizes.ndim != 1 or sizes.dtype.kind not in "iu" or sizes.size > 8 or not isinstance(axes, str):
            raise self._refusal(f"{place}: the shape {sizes.tolist()!r} or the axes {axes!r} are of the wrong type")
        shape = tuple(map(int, sizes))
        if len(set(axes.split(","))) != len(shape) or min(shape, default=0) < 1 or math.prod(shape) > MOST_PLACES:
            raise self._refusal(f"{place}: the shape {shape} does not fit the axes {axes!r}, or is too large")
        return shape, axes

    def order(self, name: str, n_events: int) -> np.ndarray | None:
        """The place of each event in the sequence of its step, where the run had no layer barriers."""
        place = f"spikes/{name}/order"
        if not kind_of(self._file, place):
            return None
        order = self._column(place, "iu")
        if order.size != n_events or order.min(initial=0) < 0:
            raise self._refusal(f"{place}: {order.size} places for {n_events} events, expected as many, from 0 up")
        return order.astype(np.int64, copy=False)

    def events(self, name: str, n_steps: int, n_places: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Step, address and payload (or None) of each event of a layer."""
        place = f"spikes/{name}"
        step, address = (self._column(f"{place}/{column}", "iu") for column in ("step", "address"))
        payload = self._column(f"{place}/payload", "iuf") if kind_of(self._file, f"{place}/payload") else None
        if step.shape != address.shape or (payload is not None and payload.shape != step.shape):
            raise self._refusal(f"{place}: {step.size} steps and {address.size} addresses, expected as many")
        if step.size and not (0 <= step.min() and step.max() < n_steps):
            raise self._refusal(f"{place}: a step lies outside the {n_steps} steps of the run")
        if address.size and not (0 <= address.min() and address.max() < n_places):
            raise self._refusal(f"{place}: an address lies outside its {n_places} places")
        step, address = step.astype(np.int32, copy=False), address.astype(np.int64, copy=False)
        rises = (step[1:] > step[:-1]) | ((step[1:] == step[:-1]) & (address[1:] > address[:-1]))
        if not rises.all():
            at = int(np.argmin(rises)) + 1
            raise self._refusal(f"{place}: event {at} is out of order, expected steps and addresses to rise")
        if payload is not None and not np.isfinite(payload).all():
            raise self._refusal(f"{place}: a payload is not finite")
        return step, address, payload

    def logits(self) -> np.ndarray:
        """One number a class."""
        logits = self._column("logits", "f")
        if not np.isfinite(logits).all():
            raise self._refusal("a logit is not finite")
        return logits

    def n_sleepless(self, name: str, n_places: int) -> int | None:
        """How many neurons of a population never sleep, where the trace tells."""
        value = self.attribute("n_sleepless", f"spikes/{name}")
        if value is None:
            return None
        if np.ndim(value) or np.asarray(value).dtype.kind not in "iu" or not 0 <= value <= n_places:
            found = np.asarray(value).tolist()
            raise self._refusal(f"spikes/{name}: n_sleepless is {found!r:.40}, expected 0 to {n_places}")
        return int(value)

    def ledger(self, of_former_version: bool = False) -> Ledger:
        """One row a handler and step; counts that a former version did not know are 0."""
        names, steps = self._column("ledger/handler", "S"), self._column("ledger/step", "iu")
        columns = self._counts(names.size, of_former_version)
        if any(column.shape != names.shape for column in (steps, *columns)):
            raise self._refusal("the columns of the ledger differ in length")
        if any(column.size and column.min() < 0 for column in (steps, *columns)):
            raise self._refusal("a step or count of the ledger is negative")
        ledger, seen = Ledger(), set()
        handlers = [name.decode() for name in names.tolist()]
        if not all(name.isprintable() for name in handlers):
            raise self._refusal("the ledger has a handler whose name cannot be printed")
        for name, step, *counts in zip(handlers, steps.tolist(), *(c.tolist() for c in columns), strict=True):
            if (name, step) in seen:
                raise self._refusal(f"the ledger has two rows of {name!r} at step {step}")
            seen.add((name, step))
            ledger.charge(name, step, OpCounts(*counts))
        return ledger

    def _counts(self, n_rows: int, of_former_version: bool) -> list[np.ndarray]:
        if not of_former_version:
            return [self._column(f"ledger/{count}", "iu") for count in COUNTS]
        names = set(self._file["ledger"]) - {"handler", "step"}
        if len(names) > len(COUNTS):
            raise self._refusal(f"the ledger has {len(names)} counts, at most {len(COUNTS)} are known")
        stored = with_present_names({name: self._column(f"ledger/{name}", "iu") for name in sorted(names)})
        return [stored.get(count, np.zeros(n_rows, np.int64)) for count in COUNTS]

    def provenance(self) -> dict:
        """What the run was of; see docs/trace.md."""
        text = self.attribute("provenance")
        if not isinstance(text, str) or len(text) > LARGEST_PROVENANCE:
            raise self._refusal("has no attribute provenance of text, or too long a one")
        try:
            known = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise self._refusal(f"the attribute provenance is not JSON ({one_line(error)})") from None
        if not isinstance(known, dict):
            raise self._refusal("the attribute provenance is not a JSON object")
        kinds = {**dict.fromkeys(_TEXTS, str), **dict.fromkeys((*_TABLES, "hyper_parameters"), dict), "notes": list}
        for name, kind in kinds.items():
            if not isinstance(known.get(name), (kind, type(None))):
                raise self._refusal(f"provenance: {name!r} is {known[name]!r:.60}, expected {_KINDS[kind]}")
        if not all(isinstance(note, str) for note in known.get("notes") or ()):
            raise self._refusal("provenance: a note is no text")
        return known | {"notes": known.get("notes") or []} | {name: self._named(known, name) for name in _TABLES}

    def _named(self, known: dict, name: str) -> dict:
        """A file that the provenance names; what a trace of another origin does not tell is "unknown"."""
        told = {key: value for key, value in (known.get(name) or {}).items() if value is not None}
        for key in _FILE_KEYS:
            if not isinstance(told.setdefault(key, "unknown"), str):
                raise self._refusal(f"provenance: {key!r} of {name!r} is {told[key]!r:.60}, expected text")
        return told

    def _column(self, name: str, kinds: str) -> np.ndarray:
        """A dataset [n] of plain numbers or text of fixed length."""
        node = dataset(self._file, name)
        if node.ndim != 1 or node.dtype.kind not in kinds:
            raise self._refusal(f"{name!r} has the shape {node.shape} and type {node.dtype}; expected one axis")
        chunk = math.prod(node.chunks) * node.dtype.itemsize if node.chunks else 0
        self._bytes_left -= max(node.size * node.dtype.itemsize, chunk)
        if self._bytes_left < 0 or (node.size and not node.id.get_storage_size()):
            raise self._refusal(f"{name!r} claims {node.size:,} values, more than a file of this size can hold")
        filters = {number for number, _ in filters_of(node)}
        if not filters <= PLAIN_FILTERS:
            raise self._refusal(f"{name!r} is packed with the filters {sorted(filters)}; expected deflate and shuffle")
        return node[()]

    def _refusal(self, what: str) -> TraceError:
        return TraceError(plain(f"{self._path}: {what:.400}"))


_KINDS = {str: "text", dict: "a JSON object", list: "a list"}


def _refuse_constant(name: str) -> None:
    raise ValueError(name)
