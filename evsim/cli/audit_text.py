"""A report on the terminal or in a file, and the command that made it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from evsim.auditing.formats import write_report
from evsim.auditing.sheet import Report
from evsim.outputs import write_output
from evsim.plain_text import plain

__all__ = ["command_line", "emit", "emit_text", "progress"]


def emit(report: Report, format: str, output: str | None) -> None:
    """Print the report, or write it to a file."""
    emit_text(write_report(report, format), output)


def emit_text(text: str, output: str | None) -> None:
    """Print a text, or write it under a temporary name that is then renamed."""
    if output is None:
        typer.echo(text, nl=False)
        return
    write_output(output, text.encode("utf-8", "backslashreplace"))
    typer.echo(plain(f"wrote {output}"), err=True)


def command_line() -> str:
    """The command as it was typed, quoted so that it can be typed again."""
    return shlex.join(["evsim", *sys.argv[1:]])


@contextmanager
def progress() -> Iterator[Callable[[int, int], None]]:
    """A line on stderr while several recordings run, on a terminal only."""
    is_shown = sys.stderr.isatty()

    def advance(done: int, total: int) -> None:
        if is_shown and total > 1:
            print(f"\r{done} of {total} recordings", end="\n" if done == total else "", file=sys.stderr, flush=True)

    yield advance
