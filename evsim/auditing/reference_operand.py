"""What the reference hands a layer where that is not what evsim hands it: the mean over the steps, and real values.

evsim classifies at every step. A reference that takes the mean over the steps first runs its classifier once, on
values between 0 and 1, and whoever counts by hooks sees those.
"""

from __future__ import annotations

import numpy as np

from evsim.auditing.source_log import MANY_VALUES, Operand, SourceLog
from evsim.engine.network import Network
from evsim.handlers.geometry import Mean, Synapses, geometry_of

__all__ = ["mean_operand", "real_operand", "sources_to_keep"]


def sources_to_keep(network: Network) -> set[str]:
    """Sources whose spikes are needed whole: of layers that run once, and of the mean behind a real classifier."""
    kept = set()
    for stage, ports in enumerate(network.sources):
        geometry = geometry_of(network.handlers[stage])
        if isinstance(geometry, Mean) or (isinstance(geometry, Synapses) and geometry.is_once):
            kept |= set(ports.values())
    return kept


def mean_operand(log: SourceLog, source: str, size: int, n_steps: int) -> Operand:
    """The spikes of `source`, averaged over the steps: one step of values between 0 and 1."""
    values = _values(log, source, size, n_steps)
    return _operand(source, values.mean(axis=0, keepdims=True))


def real_operand(network: Network, stage: int, log: SourceLog, n_steps: int) -> tuple[Operand | None, Operand | None]:
    """What a classifier of means reads at each step, and its mean over the steps.

    Known where the mean is one of spikes; None where it is one of currents, which nobody keeps.
    """
    handler = network.handlers[stage]
    writers = [index for index, other in enumerate(network.handlers) if other.name in handler.source.writers]
    if len(writers) != 1 or "spikes" not in network.sources[writers[0]] or handler.source.bias.any():
        return None, None
    geometry = geometry_of(network.handlers[writers[0]])
    if not isinstance(geometry, Mean):
        return None, None
    n_places = geometry.n_tokens * geometry.n_channels
    places = _values(log, network.sources[writers[0]]["spikes"], n_places, n_steps)
    values = places.reshape(n_steps, geometry.n_tokens, geometry.n_channels).mean(axis=1)
    return _operand("real values", values), _operand("real values", values.mean(axis=0, keepdims=True))


def _values(log: SourceLog, source: str, size: int, n_steps: int) -> np.ndarray:
    """float64 [n_steps, size]."""
    return np.stack([log.spikes(source, step).to_dense(size) for step in range(n_steps)]).astype(np.float64)


def _operand(source: str, values: np.ndarray) -> Operand:
    events, sums = np.count_nonzero(values, axis=1), values.sum(axis=1)
    distinct = tuple(np.unique(values[values != 0])[:MANY_VALUES].tolist())
    return Operand(source, values.shape[1], events, sums, distinct, is_real=True)
