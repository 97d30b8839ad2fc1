"""The verbs, found by looking into this folder: a module ``verb_*.py`` adds its commands to the app it is given."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import typer

from evsim import __version__

__all__ = ["app"]

app = typer.Typer(
    name="evsim",
    help="Run trained spiking transformers event by event, and count every operation where it happens.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"evsim {__version__}")
        raise typer.Exit


@app.callback()
def _evsim(
    version: bool = typer.Option(False, "--version", help="Print the version and leave.", callback=_print_version),
) -> None:
    pass


def _collect() -> None:
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.name.startswith("verb_"):
            importlib.import_module(f"{__package__}.{module.name}").add_to(app)
    for command in app.registered_commands:  # the first sentence, whole: click would cut it to the line with "..."
        command.short_help = (command.callback.__doc__ or "").split("\n\n")[0].strip()


_collect()
