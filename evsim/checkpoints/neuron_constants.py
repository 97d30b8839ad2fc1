"""Constants of LIF neurons that no state dict stores: from the stored arguments or the user, else the official code's.

H = V + (X - (V - v_reset)) / tau;  spike = H >= v_threshold;  V = v_reset if spike else H
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from evsim.checkpoints.choices import Choices
from evsim.checkpoints.kinds import flag, one_of, real
from evsim.checkpoints.refusal import shown
from evsim.errors import CheckpointError

__all__ = ["NeuronConstants", "take_neuron_constants", "take_spike_mode"]

_SPIKE_MODE = ("spike_mode", "neuron", "neuron_type")


@dataclass(frozen=True)
class NeuronConstants:
    """What the neurons of a network share.

    Parameters
    ----------
    tau : float
        Time constant of LIF neurons in steps, above 1; PLIF neurons have their own in the tensors.
    v_threshold, v_reset : float
        Of every population that has no threshold of its own.
    """

    tau: float = 2.0
    v_threshold: float = 1.0
    v_reset: float = 0.0

    @classmethod
    def of(cls, hp: object) -> NeuronConstants:
        """Those among the hyper-parameters of a network.

        Raises
        ------
        CheckpointError
            No neuron works so: tau of 1 or below, or a threshold that resting neurons are above.
        """
        thresholds = [hp.v_threshold, getattr(hp, "attn_v_threshold", hp.v_threshold)]
        if not all(math.isfinite(value) for value in (hp.tau, hp.v_reset, *thresholds)) or not 1 < hp.tau <= 1e6:
            raise CheckpointError(f"tau {hp.tau}: expected a finite number above 1, in steps")
        if min(thresholds) <= hp.v_reset:
            raise CheckpointError(f"v_threshold {min(thresholds)}: expected more than v_reset, which is {hp.v_reset}")
        return cls(hp.tau, hp.v_threshold, hp.v_reset)


def take_neuron_constants(
    choices: Choices, has_tau: bool = True, has_attention: bool = True, official_tau: float = 2.0
) -> dict[str, float]:
    """``tau``, ``v_threshold``, ``v_reset`` and ``attn_v_threshold`` as the arguments or the user have them.

    Parameters
    ----------
    choices : Choices
    has_tau : bool
        Whether the network has LIF neurons; the time constants of others are tensors, or there are none.
    has_attention : bool
        Whether the official code gives the neurons of the attention another threshold, 1/2.
    official_tau : float
        What the official code has where nothing tells.

    Raises
    ------
    CheckpointError
        The arguments speak of neurons that evsim does not have, or the values make no neuron.
    """
    official = NeuronConstants(tau=official_tau)
    constants = {}
    if has_tau:
        constants["tau"] = choices.take("tau", real, "time constant of the neurons", constant=official.tau)
    thresholds = ("v_threshold", "v_th", "vth")
    constants["v_threshold"] = choices.take(
        "v_threshold", real, "threshold of the neurons", thresholds, constant=official.v_threshold
    )
    constants["v_reset"] = _take_reset(choices, official.v_reset)
    if has_attention:
        constants["attn_v_threshold"] = choices.take(
            "attn_v_threshold", real, "threshold of the attention's neurons", constant=0.5
        )
    _check_form(choices)
    _say(choices, constants, official)
    return constants


def take_spike_mode(choices: Choices, shapes: Mapping[str, object]) -> str:
    """``lif`` or ``plif``: the tensors show it (PLIF stores its time constants), and the arguments must agree.

    Raises
    ------
    CheckpointError
        The arguments say something else, and the user does not say which is right.
    """
    found = "plif" if any(name.endswith("_lif.w") for name in shapes) else "lif"
    kind = one_of("lif", "plif")
    said = next((str(choices.args[key]) for key in _SPIKE_MODE if choices.args.get(key) is not None), found)
    if said.lower() == found and "spike_mode" not in choices.options:
        return found
    has = "has" if found == "plif" else "has no"
    meaning = f"the stored arguments say {shown(said)}, and the file {has} time constants (.w tensors)"
    if choices.ask("spike_mode", kind, meaning) != found and "spike_mode" in choices.options:
        raise CheckpointError(f"{choices.path}: spike_mode: it {has} time constants (.w tensors), so it is {found}")
    return found


def _take_reset(choices: Choices, official: float) -> float:
    """A stored None is a soft reset in SpikingJelly, and what a script stores of an option nobody gave."""
    if "v_reset" in choices.args and choices.args["v_reset"] is None:
        return choices.ask("v_reset", real, "potential after a spike; the arguments say None: unset, or a soft reset?")
    return choices.take("v_reset", real, "potential after a spike", constant=official)


def _check_form(choices: Choices) -> None:
    """Neurons of another form are another network."""
    if not choices.take("decay_input", flag, "whether the input decays as the potential does", constant=True):
        raise CheckpointError(f"{choices.path}: decay_input = False: evsim's LIF neurons have a decaying input")


def _say(choices: Choices, constants: Mapping[str, float], official: NeuronConstants) -> None:
    """A line where something is not as in the official code."""
    known = {"tau": official.tau, "v_threshold": official.v_threshold, "v_reset": official.v_reset}
    others = [f"{name} = {constants[name]:g}" for name in known if constants.get(name, known[name]) != known[name]]
    if others:
        kept = f"; attn_v_threshold = {constants['attn_v_threshold']:g}" if "attn_v_threshold" in constants else ""
        choices.notes.append(f"neurons with {', '.join(others)}, where the official code has others{kept}")
    tau = constants.get("tau", 2.0)
    if tau > 0 and math.frexp(tau)[0] != 0.5:
        backend = choices.args.get("backend")
        said = f" (the arguments say backend = {shown(backend)})" if backend is not None else ""
        choices.notes.append(
            f"tau = {tau:g} is no power of two: potentials are multiplied by 1 / tau, as on a GPU; PyTorch on a CPU "
            f"divides, and may differ in the last bit{said}"
        )
