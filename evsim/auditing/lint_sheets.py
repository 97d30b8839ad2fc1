"""The findings of lint as sheets: the claims, and the places."""

from __future__ import annotations

from collections.abc import Sequence

from evsim.auditing.estimate import estimate
from evsim.auditing.layers import AuditedRun
from evsim.auditing.lint import check_claims, find_places, operations
from evsim.auditing.sheet import Column, Sheet

__all__ = ["is_spike_driven", "lint_sheets"]


def is_spike_driven(runs: Sequence[AuditedRun]) -> bool:
    """Whether every claim holds on every run."""
    return all(claim.holds for run in runs for claim in check_claims(run))


def lint_sheets(runs: Sequence[AuditedRun]) -> list[Sheet]:
    """Claims of the first run with its numbers (a claim holds if it does on every run); places with their shares."""
    return [_claims(runs), _places(runs)]


def _claims(runs: Sequence[AuditedRun]) -> Sheet:
    columns = [
        Column("claim", "claim", "text"),
        Column("holds", "holds", "text"),
        Column("share", "breaks it %", "percent"),
        Column("why", "measured", "words"),
    ]
    by_run = [check_claims(run) for run in runs]
    rows = []
    for index, claim in enumerate(by_run[0]):
        holds = all(claims[index].holds for claims in by_run)
        share = estimate(claims[index].share for claims in by_run)
        rows.append({"claim": claim.words, "holds": "yes" if holds else "no", "share": share, "why": claim.evidence})
    notes = ["breaks it: share of all operations, or of all delivered events where the claim is about spikes"]
    notes += ["measured numbers are of the first recording"] if len(runs) > 1 else []
    return Sheet("claims", "The four claims of a spike-driven transformer, on this run", columns, rows, notes)


def _places(runs: Sequence[AuditedRun]) -> Sheet:
    columns = [
        Column("layer", "layer", "text"),
        Column("kind", "not spike-driven because of", "text"),
        Column("operations", "operations"),
        Column("share", "share %", "percent"),
        Column("why", "found", "words"),
    ]
    found = [{(p.layer, p.kind): p for p in find_places(run)} for run in runs]
    totals = [operations(run.totals) or 1 for run in runs]
    rows = []
    for key in dict.fromkeys(key for places in found for key in places):
        done = [places[key].operations if key in places else 0 for places in found]
        words = next(places[key].words for places in found if key in places)
        share = estimate(n / total for n, total in zip(done, totals, strict=True))
        rows.append({"layer": key[0], "kind": key[1], "operations": estimate(done), "share": share, "why": words})
    notes = ["share: of all additions, products, masks, membrane updates and comparisons of the run"]
    title = "Places where the network is not spike-driven" if rows else "No place where the network is not spike-driven"
    return Sheet("places", title, columns, rows, notes)
