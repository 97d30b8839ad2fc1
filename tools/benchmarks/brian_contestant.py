"""Brian 2 on the same network: a clock-driven simulator that knows every synapse by itself.

    v <- v + (x + bias - v) / 2 at each step;   a spike where v >= threshold, then v = 0

Spikes of a step reach the next layer's x after its thresholds were tested, so a layer lags behind the one before it by
a step; the input is followed by as many silent steps, and biases do not act before a layer's first one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tools.benchmarks.small_network import Layer
from tools.benchmarks.workload import Unavailable

__all__ = ["Brian"]


class Brian:
    """The network of `layers` and the events of `recording` in Brian 2.

    Parameters
    ----------
    layers : sequence of Layer
    recording : sequence of int32 array
        Addresses of the (binary) input events, step by step.

    Raises
    ------
    Unavailable
        Brian 2 cannot be imported.
    """

    name = "Brian 2"

    def __init__(self, layers: Sequence[Layer], recording: Sequence[np.ndarray]) -> None:
        try:
            import brian2
        except (ImportError, AttributeError) as error:
            raise Unavailable(f"Brian 2 cannot be imported ({error})") from None
        brian2.prefs.core.default_float_dtype = np.float32
        self._layers, self._n_steps, self._ms = layers, len(recording), brian2.ms
        brian2.defaultclock.dt = 1 * brian2.ms
        address = np.concatenate(list(recording))
        step = np.repeat(np.arange(len(recording)), [events.size for events in recording])
        source = brian2.SpikeGeneratorGroup(layers[0].n_in, address, step * brian2.ms)
        parts, self._monitors = [source], []
        for layer in layers:
            rules = {"threshold": f"v >= {layer.v_threshold}", "reset": "v = 0", "method": "exact"}
            group = brian2.NeuronGroup(layer.n_out, "v : 1\nx : 1\nb : 1", **rules)
            group.b = np.resize(layer.bias, layer.n_out)
            update = f"v = v + (x + b * int(t >= {layer.number - 0.5} * ms) - v) * 0.5\nx = 0"
            operation = group.run_regularly(update, dt=1 * brian2.ms, when="groups")
            synapses = brian2.Synapses(source, group, "w : 1", on_pre="x_post += w")
            pairs, weight = layer.synapses()
            synapses.connect(i=pairs[:, 0], j=pairs[:, 1])
            synapses.w = weight
            monitor = brian2.SpikeMonitor(group)
            parts += [group, operation, synapses, monitor]
            self._monitors.append(monitor)
            source = group
        self._network = brian2.Network(parts)
        self._network.store()

    def rewind(self) -> None:
        """Back to rest, outside the clock."""
        self._network.restore()

    def run(self) -> list[list[np.ndarray]]:
        """Addresses of the spikes of each layer, step by step."""
        self._network.run((self._n_steps + len(self._layers)) * self._ms)
        return [
            [
                np.sort(np.asarray(monitor.i)[np.rint(monitor.t / self._ms) == step + layer.number]).astype(np.int32)
                for step in range(self._n_steps)
            ]
            for layer, monitor in zip(self._layers, self._monitors, strict=True)
        ]
