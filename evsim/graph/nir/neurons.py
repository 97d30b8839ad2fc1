"""What a population of NIR does in a step: the form of its neurons, and what its current is multiplied by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evsim.checkpoints.refusal import Refused
from evsim.errors import NetworkError
from evsim.graph.nir.reading import Reading
from evsim.graph.twins import LeakyIntegrator
from evsim.handlers.neuron_forms.forms import Decay, Form, Leaky, MultiSpike, Norse
from evsim.recordings.duration import written

__all__ = ["INTEGRATORS", "POPULATIONS", "Neurons", "neurons_of"]

POPULATIONS = {"IF", "LIF", "CubaLIF", "Threshold"}
INTEGRATORS = {"I", "LI", "CubaLI"}
"""They send their membrane: parts of a readout."""


@dataclass(frozen=True, eq=False)
class Neurons:
    """A population or an integrator.

    Parameters
    ----------
    form : Form or None
        None for an integrator without a leak, which is a running sum.
    gain : float64 array
        Of its shape: what its input is multiplied by.
    axis : int
        From the end, along which constants of the form differ; 0 where they do not.
    shape : tuple of int
    """

    form: Form | None
    gain: np.ndarray
    axis: int
    shape: tuple[int, ...]


def neurons_of(name: str, node: object, reading: Reading) -> Neurons:
    """Of a node of the library.

    Raises
    ------
    Refused
        Constants differ along several axes, or make no neuron with steps of this length.
    """
    kind = type(node).__name__
    constants = _Constants(name, node, reading.dt * 1e-6)
    gain, arrays = _CONSTANTS[kind](constants)
    made, words = _kind(kind, reading)
    arrays = {key: value for key, value in arrays.items() if key not in words}
    axes = {constants.axis_of(value) for value in arrays.values()} - {0}
    if len(axes) > 1:
        raise Refused(f"{name}: its constants differ along several axes, expected one number a channel")
    axis = axes.pop() if axes else 0
    try:
        form = None if made is None else made(**{key: _along(value, axis) for key, value in arrays.items()}, **words)
    except NetworkError as error:
        raise Refused(f"{name}: {error} (steps of {written(reading.dt)})") from None
    return Neurons(form, gain, axis, constants.shape)


def _kind(kind: str, reading: Reading) -> tuple[type | None, dict]:
    """The form for this reading, and the words of it that are no constants of the file."""
    if kind in INTEGRATORS:
        return (None if kind == "I" else LeakyIntegrator), {}
    if kind == "Threshold":
        return Decay, {"strict": True}
    words = {"v_reset": None} if reading.reset == "subtract" else {}
    if reading.spikes == "many":
        return MultiSpike, words
    return (Leaky, words | {"input": "integrates", "strict": True}) if kind == "IF" else (Norse, words)


class _Constants:
    """The arrays of a node, float64."""

    def __init__(self, name: str, node: object, dt: float) -> None:
        self.name, self.node, self.dt = name, node, dt
        first = next(key for key in ("v_threshold", "threshold", "v_leak", "r") if hasattr(node, key))
        self.shape = np.shape(getattr(node, first))

    def __getitem__(self, key: str) -> np.ndarray:
        return np.broadcast_to(np.asarray(getattr(self.node, key), np.float64), self.shape)

    def rate(self, key: str) -> np.ndarray:
        """dt / tau."""
        tau = self[key]
        if np.any(tau < self.dt * (1 - 1e-6)):
            least = f"{self.name}: {key} is {tau.min():g} s"
            raise Refused(f"{least}, shorter than a step of {self.dt:g} s: expected a smaller --dt")
        return np.minimum(self.dt / tau, 1.0)

    def axis_of(self, value: np.ndarray) -> int:
        """0 where all are equal; else the one axis, from the end, along which they differ.

        Raises
        ------
        Refused
            They differ along several.
        """
        if _is_uniform(value):
            return 0
        for axis in range(value.ndim):
            lines = _lines(value, axis)
            if np.all(lines == lines[:, :1]):
                return axis - value.ndim
        raise Refused(f"{self.name}: its constants differ from place to place, expected one number a channel")


def _lines(value: np.ndarray, axis: int) -> np.ndarray:
    """What stands at each place of an axis, a row a place."""
    return np.moveaxis(value, axis, 0).reshape(value.shape[axis], -1)


def _is_uniform(value: np.ndarray) -> bool:
    return value.size == 0 or bool(np.all(value == value.flat[0]))


def _along(value: np.ndarray, axis: int) -> float | np.ndarray:
    """One number, or one for each place of the axis."""
    if axis == 0 or _is_uniform(value):
        return float(value.flat[0]) if value.size else 0.0
    return _lines(value, axis)[:, 0].astype(np.float32)


def _integrate_and_fire(c: _Constants) -> tuple[np.ndarray, dict]:
    return c["r"], {"v_threshold": c["v_threshold"], "v_reset": c["v_reset"]}


def _leaky_integrator(c: _Constants) -> tuple[np.ndarray, dict]:
    return c["r"], {"rate": c.rate("tau"), "v_leak": c["v_leak"]}


def _current_based_integrator(c: _Constants) -> tuple[np.ndarray, dict]:
    """J is kept times r: the jump of a step is r w_in dt / tau_syn."""
    jump = c["r"] * c["w_in"] * c.rate("tau_syn")
    return jump, {"rate": c.rate("tau_mem"), "synapse_rate": c.rate("tau_syn"), "v_leak": c["v_leak"]}


def _firing(integrator: Callable) -> Callable:
    def constants(c: _Constants) -> tuple[np.ndarray, dict]:
        gain, words = integrator(c)
        return gain, words | {"v_threshold": c["v_threshold"], "v_reset": c["v_reset"]}

    return constants


def _threshold(c: _Constants) -> tuple[np.ndarray, dict]:
    """Without a memory: a membrane that keeps nothing."""
    nothing = np.zeros(c.shape)
    return np.ones(c.shape), {"decay": nothing, "v_threshold": c["threshold"], "v_reset": nothing}


_CONSTANTS = {
    "IF": _integrate_and_fire,
    "LIF": _firing(_leaky_integrator),
    "CubaLIF": _firing(_current_based_integrator),
    "Threshold": _threshold,
    "I": lambda c: (c["r"], {}),
    "LI": _leaky_integrator,
    "CubaLI": _current_based_integrator,
}
