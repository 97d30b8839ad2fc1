"""What is printed: harmless whatever a file says, and never lost in silence.

`guarded` stands before standard output and standard error for as long as a verb runs; `console` makes the tables.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from evsim.errors import EvsimError
from evsim.plain_text import plain

__all__ = ["OutputLost", "console", "guarded"]

FULL_WIDTH = 132
"""Columns where nobody looks: a file or a pipe has no width to respect."""

_COLOUR = re.compile("(\x1b\\[[0-9;]*m)")
_CURSOR = re.compile("(\x1b\\[[0-9;?]*[A-Za-z]|\r)")


class OutputLost(EvsimError):
    """Standard output cannot be written to: it is full, or closed (`is_pipe`: whoever read it has gone)."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output cannot be written: {error.strerror or error}")
        self.is_pipe = error.errno == errno.EPIPE


@contextmanager
def guarded() -> Iterator[None]:
    """Within the block, text for the terminal is made harmless, and an output that fails is an `OutputLost`."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Output(sys.stdout, _COLOUR), _Messages(sys.stderr, _CURSOR)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def console(width: int = FULL_WIDTH):
    """A console of rich whose text is text: no markup, no emoji codes, no control characters, one line a line.

    Parameters
    ----------
    width : int
        Where standard output is no terminal.
    """
    from rich.console import Console

    class Screen(Console):
        def render_str(self, text: str, **options):
            return super().render_str(plain(text), **(options | {"markup": False, "emoji": False}))

    screen = Screen(highlight=False, markup=False, emoji=False)
    if not screen.is_terminal:
        screen.width = width
    return screen


class _Output:
    """A text stream that lets only the wanted control sequences through, and those only to a terminal."""

    def __init__(self, stream, wanted: re.Pattern) -> None:
        self._stream = stream
        self._lost: OutputLost | None = None
        is_coloured = self.isatty() or bool(os.environ.get("FORCE_COLOR"))
        self._wanted = wanted if is_coloured else None

    def __getattr__(self, name: str):
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        if isinstance(text, str):
            self._try("write", self._harmless(text))
            return len(text)
        return self._stream.write(text)

    def flush(self) -> None:
        self._try("flush")

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    def _harmless(self, text: str) -> str:
        if self._wanted is not None:
            parts = self._wanted.split(text)
            parts[::2] = map(_plain_lines, parts[::2])
            text = "".join(parts)
        else:
            text = _plain_lines(text)
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        return text.encode(encoding, "backslashreplace").decode(encoding)

    def _try(self, verb: str, *arguments) -> None:
        if self._lost is not None:  # whoever tried it out may have passed over what it was told
            raise self._lost
        try:
            if self._stream is None:
                raise OSError(errno.EBADF, "it is closed")
            getattr(self._stream, verb)(*arguments)
        except (OSError, ValueError) as error:  # ValueError: a stream that was closed by us
            self._fail(error if isinstance(error, OSError) else OSError(errno.EBADF, "it is closed"))

    def _fail(self, error: OSError) -> None:
        # What is still in the buffer would fail once more, without a word from us, when the interpreter ends.
        with suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
        self._lost = OutputLost(error)
        raise self._lost from None


class _Messages(_Output):
    """Standard error: a message that cannot be written has nowhere to be told."""

    def _try(self, verb: str, *arguments) -> None:
        with suppress(EvsimError):
            super()._try(verb, *arguments)


def _plain_lines(text: str) -> str:
    """`plain`, with the ends of lines and tabulators left."""
    if text.isprintable():
        return text
    return "\n".join("\t".join(map(plain, line.split("\t"))) for line in text.split("\n"))
