"""Mark: what stands in place of anything a pickle mentions that is no data here. It is never imported and never called.

Training scripts keep paths, types, arrays and objects of their own classes beside the weights. None of them is needed,
so each becomes a mark that knows its name, and the values that the pickle hangs on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from evsim.checkpoints.refusal import Refused, shown

__all__ = ["Mark", "check_harmless", "mark_of_call", "mark_of_name", "refers_to"]


@dataclass(slots=True, eq=False)
class Mark:
    """A name, and what hung on it.

    Parameters
    ----------
    name : str
        As the pickle has it, dotted.
    is_data : bool
        Whether it is known to stand for a plain value (a path, a type, an array), which may lie among the weights.
    values : dict
        What a pickle set on it: the attributes of an object, the items of a dict of another class.
    """

    name: str
    is_data: bool = False
    values: dict[object, object] = field(default_factory=dict)

    def take_state(self, state: object) -> None:
        """Keep the attributes that a pickle sets: a dict, or a pair of dicts (the second of slots)."""
        for part in state if type(state) is tuple and len(state) == 2 else (state,):
            if type(part) is dict:
                self.values.update(part)


def mark_of_name(dotted: str) -> Mark:
    """The mark of a name that is not on the list.

    Raises
    ------
    Refused
        The name can only be there to run something: the file is hostile, whatever else is in it.
    """
    if dotted.split(".", 1)[0] in _RUNNERS or dotted in _RUNNING:
        raise Refused(refers_to(dotted))
    is_data = dotted.startswith("torch.") and dotted[6:] in _CONSTANTS
    return Mark(dotted, is_data)


def mark_of_call(called: Mark) -> Mark:
    """The mark of what a call would have given."""
    return Mark(called.name, called.name in _DATA)


def check_harmless(value: object) -> None:
    """Raise where `value`, found among the weights, is a mark of something that is not known to be data."""
    if type(value) is Mark and not value.is_data:
        raise Refused(refers_to(value.name))


def refers_to(dotted: str) -> str:
    """The sentence for a name that is not allowed where it stands."""
    return f"its pickle refers to {shown(dotted)}, which is not allowed; nothing was executed"


# Modules, and names of other modules, that no checkpoint mentions except to run something when it is loaded.
_RUNNERS = frozenset(
    "os posix nt subprocess sys runpy importlib shutil socket pty ctypes code webbrowser commands multiprocessing "
    "pickle _pickle marshal asyncio urllib http requests pdb timeit profile cProfile pip".split()
)
_RUNNING = frozenset(
    f"{module}.{name}"
    for module in ("builtins", "__builtin__")
    for name in ("eval", "exec", "execfile", "compile", "open", "__import__", "input", "breakpoint")
)
_CONSTANTS = frozenset(
    "float64 float32 float16 bfloat16 double float half int64 int32 int16 int8 uint8 uint16 uint32 uint64 bool long "
    "int short complex32 complex64 complex128 float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz qint8 quint8 "
    "qint32 per_tensor_affine per_channel_affine strided sparse_coo sparse_csr contiguous_format channels_last "
    "preserve_format".split()
)
_DATA = frozenset(
    [
        *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("bytearray", "complex", "range")),
        *(f"builtins.{name}" for name in ("slice", "object")),
        *(f"pathlib.{name}" for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath", "Path")),
        *(f"pathlib._local.{name}" for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")),
        *(f"{module}.multiarray._reconstruct" for module in ("numpy.core", "numpy._core")),
        *(f"{module}.numeric._frombuffer" for module in ("numpy.core", "numpy._core")),
        *(f"datetime.{name}" for name in ("datetime", "date", "time", "timedelta", "timezone")),
        *("_io.BytesIO", "io.BytesIO", "decimal.Decimal", "fractions.Fraction", "uuid.UUID"),
        *(f"torch._utils._rebuild_{name}" for name in ("qtensor", "sparse_tensor", "sparse_csr_tensor")),
        *(f"torch._utils._rebuild_{name}" for name in ("meta_tensor_no_storage", "nested_tensor", "tensor_v3")),
        "torch.serialization._get_layout",
    ]
)
