"""loop_kernel: a part of the one loop of this mode, which is optimised as a whole and compiles a third faster so."""

from __future__ import annotations

from functools import partial

from evsim.arithmetic.inner_kernel import inner_kernel

__all__ = ["loop_kernel"]

loop_kernel = partial(inner_kernel, is_rough=True)
