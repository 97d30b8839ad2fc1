"""The only names of a checkpoint's pickle that mean something here, and the inert thing that each of them builds.

Nothing is ever imported because a file asks for it: a name is looked up in `ALLOWED`, or is a `Mark` and no more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from evsim.checkpoints.mark import Mark, mark_of_name
from evsim.checkpoints.refusal import Refused
from evsim.checkpoints.stored_tensor import STORAGE_TYPES, UNREAD_TYPES, StorageRef, StoredTensor

__all__ = ["Global", "Namespace", "check_key", "find_global", "read_persistent_id"]

_LARGEST_KEY = 2**62
_LONGEST_KEY = 2**12


@dataclass(slots=True, eq=False)
class Namespace:
    """What a pickled `argparse.Namespace` held; no attribute of ours is ever set from the file."""

    values: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class NumpyType:
    """A pickled `numpy.dtype` of a scalar, such as the best accuracy a training script stored."""

    name: str
    order: str = "<"


@dataclass(frozen=True, slots=True)
class Global:
    """A name of the allow-list; `build` is None where the name may be mentioned but not called."""

    name: str
    build: Callable[..., object] | None = None


def find_global(module: str, name: str) -> Global | Mark:
    """Look up what the pickle calls `module.name`; a name that is not on the list is a mark, which nothing calls.

    Raises
    ------
    Refused
        The name can only be there to run something. Nothing has been imported or executed.
    """
    return ALLOWED.get(f"{module}.{name}") or mark_of_name(f"{module}.{name}")


def check_key(key: object) -> object:
    """Give back a dict key or set member whose hash is cheap; a mark in place of any other.

    The hash of a tuple of tuples walks it, which a small file can make last for years.

    Raises
    ------
    Refused
        A huge integer or text: many of them may have one hash.
    """
    if isinstance(key, int) and abs(key) >= _LARGEST_KEY:
        raise Refused("its pickle uses a huge integer as a dict key")
    if isinstance(key, str | bytes) and len(key) > _LONGEST_KEY:
        raise Refused(f"its pickle uses a text of length {len(key)} as a dict key")
    return key if isinstance(key, str | bytes | bool | int | float | Mark | None) else Mark(type(key).__name__, True)


def read_persistent_id(pid: object) -> StorageRef | Mark:
    """Read ('storage', type, key, location, numel), with a trailing None in the old format; a mark of unknown types.

    Raises
    ------
    Refused
        When it has any other form.
    """
    if type(pid) is not tuple or len(pid) not in (5, 6) or pid[5:] not in ((), (None,)):
        raise Refused("its pickle holds a persistent id that is not a plain storage")
    tag, kind, key, location, numel = pid[:5]
    if tag == "storage" and type(kind) is Mark:
        return Mark(kind.name, kind.is_data)
    if tag != "storage" or (dtype := read_storage_type(kind)) is None:
        raise Refused("its pickle holds a persistent id that is not a storage of a known type")
    if type(key) is not str or type(location) is not str or type(numel) is not int or not 0 <= numel < 2**48:
        raise Refused("its pickle holds a storage whose key, location or size makes no sense")
    return StorageRef(dtype, key, numel)


def read_storage_type(kind: object) -> str | None:
    """The type of a storage's numbers; None where it is none that is known."""
    return STORAGE_TYPES.get(kind.name) if type(kind) is Global else None


def _rebuild_tensor(storage, offset, shape, strides, *_rest) -> StoredTensor | Mark:
    tensor = StoredTensor(storage, offset, shape, strides)
    return Mark(f"a tensor of {storage.dtype}", True) if storage.dtype in UNREAD_TYPES else tensor


def _rebuild_parameter(tensor, *_rest) -> StoredTensor:
    return _expect(tensor, StoredTensor)


def _rebuild_from_type(function, kind, arguments, *_state) -> StoredTensor | Mark:
    """A tensor or parameter that somebody gave an attribute; a class of somebody's own stays a mark."""
    if Mark in (type(function), type(kind)):
        return next(Mark(part.name) for part in (kind, function) if type(part) is Mark)
    if type(function) is not Global or function.build not in (_rebuild_tensor, _rebuild_parameter):
        raise Refused("its pickle builds a tensor with something that builds none")
    return function.build(*_expect(arguments, tuple))


def _mapping(items=()) -> dict:
    if type(items) is dict:
        return dict(items)
    pairs = _expect(items, list, tuple)
    return {check_key(key): value for key, value in (_expect(pair, list, tuple) for pair in pairs)}


def _defaultdict(_factory=None, items=()) -> dict:
    return _mapping(items)


def _set(members=()) -> set:
    return {check_key(member) for member in _expect(members, list, tuple)}


def _size(sizes) -> tuple:
    return _expect(sizes, tuple)


def _device(kind, index=None) -> str:
    return _expect(kind, str) if index is None else f"{_expect(kind, str)}:{_expect(index, int)}"


def _encode(text, encoding) -> bytes:
    if encoding != "latin1":
        raise Refused("its pickle holds bytes in an encoding other than latin1")
    return _expect(text, str).encode("latin1")


def _numpy_type(name, *_rest) -> NumpyType | Mark:
    known = name in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
    return NumpyType(name) if known else Mark("numpy.dtype", True)


def _numpy_scalar(kind, raw) -> float | int | bool:
    dtype = np.dtype(_expect(kind, NumpyType).name).newbyteorder(kind.order)
    if len(_expect(raw, bytes)) != dtype.itemsize:
        raise Refused("its pickle holds a NumPy scalar of the wrong size")
    return np.frombuffer(raw, dtype)[0].item()


def _expect(value, *types):
    if type(value) not in types:
        raise Refused(f"its pickle uses a {type(value).__name__} where a {types[0].__name__} belongs")
    return value


_BUILDERS: dict[str, Callable[..., object] | None] = {
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
    "torch._tensor._rebuild_from_type": _rebuild_from_type,
    "torch._tensor._rebuild_from_type_v2": _rebuild_from_type,
    "torch.Tensor": None,
    "torch.nn.parameter.Parameter": None,
    "torch.nn.parameter.Buffer": None,
    "torch.Size": _size,
    "torch.device": _device,
    "collections.OrderedDict": _mapping,
    "collections.Counter": _mapping,
    "collections.defaultdict": _defaultdict,
    "argparse.Namespace": None,
    "_codecs.encode": _encode,
    "numpy.dtype": _numpy_type,
    "numpy.core.multiarray.scalar": _numpy_scalar,
    "numpy._core.multiarray.scalar": _numpy_scalar,
}
# Python 2 wrote __builtin__; dict, list and int only ever serve as the factory of a defaultdict.
for _module in ("builtins", "__builtin__"):
    _BUILDERS |= {f"{_module}.{name}": None for name in ("dict", "list", "int", "float")}
    _BUILDERS |= {f"{_module}.{name}": _set for name in ("set", "frozenset")}
ALLOWED = {name: Global(name, build) for name, build in _BUILDERS.items()}
ALLOWED |= {name: Global(name) for name in STORAGE_TYPES}
