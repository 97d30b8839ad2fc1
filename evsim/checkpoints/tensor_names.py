"""Names of tensors as training tools leave them: with what DDP, torch.compile, FSDP or a module around them added."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from evsim.checkpoints.refusal import Refused, listed, shown

__all__ = ["plain_names", "select_prefix"]

Value = TypeVar("Value")

_ANYWHERE = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module")
"""Parts that torch.compile, FSDP, activation checkpointing and DeepSpeed put around any module."""

_IN_FRONT = ("module", "model", "net")
"""Attributes that hold the whole network: of DDP, of Lightning modules, of SpikingJelly's examples."""

_AVERAGED = "n_averaged"


def select_prefix(state: Mapping[str, Value], prefix: str) -> tuple[dict[str, Value], tuple[str, ...]]:
    """The values whose names begin with `prefix`, without it, and a note of those left out.

    Raises
    ------
    Refused
        No name begins so; it lists how names begin.
    """
    whole = prefix.removesuffix(".") + "."
    chosen = {name[len(whole) :]: value for name, value in state.items() if name.startswith(whole)}
    if not chosen:
        begins = dict.fromkeys(name.split(".", 1)[0] + "." for name in state)
        raise Refused(
            f"has no tensors whose names begin with {shown(whole)} (--prefix); they begin with {listed(begins)}"
        )
    others = [name for name in state if not name.startswith(whole)]
    left_out = [f"left out {len(others)} tensors whose names do not begin so: {listed(others)}"] if others else []
    return chosen, (f"stripped {whole!r} from {len(chosen)} of the names, as you said", *left_out)


def plain_names(state: Mapping[str, Value]) -> tuple[dict[str, Value], tuple[str, ...]]:
    """The same values under names without the parts that tools put around them, and notes of what was stripped.

    Raises
    ------
    Refused
        Two names become one, or a name could not be printed.
    """
    clean: dict[str, Value] = {}
    stripped: dict[str, None] = {}
    n_changed = 0
    for name, value in state.items():
        plain, parts = _strip(name)
        if not plain.isprintable():
            raise Refused(f"has a tensor named {shown(name)}")
        stripped |= dict.fromkeys(parts)
        n_changed += bool(parts)
        if plain in clean:
            words = " or ".join(repr(part) for part in stripped)
            raise Refused(
                f"has tensors whose names differ only by {words} (such as {shown(plain)}); say which with --prefix"
            )
        clean[plain] = value
    notes = []
    if stripped:
        words = ", ".join(repr(part) for part in stripped)
        notes.append(f"stripped {words} from {'all' if n_changed == len(state) else n_changed} of the names")
    if len(clean) > 1 and clean.pop(_AVERAGED, None) is not None:
        notes.append(f"{_AVERAGED}: the weights are a mean over several states of the network (AveragedModel)")
        if stripped and n_changed == len(clean):
            notes[0] = f"stripped {words} from all of the names"
    return clean, tuple(notes)


def _strip(name: str) -> tuple[str, list[str]]:
    """A name without what was put around it, and what that was."""
    *modules, last = name.split(".")
    stripped = [f"{part}." for part in modules if part in _ANYWHERE]
    modules = [part for part in modules if part not in _ANYWHERE]
    while modules and modules[0] in _IN_FRONT:
        stripped.append(f"{modules.pop(0)}.")
    return ".".join([*modules, last]), stripped
