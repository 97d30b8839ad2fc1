"""From described runs to a report on the terminal or in a file."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import typer

from evsim.auditing.audit import Audit
from evsim.auditing.audit_sheets import audit_sheets
from evsim.auditing.compare import comparison
from evsim.auditing.formats import write_report
from evsim.auditing.layers import AuditedRun
from evsim.auditing.sheet import Report
from evsim.errors import EvsimError

__all__ = ["command_line", "emit", "progress", "report_of"]

Found = tuple[Sequence[AuditedRun], dict[str, object]]


def report_of(found: Sequence[Found], conventions: Sequence, models: Sequence) -> Report:
    """One network's audit, or the comparison of two."""
    audits = [Audit(runs, conventions, models) for runs, _ in found]
    runs, provenance = found[0]
    if len(found) == 1:
        title = f"audit of {provenance['network']}, {_recordings(len(runs))}"
        return Report(title, audit_sheets(audits[0]), {**provenance, "command": command_line()})
    names = tuple(str(known["weights"]).split(" SHA-256")[0] for _, known in found)
    both = {**provenance, "weights": [known["weights"] for _, known in found], "command": command_line()}
    both["network"] = [known["network"] for _, known in found]
    title = f"{names[0]} and {names[1]}, {_recordings(len(runs))}"
    return Report(title, [comparison(*audits, names)], both)


def emit(report: Report, format: str, output: str | None) -> None:
    """Print the report, or write it under a temporary name that is then renamed."""
    text = write_report(report, format)
    if output is None:
        typer.echo(text, nl=False)
        return
    temporary = f"{output}.part"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, output)
    except OSError as error:
        raise EvsimError(f"{output}: cannot be written: {error.strerror or error}") from None
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)
    typer.echo(f"wrote {output}", err=True)


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


def _recordings(n: int) -> str:
    return "1 recording" if n == 1 else f"{n} recordings"
