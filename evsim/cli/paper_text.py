"""``--table``, ``--width``, ``--names`` and ``--bibtex``: what goes into a manuscript."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import typer

from evsim.auditing.sheet import Report

__all__ = ["PaperOptions", "emit_audit", "paper_options", "print_references", "print_tables"]


@dataclass(frozen=True)
class PaperOptions:
    """One table of a report, in a width, under the names that the paper uses."""

    table: str
    width: str | None
    names: Sequence[str]

    def write(self, report: Report) -> str:
        """LaTeX."""
        from evsim.auditing.paper.tables import paper_table
        from evsim.auditing.paper.typeset import typeset

        return typeset(paper_table(report, self.table, self.names), self.width)


def paper_options(
    context: typer.Context, table: str | None, width: str | None, names: str | None
) -> PaperOptions | None:
    """The options checked before anything is run; None where no table is asked for.

    Raises
    ------
    EvsimError
        No such table or width, or an option that has no effect beside the others.
    """
    from evsim.auditing.paper.tables import check_table
    from evsim.auditing.paper.typeset import check_width
    from evsim.cli.effect import refuse

    if table is None:
        refuse(context, ("width", "names"), "is for a table of a paper, name it with --table")
        return None
    check_table(table)
    check_width(width)
    refuse(context, ("format",), "--table writes LaTeX, leave it out")
    if table == "compare":
        _need_compare(context)
    return PaperOptions(table, width, [name.strip() for name in names.split(",")] if names else ())


def emit_audit(report: Report, format: str, output: str | None, paper: PaperOptions | None) -> None:
    """The report in a format, or one table of it for a paper."""
    from evsim.cli.audit_text import emit, emit_text

    if paper is None:
        emit(report, format, output)
    else:
        emit_text(paper.write(report), output)


def print_tables(context: typer.Context) -> None:
    """What ``--table`` takes."""
    from evsim.auditing.paper.tables import TABLES
    from evsim.cli.effect import refuse, typed

    refuse(context, [name for name in typed(context) if name != "table"], "--table list takes no other option")
    for name, (shows, _) in TABLES.items():
        typer.echo(f"{name:14} {shows}")


def print_references(context: typer.Context, convention: str, energy: Sequence[str] | None, output: str | None) -> None:
    """BibTeX; nothing is run."""
    from evsim.auditing.bibliography import bibtex
    from evsim.auditing.conventions import choose_conventions
    from evsim.auditing.energy_model import choose_models
    from evsim.cli.audit_text import emit_text
    from evsim.cli.effect import refuse, typed

    allowed = ("bibtex", "convention", "energy", "output")
    refuse(context, [name for name in typed(context) if name not in allowed], "--bibtex runs nothing, leave it out")
    emit_text(bibtex(choose_conventions(convention), choose_models(energy)), output)


def _need_compare(context: typer.Context) -> None:
    from evsim.cli.effect import typed
    from evsim.errors import EvsimError

    if "compare" not in typed(context):
        raise EvsimError("--table compare: shows two networks, name them with --compare A B")
