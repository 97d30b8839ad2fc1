"""Assembly: adds a checkpoint's layers to a network under the checkpoint's own names."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.checkpoints.neuron_constants import NeuronConstants
from evsim.engine.current import Current
from evsim.engine.network import Network
from evsim.errors import CheckpointError
from evsim.handlers.neurons import LIF, PLIF
from evsim.handlers.projections.batch_norm import fold_batch_norm
from evsim.handlers.projections.conv import Conv2d, Window
from evsim.handlers.projections.linear import Linear

__all__ = ["Assembly", "Expendable"]

_LARGEST_W = 80.0
"""Beyond, exp(-w) is no number in float32, or adds nothing to 1."""


class Expendable(dict):
    """Tensors that nobody else needs: `Assembly` drops a layer's weight as soon as the layer has its own copy.

    A large network so never holds all its weights twice.
    """


class Assembly:
    """A network under construction and the tensors it is built from; BatchNorm is folded in float64.

    Parameters
    ----------
    network : Network
    tensors : mapping
        The checkpoint's tensors by name.
    constants : NeuronConstants
        Of its neurons; those of the official code where nothing else is said.
    """

    def __init__(
        self, network: Network, tensors: Mapping[str, np.ndarray], constants: NeuronConstants | None = None
    ) -> None:
        self.network = network
        self.tensors = tensors
        self.constants = constants or NeuronConstants()

    def conv(self, layer: str, norm: str | None, source: str, window: Window, current: Current, groups: int = 1) -> str:
        """A convolution with its BatchNorm, from the spikes of `source` into `current`."""
        weight, bias = fold_batch_norm(self.tensors, layer, norm)
        return self._add(Conv2d(layer, weight, bias, window, current, groups), norm, source)

    def linear(self, layer: str, norm: str | None, source: str, current: Current) -> str:
        """A linear layer or 1x1 convolution with its BatchNorm, on every token."""
        weight, bias = fold_batch_norm(self.tensors, layer, norm)
        return self._add(Linear(layer, weight, bias, current.n_places, current), norm, source)

    def neurons(
        self,
        name: str,
        current: Current,
        shape: tuple[int, ...],
        axes: str,
        v_threshold: float | None = None,
        **options,
    ) -> str:
        """A PLIF population where the checkpoint holds its time constant (``name.w``), else LIF.

        Raises
        ------
        CheckpointError
            A time constant that rounds to none at all, or to infinity.
        """
        constants = self.constants
        levels = {"v_threshold": constants.v_threshold if v_threshold is None else v_threshold}
        levels["v_reset"] = constants.v_reset
        w = self.tensors.get(f"{name}.w")
        if w is None:
            return self.network.add(LIF(name, current, shape, axes, tau=constants.tau, **levels, **options))
        if not abs(float(w)) <= _LARGEST_W:
            raise CheckpointError(f"{name}.w is {float(w):g}, a time constant of 1 + exp(-w) steps; no neuron has it")
        return self.network.add(PLIF(name, current, shape, axes, w, **levels, **options))

    def _add(self, projection: Conv2d, norm: str | None, source: str) -> str:
        """Add a projection that remembers what was folded into it, for the audit of unfused conventions."""
        projection.norm, projection.has_bias = norm, f"{projection.name}.bias" in self.tensors
        projection.n_weight_axes = self.tensors[f"{projection.name}.weight"].ndim
        if isinstance(self.tensors, Expendable):
            del self.tensors[f"{projection.name}.weight"]
        return self.network.add(projection, source)
