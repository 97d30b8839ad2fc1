"""understood: an operation called in a way that nobody foresaw is a refusal like any other, never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from evsim.errors import EvsimError
from evsim.graph.rolling.axes import Unrolled
from evsim.graph.rolling.run import RecordedOp

__all__ = ["no_form", "understood"]


def no_form(name: str) -> Unrolled:
    """The refusal of an operation that a graph has no word for."""
    return Unrolled(
        f"operation {name} has no form here, event-driven or dense: write it with other operations, or leave it out of "
        "the model"
    )


_Result = TypeVar("_Result")


def understood(op: RecordedOp, rule: Callable[..., _Result], *arguments: object) -> _Result:
    """What the rule makes of the operation.

    Raises
    ------
    Unrolled
        The rule refuses, or fails in any way.
    """
    try:
        return rule(*arguments)
    except EvsimError:
        raise
    except Exception as error:
        words = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise Unrolled(f"operation {op.name} is called in a way that has no form here ({words})") from error
