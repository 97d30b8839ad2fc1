"""What the shell is told."""

from enum import IntEnum

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """Exit codes of every verb."""

    OK = 0
    DISAGREES = 1
    BAD_INPUT = 2
    INTERRUPTED = 130
