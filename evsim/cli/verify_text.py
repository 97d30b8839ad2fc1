"""A verification in a few lines of text."""

from __future__ import annotations

import typer

from evsim.plain_text import plain
from evsim.traces.verify import SUMMED_TOLERANCE, TOLERANCE, Agreement, Flip, Verification

__all__ = ["print_verification"]


def print_verification(verification: Verification) -> None:
    """Each level with its numbers, then the verdict."""
    flips = verification.flips
    _print_level("exact (whole-number currents, fed with the reference's spikes)", verification.exact)
    _print_level("local (every other population, fed with the reference's spikes)", verification.local)
    for flip in flips[:20]:
        typer.echo(
            f"    {plain(flip.population)} sample {flip.sample} step {flip.step} address {flip.address}: "
            f"H - v_threshold = {flip.margin:.2e}, X = {flip.current:.4g}, "
            f"{'within' if flip.is_excused else 'OUTSIDE'} {flip.allowed:.2g} = {_rule(flip)}"
        )
    if len(flips) > 20:
        typer.echo(f"    and {len(flips) - 20} more, {len(verification.unexcused)} of all outside the tolerance")
    _print_level("free-running", verification.free)
    for name, count in list(verification.free.by_population.items())[:30]:
        typer.echo(plain(f"    {name}: {count:,}"))
    typer.echo(
        f"logits: largest difference {verification.logits_difference:.3g}; predictions differing: "
        f"{verification.predictions_differing} of {verification.samples}"
    )
    if verification.silent:
        names = ", ".join(map(plain, verification.silent[:8])) + (", ..." if len(verification.silent) > 8 else "")
        typer.echo(f"silent in the reference, so that nothing was verified there: {len(verification.silent)} ({names})")
    typer.echo("agrees" if verification.agrees else "DISAGREES")
    if not verification.agrees:
        for name, why in verification.assumed.items():
            typer.echo(f"assumed at import: {name} = {why}")


def _rule(flip: Flip) -> str:
    if flip.summed is None:
        return f"{TOLERANCE:g} * max(1, |X|)"
    return f"{SUMMED_TOLERANCE:g} * max(1, {flip.summed:.3g}), the sizes of what was summed"


def _print_level(name: str, level: Agreement) -> None:
    if level.compared == 0:
        typer.echo(f"{name}: nothing to compare")
        return
    rate = f" ({1e6 * level.differing / level.compared:.3g} per million)" if level.differing else ""
    typer.echo(f"{name}: {level.differing:,} of {level.compared:,} neuron-steps differ{rate}")
