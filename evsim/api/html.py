"""HTML that a notebook shows: small tables, every text escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["facts", "table"]

_LEFT = "text-align:left"
_RIGHT = "text-align:right;font-variant-numeric:tabular-nums"


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """One table; numbers to the right, with separators, zeros left empty."""
    head = "".join(f'<th style="{_LEFT if i == 0 else _RIGHT}">{escape(text)}</th>' for i, text in enumerate(headings))
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """Names and values, a line each."""
    lines = (
        f'<tr><th style="{_LEFT}">{escape(name)}</th><td style="{_LEFT}">{escape(str(value))}</td></tr>'
        for name, value in pairs
    )
    return f"<table><tbody>{''.join(lines)}</tbody></table>"


def _cell(value: object) -> str:
    if isinstance(value, str):
        return f'<td style="{_LEFT}">{escape(value)}</td>'
    if value is None or value == 0:
        return f'<td style="{_RIGHT}"></td>'
    text = f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
    return f'<td style="{_RIGHT}">{text}</td>'
