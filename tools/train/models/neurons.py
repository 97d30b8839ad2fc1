"""LIF and PLIF populations over a whole sequence, with a sigmoid surrogate gradient."""

import torch
from torch import nn

__all__ = ["LIF", "PLIF", "spiking"]

ALPHA = 4.0  # steepness of the surrogate


class _Fire(torch.autograd.Function):
    """Charge, fire, reset through all steps at once; one saved tensor (H) instead of a graph a step."""

    @staticmethod
    def forward(ctx, x, k, v_threshold):
        h, v = torch.empty_like(x), torch.zeros_like(x[0])
        for t in range(x.shape[0]):
            torch.add(v, (x[t] - v) * k, out=h[t])
            v = h[t].masked_fill(h[t] >= v_threshold, 0.0)
        ctx.save_for_backward(h, torch.as_tensor(k, dtype=x.dtype))
        ctx.v_threshold = v_threshold
        return (h >= v_threshold).to(x.dtype)

    @staticmethod
    def backward(ctx, grad_spikes):
        h, k = ctx.saved_tensors
        fired = h >= ctx.v_threshold
        slope = torch.sigmoid(ALPHA * (h - ctx.v_threshold))
        grad_h = grad_spikes * slope.mul_(1 - slope).mul_(ALPHA)
        for t in range(h.shape[0] - 2, -1, -1):
            # the reset is detached: a neuron that fired passes nothing back through its membrane
            grad_h[t] += (grad_h[t + 1] * (1 - k)).masked_fill_(fired[t], 0.0)
        return grad_h * k, _gate_gradient(grad_h, h, fired, k) if ctx.needs_input_grad[1] else None, None


def _gate_gradient(grad_h, h, fired, k):
    """dL/dk = sum of dL/dH * (X - V), with X - V = (H - V) / k."""
    v = torch.zeros_like(h)
    v[1:] = h[:-1].masked_fill(fired[:-1], 0.0)
    return (grad_h * (h - v)).sum() / k


class LIF(nn.Module):
    """Leaky integrate-and-fire population with a hard reset.

    ``H[t] = V[t-1] + (X[t] - V[t-1]) / tau``, ``S[t] = H[t] >= v_threshold``, ``V[t] = 0 if S[t] else H[t]``,
    with tau = 2 and ``V = 0`` before the first step of every call: a call is one batch of whole recordings.

    Parameters
    ----------
    v_threshold : float
        Firing threshold; a membrane exactly on it fires.
    """

    def __init__(self, v_threshold: float = 1.0):
        super().__init__()
        self.v_threshold = v_threshold

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Currents [T, ...] to spikes [T, ...]."""
        return _Fire.apply(x, self.gate(), self.v_threshold)

    def gate(self):
        """1 / tau: the share of the distance to the input that the membrane moves in a step."""
        return 0.5

    def extra_repr(self) -> str:
        return f"v_threshold={self.v_threshold}"


class PLIF(LIF):
    """LIF whose ``1 / tau = sigmoid(w)`` is learnt, one scalar ``w`` a population (0 at first: tau = 2)."""

    def __init__(self, v_threshold: float = 1.0):
        super().__init__(v_threshold)
        self.w = nn.Parameter(torch.zeros(()))

    def gate(self):
        return torch.sigmoid(self.w)


def spiking(spike_mode: str) -> type[LIF]:
    """The population class for the official word: 'lif' or 'plif'."""
    return {"lif": LIF, "plif": PLIF}[spike_mode.lower()]
