"""A form of neurons as a node of NIR: what the standard can say of it, exactly or up to rounding, else a refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evsim.checkpoints.refusal import Refused
from evsim.graph.twins import LeakyIntegrator
from evsim.handlers.neuron_forms.forms import Decay, Form, LateReset, Leaky, MultiSpike, Norse

__all__ = ["Written", "written_neurons"]


@dataclass(frozen=True)
class Written:
    """A population as a node.

    Parameters
    ----------
    node : NIRNode
    reset, spikes : str
        With which options `evsim import` reads the same neurons again; "" where it does not matter.
    is_rounded : bool
        Whether the equation is the same in another order of roundings.
    """

    node: object
    reset: str = ""
    spikes: str = ""
    is_rounded: bool = False


def written_neurons(nir, path: str, form: Form, axis: int, shape: tuple[int, ...], dt: float | None) -> Written:
    """The node of a population.

    Parameters
    ----------
    nir : module
    path : str
        For messages.
    form : Form
    axis : int
        From the end, along which its constants differ; 0 where they do not.
    shape : tuple of int
        Of the population.
    dt : float or None
        Seconds of a step; a leak needs it.

    Raises
    ------
    Refused
        The standard has no such neurons, or a time constant is needed and nobody says how long a step is.
    """
    if isinstance(form, LateReset) and form.reset == "zero" and form.alpha is None:
        form = Decay(form.beta, form.v_threshold, 0.0, strict=True)  # one step late, and nothing reads it before then
    kind = next((kind for kind in _KINDS if type(form) is kind), None)
    if kind is None:
        late = ", whose reset comes a step late" if isinstance(form, LateReset) else ""
        raise Refused(f"{path}: NIR has no neurons of the form {type(form).__name__}{late}")
    return _KINDS[kind](_Writer(nir, path, form, axis, shape, dt))


class _Writer:
    """Constants of a form, spread over the population."""

    def __init__(self, nir, path: str, form: Form, axis: int, shape: tuple[int, ...], dt: float | None) -> None:
        self.nir, self.path, self.form, self.axis, self.shape, self.dt = nir, path, form, axis, shape, dt

    def full(self, value: object, kind: type = np.float32) -> np.ndarray:
        array = np.asarray(value, kind)
        if array.ndim and self.axis < -1:
            array = array.reshape(-1, *[1] * (-self.axis - 1))
        return np.array(np.broadcast_to(array, self.shape))

    def tau(self, rate: object) -> np.ndarray:
        """Seconds, in float64: dt / tau is the rate again, to the last bit."""
        if self.dt is None:
            raise Refused(f"{self.path}: its leak counts steps, and NIR wants seconds: --dt 1ms says how long one is")
        rates = np.asarray(rate, np.float64)
        if np.any(rates <= 0):
            raise Refused(f"{self.path}: a leak of nothing has no time constant")
        return self.full(self.dt / rates, np.float64)

    def fire(self) -> dict[str, np.ndarray]:
        """v_threshold and v_reset; H >= threshold is H > the next smaller float."""
        form, strict = self.form, getattr(self.form, "strict", True)
        threshold = form.v_threshold if strict else np.nextafter(form.v_threshold, np.float32(-np.inf))
        if not strict and form.v_reset is None:
            raise Refused(
                f"{self.path}: fires where H >= v_threshold and resets by subtraction; NIR's neurons fire above it"
            )
        return {"v_threshold": self.full(threshold), "v_reset": self.full(0 if form.v_reset is None else form.v_reset)}

    def read_back(self, spikes: str = "one") -> dict[str, str]:
        return {"reset": "subtract" if self.form.v_reset is None else "v_reset", "spikes": spikes}

    def leaky(self, rate: object, v_leak: object, r: object = 1.0) -> object:
        told = {"r": self.full(r, np.float64), "v_leak": self.full(v_leak)}
        return self.nir.LIF(tau=self.tau(rate), **told, **self.fire())

    def integrating(self) -> object:
        return self.nir.IF(r=self.full(1.0), **self.fire())


def _leaky(w: _Writer) -> Written:
    form = w.form
    if form.input == "integrates":
        return Written(w.integrating(), **w.read_back())
    rate = 1 / np.asarray(form.tau, np.float64) if form.rate is None else form.rate
    leak = 0.0 if form.v_reset is None else form.v_reset
    r = 1.0 if form.input == "decays" else 1 / np.asarray(rate, np.float64)
    is_rounded = form.input == "whole" or np.any(leak) or (form.tau is not None and not _is_power_of_two(rate))
    return Written(w.leaky(rate, leak, r), **w.read_back(), is_rounded=bool(is_rounded))


def _decay(w: _Writer) -> Written:
    form = w.form
    keeps = np.asarray(form.decay, np.float64)
    if np.all(keeps == 1):
        return Written(w.integrating(), **w.read_back())
    if np.all(keeps == 0):
        return Written(w.nir.Threshold(w.fire()["v_threshold"]))
    return Written(w.leaky(1 - keeps, 0.0, 1 / (1 - keeps)), **w.read_back(), is_rounded=True)


def _norse(w: _Writer) -> Written:
    return Written(_euler(w), **w.read_back())


def _many(w: _Writer) -> Written:
    return Written(w.integrating() if w.form.rate is None else _euler(w), **w.read_back("many"))


def _euler(w: _Writer) -> object:
    """Forward Euler is what these forms are."""
    form = w.form
    if form.synapse_rate is None:
        return w.leaky(form.rate, form.v_leak)
    return w.nir.CubaLIF(**_synapse(w), **w.fire())


def _integrator(w: _Writer) -> Written:
    form = w.form
    if form.synapse_rate is not None:
        return Written(w.nir.CubaLI(**_synapse(w)))
    return Written(w.nir.LI(tau=w.tau(form.rate), r=w.full(1.0), v_leak=w.full(form.v_leak)))


def _synapse(w: _Writer) -> dict[str, np.ndarray]:
    """w_in undoes the dt / tau_syn that an input current is multiplied by."""
    form = w.form
    return {
        "tau_mem": w.tau(form.rate),
        "tau_syn": w.tau(form.synapse_rate),
        "w_in": w.full(1 / np.asarray(form.synapse_rate, np.float64), np.float64),
        "r": w.full(1.0),
        "v_leak": w.full(form.v_leak),
    }


def _is_power_of_two(value: object) -> bool:
    return bool(np.all(np.frexp(np.asarray(value, np.float64))[0] == 0.5))


_KINDS: dict[type, Callable[[_Writer], Written]] = {
    Leaky: _leaky, Decay: _decay, Norse: _norse, MultiSpike: _many, LeakyIntegrator: _integrator,
}  # fmt: skip
