"""The operations of a graph: for each its attributes, the shape it makes, and what it means in NumPy.

A file a kind: what only moves values, arithmetic element by element, sums and products, windows over maps.
"""

from __future__ import annotations

import importlib
import pkgutil

from evsim.graph.ops.op import Op

__all__ = ["OPS"]

OPS: dict[str, Op] = {}
"""By name."""

for _module in pkgutil.iter_modules(__path__):
    OPS |= getattr(importlib.import_module(f"{__name__}.{_module.name}"), "OPS", {})
