"""The neuron's loops over memory, each once: torch alone walks every array a dozen times."""

import numba
import numpy as np

__all__ = ["fire", "fire_backward"]


@numba.njit(cache=True, nogil=True)
def _fire_steps(x, k, v_threshold, h, spikes):
    n_steps, n = x.shape
    one, zero = x.dtype.type(1), x.dtype.type(0)
    v = np.zeros(n, x.dtype)
    for t in range(n_steps):
        for i in range(n):
            charged = v[i] + (x[t, i] - v[i]) * k
            fired = charged >= v_threshold
            h[t, i] = charged
            spikes[t, i] = one if fired else zero
            v[i] = zero if fired else charged


@numba.njit(cache=True, nogil=True)
def _fire_steps_backward(grad_spikes, h, soft, k, v_threshold, alpha, grad_h):
    n_steps, n = h.shape
    one, zero = h.dtype.type(1), h.dtype.type(0)
    later = np.zeros(n, h.dtype)  # dL/dV after the step
    for t in range(n_steps - 1, -1, -1):
        for i in range(n):
            kept = later[i] if h[t, i] < v_threshold else zero  # the reset is detached: a neuron that fired forgot
            g = grad_spikes[t, i] * alpha * soft[t, i] * (one - soft[t, i]) + kept
            grad_h[t, i] = g
            later[i] = g * (one - k)


def fire(x: np.ndarray, k: float, v_threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Charged membranes H and spikes of currents [T, n]."""
    h, spikes = np.empty_like(x), np.empty_like(x)
    scalar = x.dtype.type
    _fire_steps(x, scalar(k), scalar(v_threshold), h, spikes)
    return h, spikes


def fire_backward(grad_spikes, h, soft, k: float, v_threshold: float, alpha: float) -> np.ndarray:
    """dL/dH [T, n]; `soft` is sigmoid(alpha * (H - v_threshold)), whose slope stands for that of the step."""
    grad_h = np.empty_like(h)
    scalar = h.dtype.type
    _fire_steps_backward(grad_spikes, h, soft, scalar(k), scalar(v_threshold), scalar(alpha), grad_h)
    return grad_h
