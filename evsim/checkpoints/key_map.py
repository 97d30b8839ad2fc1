"""Other names for the same tensors: a table of module names, ours to theirs."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["read_key_map", "their_name"]


def their_name(name: str, table: Mapping[str, str]) -> str:
    """A tensor's name in another layout: every entry of `table`, in order, replaces whole parts of a dotted name.

    Parameters
    ----------
    name : str
        In the layout that a network is declared in.
    table : mapping of str to str
        Such as ``{"block": "blocks", "attn.proj_bn": "attn.proj.1"}``.
    """
    dotted = f".{name}."
    for ours, theirs in table.items():
        dotted = dotted.replace(f".{ours}.", f".{theirs}.")
    return dotted[1:-1]


def read_key_map(text: str) -> dict[str, str]:
    """A table as a person writes it: ``OURS=THEIRS`` entries, comma separated; ValueError on nonsense."""
    table = {}
    for entry in filter(None, text.split(",")):
        ours, equals, theirs = (part.strip() for part in entry.partition("="))
        if not (ours and equals and theirs):
            raise ValueError(f"expected OURS=THEIRS entries, comma separated, found {entry!r}")
        table[ours] = theirs
    return table
