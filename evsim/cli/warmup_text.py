"""What `evsim warmup` did."""

from __future__ import annotations

import os
import time

import typer
from numba import config

from evsim.loading.warm_up import WarmedUp, warm_up_families

__all__ = ["print_warm_up"]


def print_warm_up() -> None:
    """A line a family, then the total and where the compiled kernels are kept."""
    begin = time.perf_counter()
    if config.DISABLE_JIT:
        typer.echo("NUMBA_DISABLE_JIT is set: kernels run as plain Python, there is nothing to compile")
        return
    n_compiled = 0
    for family in warm_up_families():
        n_compiled += family.n_compiled
        typer.echo(f"{family.title:66} {_what(family)}")
    typer.echo(f"{n_compiled} kernels compiled; all ready after {time.perf_counter() - begin:.1f} s")
    typer.echo(f"kept in {os.environ.get('NUMBA_CACHE_DIR') or '__pycache__ beside the sources'}")


def _what(family: WarmedUp) -> str:
    if not family.n_networks:
        return "shares the kernels of the others"
    return f"{family.n_compiled:3} compiled  {family.seconds:6.2f} s"
