"""The twin of a population in plain NumPy: charge, fire, settle, in the order of the reference's float32 operations.

Slow and obvious: a graph is checked with it, and so is a PyTorch module, before any event-driven handler is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import numpy as np

from evsim.handlers.neuron_forms.arithmetic import MOST_SPIKES
from evsim.handlers.neuron_forms.forms import (
    Decay,
    Form,
    IntegerLeak,
    LateReset,
    Leaky,
    MultiSpike,
    Norse,
    Quantiser,
    Signed,
    read_form,
)  # fmt: skip

__all__ = ["LeakyIntegrator", "Twin", "form_from", "gain_of", "twin_of"]

_F = np.float32


@dataclass(frozen=True, eq=False)
class LeakyIntegrator(Norse):
    """Neurons that never fire and send their membrane (LICell of norse): part of a readout, no population."""

    sends: ClassVar[str] = "R"


def form_from(stored: Mapping[str, object]) -> Form:
    """The form that a graph stores.

    Raises
    ------
    NetworkError
        It is none.
    """
    if stored.get("form") == LeakyIntegrator.__name__:
        norse = read_form({**stored, "form": Norse.__name__})
        return LeakyIntegrator(**vars(norse))
    return read_form(dict(stored))


class Twin:
    """One population with a state.

    Parameters
    ----------
    form : Form
        Its numbers are floats, or arrays that broadcast over the population.
    unit : float
        What a payload of 1 stands for.
    axis : int
        Of the population, counted from the end (-1, ...), along which the form's arrays lie; 0 where it has none.

    Attributes
    ----------
    h : float32 array
        The charge that decided the last step.
    """

    def __init__(self, form: Form, unit: float, axis: int) -> None:
        self.form = SimpleNamespace(**{key: _along(value, axis) for key, value in vars(form).items()})
        self.unit = _F(unit)
        self.v: np.ndarray | None = None
        self.i: np.ndarray | None = None
        self.h = np.empty(0, _F)

    def step(self, x: np.ndarray, sent: np.ndarray | None = None) -> np.ndarray:
        """What it sends, in payloads. With `sent` (payloads too) the membrane settles as if that had been sent."""
        x = np.asarray(x, _F)
        self.h = self.charge(self.form, x)
        fired = self.fire(self.form, self.h)
        self.settle(self.form, self.h, fired if sent is None else sent)
        return fired

    def charge(self, form: Form, x: np.ndarray) -> np.ndarray:
        """H from the input; every form has its own."""
        raise NotImplementedError

    def fire(self, form: Form, h: np.ndarray) -> np.ndarray:
        """What H sends; every form has its own."""
        raise NotImplementedError

    def settle(self, form: Form, h: np.ndarray, sent: np.ndarray) -> None:
        """V from H and what was sent; every form has its own."""
        raise NotImplementedError

    def margin(self) -> np.ndarray:
        """How far the last charge is from where the decision would be another one."""
        return np.abs(self.h - _F(self.form.v_threshold))

    def _reset(self, h: np.ndarray, sent: np.ndarray) -> None:
        reset = self.form.v_reset
        self.v = h - sent * _F(self.form.v_threshold) if reset is None else (_F(1) - sent) * h + sent * _F(reset)


class _LeakyTwin(Twin):
    def charge(self, form: Leaky, x: np.ndarray) -> np.ndarray:
        r = _F(form.v_reset or 0)
        v = np.full(x.shape, r, _F) if self.v is None else self.v
        if form.input == "integrates":
            return v + x
        if form.input == "decays":
            return v + self._share(x - v if r == 0 else x - (v - r))
        if r == 0:
            keep = _F(1) - (_F(1) / _F(form.tau) if form.tau is not None else _F(form.rate))
            return v * keep + x
        return v - self._share(v - r) + x

    def _share(self, difference: np.ndarray) -> np.ndarray:
        return difference / _F(self.form.tau) if self.form.tau is not None else difference * _F(self.form.rate)

    def fire(self, form: Leaky, h: np.ndarray) -> np.ndarray:
        threshold = _F(form.v_threshold)
        return ((h > threshold) if form.strict else (h >= threshold)).astype(_F)

    def settle(self, form: Leaky, h: np.ndarray, sent: np.ndarray) -> None:
        self._reset(h, sent)


class _DecayTwin(_LeakyTwin):
    def charge(self, form: Decay, x: np.ndarray) -> np.ndarray:
        v = np.full(x.shape, _F(form.v_reset or 0), _F) if self.v is None else self.v
        return v * _F(form.decay) + x


class _LateResetTwin(Twin):
    def charge(self, form: LateReset, x: np.ndarray) -> np.ndarray:
        v = np.zeros(x.shape, _F) if self.v is None else self.v
        late = (v > _F(form.v_threshold)).astype(_F)
        if form.alpha is not None:
            self.i = x = _F(form.alpha) * (np.zeros(x.shape, _F) if self.i is None else self.i) + x
        if form.reset == "subtract":
            return _F(form.beta) * v + x - late * _F(form.v_threshold)
        if form.reset == "zero" and form.alpha is None:
            return _F(form.beta) * (v * (1 - late)) + x
        h = _F(form.beta) * v + x
        return h * (1 - late) if form.reset == "zero" else h

    def fire(self, form: LateReset, h: np.ndarray) -> np.ndarray:
        return (h > _F(form.v_threshold)).astype(_F)

    def settle(self, form: LateReset, h: np.ndarray, sent: np.ndarray) -> None:
        """The next reset looks at the membrane itself: a spike that was forced leaves no trace."""
        self.v = h


class _NorseTwin(Twin):
    def charge(self, form: Norse, x: np.ndarray) -> np.ndarray:
        v = np.broadcast_to(_F(form.v_leak), x.shape) if self.v is None else self.v
        if form.synapse_rate is None:
            return v + _F(form.rate) * (x + _F(form.v_leak) - v)
        i = x if self.i is None else self.i + x
        h = v + _F(form.rate) * ((_F(form.v_leak) - v) + i)
        self.i = i + (-_F(form.synapse_rate) * i)
        return h

    def fire(self, form: Norse, h: np.ndarray) -> np.ndarray:
        return (h - _F(form.v_threshold) > 0).astype(_F)

    def settle(self, form: Norse, h: np.ndarray, sent: np.ndarray) -> None:
        self._reset(h, sent)


class _MultiSpikeTwin(_NorseTwin):
    def charge(self, form: MultiSpike, x: np.ndarray) -> np.ndarray:
        if form.rate is not None:
            return super().charge(form, x)
        return (np.full(x.shape, _F(form.v_reset or 0), _F) if self.v is None else self.v) + x

    def fire(self, form: MultiSpike, h: np.ndarray) -> np.ndarray:
        return np.clip(np.ceil(h / _F(form.v_threshold)) - _F(1), _F(0), MOST_SPIKES)

    def settle(self, form: MultiSpike, h: np.ndarray, sent: np.ndarray) -> None:
        after = h - sent * _F(form.v_threshold) if form.v_reset is None else _F(form.v_reset)
        self.v = np.where(sent != 0, after, h).astype(_F)

    def margin(self) -> np.ndarray:
        threshold = _F(self.form.v_threshold)
        return np.abs(self.h - np.maximum(1, np.round(self.h / threshold)) * threshold)


class _IntegratorTwin(_NorseTwin):
    def fire(self, form: LeakyIntegrator, h: np.ndarray) -> np.ndarray:
        return h

    def settle(self, form: LeakyIntegrator, h: np.ndarray, sent: np.ndarray) -> None:
        self.v = h

    def margin(self) -> np.ndarray:
        return np.full(self.h.shape, np.inf, _F)


class _SignedTwin(Twin):
    def charge(self, form: Signed, x: np.ndarray) -> np.ndarray:
        return (np.full(x.shape, form.v_reset or 0, _F) if self.v is None else self.v) + x

    def fire(self, form: Signed, h: np.ndarray) -> np.ndarray:
        down = h + _F(form.neg_threshold) + _F(form.inhibit)
        return (h - _F(form.v_threshold) >= 0).astype(_F) - (-down >= 0).astype(_F)

    def settle(self, form: Signed, h: np.ndarray, sent: np.ndarray) -> None:
        if form.v_reset is None:
            down = -_F(form.v_threshold) if form.symmetric else _F(form.neg_threshold)
            self.v = h - ((sent > 0) * _F(form.v_threshold) + (sent < 0) * down)
        else:
            to = np.abs(sent) if form.symmetric else sent
            self.v = (_F(1) - np.abs(sent)) * h + to * _F(form.v_reset)

    def margin(self) -> np.ndarray:
        form = self.form
        down = np.abs(self.h + _F(form.neg_threshold) + _F(form.inhibit))
        return np.minimum(np.abs(self.h - _F(form.v_threshold)), down)


class _IntegerLeakTwin(Twin):
    def charge(self, form: IntegerLeak, x: np.ndarray) -> np.ndarray:
        return x if self.v is None else self.v * _F(form.decay) + x

    def fire(self, form: IntegerLeak, h: np.ndarray) -> np.ndarray:
        return np.round(np.clip(self._scaled(h), _F(0), _F(form.high)))

    def _scaled(self, h: np.ndarray) -> np.ndarray:
        threshold = self.form.v_threshold
        return h if np.all(threshold == 1) else h / _F(threshold)

    def settle(self, form: IntegerLeak, h: np.ndarray, sent: np.ndarray) -> None:
        self.v = h - (sent if np.all(form.v_threshold == 1) else sent * _F(form.v_threshold))

    def margin(self) -> np.ndarray:
        return _rounding_margin(self._scaled(self.h), 0.0, self.form.high) * _F(self.form.v_threshold)


class _QuantiserTwin(Twin):
    def charge(self, form: Quantiser, x: np.ndarray) -> np.ndarray:
        return x

    def fire(self, form: Quantiser, h: np.ndarray) -> np.ndarray:
        level = np.clip(h, _F(form.low), _F(form.high))
        return np.round(level) if form.ties == "even" else np.floor(level + _F(0.5))

    def settle(self, form: Quantiser, h: np.ndarray, sent: np.ndarray) -> None:
        """Nothing is remembered."""

    def margin(self) -> np.ndarray:
        return _rounding_margin(self.h, self.form.low, self.form.high)


def _rounding_margin(h: np.ndarray, low: float, high: float) -> np.ndarray:
    inside = np.clip(h, low, high)
    distance = np.abs((inside - np.floor(inside)) - _F(0.5))
    return np.where((h < low - 0.5) | (h > high + 0.5), _F(np.inf), distance)


_TWINS = {
    Leaky: _LeakyTwin, Decay: _DecayTwin, LateReset: _LateResetTwin, Norse: _NorseTwin, Signed: _SignedTwin,
    MultiSpike: _MultiSpikeTwin, LeakyIntegrator: _IntegratorTwin, IntegerLeak: _IntegerLeakTwin,
    Quantiser: _QuantiserTwin,
}  # fmt: skip


def twin_of(form: Form, unit: float = 1.0, axis: int = 0) -> Twin:
    """A twin at rest."""
    return _TWINS[type(form)](form, unit, axis)


def gain_of(form: Form) -> float:
    """How much of a difference in the input is one in the charge, at most."""
    if isinstance(form, Leaky) and form.input == "decays":
        return float(np.max(form.rate)) if form.rate is not None else 1.0 / float(np.min(form.tau))
    has_rate = isinstance(form, Norse | MultiSpike) and form.rate is not None
    return float(np.max(form.rate)) if has_rate else 1.0


def _along(value: object, axis: int) -> object:
    """An array turned so that it broadcasts along one axis of the population."""
    if isinstance(value, np.ndarray) and value.ndim and axis < -1:
        return value.reshape(-1, *([1] * (-axis - 1)))
    return value
