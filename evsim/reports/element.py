"""Markup: every word that goes into the page passes through `text` here, so nothing from a file is ever markup."""

from __future__ import annotations

import html

from evsim.plain_text import plain

__all__ = ["Markup", "element", "text"]


class Markup(str):
    """Text that is markup already; made by `element` and `text` alone."""

    __slots__ = ()


def text(value: object) -> Markup:
    """A value as text of the page; what is not printable is shown as its escape."""
    if isinstance(value, Markup):
        return value
    return Markup(html.escape(plain(value), quote=True))


def element(tag: str, *content: object, **attributes: object) -> Markup:
    """``element("td", 3, class_="number")``: content and attribute values are escaped, None leaves one out."""
    inside = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{text(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    body = "".join(text(part) for part in content)
    return Markup(f"<{tag}{inside}>" if tag in _VOID else f"<{tag}{inside}>{body}</{tag}>")


_VOID = ("img", "meta")
