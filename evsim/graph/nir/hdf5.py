"""A NIR file as nodes of the `nir` library: an HDF5 file of unknown origin, bounded before anything is read from it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from evsim.checkpoints.numbers import LARGEST_WEIGHT
from evsim.checkpoints.refusal import Refused, shown
from evsim.errors import EvsimError
from evsim.recordings.discover import one_line
from evsim.recordings.safe_hdf5 import MAGIC, check_size, dataset, kind_of, open_hdf5, read_array
from evsim.recordings.safe_heap import check_heaps

__all__ = ["NODES", "is_nir", "library", "read_nodes"]

NODES = {
    "Affine", "AvgPool2d", "Conv1d", "Conv2d", "CubaLI", "CubaLIF", "Delay", "Flatten", "I", "IF", "Input", "LI", "LIF",
    "Linear", "NIRGraph", "Output", "Scale", "SumPool2d", "Threshold",
}  # fmt: skip
"""What the standard knows."""
DEEPEST = 16
MOST_NODES = 10_000
MOST_EDGES = 100_000
MOST_BYTES = 2**28
"""Of all arrays together, or four times the file where it is larger than that."""
_LONGEST_TEXT = 1000
_WORDS = {"type", "padding"}
_UNREAD = {"metadata", "input_shape", "input_type"}
"""Of a layer: remarks, and shapes that follow from what comes before it (see `evsim.graph.nir.translate`)."""


def is_nir(path: str | os.PathLike[str]) -> bool:
    """Whether a file is called .nir, or is an HDF5 file with a node in it."""
    if os.fspath(path).endswith(".nir"):
        return True
    try:
        with open(path, "rb") as file:
            if file.read(8) != MAGIC:
                return False
        with open_hdf5(path) as file:
            return file.id.links.exists(b"node")
    except (OSError, RuntimeError, KeyError, ValueError, EvsimError):
        return False


def library(path: str | os.PathLike[str]):
    """The `nir` package.

    Raises
    ------
    EvsimError
        It is not installed.
    """
    try:
        import nir
    except ModuleNotFoundError:
        raise EvsimError(f"{path}: graphs of NIR need the package nir: pip install 'evsim[nir]'") from None
    return nir


def read_nodes(path: str) -> tuple[dict, list[tuple[str, str]]]:
    """The outermost graph: its nodes, of which a subgraph is such a pair itself, and its edges.

    Raises
    ------
    EvsimError
        One line: it is no HDF5 file, damaged, holds no graph, an unknown node, or more than a file may hold.
    """
    nir = library(path)
    with open(path, "rb") as file:
        head = file.read(8)
    if head != MAGIC:
        raise Refused("is no NIR graph: expected an HDF5 file as nir.write makes it")
    check_heaps(path)
    with open_hdf5(path) as file:
        reader = _Reader(nir, file, max(MOST_BYTES, 4 * os.path.getsize(path)))
        try:
            if not file.id.links.exists(b"node"):
                data = ": it holds NIR data (spikes), no graph" if "__type__" in file.attrs else ""
                raise Refused(f"has no 'node', expected an HDF5 file as nir.write makes it{data}")
            reader.measure("node", 0)
            found = reader.node("node", "its outermost node")
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, UnicodeError) as error:
            raise Refused(f"is damaged ({one_line(error)})") from None
    if not isinstance(found, tuple):
        raise Refused(f"holds a lone {type(found).__name__}, expected a NIRGraph of an Input, layers and an Output")
    return found


class _Reader:
    """Counts what a file claims to hold, then reads its nodes."""

    def __init__(self, nir, file, most_bytes: int) -> None:
        self.nir, self.file, self.most_bytes = nir, file, most_bytes
        self.n_nodes = self.n_bytes = 0

    def measure(self, place: str, depth: int) -> None:
        """Raise where groups are too many or too deep, or arrays too large, before one of them is read."""
        if depth > 2 * DEEPEST:
            raise Refused(f"its graphs are nested deeper than {DEEPEST}")
        names = self._members(place, place)
        self.n_nodes += 1
        if self.n_nodes + len(names) > 2 * MOST_NODES:
            raise Refused(f"has more than {MOST_NODES} nodes")
        for key in names:
            if key == "metadata":
                continue
            if kind_of(self.file, f"{place}/{key}") == "group":
                self.measure(f"{place}/{key}", depth + 1)
            else:
                self._charge(f"{place}/{key}")

    def node(self, place: str, name: str):
        """A node of the library; a graph is (nodes, edges)."""
        members = set(self._members(place, name))
        kind = self._text(f"{place}/type") if "type" in members else None
        if kind not in NODES:
            raise Refused(f"{name} is of the type {shown(kind)}, expected one of {', '.join(sorted(NODES))}")
        if kind == "NIRGraph":
            return self._graph(place, name, members)
        told = {key: self._value(f"{place}/{key}", name) for key in sorted(members - _UNREAD)}
        if kind == "Conv1d" or kind == "Conv2d":
            told["input_shape"] = None
        if kind == "Flatten":
            told["input_type"] = None
        try:
            return self.nir.dict2NIRNode(told)
        except Exception as error:  # whatever the library makes of wrong fields
            raise Refused(f"{name} is no {kind}: {one_line(error) or type(error).__name__}") from None

    def _graph(self, place: str, name: str, members: set[str]):
        for part in ("nodes", "edges"):
            if part not in members:
                raise Refused(f"{name} is a graph without {part}")
        names = self._members(f"{place}/nodes", name)
        inside = {key: self.node(f"{place}/nodes/{key}", f"node {shown(key)}") for key in names}
        return inside, self._edges(f"{place}/edges", name, inside)

    def _members(self, place: str, name: str) -> list[str]:
        import h5py

        group = self.file
        for part in place.split("/"):
            link = group.id.links
            if not isinstance(group, h5py.Group) or not link.exists(part.encode()):
                raise Refused(f"has no {place!r}, expected an HDF5 file as nir.write makes it")
            if link.get_info(part.encode()).type != h5py.h5l.TYPE_HARD:
                raise Refused(f"{place!r} is a link to another place; only plain data is read")
            group = group[part]
        if not isinstance(group, h5py.Group):
            raise Refused(f"{name} is no node: {place!r} is not a group")
        if len(group) > MOST_NODES:
            raise Refused(f"has more than {MOST_NODES} nodes")
        return list(group)

    def _value(self, place: str, name: str) -> object:
        import h5py

        node = dataset(self.file, place)
        if h5py.check_string_dtype(node.dtype) is not None:
            return self._word(place, name)
        value = read_array(self.file, place)
        if value.dtype.kind not in "iufb":
            raise Refused(f"{name}: {place.rpartition('/')[2]} is of the type {value.dtype}, expected numbers")
        if value.dtype.kind == "f" and not np.all(np.isfinite(value)):
            raise Refused(f"{name}: {place.rpartition('/')[2]} holds values that are no numbers (NaN or infinite)")
        if value.dtype.kind == "f" and value.size and np.abs(value).max() > LARGEST_WEIGHT:
            raise Refused(f"{name}: {place.rpartition('/')[2]} holds values of more than {LARGEST_WEIGHT:g}")
        return value

    def _word(self, place: str, name: str) -> str:
        """A text where the standard has one: anywhere else it would have to be numbers."""
        key = place.rpartition("/")[2]
        if key not in _WORDS:
            raise Refused(f"{name}: {key} is a text, expected numbers")
        return self._text(place)

    def _charge(self, place: str) -> None:
        node = dataset(self.file, place)
        check_size(self.file, place, node)
        self.n_bytes += node.size * node.dtype.itemsize
        if self.n_bytes > self.most_bytes:
            raise Refused(f"its arrays take more than {self.most_bytes:,} bytes")

    def _text(self, place: str) -> str:
        node = dataset(self.file, place)
        value = node[()] if node.shape == () else None
        value = value.decode() if isinstance(value, bytes) else value
        if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
            raise Refused(f"{place!r} is {shown(value)}, expected a word")
        return value

    def _edges(self, place: str, name: str, nodes: Mapping[str, object]) -> list[tuple[str, str]]:
        node = dataset(self.file, place)
        if node.shape == (0,):
            return []
        if node.ndim != 2 or node.shape[1] != 2 or len(node) > MOST_EDGES:
            raise Refused(f"the edges of {name} are {shown(list(node.shape))}, expected up to {MOST_EDGES} pairs")
        edges = [tuple(_word(end) for end in pair) for pair in node[()]]
        for end in (end for edge in edges for end in edge):
            if end not in nodes:
                raise Refused(f"an edge of {name} names the node {shown(end)}, which is not there")
        for edge, n in Counter(edges).items():
            if n > 1:
                raise Refused(f"the edge {_arrow(edge)} is there {n} times")
        return edges


def _word(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _arrow(edge: Iterator[str]) -> str:
    return " -> ".join(map(shown, edge))
