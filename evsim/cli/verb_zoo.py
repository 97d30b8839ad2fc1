"""``evsim zoo``: what is bundled."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("zoo")(zoo)


def zoo(json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False) -> None:
    """List the bundled networks with their measured accuracies, and the bundled recordings."""
    from evsim.cli.zoo_text import print_zoo, print_zoo_json

    (print_zoo_json if json else print_zoo)()
