"""unwrap: find the state dict and the arguments in what a training script saved around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evsim.checkpoints.allowed_globals import Namespace
from evsim.checkpoints.mark import Mark, check_harmless, refers_to
from evsim.checkpoints.refusal import Refused, listed, shown
from evsim.checkpoints.state_dicts import choose_average, choose_weights, find_state_dicts, is_average, is_tensor
from evsim.checkpoints.stored_tensor import StoredTensor
from evsim.checkpoints.tensor_names import plain_names, select_prefix

__all__ = ["Unwrapped", "unwrap"]

_ARGUMENTS = ("args", "hyper_parameters", "hparams", "config", "cfg", "options")
_EXPECTED = ("state_dict", "model")
_TOP = "."


@dataclass(frozen=True, eq=False)
class Unwrapped:
    """The tensors by their names, the stored arguments, where they were, and what was done to them."""

    tensors: dict[str, StoredTensor | np.ndarray]
    args: dict[str, object]
    wrapper: str
    notes: tuple[str, ...]


def unwrap(payload: object, ema: bool, key: str | None = None, prefix: str | None = None) -> Unwrapped:
    """Take the tensors and the training script's arguments out of a saved object.

    Parameters
    ----------
    payload : object
        A bare state dict, or a dict that holds one: as timm, Lightning and training scripts write them.
    ema : bool
        Take the moving average of the weights.
    key : str, optional
        The keys that lead to the state dict, joined by dots.
    prefix : str, optional
        Take only the tensors whose names begin so.

    Raises
    ------
    Refused
        When there are no tensors, more than one dict of them, no moving average that was asked for, or something among
        the weights that a pickle would have to run.
    """
    payload = _as_dict(payload)
    found = find_state_dicts(payload)
    if not found:
        _check_entries(payload)
        raise Refused(f"holds no tensors where a state dict was expected, but the keys {listed(payload)}")
    averages = [path for path in found if is_average(path)]
    path = choose_weights(found, key)
    if ema and key is None:
        if list(found) == [_TOP]:
            raise Refused("holds a bare state dict, so no moving average (EMA) of the weights")
        path = choose_average(found, path)
    tensors, notes = _clean(found[path], prefix)
    if averages and path not in averages:
        notes += ("a moving average (EMA) of the weights is present and was not used",)
    elif averages and not ema:
        notes += (f"took the moving average (EMA) under {shown(path)}, the only weights there are",)
    if path not in (_TOP, *_EXPECTED, *averages):
        notes += (f"took the weights from under {shown(path)}",)
    args, told = _arguments(payload)
    return Unwrapped(tensors, args, _describe(payload, path), notes + told)


def _as_dict(payload: object) -> dict:
    if type(payload) is Mark:
        raise Refused(f"{refers_to(payload.name)}: it is no state dict, save the model's state_dict() instead")
    if type(payload) in (list, tuple):
        return {str(place): entry for place, entry in enumerate(payload)}
    if type(payload) is not dict:
        raise Refused(f"holds a {type(payload).__name__}, not a checkpoint or a state dict")
    return payload


def _check_entries(payload: dict) -> None:
    for value in payload.values():
        check_harmless(value)


def _describe(payload: dict, path: str) -> str:
    """Whose habit it is, and the key."""
    if path == _TOP:
        return "bare state dict"
    if path.startswith("state_dict"):
        return f"{'Lightning' if 'pytorch-lightning_version' in payload else 'timm'} wrapper {path!r}"
    return f"training script's wrapper {shown(path)}"


def _arguments(payload: dict) -> tuple[dict[str, object], tuple[str, ...]]:
    """The first stored arguments there are, and in them those that a script kept as one (``hyper_parameters.args``)."""
    for key in _ARGUMENTS:
        fields, notes = _fields(payload.get(key), key)
        if fields or notes:
            for inner in _ARGUMENTS:
                more, others = _fields(fields.get(inner), f"{key}.{inner}")
                fields, notes = fields | {name: more[name] for name in more if name not in fields}, notes + others
            return fields, notes
    return {}, ()


def _fields(stored: object, key: str) -> tuple[dict[str, object], tuple[str, ...]]:
    """The attributes of a Namespace, the items of a dict, or what an object of an unknown class had of either."""
    stored = stored.values if type(stored) is Namespace else stored
    notes: tuple[str, ...] = ()
    if type(stored) is Mark:
        content = stored.values.get("_content", stored.values)  # omegaconf keeps the items of a DictConfig there
        what = "its values were taken" if content else "none of its values could be read"
        notes = (f"the arguments under {shown(key)} are a {shown(stored.name)}: {what}",)
        stored = content
    return ({name: value for name, value in stored.items() if type(name) is str} if type(stored) is dict else {}), notes


def _clean(state: dict, prefix: str | None) -> tuple[dict[str, StoredTensor | np.ndarray], tuple[str, ...]]:
    """Keep the tensors, under plain names."""
    _check_entries(state)
    tensors = {name: value for name, value in state.items() if is_tensor(name, value)}
    ignored = [name for name in state if name not in tensors and not (prefix is None and _holds_tensors(state[name]))]
    selected, notes = select_prefix(tensors, prefix) if prefix else (tensors, ())
    clean, more = plain_names(selected)
    notes += more
    if ignored:
        notes += (f"ignored what is no tensor: {listed(ignored)}",)
    return clean, notes


def _holds_tensors(value: object) -> bool:
    return type(value) is dict and any(is_tensor(*entry) for entry in value.items())
