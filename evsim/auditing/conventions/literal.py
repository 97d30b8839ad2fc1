"""literal: what the engine did.

    ACs  = sum over delivered events of payload * (weights it reached)
    MACs = sum over delivered real-valued events of (weights they reached)

An event at a border reaches fewer weights and counts fewer; a silent input counts nothing; a constant input is
computed once. Masks, bias additions, membrane updates and memory words are counted too, each in a column of its own.

Source: the kernels of evsim, which return these integers (`evsim.engine.ledger.OpCounts`).
"""

from __future__ import annotations

from evsim.auditing.layers import AuditedRun
from evsim.auditing.rate_formula import pair_energy
from evsim.auditing.tally import Charge, Tally, tally_layers

NAME = "literal"
TITLE = "literal (evsim)"
SHORT = "literal"
SOURCE = "counted by the kernels of evsim"


def count(run: AuditedRun) -> Tally:
    """The ledger as it is; the energy is the usual pair applied to it, for comparison with the others."""
    charges = tally_layers(run, Charge.literal)
    totals = run.totals
    energy, words = pair_energy(float(totals.acs), float(totals.macs))
    words += "; bias and residual additions, masks, membranes and memory are not in it (the energy panels have them)"
    remarks = [
        f"beside the additions: {totals.masks:,} masks, {totals.bias_adds:,} bias additions, "
        f"{totals.updates:,} membrane updates, {totals.comparisons:,} comparisons"
    ]
    if totals.graded_acs:
        extra = totals.acs - totals.event_acs
        remarks.append(
            f"{totals.graded_acs:,} additions carry a payload other than 1; as unit spikes they are {extra:,} more"
        )
    return Tally(NAME, TITLE, charges, energy, words, remarks)
