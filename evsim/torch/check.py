"""Is a neuron module what the table says? It and its twin get the same random currents; each spike counts."""

from __future__ import annotations

import numpy as np
import torch

from evsim.errors import EvsimError
from evsim.graph.twins import gain_of, twin_of
from evsim.handlers.neuron_forms.forms import Form, IntegerLeak, Quantiser
from evsim.torch.neurons import Known
from evsim.torch.recorder import as_array
from evsim.torch.state import reset_module

__all__ = ["axis_of", "check_neuron"]

N_STEPS, N_NEURONS = 6, 4096


def axis_of(form: Form, shape: tuple[int, ...], module: torch.nn.Module) -> int:
    """Along which axis (from the end) the form's arrays lie, as the module broadcasts them; 0 without any."""
    sizes = {value.size for value in vars(form).values() if isinstance(value, np.ndarray) and value.ndim}
    if not sizes:
        return 0
    axes = {_axis_in(module, size) for size in sizes}
    if len(axes) > 1 or None in axes:
        raise EvsimError(f"its parameters have {sorted(sizes)} values, expected one each channel of {list(shape)}")
    return axes.pop()


def _axis_in(module: torch.nn.Module, size: int) -> int | None:
    """The axis of a parameter of the module that has so many values, counted from the end."""
    for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
        if tensor.numel() == size and size > 1:
            return next(axis - tensor.dim() for axis in range(tensor.dim()) if tensor.shape[axis] == size)
    return -1


def check_neuron(
    path: str, module: torch.nn.Module, known: Known, n_steps: int, axis: int = 0, shape: tuple[int, ...] = ()
) -> int:
    """Drive both for some steps; returns how many spikes were compared.

    Parameters
    ----------
    path, module, known
    n_steps : int
        Of a module that takes all steps in one call.
    axis : int
        See `axis_of`.
    shape : tuple of int
        Of what it was given in its network.

    Raises
    ------
    EvsimError
        They differ, or neither ever fires.
    """
    n_steps = n_steps if known.steps == "all" else N_STEPS
    try:
        currents = _currents(known.form, n_steps, axis, None)
        found = _driven(module, known, currents)
    except Exception:  # a module may want the axes that it has in its network
        currents = _currents(known.form, n_steps, axis, _step_shape(shape, known, n_steps))
        found = _driven_as_recorded(path, module, known, currents)
    twin = twin_of(known.form, known.unit, axis)
    expected = np.stack([twin.step(x) for x in currents]) * np.float32(known.unit)
    if found.size != expected.size:
        raise EvsimError(f"{path}: {_name(module)} sends {found.shape} for currents of {expected.shape}")
    differing = int(np.count_nonzero(found.reshape(expected.shape) != expected))
    if differing:
        raise EvsimError(
            f"{path}: {_name(module)} does not behave as {type(known.form).__name__}: {differing:,} of "
            f"{expected.size:,} spikes differ under random currents; say what it is: neurons={{{_name(module)!r}: "
            "evsim.torch.lif(...)}"
        )
    if not np.any(expected):
        raise EvsimError(f"{path}: {_name(module)} never fires under random currents, so that it cannot be checked")
    return expected.size


def _step_shape(shape: tuple[int, ...], known: Known, n_steps: int) -> tuple[int, ...]:
    """What one step of the recorded input looks like."""
    if known.steps != "all":
        return shape
    return (shape[0] // n_steps, *shape[1:]) if known.folded else shape[1:]


def _driven_as_recorded(path: str, module: torch.nn.Module, known: Known, currents: np.ndarray) -> np.ndarray:
    try:
        return _driven(module, known, currents)
    except Exception as error:  # whatever a stranger's module raises
        words = " ".join(f"{type(error).__name__} {error}".split())[:200]
        raise EvsimError(f"{path}: {_name(module)} cannot be driven by itself: {words}") from None


def _name(module: torch.nn.Module) -> str:
    return type(module).__name__


def _currents(form: Form, n_steps: int, axis: int, shape: tuple[int, ...] | None) -> np.ndarray:
    """Strong enough that most neurons fire now and then; [n_steps, n, ...] with the form's channels in their place."""
    if isinstance(form, IntegerLeak | Quantiser):
        level = float(np.max(form.high)) / 2
    else:
        level = float(np.max(np.abs(form.v_threshold))) + float(np.max(np.abs(getattr(form, "v_reset", None) or 0)))
    level = max(level, 1e-3) / gain_of(form)
    n_channels = next((v.size for v in vars(form).values() if isinstance(v, np.ndarray) and v.ndim), 1)
    inner = (n_channels, *([2] * (-axis - 1))) if axis else ()
    rest = max(1, N_NEURONS // max(1, int(np.prod(inner))))
    random = np.random.default_rng(14)
    step = (rest, *inner) if shape is None else shape
    return (random.normal(0.6, 1.2, (n_steps, *step)) * level).astype(np.float32)


def _driven(module: torch.nn.Module, known: Known, currents: np.ndarray) -> np.ndarray:
    """What the module sends, its state reset before and after."""
    reset_module(module)
    try:
        with torch.no_grad():
            if known.steps == "all":
                return _all_steps(module, known, torch.from_numpy(currents))
            sent, state = [], ()
            for x in currents:
                out = module(torch.from_numpy(x), *state)
                spikes, *state = out if isinstance(out, tuple) else (out,)
                state = () if getattr(module, "init_hidden", False) or known.steps == "none" else state
                sent.append(as_array(spikes))
            return np.stack(sent)
    finally:
        reset_module(module)


def _all_steps(module: torch.nn.Module, known: Known, currents: torch.Tensor) -> np.ndarray:
    given = currents.flatten(0, 1) if known.folded else currents if currents.dim() > 2 else currents[:, None]
    out = module(given)
    return as_array(out[0] if isinstance(out, tuple) else out)
