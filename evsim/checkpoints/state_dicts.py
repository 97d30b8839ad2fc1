"""find_state_dicts: every dict of tensors in what a training script saved, by the keys that lead to it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from evsim.checkpoints.refusal import Refused, listed, shown
from evsim.checkpoints.stored_tensor import StoredTensor

__all__ = ["choose_average", "choose_weights", "find_state_dicts", "is_tensor"]

_DEEPEST = 3
_MOST_DICTS = 2000
_HABITUAL = ("state_dict", "model", "model_state_dict", "model_state", "net", "network", "weights")
"""Keys under which training scripts keep the weights, and nothing else."""

_NOT_WEIGHTS = frozenset(
    "optimizer optimizers optim optimizer_states scheduler lr_scheduler scaler amp callbacks".split()
)
_TOP = "."


def is_tensor(name: object, value: object) -> bool:
    """Whether an entry of a dict is a tensor with a name."""
    return type(name) is str and isinstance(value, StoredTensor | np.ndarray)


def find_state_dicts(payload: Mapping[object, object]) -> dict[str, dict]:
    """Dicts that hold tensors, by the keys that lead to them, joined by dots; "." for `payload` itself.

    Where one of them has dotted names, as a network of modules has, those without are no networks and are left out.
    """
    found: dict[str, dict] = {}
    _walk(payload, (), found, set())
    modules = {path: state for path, state in found.items() if any(_is_dotted(*entry) for entry in state.items())}
    return modules or found


def choose_weights(found: Mapping[str, dict], key: str | None) -> str:
    """The path of the weights among those found: the one that `key` names, or the only one there can be.

    Raises
    ------
    Refused
        No such path, or more than one; all are named, and the option that decides.
    """
    if key is not None:
        if key not in found:
            raise Refused(f"has no dict of tensors under the key {shown(key)} (--key); there are {listed(found)}")
        return key
    paths = [path for path in found if not is_average(path)] or list(found)
    likely = paths if any(_is_dotted(*entry) for entry in found[paths[0]].items()) else _prefer(paths)
    if len(likely) > 1:
        raise Refused(
            f"holds {len(likely)} dicts of tensors: {listed(likely)}; say which with --key, for example "
            f"--key {likely[0]}"
        )
    return likely[0]


def choose_average(found: Mapping[str, dict], weights: str) -> str:
    """The path of the moving average.

    Raises
    ------
    Refused
        There is none, or more than one.
    """
    paths = [path for path in found if is_average(path)]
    if not paths:
        raise Refused(f"has no {f'{weights}_ema'!r}, so no moving average (EMA) of the weights")
    if len(paths) > 1:
        raise Refused(f"holds {len(paths)} moving averages: {listed(paths)}; say which with --key")
    return paths[0]


def is_average(path: str) -> bool:
    """Whether a key speaks of a moving average."""
    return bool({"ema", "averaged", "swa", "shadow"} & set(re.split(r"[\W_]+", path.lower())))


def _prefer(paths: list[str]) -> list[str]:
    """Among dicts without dotted names: a habitual key, else the top, else all."""
    habitual = [path for path in paths if path in _HABITUAL]
    return habitual or [path for path in paths if path == _TOP] or paths


def _walk(value: Mapping[object, object], keys: tuple[str, ...], found: dict[str, dict], seen: set[int]) -> None:
    if id(value) in seen or len(seen) >= _MOST_DICTS:
        return
    seen.add(id(value))
    if any(is_tensor(name, entry) for name, entry in value.items()):
        found[".".join(keys) or _TOP] = dict(value)
        if keys:
            return
    if len(keys) < _DEEPEST:
        for name, entry in value.items():
            if type(name) is str and type(entry) is dict and not _NOT_WEIGHTS & set(name.lower().split("_")):
                _walk(entry, (*keys, name), found, seen)


def _is_dotted(name: object, value: object) -> bool:
    return is_tensor(name, value) and "." in str(name)
