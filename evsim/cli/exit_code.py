"""What the shell is told."""

from enum import IntEnum

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """Exit codes of every verb."""

    OK = 0
    DISAGREES = 1
    """A comparison was made and failed; nothing else ends so."""
    BAD_INPUT = 2
    """What was given, or where output should go, is at fault: one line says what."""
    FAULT = 70
    """evsim itself is at fault; a traceback says where."""
    INTERRUPTED = 130
