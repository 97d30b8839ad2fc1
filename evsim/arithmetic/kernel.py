"""kernel: Numba's njit with a cache that notices a change in any file the compiled code comes from."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from evsim.arithmetic.kernel_cache import compiled

__all__ = ["kernel"]

_ASYNCHRONOUS = (
    "columns", "delivery", "machine", "membranes", "products", "relays", "rows", "settle", "spread", "waiting",
)  # fmt: skip
"""The parts of one loop: a change in one is a change in all, and the numbers of columns are compiled in."""
_SHARED = (
    "arithmetic/byte_lanes.py",
    "arithmetic/byte_rows.py",
    "arithmetic/count_rows.py",
    "arithmetic/lanes.py",
    "arithmetic/positions.py",
    "arithmetic/row_panels.py",
    "arithmetic/tree_rows.py",
    "arithmetic/vectors.py",
    "arithmetic/whole_lanes.py",
    "handlers/attention/ssa_order.py",
    "handlers/projections/blocks.py",
    "handlers/projections/gather.py",
    "handlers/neuron_forms/arithmetic.py",
    "handlers/acts.py",
    *(f"asynchronous/{name}.py" for name in _ASYNCHRONOUS),
)
"""Files, seen from the package's folder, whose kernels are compiled into those of other files."""


def kernel(function: Callable | None = None, **options) -> Callable:
    """A compiled function that releases the interpreter's lock; the options are njit's.

    Numba keeps compiled code until the function's own file changes. What was compiled into it from another file would
    stay as it was, and an evsim that was updated in place would go on with old kernels.
    """
    if function is None:
        return lambda function: kernel(function, **options)
    return compiled(function, _shared_sources(), nogil=True, no_cfunc_wrapper=True, **options)


def _shared_sources() -> str:
    texts = [(Path(__file__).parents[1] / name).read_bytes() for name in _SHARED]
    return sha256(b"\0".join(texts)).hexdigest()
