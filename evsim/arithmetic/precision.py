"""The arithmetics a network can run in, by name."""

from __future__ import annotations

from evsim.errors import EvsimError

__all__ = ["BITS", "FLOAT", "PRECISIONS", "check_precision"]

FLOAT = "float32"
BITS = {"int16": 16, "int8": 8}
"""Bits of a weight in fixed point."""
PRECISIONS = (FLOAT, *BITS)


def check_precision(precision: str, where: str = "--precision", known: tuple[str, ...] = PRECISIONS) -> str:
    """`precision` where it is known.

    Raises
    ------
    EvsimError
        It is not.
    """
    if precision not in known:
        raise EvsimError(f"{where} {precision}: expected {', '.join(known)}")
    return precision
