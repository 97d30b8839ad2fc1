"""rate x dense operations: the estimate that most papers publish, taken apart into its differences."""

from __future__ import annotations

from evsim.auditing.layers import Layer
from evsim.auditing.tally import Charge

__all__ = ["E_AC", "E_MAC", "dense_steps", "is_zero_one", "pair_energy", "rate_charge"]

E_MAC = 4.6
E_AC = 0.9
"""pJ of a 32-bit float product-and-addition and of an addition at 45 nm, as nearly every paper uses them."""


def dense_steps(layer: Layer) -> int:
    """Dense products of a convolution or linear layer, as often as the reference runs it."""
    return layer.geometry.dense_macs * layer.n_calls


def is_zero_one(layer: Layer) -> bool:
    """The test of syops and its descendants: two distinct values at most, all between 0 and 1.

    {0, 0.5} passes it, and its sum, not its nonzero values, then is taken for the number of spikes.
    """
    operand = layer.seen
    return operand.n_distinct <= 2 and all(0 <= value <= 1 for value in operand.values)


def rate_charge(layer: Layer, rate: float | None = None) -> Charge:
    """SOP = rate * T * FLOPs, rate the mean value of the operand, or another one that is given.

    Parameters
    ----------
    layer : Layer
        A convolution or linear layer.
    rate : float, optional
        The rate of the population before its pool, for conventions that measure it there.
    """
    dense = layer.geometry.dense_macs * len(layer.steps)
    charge = Charge.literal(layer).to("borders", acs=layer.operand.mean_value * dense)
    return charge if rate is None else charge.to("pool position", acs=rate * dense)


def pair_energy(acs: float, macs: float) -> tuple[float, str]:
    """E = 4.6 pJ * MACs + 0.9 pJ * ACs, and the same in words."""
    return E_MAC * macs + E_AC * acs, f"{E_MAC} MACs + {E_AC} ACs"
