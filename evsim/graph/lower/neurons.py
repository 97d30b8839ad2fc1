"""The rule for populations: where the current is, what its places are called, and which form they have."""

from __future__ import annotations

import numpy as np

from evsim.graph.graph import Node
from evsim.graph.lower.arithmetic import as_real
from evsim.graph.lower.building import Building, channels_last
from evsim.graph.lower.refusal import Unfit
from evsim.graph.lower.values import Events, Stored, Value, is_permutation
from evsim.handlers.neuron_forms.forms import Form, read_form
from evsim.handlers.neuron_forms.population import population

__all__ = ["RULES"]


def _neuron(building: Building, i: int, node: Node, inputs: list[Value]) -> Events:
    path, form = node.attributes["path"], read_form(node.attributes["form"])
    real = as_real(building, i, inputs[0], node.path)
    stored = building.store(real)
    current = stored.current
    n = current.n_places * current.n_channels
    if not is_permutation(stored.at, n):
        at, space = channels_last(node.shape)
        current = building.store_alone(real, at, space)
        stored, n = Stored(current, at), at.size
    shape, axes, reference = _axes(node.shape, stored)
    form = _by_channel(node, form, stored)
    layer = population(path, current, shape, axes, form, reference)
    order = np.empty(n, np.int32)
    order[stored.at.reshape(-1)] = np.arange(n, dtype=np.int32)
    layer.reference_places = order
    building.add(layer)
    return Events(path, stored.at, n, form.sends, node.attributes["unit"], path, current.n_channels)


def _axes(shape: tuple[int, ...], stored: Stored) -> tuple[tuple[int, ...], str, str]:
    """Sizes and names of the population's axes as they lie in the current, and the names in the reference's order."""
    inner = tuple(size for size in shape if size != 1) or (1,)
    n_places, n_channels = stored.current.n_places, stored.current.n_channels
    at = stored.at.reshape(inner)
    if len(inner) == 3 and inner[0] == n_channels:
        if np.array_equal(at.transpose(1, 2, 0).reshape(-1), np.arange(at.size)):
            return (*inner[1:], n_channels), "row,col,channel", "channel,row,col"
    if n_places == 1:
        return (n_channels,), "channel", "channel"
    return (n_places, n_channels), "place,channel", "place,channel"


def _by_channel(node: Node, form: Form, stored: Stored) -> Form:
    """Numbers that differ, which broadcast over the module's own axes, as one a channel of the current."""
    arrays = {key: value for key, value in vars(form).items() if isinstance(value, np.ndarray) and value.ndim}
    if not arrays:
        return form
    changed = {}
    for key, value in arrays.items():
        spread = np.empty(stored.at.size, np.float32)
        turned = value.reshape(-1, *([1] * (-node.attributes["axis"] - 1)))
        spread[stored.at.reshape(-1)] = np.broadcast_to(turned, node.shape).reshape(-1)
        spread = spread.reshape(stored.current.n_places, stored.current.n_channels)
        if not np.all(spread == spread[0]):
            raise Unfit(f"neurons whose {key} differs from place to place")
        changed[key] = spread[0].copy()
    return type(form)(**(vars(form) | changed))


RULES = {"neuron": _neuron}
