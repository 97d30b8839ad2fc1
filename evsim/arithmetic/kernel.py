"""kernel: Numba's njit with a cache that notices a change in any file the compiled code comes from."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from numba import njit

__all__ = ["kernel"]

_SHARED = (
    "arithmetic/lanes.py",
    "arithmetic/whole_lanes.py",
    "handlers/projections/gather.py",
    "handlers/neuron_forms/arithmetic.py",
)
"""Files, seen from the package's folder, whose kernels are compiled into those of other files."""


def kernel(function: Callable | None = None, **options) -> Callable:
    """A compiled function that releases the interpreter's lock; the options are njit's.

    Numba keeps compiled code until the function's own file changes. What was compiled into it from another file would
    stay as it was, and an evsim that was updated in place would go on with old kernels.
    """
    if function is None:
        return lambda function: kernel(function, **options)
    compiled = njit(cache=True, nogil=True, **options)(function)
    index = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if index is not None:  # not with NUMBA_DISABLE_JIT=1
        index._source_stamp = (index._source_stamp, _shared_sources())
    return compiled


def _shared_sources() -> str:
    texts = [(Path(__file__).parents[1] / name).read_bytes() for name in _SHARED]
    return sha256(b"\0".join(texts)).hexdigest()
