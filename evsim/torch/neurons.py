"""Which modules are neurons, and what they compute: the table of known classes, and what a user adds to it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from evsim.errors import EvsimError
from evsim.graph.twins import LeakyIntegrator
from evsim.handlers.neuron_forms.forms import (
    Decay,
    Form,
    IntegerLeak,
    LateReset,
    Leaky,
    Norse,
    Quantiser,
    Signed,
)  # fmt: skip
from evsim.torch.guard import guarded

__all__ = ["Known", "find_neurons", "integer", "integrate_and_fire", "lif", "quantiser"]


@dataclass(frozen=True)
class Known:
    """What is known of one neuron module.

    Parameters
    ----------
    form : Form
    steps : {"one", "all", "none"}
        Whether a call is one step, all steps (the first axis is time), or has nothing to do with time.
    unit : float
        What a payload of 1 is worth.
    folded : int or None
        Steps that are folded into the first axis together with the batch; None: the first axis is time alone.
    """

    form: Form
    steps: str = "one"
    unit: float = 1.0
    folded: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.form, Form):
            raise EvsimError(
                f"a neuron's form is {type(self.form).__name__}, expected one like evsim.torch.lif(...).form"
            )
        if self.steps not in ("one", "all", "none"):
            raise EvsimError(f"a neuron's steps={self.steps!r:.60}, expected one, all or none")


Reader = Callable[[torch.nn.Module], Known]


def lif(
    tau: float = 2.0, v_threshold: float = 1.0, v_reset: float | None = 0.0, *, decay_input: bool = True,
    strict: bool = False, steps: str = "one",
) -> Known:  # fmt: skip
    """H = V + (X - (V - v_reset)) / tau, or H = V - (V - v_reset) / tau + X without `decay_input`.

    Parameters
    ----------
    tau, v_threshold : float
    v_reset : float or None
        None: the threshold is subtracted.
    decay_input, strict : bool
        `strict`: fires above the threshold, not at it.
    steps : {"one", "all", "none"}
        See `Known`.
    """
    words = {"input": "decays" if decay_input else "whole", "strict": strict}
    return Known(Leaky(v_threshold=v_threshold, v_reset=v_reset, tau=tau, **words), steps)


def integrate_and_fire(
    v_threshold: float = 1.0, v_reset: float | None = 0.0, *, decay: float = 1.0, strict: bool = False,
    steps: str = "one",
) -> Known:  # fmt: skip
    """H = decay V + X."""
    if isinstance(decay, int | float) and decay == 1.0:
        form: Form = Leaky(v_threshold=v_threshold, v_reset=v_reset, input="integrates", strict=strict)
    else:
        form = Decay(decay=decay, v_threshold=v_threshold, v_reset=v_reset, strict=strict)
    return Known(form, steps)


def integer(decay: float, high: int, *, steps: str = "one") -> Known:
    """H = decay (H_before - S_before) + X; S = round(clamp(H, 0, high))."""
    return Known(IntegerLeak(decay=decay, high=high), steps)


def quantiser(low: int, high: int, *, norm: float = 1.0, ties: str = "even") -> Known:
    """S = round(clamp(X, low, high)) / norm, without a state; ties "up": floor(clamp(X, low, high) + 0.5)."""
    if isinstance(norm, bool) or not isinstance(norm, int | float) or not 0 < norm < float("inf"):
        raise EvsimError(f"quantiser(norm={norm!r:.60}): expected a number above 0")
    return Known(Quantiser(low=low, high=high, ties=ties), "none", 1.0 / norm)


def find_neurons(model: torch.nn.Module, told: Mapping[str, object]) -> dict[str, Known]:
    """The neuron modules of a model by path, those inside another one left out.

    Raises
    ------
    EvsimError
        A neuron module of a class that nobody knows.
    """
    found: dict[str, Known] = {}
    for path, module in model.named_modules():
        if any(path.startswith(f"{outer}.") for outer in found):
            continue
        known = _told(path, module, told) or _read(path, module)
        if known is not None:
            found[path] = known
    unused = sorted(set(told) - {name for module in model.modules() for name in _names(module)})
    if unused:
        raise EvsimError(f"neurons={{{unused[0]!r}: ...}}: the model has no module of a class of that name")
    return found


def _names(module: torch.nn.Module) -> list[str]:
    return [kind.__name__ for kind in type(module).__mro__]


def _packages(module: torch.nn.Module) -> set[str]:
    return {kind.__module__.partition(".")[0] for kind in type(module).__mro__}


def _told(path: str, module: torch.nn.Module, told: Mapping[str, object]) -> Known | None:
    name = next((name for name in _names(module) if name in told), None)
    if name is None:
        return None
    known = told[name]
    if callable(known):
        known = guarded(f"neurons={{{name!r}: ...}} of {path}", functools.partial(known, module))
    if isinstance(known, Form):
        known = Known(known)
    if not isinstance(known, Known):
        raise EvsimError(
            f"neurons={{{name!r}: ...}}: {type(known).__name__} describes no neuron, expected evsim.torch.lif(...)"
        )
    return known


def _read(path: str, module: torch.nn.Module) -> Known | None:
    """What the table knows of a module; None where it is none of a neuron library's."""
    name, names, packages = type(module).__name__, _names(module), _packages(module)
    for belongs, table in _LIBRARIES:
        if belongs(names, packages):
            reader = next((table[known] for known in names if known in table), None)
            if reader is None:
                raise EvsimError(_unknown(path, name))
            return _described(path, name, reader, module)
    reader = _HOME_MADE.get(name)
    return None if reader is None else _described(path, name, reader, module)


def _unknown(path: str, name: str) -> str:
    if "Recurrent" in name or name in _RECURRENT:
        return f"{path}: {name} feeds what it sends back to itself, and evsim runs feed-forward networks"
    return f"{path}: neurons of class {name} are not known: pass neurons={{{name!r}: evsim.torch.lif(...)}}"


def _described(path: str, name: str, reader: Reader, module: torch.nn.Module) -> Known:
    try:
        return guarded(f"{name} has not what its class says", lambda: reader(module))
    except EvsimError as error:
        raise EvsimError(f"{path}: {error}") from None


def number(value: object) -> float | np.ndarray:
    """A float, or a float32 array where there are several."""
    array = np.asarray(value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value, np.float32)
    if array.size == 1:
        return float(array.reshape(-1)[0])
    if sum(size > 1 for size in array.shape) > 1:
        raise EvsimError(
            f"a neuron parameter of shape {list(array.shape)}: expected one value, or one for each channel"
        )
    return array.reshape(-1)


def _sigmoid(w: object) -> float:
    """Rounded where PyTorch rounds it."""
    return float(torch.as_tensor(w).detach().float().sigmoid())


# ---- SpikingJelly: clock_driven and activation_based


def _jelly_steps(module: torch.nn.Module) -> str:
    several = any(name.startswith("MultiStep") for name in _names(module)) or getattr(module, "step_mode", "s") == "m"
    return "all" if several else "one"


def _jelly(module: torch.nn.Module, **charge: object) -> Known:
    levels = {"v_threshold": number(module.v_threshold), "v_reset": module.v_reset}
    return Known(Leaky(**levels, **charge), _jelly_steps(module))


def _jelly_input(module: torch.nn.Module) -> str:
    return "decays" if getattr(module, "decay_input", True) else "whole"


_JELLY: dict[str, Reader] = {
    "ParametricLIFNode": lambda m: _jelly(m, rate=_sigmoid(m.w), input=_jelly_input(m)),
    "MultiStepParametricLIFNode": lambda m: _jelly(m, rate=_sigmoid(m.w), input=_jelly_input(m)),
    "LIFNode": lambda m: _jelly(m, tau=number(m.tau), input=_jelly_input(m)),
    "MultiStepLIFNode": lambda m: _jelly(m, tau=number(m.tau), input=_jelly_input(m)),
    "IFNode": lambda m: _jelly(m, input="integrates"),
    "MultiStepIFNode": lambda m: _jelly(m, input="integrates"),
}


def _negative(module: torch.nn.Module) -> Known:
    levels = {"v_threshold": number(module.v_threshold), "neg_threshold": number(module.neg_v_threshold)}
    form = Signed(**levels, inhibit=number(getattr(module, "inhibit", 0.0)), v_reset=module.v_reset)
    return Known(form, _jelly_steps(module))


# ---- snnTorch, norse, BrainCog


_UNUSUAL = (
    ("reset_delay", True, "resets at once, and again at the next step what is still above the threshold"),
    ("inhibition", False, "lets only the strongest neuron of a layer fire"),
    ("state_quant", False, "rounds its membrane"),
)
"""Options of snnTorch's neurons, the value that is known here, and what any other does."""
_RECURRENT = {"RLeaky", "RSynaptic", "SLSTM", "SConv2dLSTM"}


def _late(module: torch.nn.Module, alpha: object = None) -> Known:
    resets = int(module.reset_mechanism_val) != 2
    for name, usual, why in _UNUSUAL[0 if resets else 1 :]:
        if bool(getattr(module, name, usual)) is not usual:
            told = f"{type(module).__name__}({name}={getattr(module, name)!r})"[:80]
            raise EvsimError(f"{told} {why}: no form of neurons here does, expected {name}={usual}")
    reset = ("subtract", "zero", "none")[int(module.reset_mechanism_val)]
    graded = number(module.graded_spikes_factor)
    form = LateReset(
        beta=number(module.beta.clamp(0, 1)), v_threshold=number(module.threshold), reset=reset,
        alpha=None if alpha is None else number(alpha),
    )  # fmt: skip
    return Known(form, "one", graded)


def _norse(module: torch.nn.Module, has_synapse: bool, spikes: bool = True) -> Known:
    p = module.p
    numbers = {"rate": module.dt * number(p.tau_mem_inv), "v_leak": number(p.v_leak)}
    numbers["synapse_rate"] = module.dt * number(p.tau_syn_inv) if has_synapse else None
    if not spikes:
        return Known(LeakyIntegrator(**numbers))
    return Known(Norse(**numbers, v_threshold=number(p.v_th), v_reset=number(p.v_reset)))


def _braincog(module: torch.nn.Module, **charge: object) -> Known:
    layered = bool(getattr(module, "layer_by_layer", False))
    form = Leaky(v_threshold=number(module.threshold), v_reset=0.0, **charge)
    return Known(form, "all" if layered else "one", folded=int(module.step) if layered else None)


# ---- classes of single repositories, known by their name alone


def _module_constant(module: torch.nn.Module, name: str) -> float:
    return float(getattr(sys.modules[type(module).__module__], name))


def _mem_update(module: torch.nn.Module) -> Known:
    """MS-ResNet's, and with a quantiser inside SpikeYOLO's."""
    decay = _module_constant(module, "decay")
    if hasattr(module, "qtrick"):
        return Known(IntegerLeak(decay=decay, high=int(type(module.qtrick).__name__.removeprefix("MultiSpike"))), "all")
    levels = {"v_threshold": _module_constant(module, "thresh"), "v_reset": 0.0}
    return Known(Decay(decay=decay, **levels, strict=True), "all")


def _multi_spike(module: torch.nn.Module) -> Known:
    if hasattr(module, "min_value"):
        return quantiser(int(module.min_value), int(module.max_value), norm=float(module.Norm))
    ending = type(module).__name__.lower().removeprefix("multispike")
    if ending.isdigit():
        return quantiser(0, int(ending))
    norm = float(getattr(module, "norm", 1))
    return quantiser(0, int(_module_constant(module, "T")), norm=norm, ties=_ties(module))


def _ties(module: torch.nn.Module) -> str:
    """Random currents never meet a tie, whole-number attention does: ask the module itself."""
    with torch.no_grad():
        return "up" if float(module(torch.full((1,), 0.5))) > 0 else "even"


_LIBRARIES = (
    (lambda names, packages: "NegBaseNode" in names, {"MultiStepNegIFNode": _negative, "NegIFNode": _negative}),
    (lambda names, packages: "spikingjelly" in packages and "BaseNode" in names, _JELLY),
    (
        lambda names, packages: "snntorch" in packages and "SpikingNeuron" in names,
        {"Synaptic": lambda m: _late(m, m.alpha.clamp(0, 1)), "Leaky": _late},
    ),
    (
        lambda names, packages: "norse" in packages and bool({"SNNCell", "SNN", "SNNRecurrentCell"} & set(names)),
        {
            "LIFCell": lambda m: _norse(m, has_synapse=True),
            "LIFBoxCell": lambda m: _norse(m, has_synapse=False),
            "LICell": lambda m: _norse(m, has_synapse=True, spikes=False),
        },
    ),
    (
        lambda names, packages: "braincog" in packages and "BaseNode" in names,
        {
            "LIFNode": lambda m: _braincog(m, tau=number(m.tau), input="decays"),
            "PLIFNode": lambda m: _braincog(m, rate=_sigmoid(m.w), input="decays"),
            "IFNode": lambda m: _braincog(m, input="integrates"),
        },
    ),
)
"""Whose neurons a module is, and the classes known there; the nearest class of the MRO counts."""

_HOME_MADE: dict[str, Reader] = {
    "mem_update": _mem_update,
    **{f"{stem}{n}": _multi_spike for stem in ("MultiSpike", "Multispike") for n in ("", 1, 2, 4, 8)},
}
