"""The forms of neurons, as plain values: what charges a membrane, when it fires, what a spike leaves.

Each has a charge H, a condition and a reset; V is the membrane after the step before, X the current of this one. Rates
and thresholds are numbers, or arrays of one for each channel. A form is what a file stores of a population: its class
in the model it came from does not matter any more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from evsim.errors import NetworkError

__all__ = [
    "FORMS", "Decay", "Form", "IntegerLeak", "LateReset", "Leaky", "MultiSpike", "Norse", "Quantiser", "Signed",
    "read_form",
]  # fmt: skip

Constant = float | np.ndarray
"""A number, or float32 [n_channels]."""


def _as_floats(value: object) -> np.ndarray | None:
    """None where it is no number and no array of numbers."""
    try:
        array = np.asarray(value)
        return array.astype(np.float32) if array.dtype.kind in "iuf" else None
    except (TypeError, ValueError, RuntimeError):  # ragged lists; tensors with a gradient
        return None


@dataclass(frozen=True, eq=False)
class Form:
    """What all forms share.

    Attributes
    ----------
    sends : {"B", "I", "S"}
        Binary spikes, whole numbers from 0 on, or signed ones.
    n_states : int
        Words of state of a neuron.
    n_thresholds : int
        Comparisons of a neuron at each update.
    """

    sends = "B"
    n_states = 1
    n_thresholds = 1

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if str(field.type).startswith(("str", "bool")):
                expected = str if str(field.type) == "str" else bool
                self._demand(isinstance(value, expected), f"{field.name} = {value!r:.60}, expected {expected.__name__}")
                continue
            if value is None:
                self._demand("None" in str(field.type), f"{field.name} = None, expected finite numbers")
                continue
            array = _as_floats(value)
            if array is None or array.ndim > 1 or not np.all(np.isfinite(array)):
                raise NetworkError(f"{type(self).__name__}: {field.name} = {value!s:.60}, expected finite numbers")
            object.__setattr__(self, field.name, array if array.ndim else array[()])
        self.check()

    def check(self) -> None:
        """Raise where the constants make no neuron."""

    def to_dict(self) -> dict[str, object]:
        """Its name and constants: numbers, words and lists, for a file."""
        constants = {field.name: getattr(self, field.name) for field in fields(self)}
        plain = {key: value.tolist() if hasattr(value, "tolist") else value for key, value in constants.items()}
        return {"form": type(self).__name__, **plain}

    def _demand(self, holds: bool, words: str) -> None:
        if not holds:
            raise NetworkError(f"{type(self).__name__}: {words}")

    def _demand_rate(self, name: str) -> None:
        value = getattr(self, name)
        self._demand(bool(np.all((value >= 0) & (value <= 1))), f"{name} = {value}, expected 0 to 1")


@dataclass(frozen=True, eq=False)
class Leaky(Form):
    """LIF, PLIF and IF of SpikingJelly and BrainCog.

        input "decays":      H = V + (X - (V - r)) / tau
        input "whole":       H = V - (V - r) / tau + X
        input "integrates":  H = V + X
        fires:               H >= v_threshold, or H > v_threshold where strict
        reset:               V = v_reset, or H - v_threshold where v_reset is None (then r = 0)

    `rate` multiplies where a `tau` would divide: sigmoid(w) of a PLIF. One of the two is given, but for "integrates".
    """

    v_threshold: Constant = 1.0
    v_reset: Constant | None = 0.0
    tau: Constant | None = None
    rate: Constant | None = None
    input: str = "decays"
    strict: bool = False

    def check(self) -> None:
        """See `Form.check`."""
        self._demand(self.input in ("decays", "whole", "integrates"), f"input = {self.input!r}, expected decays, ...")
        n_given = (self.tau is not None) + (self.rate is not None)
        self._demand(
            n_given == (self.input != "integrates"), "expected a tau or a rate, and neither where it integrates"
        )
        if self.tau is not None:
            self._demand(bool(np.all(self.tau >= 1)), f"tau = {self.tau}, expected 1 or more")
        if self.rate is not None:
            self._demand_rate("rate")


@dataclass(frozen=True, eq=False)
class Decay(Form):
    """H = decay * V + X; fires as `Leaky`; V = v_reset, or H - v_threshold where v_reset is None (MS-ResNet)."""

    decay: Constant
    v_threshold: Constant = 1.0
    v_reset: Constant | None = 0.0
    strict: bool = False

    def check(self) -> None:
        """See `Form.check`."""
        self._demand_rate("decay")


@dataclass(frozen=True, eq=False)
class LateReset(Form):
    """Leaky and Synaptic of snnTorch: a spike is reset at the next step, and fires where H > v_threshold.

    R = V > v_threshold;   I = alpha * I + X, or X where alpha is None
    reset "subtract":  H = beta * V + I - R * v_threshold
    reset "zero":      H = beta * ((1 - R) * V) + I;  with alpha  (1 - R) * (beta * V + I)
    reset "none":      H = beta * V + I
    """

    beta: Constant
    v_threshold: Constant = 1.0
    reset: str = "subtract"
    alpha: Constant | None = None

    def check(self) -> None:
        """See `Form.check`."""
        self._demand(
            self.reset in ("subtract", "zero", "none"), f"reset = {self.reset!r}, expected subtract, zero or none"
        )
        self._demand_rate("beta")
        if self.alpha is not None:
            self._demand_rate("alpha")

    @property
    def n_states(self) -> int:
        return 1 if self.alpha is None else 2


@dataclass(frozen=True, eq=False)
class Norse(Form):
    """LIFBoxCell and LIFCell of norse, LIF and CubaLIF of NIR; fires where H > v_threshold.

        box:      H = V + rate * (X + v_leak - V)
        synapse:  I = I + X;  H = V + rate * ((v_leak - V) + I);  I = I - synapse_rate * I

        reset:    V = v_reset, or H - v_threshold where v_reset is None

    Rates are dt / tau.
    """

    rate: Constant
    v_leak: Constant = 0.0
    v_threshold: Constant = 1.0
    v_reset: Constant | None = 0.0
    synapse_rate: Constant | None = None

    def check(self) -> None:
        """See `Form.check`."""
        self._demand_rate("rate")
        if self.synapse_rate is not None:
            self._demand_rate("synapse_rate")

    @property
    def n_states(self) -> int:
        return 1 if self.synapse_rate is None else 2


@dataclass(frozen=True, eq=False)
class MultiSpike(Form):
    """Several spikes a step, one for each v_threshold that H is above: S = max(0, ceil(H / v_threshold) - 1).

        H:      V + X where rate is None; else as `Norse`, box or synapse
        reset:  V = H - S * v_threshold where v_reset is None; else v_reset where S > 0

    That is `Leaky` (strict) or `Norse` with a reset by subtraction, let fire until H <= v_threshold.
    """

    v_threshold: Constant = 1.0
    v_reset: Constant | None = None
    rate: Constant | None = None
    v_leak: Constant = 0.0
    synapse_rate: Constant | None = None
    sends = "I"

    def check(self) -> None:
        """See `Form.check`."""
        self._demand(bool(np.all(self.v_threshold > 0)), f"v_threshold = {self.v_threshold}, expected more than 0")
        self._demand(
            self.rate is not None or (self.synapse_rate is None and not np.any(self.v_leak)),
            "a leak or a synaptic current without a rate",
        )
        for name in ("rate", "synapse_rate"):
            if getattr(self, name) is not None:
                self._demand_rate(name)

    @property
    def n_states(self) -> int:
        return 1 if self.synapse_rate is None else 2


@dataclass(frozen=True, eq=False)
class IntegerLeak(Form):
    """I-LIF: H = decay * V + X;  S = round(clamp(H / v_threshold, 0, high)), ties to even;  V = H - S * v_threshold."""

    decay: Constant
    high: Constant = 4
    v_threshold: Constant = 1.0
    sends = "I"

    def check(self) -> None:
        """See `Form.check`."""
        self._demand_rate("decay")
        self._demand(bool(np.all((self.high >= 1) & (self.high < 2**20))), f"high = {self.high}, expected 1 to 2^20")
        self._demand(bool(np.all(self.v_threshold > 0)), f"v_threshold = {self.v_threshold}, expected more than 0")


@dataclass(frozen=True, eq=False)
class Quantiser(Form):
    """S = round(clamp(X, low, high)); nothing is remembered. What S is worth is told elsewhere.

    ties "even":  x.5 goes to the even neighbour (torch.round)
    ties "up":    S = floor(clamp(X, low, high) + 0.5)
    """

    low: Constant = 0
    high: Constant = 4
    ties: str = "even"
    n_states = 0

    def check(self) -> None:
        """See `Form.check`."""
        self._demand(bool(np.all((self.low <= 0) & (self.low > -(2**20)))), f"low = {self.low}, expected -2^20 to 0")
        self._demand(bool(np.all((self.high >= 1) & (self.high < 2**20))), f"high = {self.high}, expected 1 to 2^20")
        self._demand(self.ties in ("even", "up"), f"ties = {self.ties!r}, expected even or up")

    def to_dict(self) -> dict[str, object]:
        """See `Form.to_dict`; the usual ties are not worth a word, so that files made before them keep their print."""
        told = super().to_dict()
        return {key: value for key, value in told.items() if (key, value) != ("ties", "even")}

    @property
    def sends(self) -> str:
        return "S" if np.any(self.low < 0) else "I"


@dataclass(frozen=True, eq=False)
class Signed(Form):
    """H = V + X;  S = [H >= v_threshold] - [-(H + neg_threshold + inhibit) >= 0].

        v_reset given:  V = S * v_reset where S is not 0;  symmetric: V = v_reset
        v_reset None:   V = H - ([S > 0] v_threshold + [S < 0] neg_threshold);  symmetric: V = H - S * v_threshold

    MultiStepNegIFNode of SWformer, as its code has it (a negative spike lowers the membrane further); symmetric is
    TernaryIFNode of SpikingJelly.
    """

    v_threshold: Constant = 1.0
    neg_threshold: Constant = 1.0
    inhibit: Constant = 0.0
    v_reset: Constant | None = 0.0
    symmetric: bool = False
    sends = "S"
    n_thresholds = 2

    def check(self) -> None:
        """See `Form.check`."""
        holds = np.all(self.v_threshold > -(self.neg_threshold + self.inhibit))
        self._demand(bool(holds), "the negative threshold is above the positive one")


FORMS = {form.__name__: form for form in (Leaky, Decay, LateReset, Norse, MultiSpike, IntegerLeak, Quantiser, Signed)}
"""By name, as `Form.to_dict` writes it."""


def read_form(stored: Mapping[str, object]) -> Form:
    """The form that `Form.to_dict` wrote.

    Raises
    ------
    NetworkError
        An unknown form, a constant that it does not have or lacks, or a value that is none.
    """
    name = stored.get("form")
    if not isinstance(name, str) or name not in FORMS:
        raise NetworkError(f"neurons of the form {name!r}, expected one of {', '.join(FORMS)}")
    kind = FORMS[name]
    known = {field.name for field in fields(kind)}
    constants = {key: value for key, value in stored.items() if key != "form"}
    if unknown := sorted(set(constants) - known):
        raise NetworkError(f"{name}: has no {unknown[0]}, expected {', '.join(sorted(known))}")
    for key, value in constants.items():
        _check_plain(name, key, value)
    try:
        return kind(**constants)
    except (TypeError, ValueError) as error:
        raise NetworkError(f"{name}: {error}") from None


def _check_plain(name: str, key: str, value: object) -> None:
    numbers = value if isinstance(value, list) else [value]
    is_numbers = all(isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) for n in numbers)
    words, flags = ("input", "reset", "ties"), ("strict", "symmetric")
    is_word = key in words and isinstance(value, str)
    is_flag = key in flags and isinstance(value, bool)
    if not (is_word or is_flag or value is None or (is_numbers and key not in words + flags)):
        raise NetworkError(f"{name}: {key} = {value!r}, expected a number or one for each channel")
