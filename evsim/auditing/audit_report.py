"""The report of an audit, of a comparison, and of a lint, from described runs."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

from evsim.auditing.audit import Audit
from evsim.auditing.audit_sheets import audit_sheets
from evsim.auditing.compare import comparison
from evsim.auditing.layers import AuditedRun
from evsim.auditing.lint_sheets import lint_sheets
from evsim.auditing.sheet import Report

__all__ = ["Found", "claim_report", "lint_report", "report_of"]

Found = tuple[Sequence[AuditedRun], dict[str, object]]
"""Runs of one network and their provenance."""


def report_of(found: Sequence[Found], conventions: Sequence, models: Sequence, command: str) -> Report:
    """One network's audit, or the comparison of two; `command` is what repeats it."""
    audits = [Audit(runs, conventions, models) for runs, _ in found]
    runs, provenance = found[0]
    if len(found) == 1:
        title = f"audit of {provenance['network']}, {_recordings(len(runs))}"
        return Report(title, audit_sheets(audits[0]), {**provenance, "command": command})
    names = tuple(str(known["weights"]).split(" SHA-256")[0] for _, known in found)
    both = {**provenance, "weights": [known["weights"] for _, known in found], "command": command}
    both["network"] = [known["network"] for _, known in found]
    title = f"{names[0]} and {names[1]}, {_recordings(len(runs))}"
    return Report(title, [comparison(*audits, names)], both)


def claim_report(found: Found, claim: ModuleType, command: str) -> Report:
    """What runs of one network say of a paper's claim."""
    runs, provenance = found
    title = f"{claim.TITLE}: {provenance['network']}, {_recordings(len(runs))}"
    return Report(title, claim.sheets(runs), {**provenance, "command": command})


def lint_report(found: Found, command: str) -> Report:
    """The claims of a spike-driven transformer, and each place where the network breaks one."""
    runs, provenance = found
    return Report(f"lint of {provenance['network']}", lint_sheets(runs), {**provenance, "command": command})


def _recordings(n: int) -> str:
    return "1 recording" if n == 1 else f"{n} recordings"
