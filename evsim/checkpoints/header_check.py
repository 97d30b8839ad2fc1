"""check_header: what a weights file's header may say. It is a stranger's file: nothing in it is believed unread."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from evsim.arithmetic.precision import FLOAT, PRECISIONS
from evsim.checkpoints.refusal import Refused, shown

__all__ = ["FORMAT_VERSION", "check_entries", "check_header", "check_normalisation"]

FORMAT_VERSION = 1

_MOST_HYPER_PARAMETERS = 100
_LONGEST_TEXT = 2000
_PLAIN = (str, int, float, bool)


def check_entries(header: Mapping[str, object]) -> None:
    """Pass when the entries that every weights file has are there, and of the right type.

    Raises
    ------
    Refused
        Naming the entry, what it holds and what was expected.
    """
    version = header.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        raise Refused(f"has the format_version {shown(version)}, and this evsim reads {FORMAT_VERSION}")
    for name, types in _TYPES.items():
        if name not in header or type(header[name]) not in types:
            expected = " or ".join(kind.__name__ for kind in types)
            raise Refused(f"its header has no {name!r} of the type {expected}")
    precision = header.get("precision", FLOAT)
    if type(precision) is not str or precision not in PRECISIONS:
        raise Refused(f"its header's 'precision' is {shown(precision)}, expected {', '.join(PRECISIONS)}")
    for name in ("class_names", "dropped"):
        if not all(type(entry) is str for entry in header[name] or ()):
            raise Refused(f"its header's {name!r} holds something that is not text")


def check_header(header: Mapping[str, object]) -> None:
    """Pass when every entry that evsim reads is of the kind that `evsim import` writes; others may hold anything.

    Raises
    ------
    Refused
        Naming the entry, what it holds and what was expected.
    """
    check_entries(header)
    for name, (is_right, expected) in _OPTIONAL.items():
        if name in header and not is_right(header[name]):
            raise Refused(f"its header's {name!r} is {shown(header[name])}, expected {expected}")
    _check_hyper_parameters(header["hyper_parameters"])
    _check_class_names(header)
    if header["normalisation"] is not None:
        _check_normalisation(header["normalisation"])


def check_normalisation(found: Mapping[str, object]) -> None:
    """Pass where ``mean`` and ``std`` are as many finite numbers, and no ``std`` is below or at 0.

    Raises
    ------
    ValueError
    """
    mean, std = found.get("mean"), found.get("std")
    for values in (mean, std):
        if type(values) is not list or not values or not all(map(_is_number, values)):
            raise ValueError
    if len(mean) != len(std) or min(std) <= 0:
        raise ValueError


def _check_normalisation(found: Mapping[str, object]) -> None:
    try:
        check_normalisation(found)
    except ValueError:
        raise Refused(
            f"its header describes no input evsim knows: normalisation {shown(found)}, expected as many numbers in "
            "'mean' as above 0 in 'std'"
        ) from None


def _check_hyper_parameters(found: Mapping[str, object]) -> None:
    if len(found) > _MOST_HYPER_PARAMETERS:
        raise Refused(f"its header has {len(found)} hyper-parameters, expected at most {_MOST_HYPER_PARAMETERS}")
    for name, value in found.items():
        values = value if type(value) is list else [value]
        if len(values) > _MOST_HYPER_PARAMETERS or not all(type(entry) in _PLAIN for entry in values):
            raise Refused(f"its header's hyper-parameter {shown(name)} is {shown(value)}, expected a number or text")


def _check_class_names(header: Mapping[str, object]) -> None:
    names, n_classes = header["class_names"], header["hyper_parameters"].get("n_classes")
    if names is not None and type(n_classes) is int and len(names) != n_classes:
        raise Refused(f"its header's 'class_names' has {len(names)} names, and the network {n_classes} classes")


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and abs(value) < 1e30


def _is_text(value: object) -> bool:
    return type(value) is str and len(value) <= _LONGEST_TEXT


def _holds(is_right: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: type(value) is dict and all(map(is_right, value.values()))


def _is_text_or_nothing(value: object) -> bool:
    return value is None or _is_text(value)


_TYPES: dict[str, tuple[type, ...]] = {
    "family": (str,),
    "hyper_parameters": (dict,),
    "class_names": (list, type(None)),
    "normalisation": (dict, type(None)),
    "source": (dict,),
    "dropped": (list,),
}
_OPTIONAL: dict[str, tuple[Callable[[object], bool], str]] = {
    "title": (_is_text, "a line of text"),
    "family": (_is_text, "a line of text"),
    "input": (lambda value: value is None or _holds(_is_text_or_nothing)(value), "texts by name, or null"),
    "source": (_holds(_is_text_or_nothing), "texts by name"),
    "assumed": (_holds(_is_text), "texts by name"),
    "read_as": (_holds(_is_text), "texts by name"),
    "card": (lambda value: type(value) is dict or value is None, "an object"),
}
