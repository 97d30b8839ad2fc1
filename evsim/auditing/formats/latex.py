r"""LaTeX tables for a paper: needs ``\usepackage{booktabs,siunitx,tabularx}``, and graphicx where a table is turned.

Every sheet is a float of its own, set as `evsim.auditing.paper` sets it; ``evsim audit --table NAME`` writes one.
"""

from __future__ import annotations

from evsim.auditing.paper.tables import sheet_table
from evsim.auditing.paper.typeset import typeset
from evsim.auditing.sheet import Report


def write(report: Report) -> str:
    """Tables one after the other, each with the provenance as comments."""
    return "\n".join(typeset(sheet_table(report, sheet)) for sheet in report.sheets)
