"""LIF and PLIF populations over a whole sequence, with a sigmoid surrogate gradient."""

import torch
from torch import nn

from tools.train.models.fused import fire, fire_backward

__all__ = ["LIF", "PLIF", "spiking"]

ALPHA = 4.0  # steepness of the surrogate


class _Fire(torch.autograd.Function):
    """Charge, fire, reset through all steps at once; one saved tensor (H) instead of a graph a step."""

    @staticmethod
    def forward(ctx, x, k, v_threshold):
        h, spikes = fire(x.detach().reshape(len(x), -1).numpy(), float(k), v_threshold)
        ctx.save_for_backward(torch.from_numpy(h))
        ctx.k, ctx.v_threshold = float(k), v_threshold
        return torch.from_numpy(spikes).view(x.shape)

    @staticmethod
    def backward(ctx, grad_spikes):
        (h,) = ctx.saved_tensors
        flat = grad_spikes.reshape(h.shape).numpy()
        soft = torch.sigmoid(torch.add(-ALPHA * ctx.v_threshold, h, alpha=ALPHA)).numpy()
        grad_h = torch.from_numpy(fire_backward(flat, h.numpy(), soft, ctx.k, ctx.v_threshold, ALPHA))
        grad_k = _gate_gradient(grad_h, h, h >= ctx.v_threshold, ctx.k) if ctx.needs_input_grad[1] else None
        return (grad_h * ctx.k).view(grad_spikes.shape), grad_k, None


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
