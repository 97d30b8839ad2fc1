"""The first two layers of the bundled network, small enough for a simulator that knows every synapse by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evsim.checkpoints.weights import read_weights
from evsim.engine.current import Current
from evsim.engine.network import INPUT, Network
from evsim.handlers.neurons import LIF
from evsim.handlers.projections.batch_norm import fold_batch_norm
from evsim.handlers.projections.conv import Conv2d, Window
from evsim.handlers.readout import Readout
from evsim.loading.importing import build_network
from evsim.loading.zoo import DEFAULT_WEIGHTS, find_weights, zoo_folder
from evsim.runs.preparation import Preparation, prepare_input

__all__ = ["Layer", "evsim_network", "read_layers", "read_recordings"]

_NAMES = ("", "1")
_V_THRESHOLD = 0.5
"""Half of the trained one: the input is binary here, and without its counts hardly a neuron would fire."""


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution 3x3 with its BatchNorm folded in, and LIF neurons (tau 2, reset to 0).

    Parameters
    ----------
    number : int
        From 1.
    weight : float32 [c_out, c_in, 3, 3]
    bias : float32 [c_out]
    side : int
        Of the square map, before and after.
    v_threshold : float
    """

    number: int
    weight: np.ndarray
    bias: np.ndarray
    side: int
    v_threshold: float = _V_THRESHOLD

    @property
    def n_in(self) -> int:
        return self.side**2 * self.weight.shape[1]

    @property
    def n_out(self) -> int:
        return self.side**2 * self.weight.shape[0]

    def synapses(self) -> tuple[np.ndarray, np.ndarray]:
        """(pre, post) addresses [n, 2] and weights [n]: every connection on its own, in order of pre."""
        c_out, c_in, kernel, _ = self.weight.shape
        pixels = np.arange(self.side)
        y, x, dy, dx, i, o = np.ix_(pixels, pixels, range(kernel), range(kernel), range(c_in), range(c_out))
        y_out, x_out = y + kernel // 2 - dy, x + kernel // 2 - dx
        inside = (y_out >= 0) & (y_out < self.side) & (x_out >= 0) & (x_out < self.side)
        shape = (self.side, self.side, kernel, kernel, c_in, c_out)
        inside = np.broadcast_to(inside, shape)
        pre = np.broadcast_to((y * self.side + x) * c_in + i, shape)[inside]
        post = np.broadcast_to((y_out * self.side + x_out) * c_out + o, shape)[inside]
        weight = np.broadcast_to(self.weight.transpose(2, 3, 1, 0), shape)[inside]
        order = np.argsort(pre, kind="stable")
        return np.stack([pre, post], axis=1)[order], weight[order]


def read_layers() -> list[Layer]:
    """From the bundled N-MNIST network."""
    weights = read_weights(find_weights(DEFAULT_WEIGHTS))
    side = weights.header["hyper_parameters"]["height"]
    folded = [fold_batch_norm(weights.tensors, f"patch_embed.proj_conv{n}", f"patch_embed.proj_bn{n}") for n in _NAMES]
    return [
        Layer(number, weight.astype(np.float32), bias.astype(np.float32), side)
        for number, (weight, bias) in enumerate(folded, 1)
    ]


def read_recordings(n: int) -> list[list[np.ndarray]]:
    """Addresses of the events of n bundled recordings, step by step; where several fell on a pixel, one is left."""
    weights = read_weights(find_weights(DEFAULT_WEIGHTS))
    network = build_network(weights)
    paths = sorted(zoo_folder().glob("nmnist_digit_*.h5"))[:n]
    return [[s.address for s in prepare_input(network, weights, str(p), Preparation()).spikes] for p in paths]


def evsim_network(layers: Sequence[Layer]) -> Network:
    """The same as an evsim network; it ends in a readout of no classes."""
    first = layers[0]
    net = Network("small", (first.side, first.side, first.weight.shape[1]), 4)
    spikes = INPUT
    for layer in layers:
        current = Current(layer.side**2, layer.weight.shape[0])
        window = Window(layer.side, layer.side, 3, 1, 1)
        net.add(Conv2d(f"conv{layer.number}", layer.weight, layer.bias, window, current), spikes)
        shape = (layer.side, layer.side, layer.weight.shape[0])
        spikes = net.add(LIF(f"lif{layer.number}", current, shape, "row,col,channel", layer.v_threshold))
    net.add(Readout("readout", Current(1, 0)))
    return net
