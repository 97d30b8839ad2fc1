"""Options that were typed and would have no effect are refused, never ignored."""

from __future__ import annotations

from collections.abc import Iterable

import typer

from evsim.errors import EvsimError

__all__ = ["refuse", "typed"]


def typed(context: typer.Context) -> list[str]:
    """Names of the parameters that stood on the command line."""
    return [name for name in context.params if context.get_parameter_source(name).name == "COMMANDLINE"]


def refuse(context: typer.Context, names: Iterable[str], why: str) -> None:
    """Raise if one of `names` was typed; `why` follows its name.

    Raises
    ------
    EvsimError
        It was.
    """
    for name in typed(context):
        if name in names:
            raise EvsimError(f"{_spelled(context, name)}: {why}")


def _spelled(context: typer.Context, name: str) -> str:
    """A parameter as it is typed."""
    option = next(parameter for parameter in context.command.params if parameter.name == name)
    return max(option.opts, key=len) if option.param_type_name == "option" else name.upper()
