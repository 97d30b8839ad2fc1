"""Text from files and file names, made harmless before a person or a program sees it.

A name may hold escape sequences that command a terminal, letters that turn the line around, half a surrogate pair that
cannot be encoded, or a sign that makes a spreadsheet compute. `plain` shows all of these as what they are.
"""

from __future__ import annotations

__all__ = ["plain", "plain_cell", "plain_values"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def plain(text: object) -> str:
    r"""One printable line: whatever is not printable stands as its escape (``\x1b``, ``\n``, ``\udcff``)."""
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def plain_cell(value: object, keeps_lines: bool = False) -> object:
    """A cell of a CSV file; text that a spreadsheet would take for a formula begins with an apostrophe instead.

    With `keeps_lines`, ends of lines stay, in a cell that is quoted.
    """
    if not isinstance(value, str):
        return value
    text = "\n".join(map(plain, value.split("\n"))) if keeps_lines else plain(value)
    return f"'{text}" if value.lstrip(" ").startswith(_FORMULA) else text


def plain_values(value: object) -> object:
    """`value` with `plain` applied to every text in its lists, tuples and dictionaries."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {plain(name): plain_values(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain_values, value)) if type(value) in (list, tuple) else value
    return value
