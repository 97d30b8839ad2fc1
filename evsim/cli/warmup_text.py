"""What `evsim warmup` did."""

from __future__ import annotations

import time

import typer
from numba import config

from evsim.arithmetic.kernel_cache import kept_in, why_not_kept
from evsim.loading.compiled_together import compiled_together
from evsim.loading.warm_up import WarmedUp, warm_up_families
from evsim.networks import families
from evsim.plain_text import plain

__all__ = ["print_warm_up"]


def print_warm_up() -> None:
    """A line a family, then the total and where the compiled kernels are kept."""
    begin = time.perf_counter()
    if config.DISABLE_JIT:
        typer.echo("NUMBA_DISABLE_JIT is set: kernels run as plain Python, there is nothing to compile")
        return
    n_compiled = 0
    with compiled_together([family.FAMILY for family in families()]) as helpers:
        for family in warm_up_families():
            n_compiled += family.n_compiled
            typer.echo(f"{family.title:66} {_what(family)}")
    others = f", others by {helpers.n_begun} more processes" if helpers.n_begun else ""
    typer.echo(f"{n_compiled} kernels compiled{others}; all ready after {time.perf_counter() - begin:.1f} s")
    not_kept = why_not_kept()
    typer.echo(plain(f"NOT KEPT: {not_kept}" if not_kept else f"kept in {kept_in()}"))


def _what(family: WarmedUp) -> str:
    if not family.n_networks:
        return "shares the kernels of the others"
    return f"{family.n_compiled:3} compiled  {family.seconds:6.2f} s"
