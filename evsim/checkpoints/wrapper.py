"""unwrap: find the state dict in what a training script saved around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evsim.checkpoints.allowed_globals import Namespace
from evsim.checkpoints.refusal import Refused, shown
from evsim.checkpoints.stored_tensor import StoredTensor

__all__ = ["Unwrapped", "unwrap"]

_PREFIX = "module."
# The key of the weights, that of their moving average, and whose habit it is.
_WRAPPERS = (
    ("state_dict", "state_dict_ema", "timm wrapper"),
    ("model", "model_ema", "training script's wrapper"),
)
_MOST_NAMED = 3


@dataclass(frozen=True, eq=False)
class Unwrapped:
    """The tensors by their names, the stored arguments, where they were, and what was done to them."""

    tensors: dict[str, StoredTensor | np.ndarray]
    args: dict[str, object]
    wrapper: str
    notes: tuple[str, ...]


def unwrap(payload: object, ema: bool) -> Unwrapped:
    """Take the tensors and the training script's arguments out of a saved object.

    Parameters
    ----------
    payload : object
        A timm checkpoint (`state_dict`), a training script's (`model`), or a bare state dict.
    ema : bool
        Take the moving average of the weights.

    Raises
    ------
    Refused
        When there are no tensors, or no moving average that was asked for.
    """
    if type(payload) is not dict:
        raise Refused(f"holds a {type(payload).__name__}, not a checkpoint or a state dict")
    for key, ema_key, who in _WRAPPERS:
        if type(payload.get(key)) is dict:
            return _unwrap_wrapper(payload, key, ema_key if ema else None, who, ema_key in payload)
    if ema:
        raise Refused("holds a bare state dict, so no moving average (EMA) of the weights")
    tensors, notes = _clean(payload)
    return Unwrapped(tensors, {}, "bare state dict", notes)


def _unwrap_wrapper(payload: dict, key: str, ema_key: str | None, who: str, has_ema: bool) -> Unwrapped:
    if ema_key is not None and type(payload.get(ema_key)) is not dict:
        raise Refused(f"has no {ema_key!r}, so no moving average (EMA) of the weights")
    tensors, notes = _clean(payload[ema_key or key])
    if has_ema and ema_key is None:
        notes += ("a moving average (EMA) of the weights is present and was not used",)
    return Unwrapped(tensors, _arguments(payload.get("args")), f"{who} {ema_key or key!r}", notes)


def _arguments(stored: object) -> dict[str, object]:
    stored = stored.values if type(stored) is Namespace else stored
    return stored if type(stored) is dict else {}


def _clean(state: dict) -> tuple[dict[str, StoredTensor | np.ndarray], tuple[str, ...]]:
    """Keep the tensors, and strip `module.` from each name that has it, as timm does."""
    tensors = {name: value for name, value in state.items() if _is_tensor(name, value)}
    if not tensors:
        raise Refused(f"holds no tensors where a state dict was expected, but the keys {_listed(state)}")
    clean = {name.removeprefix(_PREFIX): value for name, value in tensors.items()}
    if len(clean) != len(tensors):
        raise Refused(f"has tensors whose names differ only by {_PREFIX!r}")
    stripped = sum(name.startswith(_PREFIX) for name in tensors)
    notes = []
    if stripped:
        notes.append(f"stripped {_PREFIX!r} from {'all' if stripped == len(tensors) else stripped} of the names")
    if len(tensors) < len(state):
        notes.append(f"ignored what is no tensor: {_listed([name for name in state if name not in tensors])}")
    return clean, tuple(notes)


def _is_tensor(name: object, value: object) -> bool:
    return type(name) is str and isinstance(value, StoredTensor | np.ndarray)


def _listed(names: object) -> str:
    names = list(names)
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return (", ".join(shown(name) for name in names[:_MOST_NAMED]) or "none") + more
