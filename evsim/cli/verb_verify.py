"""``evsim verify``: does a run equal the official model's?"""

from __future__ import annotations

from typing import Annotated

import typer

from evsim.cli.exit_code import ExitCode
from evsim.cli.options import Fit, Order, WeightsPath

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("verify")(verify)


def verify(
    weights: WeightsPath,
    reference: Annotated[str, typer.Option("--reference", "-r", help="Reference spikes and logits (.npz).")],
    order: Order = "step",
    fit: Fit = None,
    strict: Annotated[bool, typer.Option("--strict", help="Free-running flips are a disagreement too.")] = False,
) -> None:
    """Compare a network with reference spikes on three levels: exact, local, free-running."""
    from evsim.checkpoints.importing import load_network
    from evsim.cli.verify_text import print_verification
    from evsim.reference import read_reference
    from evsim.run import Preparation, fit_recording
    from evsim.verify import verify as verify_network
    from evsim.zoo import find_weights

    network, loaded = load_network(find_weights(weights))
    known = read_reference(reference)
    samples = [fit_recording(network, loaded, sample, Preparation(fit=fit)).spikes for sample in known.recordings()]
    verification = verify_network(network, samples, known, order)
    print_verification(verification)
    free_is_fine = not strict or verification.free.differing == 0
    if not (verification.agrees and free_is_fine):
        raise typer.Exit(ExitCode.DISAGREES)
