"""Reading HDF5 files of unknown origin: only plain data inside the file, never more than the file can hold."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np

from evsim.errors import RecordingError
from evsim.recordings import ecf
from evsim.recordings.chunk_filters import BLOSC, FILTERS, filters_of
from evsim.recordings.discover import one_line
from evsim.recordings.safe_chunks import read_chunks, require_safe_filters
from evsim.recordings.safe_heap import check_heaps

__all__ = ["attribute", "check_size", "contents", "dataset", "is_hdf5", "kind_of", "n_rows", "open_hdf5", "read_array"]

MAGIC = b"\x89HDF\r\n\x1a\n"
# deflate cannot do better than 1032 to 1; lzf, szip and blosc's usual codecs stay below on event data.
MAX_RATIO = 1100
# Tiny files may hold larger arrays of one repeated value.
ALLOWANCE = 16 * 2**20
MAX_BYTES = 2**32
# The longest an ECF chunk can be: nine bytes an event.
MAX_ECF_BYTES = 2**20


def is_hdf5(head: bytes) -> bool:
    """Whether the file starts with an HDF5 signature, possibly behind a user block (MATLAB writes one)."""
    return any(head[at : at + 8] == MAGIC for at in (0, 512, 1024, 2048))


@contextmanager
def open_hdf5(path):
    """The opened file, read-only, closed at the end of the `with` block."""
    import h5py

    try:
        file = h5py.File(path, "r")
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise RecordingError(f"{path}: damaged or truncated HDF5 file ({one_line(error)})") from error
    with file:
        yield file


def _member(file, name: str):
    """The object at `name` reached by hard links only, or None.

    Soft links can lead through external links into other files; no known writer of recordings uses either.
    """
    import h5py

    node = file
    for part in name.strip("/").split("/"):
        part_bytes = part.encode()
        if not isinstance(node, h5py.Group) or not node.id.links.exists(part_bytes):
            return None
        if node.id.links.get_info(part_bytes).type != h5py.h5l.TYPE_HARD:
            raise RecordingError(f"{file.filename}: {name!r} is a link to another place; only plain data is read")
        node = node[part]
    return node


def kind_of(file, name: str) -> str | None:
    """What is at `name`: "group", "table" (compound), "vlen", "array" or "link"; None when there is nothing."""
    import h5py

    try:
        node = _member(file, name)
    except RecordingError:
        return "link"
    if isinstance(node, h5py.Group):
        return "group"
    if not isinstance(node, h5py.Dataset):
        return None
    if h5py.check_vlen_dtype(node.dtype) is not None:
        return "vlen"
    return "table" if node.dtype.names else "array"


def dataset(file, name: str):
    """The dataset at `name` after refusing everything that is not plain data inside this file."""
    import h5py

    node = _member(file, name)
    where = f"{file.filename}: {name!r}"
    if not isinstance(node, h5py.Dataset):
        raise RecordingError(f"{where} is not a dataset")
    if node.is_virtual or node.external:
        raise RecordingError(f"{where} keeps its data in other files; only plain data is read")
    if node.shape is None:
        raise RecordingError(f"{where} is empty (it has no shape)")
    return node


def n_rows(file, name: str) -> int:
    """How many rows a dataset has, after checking that the file is large enough to hold them."""
    node = dataset(file, name)
    check_size(file, name, node)
    return len(node) if node.shape else 0


def read_array(file, name: str, part: slice | None = None) -> np.ndarray:
    """A dataset, or some of its rows, after checking that the file is large enough to hold what the shape claims."""
    node = dataset(file, name)
    if node.dtype.hasobject:
        raise RecordingError(f"{file.filename}: {name!r} holds references or text ({node.dtype}); expected numbers")
    check_size(file, name, node)
    if [number for number, _ in filters_of(node)][:1] == [ecf.FILTER]:
        return _read_ecf(file, name, node, part or slice(0, len(node)))
    require_safe_filters(file, name, node)
    try:
        if node.chunks is not None:
            require_blosc(file, name, node)
            return read_chunks(file, name, node, part)
        return node[()] if part is None else node[part]
    except OSError as error:
        raise RecordingError(f"{file.filename}: {name!r} cannot be decoded ({one_line(error)})") from error


def require_blosc(file, name: str, node) -> None:
    """Refuse a dataset packed by Blosc where it is not installed; hdf5plugin brings it."""
    import h5py

    numbers = [number for number, _ in filters_of(node)]
    if BLOSC not in numbers or h5py.h5z.filter_avail(BLOSC):
        return
    try:
        import hdf5plugin  # noqa: F401 - importing it registers its filters
    except ImportError:
        pass
    if not h5py.h5z.filter_avail(BLOSC):
        raise RecordingError(
            f"{file.filename}: {name!r} is packed with {FILTERS[BLOSC]} (filter {BLOSC}), which is not installed: "
            "pip install 'evsim[formats]'"
        )


def _read_ecf(file, name: str, node, part: slice) -> np.ndarray:
    """Events packed with Prophesee's codec, chunk by chunk."""
    if len(filters_of(node)) > 1 or node.ndim != 1 or node.chunks[0] > ecf.MAX_EVENTS:
        raise RecordingError(f"{file.filename}: {name!r} is packed with ECF in a way that no writer does")
    size, stop = node.chunks[0], min(part.stop, len(node))
    events = np.empty(max(0, stop - part.start), ecf.EVENT)
    for at in range(part.start // size * size, stop, size):
        first, last = max(at, part.start), min(at + size, stop)
        chunk = _ecf_chunk(file, name, node, at)
        if len(chunk) < last - at:
            raise RecordingError(f"{file.filename}: {name!r} has {len(chunk)} of {last - at} events in a chunk")
        events[first - part.start : last - part.start] = chunk[first - at : last - at]
    return events


def _ecf_chunk(file, name: str, node, at: int) -> np.ndarray:
    info = node.id.get_chunk_info_by_coord((at,))
    if info.byte_offset is None or info.size > MAX_ECF_BYTES:
        raise RecordingError(f"{file.filename}: {name!r} has a damaged chunk at {at}")
    try:
        return ecf.decode_ecf(node.id.read_direct_chunk((at,))[1])
    except ValueError as error:
        raise RecordingError(f"{file.filename}: {name!r}, chunk at {at}: {one_line(error)}") from error


def check_size(file, name: str, node) -> None:
    """Refuse a dataset whose shape or chunk claims more than its stored bytes can hold."""
    stored = node.id.get_storage_size()
    chunk = int(np.prod(node.chunks, dtype=object)) * node.dtype.itemsize if node.chunks else 0
    claimed = max(int(np.prod(node.shape, dtype=object)) * node.dtype.itemsize, chunk)
    if node.size and not stored:
        raise RecordingError(f"{file.filename}: {name!r} claims shape {node.shape} but stores no data")
    bound = min(ALLOWANCE + MAX_RATIO * stored, MAX_BYTES)
    if claimed > bound:
        raise RecordingError(
            f"{file.filename}: {name!r} claims {claimed} bytes (shape {node.shape}) from {stored} stored; "
            f"at most {bound} are believed"
        )


def attribute(file, names: tuple[str, ...], where: tuple[str, ...] = ("/",)):
    """The first attribute called one of `names` on one of the groups `where`, or None."""
    for place in where:
        node = file if place == "/" else _member(file, place)
        for name in names:
            if node is None or name not in node.attrs:
                continue
            kind = node.attrs.get_id(name).dtype
            if kind.kind == "O" and kind.metadata:
                check_heaps(file.filename)
            elif kind.kind not in "biufS":
                continue
            return node.attrs[name]
    return None


def contents(file, depth: int = 3, limit: int = 12) -> str:
    """What an HDF5 file holds, in one line."""
    found: list[str] = []
    _walk(file, "", depth, found, limit + 1)
    shown = ", ".join(found[:limit]) or "nothing"
    return shown + (", ..." if len(found) > limit else "")


def _walk(group, prefix: str, depth: int, found: list[str], limit: int) -> None:
    import h5py

    for name in group:
        if len(found) >= limit:
            return
        if group.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
            found.append(f"{prefix}{name} (a link)")
            continue
        node = group[name]
        if isinstance(node, h5py.Dataset):
            found.append(f"{prefix}{name} {node.shape} {node.dtype}")
        elif isinstance(node, h5py.Group) and depth > 1:
            _walk(node, f"{prefix}{name}/", depth - 1, found, limit)
