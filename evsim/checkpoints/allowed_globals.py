"""The only names a checkpoint's pickle may mention, and the inert thing that each of them builds here.

Nothing is ever imported because a file asks for it: a name is looked up in `ALLOWED` or refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from evsim.checkpoints.refusal import Refused, shown
from evsim.checkpoints.stored_tensor import STORAGE_TYPES, StorageRef, StoredTensor

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


@dataclass(frozen=True, slots=True)
class Global:
    """A name of the allow-list; `build` is None where the name may be mentioned but not called."""

    name: str
    build: Callable[..., object] | None = None


def find_global(module: str, name: str) -> Global:
    """Look up what the pickle calls `module.name`.

    Raises
    ------
    Refused
        When it is not one of the few names on the list. Nothing has been imported or executed.
    """
    found = ALLOWED.get(f"{module}.{name}")
    if found is None:
        raise Refused(f"its pickle refers to {shown(f'{module}.{name}')}, which is not allowed; nothing was executed")
    return found


def check_key(key: object) -> object:
    """Give back a dict key or set member if hashing and comparing it is cheap.

    Raises
    ------
    Refused
        Else: the hash of a tuple of tuples walks it, which a small file can make last for years.
    """
    if isinstance(key, int) and abs(key) >= _LARGEST_KEY:
        raise Refused("its pickle uses a huge integer as a dict key")
    if isinstance(key, str | bytes) and len(key) > _LONGEST_KEY:
        raise Refused(f"its pickle uses a text of length {len(key)} as a dict key")
    if not isinstance(key, str | bytes | bool | int | float | None):
        raise Refused(f"its pickle uses a {type(key).__name__} as a dict key")
    return key


def read_persistent_id(pid: object) -> StorageRef:
    """Read ('storage', type, key, location, numel), with a trailing None in the old format.

    Raises
    ------
    Refused
        When it has any other form.
    """
    if type(pid) is not tuple or len(pid) not in (5, 6) or pid[5:] not in ((), (None,)):
        raise Refused("its pickle holds a persistent id that is not a plain storage")
    tag, kind, key, location, numel = pid[:5]
    if tag != "storage" or type(kind) is not Global or kind.name not in STORAGE_TYPES:
        raise Refused("its pickle holds a persistent id that is not a storage of a known type")
    if type(key) is not str or type(location) is not str or type(numel) is not int or not 0 <= numel < 2**48:
        raise Refused("its pickle holds a storage whose key, location or size makes no sense")
    return StorageRef(STORAGE_TYPES[kind.name], key, numel)


def _rebuild_tensor(storage, offset, shape, strides, *_rest) -> StoredTensor:
    return StoredTensor(storage, offset, shape, strides)


def _rebuild_parameter(tensor, *_rest) -> StoredTensor:
    return _expect(tensor, StoredTensor)


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


def _numpy_type(name, *_rest) -> NumpyType:
    if name not in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"):
        raise Refused("its pickle holds a NumPy scalar that is not a number")
    return NumpyType(name)


def _numpy_scalar(kind, raw) -> float | int | bool:
    dtype = np.dtype(_expect(kind, NumpyType).name).newbyteorder("<")
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
