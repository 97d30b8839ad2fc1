"""Assembly: adds a checkpoint's layers to a network under the checkpoint's own names."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.engine.current import Current
from evsim.engine.network import Network
from evsim.handlers.neurons import LIF, PLIF
from evsim.handlers.projections.batch_norm import fold_batch_norm
from evsim.handlers.projections.conv import Conv2d, Window
from evsim.handlers.projections.linear import Linear

__all__ = ["Assembly", "Expendable"]


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
    """

    def __init__(self, network: Network, tensors: Mapping[str, np.ndarray]) -> None:
        self.network = network
        self.tensors = tensors

    def conv(self, layer: str, norm: str | None, source: str, window: Window, current: Current, groups: int = 1) -> str:
        """A convolution with its BatchNorm, from the spikes of `source` into `current`."""
        weight, bias = fold_batch_norm(self.tensors, layer, norm)
        return self._add(Conv2d(layer, weight, bias, window, current, groups), norm, source)

    def linear(self, layer: str, norm: str | None, source: str, current: Current) -> str:
        """A linear layer or 1x1 convolution with its BatchNorm, on every token."""
        weight, bias = fold_batch_norm(self.tensors, layer, norm)
        return self._add(Linear(layer, weight, bias, current.n_places, current), norm, source)

    def neurons(
        self, name: str, current: Current, shape: tuple[int, ...], axes: str, v_threshold: float = 1.0, **options
    ) -> str:
        """A PLIF population where the checkpoint holds its time constant (``name.w``), else LIF with tau 2."""
        w = self.tensors.get(f"{name}.w")
        if w is None:
            return self.network.add(LIF(name, current, shape, axes, v_threshold, **options))
        return self.network.add(PLIF(name, current, shape, axes, w, v_threshold, **options))

    def _add(self, projection: Conv2d, norm: str | None, source: str) -> str:
        """Add a projection that remembers what was folded into it, for the audit of unfused conventions."""
        projection.norm, projection.has_bias = norm, f"{projection.name}.bias" in self.tensors
        projection.n_weight_axes = self.tensors[f"{projection.name}.weight"].ndim
        if isinstance(self.tensors, Expendable):
            del self.tensors[f"{projection.name}.weight"]
        return self.network.add(projection, source)
