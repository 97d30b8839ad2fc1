"""NEST on the same network: a simulator that delivers every spike along every synapse.

Its neurons are continuous in time. `iaf_psc_delta` with the membrane time constant 1 ms / ln 2 halves V in a step of
1 ms and adds what arrived, so that halved weights and biases make it the LIF of evsim with tau = 2, with no refractory
period. A spike takes the step that a delay lasts at least, so a layer lags behind the one before it by a step; biases
are a constant current from a layer's first step on. NEST computes in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np

from tools.benchmarks.small_network import Layer
from tools.benchmarks.workload import Unavailable

__all__ = ["Nest"]


class Nest:
    """The network of `layers` and the events of `recording` in NEST.

    Parameters
    ----------
    layers : sequence of Layer
    recording : sequence of int32 array
        Addresses of the (binary) input events, step by step.

    Raises
    ------
    Unavailable
        NEST cannot be imported.
    """

    name = "NEST"

    def __init__(self, layers: Sequence[Layer], recording: Sequence[np.ndarray]) -> None:
        try:
            import nest
        except ImportError as error:
            raise Unavailable(f"NEST cannot be imported ({error})") from None
        self._nest, self._layers, self._recording = nest, layers, recording
        nest.set_verbosity("M_ERROR")
        self.rewind()

    def rewind(self) -> None:
        """A new kernel: NEST has no reset that keeps the network."""
        nest, tau = self._nest, 1.0 / log(2.0)
        nest.ResetKernel()
        nest.SetKernelStatus({"resolution": 1.0, "print_time": False})
        times = [[] for _ in range(self._layers[0].n_in)]
        for step, events in enumerate(self._recording):
            for address in events:
                times[int(address)].append(float(step + 1))
        source = nest.Create("spike_generator", len(times), [{"spike_times": t} for t in times])
        self._groups = []
        for layer in self._layers:
            neuron = {
                "tau_m": tau, "C_m": 1.0, "E_L": 0.0, "V_m": 0.0, "V_reset": 0.0, "V_th": float(layer.v_threshold),
                "t_ref": 0.0,
            }  # fmt: skip
            group = nest.Create("iaf_psc_delta", layer.n_out, neuron)
            pairs, weight = layer.synapses()
            first = (source[0].global_id, group[0].global_id)
            nest.Connect(
                pairs[:, 0] + first[0], pairs[:, 1] + first[1], "one_to_one",
                {"weight": 0.5 * weight.astype(float), "delay": np.ones(weight.size)},
            )  # fmt: skip
            recorder = nest.Create("spike_recorder")
            nest.Connect(group, recorder)
            self._groups.append((group, recorder, first[1]))
            source = group

    def run(self) -> list[list[np.ndarray]]:
        """Addresses of the spikes of each layer, step by step."""
        n_steps = len(self._recording)
        for layer, (group, _, _) in zip(self._layers, self._groups, strict=True):
            self._nest.Simulate(1.0)
            # in a step of 1 ms a constant current I adds I tau (1 - 1/2): half of the bias
            group.set(I_e=np.resize(layer.bias, layer.n_out).astype(float) * log(2.0))
        self._nest.Simulate(float(n_steps + 1))
        sent = []
        for layer, (_, recorder, first) in zip(self._layers, self._groups, strict=True):
            found = recorder.get("events")
            step = np.rint(found["times"]).astype(int) - layer.number - 1
            sent.append([np.sort(found["senders"][step == s] - first).astype(np.int32) for s in range(n_steps)])
        return sent
