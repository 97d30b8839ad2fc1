r"""Any text as LaTeX that prints it: no letter of a file's name is a command, and long names may be broken."""

from __future__ import annotations

import re

from evsim.plain_text import plain

__all__ = ["breakable", "comment", "escape", "label"]

_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "[": "{[}", "*": "{*}",  # neither is an argument of the end of the line above
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$", "|": r"$|$", '"': r"\char34{}",
    "\u00b1": r"$\pm$", "\u00d7": r"$\times$", "\u00b5": r"$\mu$", "\u03bc": r"$\mu$", "\u2212": r"$-$",
    "\u2026": r"\dots{}", "\u2013": "--", "\u2014": "---", "\u2019": "'", "\u00a0": "~", "\u00b2": r"$^2$",
    "\u1d40": r"$^\mathsf{T}$",
}  # fmt: skip


def escape(text: object) -> str:
    """`text` as LaTeX; what LaTeX has no letter for stands as its number, and two hyphens stay two."""
    return re.sub("-(?=-)", "-{}", "".join(map(_letter, plain(" ".join(str(text).split())))))


def breakable(name: object) -> str:
    """A name of a layer or file, which may be broken behind a point, slash, hyphen or underline."""
    return re.sub(r"(\\_|[./:-])(?=[^\s{}])", r"\1\\allowbreak{}", escape(name))


def comment(text: object) -> str:
    """One line of a comment."""
    return "% " + plain(" ".join(str(text).split()))


def label(text: str) -> str:
    """Letters and hyphens, for ``\\label``."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")


def _letter(letter: str) -> str:
    if letter in _SPECIAL:
        return _SPECIAL[letter]
    if letter == " " or (letter.isascii() and letter.isprintable()):
        return letter
    is_latin = "\u00c0" <= letter <= "\u017f" and letter not in "\u00d7\u00f7\u0149\u017f\u0138\u0126\u0127\u0166\u0167"
    return letter if is_latin else f"{{[}}U+{ord(letter):04X}]"
