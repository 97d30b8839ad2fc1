"""The model of a user's own file: import it, call its function, load its checkpoint, find an example."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from evsim.checkpoints.checkpoint import read_checkpoint
from evsim.errors import EvsimError
from evsim.torch.example import letters_of, noise
from evsim.torch.guard import guarded

__all__ = ["build_model", "find_example", "load_checkpoint"]


def build_model(where: str, arguments: str | None) -> torch.nn.Module:
    """Call ``file.py:function`` with arguments from a JSON object.

    Raises
    ------
    EvsimError
        No such file or function, the arguments are no JSON object, or the user's code fails.
    """
    file, _, name = where.rpartition(":")
    if not file or not name:
        raise EvsimError(f"--from-torch {where}: expected FILE.py:FUNCTION")
    if not os.path.isfile(file):
        raise EvsimError(f"{file}: no such file, expected the Python file that builds the model")
    told = _arguments(arguments)
    function = getattr(_imported(file), name, None)
    if not callable(function):
        raise EvsimError(f"{file}: has no function {name}, expected one that returns the model")
    try:
        inspect.signature(function).bind(**told)
    except TypeError as error:
        raise EvsimError(f"{where}: {error} (--build-args takes its arguments as JSON)") from None
    except ValueError:
        pass
    model = guarded(where, lambda: function(**told))
    if not isinstance(model, torch.nn.Module):
        raise EvsimError(f"{where}: returns {type(model).__name__}, expected a torch.nn.Module")
    return model.eval()


def _arguments(text: str | None) -> dict:
    if text is None:
        return {}
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise EvsimError(f"--build-args {text[:60]}: expected a JSON object, like '{{\"T\": 4}}'")
    return told


def _imported(file: str):
    path = Path(file).resolve()
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    guarded(file, lambda: spec.loader.exec_module(module))
    return module


def load_checkpoint(model: torch.nn.Module, path: str) -> None:
    """Give a model the tensors of a checkpoint, which is read without executing its pickle.

    Raises
    ------
    EvsimError
        It cannot be read, or its tensors are not those of the model.
    """
    found = read_checkpoint(path)
    expected = model.state_dict()
    missing = [name for name in expected if name not in found.tensors]
    unknown = [name for name in found.tensors if name not in expected]
    wrong = [
        f"{name} is {list(found.tensors[name].shape)}, expected {list(expected[name].shape)}"
        for name in expected
        if name in found.tensors and tuple(found.tensors[name].shape) != tuple(expected[name].shape)
    ]
    problems = [
        *([f"it lacks the model's {', '.join(missing[:4])}{_more(missing)}"] if missing else []),
        *([f"the model has no {', '.join(unknown[:4])}{_more(unknown)}"] if unknown else []),
        *wrong[:4],
    ]
    if problems:
        raise EvsimError(f"{path}: is no checkpoint of this model: {'; '.join(problems)}")
    model.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in found.tensors.items()})


def _more(names: list[str]) -> str:
    return f" and {len(names) - 4} more" if len(names) > 4 else ""


def find_example(path: str | None, shape: str | None, axes: str) -> torch.Tensor:
    """An array from a file, or noise of a shape.

    Raises
    ------
    EvsimError
        Neither or both were given, or the file holds no array.
    """
    letters = letters_of(axes)
    if (path is None) == (shape is None):
        raise EvsimError("an example is needed: say either --example FILE or --example-shape 1,3,32,32")
    if shape is not None:
        return noise(_sizes(shape, letters), letters)
    if not os.path.isfile(path):
        raise EvsimError(f"{path}: no such file, expected an example (.npy, .npz or .pt)")
    array = _read(path)
    if array.ndim == len(letters) - 1 and "B" in letters:
        array = np.expand_dims(array, letters.index("B"))
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))


def _sizes(shape: str, letters: str) -> tuple[int, ...]:
    words = shape.replace("x", ",").split(",")
    if len(words) != len(letters) or not all(word.strip().isdigit() and int(word) > 0 for word in words):
        raise EvsimError(f"--example-shape {shape}: expected {len(letters)} sizes, for the axes {','.join(letters)}")
    sizes = tuple(map(int, words))
    if np.prod(sizes, dtype=float) > 2**28:
        raise EvsimError(f"--example-shape {shape}: more than {2**28} values")
    return sizes


def _read(path: str) -> np.ndarray:
    try:
        if path.endswith((".pt", ".pth")):
            found = torch.load(path, map_location="cpu", weights_only=True)
            found = found.numpy() if isinstance(found, torch.Tensor) else found
        else:
            found = np.load(path, allow_pickle=False)
            found = _only_array(path, found) if isinstance(found, Mapping) or hasattr(found, "files") else found
    except EvsimError:
        raise
    except Exception as error:  # numpy, zipfile and torch raise a dozen kinds on damaged files
        raise EvsimError(f"{path}: cannot be read as an example ({' '.join(str(error).split())[:120]})") from None
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "biuf":
        raise EvsimError(f"{path}: holds no array of numbers, expected an example (.npy, .npz or .pt)")
    return found


def _only_array(path: str, file) -> np.ndarray:
    names = [name for name in ("example", "input", "frames") if name in file.files]
    names = names or (file.files if len(file.files) == 1 else [])
    if not names:
        raise EvsimError(f"{path}: holds {len(file.files)} arrays, expected one, or one called example or input")
    return file[names[0]]
