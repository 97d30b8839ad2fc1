"""Whatever the user's own code raises, in one line with the place in that code."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from evsim.errors import EvsimError

__all__ = ["guarded"]

_Result = TypeVar("_Result")


def guarded(where: str, call: Callable[[], _Result]) -> _Result:
    """What `call` returns.

    Parameters
    ----------
    where : str
        How the line begins: a file, or what was being done.

    Raises
    ------
    EvsimError
        The code raised anything, or wanted to end the process.
    """
    try:
        return call()
    except EvsimError:
        raise
    except (Exception, SystemExit) as error:
        frames = inspect.getinnerframes(error.__traceback__) if error.__traceback__ else []
        own = [frame for frame in frames if not _is_library(frame.filename)] or frames
        at = f" at {Path(own[-1].filename).name} line {own[-1].lineno}" if own else ""
        words = " ".join(str(error).split())[:300]
        raise EvsimError(f"{where}: {type(error).__name__}: {words}{at}") from error


def _is_library(file: str) -> bool:
    """Inside PyTorch a line number tells the user nothing; inside this package neither."""
    return any(Path(file).is_relative_to(Path(home).parent) for home in (torch.__file__, Path(__file__).parent))
