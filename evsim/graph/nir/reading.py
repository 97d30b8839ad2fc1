"""Reading: what the NIR standard leaves open, or a user wants otherwise: length of a step, reset, spikes."""

from __future__ import annotations

from dataclasses import dataclass

from evsim.errors import EvsimError
from evsim.recordings.duration import written

__all__ = ["Reading"]

RESETS, SPIKES = ("v_reset", "subtract"), ("one", "many")


@dataclass(frozen=True)
class Reading:
    """How a graph of differential equations becomes steps.

    Time is counted in steps of `dt`, and an equation is taken forward by one of them (Euler): a time constant is
    tau / dt steps, and what a layer sends at a step is the current of that step. So

        IF:       H = V + r I                                         dt does not enter
        LIF:      H = V + dt / tau (v_leak - V + r I)
        CubaLIF:  J = J (1 - dt / tau_syn) + dt / tau_syn w_in I;  H = V + dt / tau_mem (v_leak - V + r J)
        all:      fires where H > v_threshold

    Parameters
    ----------
    dt : int
        Microseconds.
    reset : {"v_reset", "subtract"}
        V = v_reset after a spike, as the standard has it, or V = H - v_threshold.
    spikes : {"one", "many"}
        At most one a step, or as many as thresholds fit below H.

    Raises
    ------
    EvsimError
        A word that is none of these.
    """

    dt: int
    reset: str = "v_reset"
    spikes: str = "one"

    def __post_init__(self) -> None:
        for name, known in (("reset", RESETS), ("spikes", SPIKES)):
            if getattr(self, name) not in known:
                raise EvsimError(f"--{name} {getattr(self, name)}: expected {' or '.join(known)}")

    def described(self) -> dict[str, str]:
        """What was taken, for a person to read: the weights file keeps it."""
        resets = {
            "v_reset": "to v_reset (the standard)",
            "subtract": "by subtraction of v_threshold (--reset subtract)",
        }
        spikes = {
            "one": "one a neuron and step (the standard)",
            "many": "as many a neuron and step as thresholds fit below its charge (--spikes many)",
        }
        return {
            "dt": f"{written(self.dt)} a step; forward Euler; IF: V + r I a step, whatever dt",
            "threshold": "fires where the charge is above v_threshold (the standard)",
            "reset": resets[self.reset],
            "spikes": spikes[self.spikes],
        }
