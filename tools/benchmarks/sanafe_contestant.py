"""SANA-FE on the same network: every synapse of every spike is an event of its own.

    v[t + 1] = v[t] * leak_decay + bias + u[t];   a spike where v > threshold, then v = 0

With halved weights and biases and a decay of 1/2 this is the LIF of evsim with tau = 2, except that a membrane exactly
on the threshold does not fire there: the threshold is the next number below. SANA-FE delivers spikes one time step
later, so a layer lags behind the one before it by a step; the input is followed by as many silent steps. Biases must
not come before a layer's first step: each layer has an input neuron that spikes as long as there is input. Its LIF
cuts a leaking membrane to a fixed number of binary places; everything is scaled up, so that this cuts nothing. Time,
energy and traffic of the simulated chip are computed along the way (the simplest timing model is chosen): that is what
SANA-FE is for, and part of its time here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tools.benchmarks.small_network import Layer
from tools.benchmarks.workload import Unavailable

__all__ = ["SanaFe"]

# One tile, as many cores as it takes, one unit of each kind in each; what costs energy or time on a chip is free here.
_ARCHITECTURE = """
architecture:
  name: one_tile
  attributes: {{link_buffer_size: 1, width: 1, height: 1}}
  tile:
    - name: tile
      attributes:
        {{energy_north_hop: 0, latency_north_hop: 0, energy_east_hop: 0, latency_east_hop: 0,
         energy_south_hop: 0, latency_south_hop: 0, energy_west_hop: 0, latency_west_hop: 0}}
      core:
{cores}
"""
_CORE = """
        - name: {name}[0..{last}]
          attributes: {{buffer_position: soma, max_neurons_supported: {per_core}}}
          axon_in: [{{name: in, attributes: {{energy_message_in: 0, latency_message_in: 0}}}}]
          synapse:
            - name: synapse
              attributes: {{model: current_based, energy_process_spike: 0, latency_process_spike: 0}}
          dendrite:
            - name: dendrite
              attributes: {{model: accumulator, energy_update: 0, latency_update: 0, update_every_timestep: true}}
          soma:
            - name: {soma}
              attributes: {{model: {model}, {costs}}}
          axon_out: [{{name: out, attributes: {{energy_message_out: 0, latency_message_out: 0}}}}]
"""
_COSTS = ", ".join(
    f"{what}_{of}: 0" for of in ("access_neuron", "update_neuron", "spike_out") for what in ("energy", "latency")
)


_SCALE = 2.0**20
"""Of weights, biases and thresholds."""
_NEURONS_PER_CORE = 1024
"""The most that a unit of SANA-FE's own models holds."""


class SanaFe:
    """The network of `layers` and the events of `recording` in SANA-FE.

    Parameters
    ----------
    layers : sequence of Layer
    recording : sequence of int32 array
        Addresses of the (binary) input events, step by step.

    Raises
    ------
    Unavailable
        SANA-FE is not installed.
    """

    name = "SANA-FE"

    def __init__(self, layers: Sequence[Layer], recording: Sequence[np.ndarray]) -> None:
        try:
            import sanafe
        except ImportError as error:
            raise Unavailable(f"SANA-FE is not installed ({error}): pip install 'evsim[naive]'") from None
        self._layers, self._n_steps = layers, len(recording)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "architecture.yaml"
            path.write_text(_architecture([layers[0].n_in + len(layers), *(layer.n_out for layer in layers)]))
            architecture = sanafe.load_arch(path)
        network, self._trains = sanafe.Network(), _trains(layers, recording)
        groups = [_add_input(network, self._trains)]
        for layer in layers:
            groups.append(_add_layer(network, groups[0], groups[-1], layer, layers[0].n_in + layer.number - 1))
        cores = iter(architecture.tiles[0].cores)
        for group in groups:
            for first in range(0, len(group.neurons), _NEURONS_PER_CORE):
                core = next(cores)
                for neuron in group.neurons[first : first + _NEURONS_PER_CORE]:
                    neuron.map_to_core(core)
        self._chip = sanafe.SpikingChip(architecture)
        self._chip.load(network)

    def rewind(self) -> None:
        """Give the input neurons their trains again: a reset of the chip empties them."""
        self._chip.reset()
        for neuron, train in zip(self._chip.mapped_neuron_groups["input"], self._trains, strict=True):
            neuron.set_attributes(model_attributes={"spikes": train})

    def run(self) -> list[list[np.ndarray]]:
        """Addresses of the spikes of each layer, step by step."""
        n_layers = len(self._layers)
        with _silent():  # it prints its progress
            options = {"timing_model": "simple", "processing_threads": 1, "spike_trace": True}
            found = self._chip.sim(self._n_steps + n_layers, **options)
        sent: list[list[list[int]]] = [[[] for _ in range(self._n_steps)] for _ in range(n_layers)]
        for time, spikes in enumerate(found["spike_trace"]):
            for spike in spikes:
                layer = 0 if spike.group_name == "input" else int(spike.group_name)
                step = time - layer
                if layer and 0 <= step < self._n_steps:
                    sent[layer - 1][step].append(spike.neuron_offset)
        return [[np.sort(np.array(step, np.int32)) for step in layer] for layer in sent]


def _architecture(n_neurons: Sequence[int]) -> str:
    """Cores for the input, then for each layer; a unit plays one train, so each input neuron has one of its own."""
    cores = ""
    for layer, n in enumerate(n_neurons):
        soma, model = (
            (f"lif{layer}", "leaky_integrate_fire") if layer else (f"input[0..{_NEURONS_PER_CORE - 1}]", "input")
        )
        cores += _CORE.format(
            name=f"layer{layer}", last=-(-n // _NEURONS_PER_CORE) - 1, per_core=_NEURONS_PER_CORE, soma=soma,
            model=model, costs=_COSTS,
        ).lstrip("\n")  # fmt: skip
    return _ARCHITECTURE.format(cores=cores.rstrip())


def _trains(layers: Sequence[Layer], recording: Sequence[np.ndarray]) -> list[list[bool]]:
    """What each input neuron plays: its part of the recording, and one more a layer for its biases."""
    n_inputs, n_steps = layers[0].n_in, len(recording)
    trains = np.zeros((n_inputs + len(layers), n_steps + len(layers)), bool)
    for i in range(len(layers)):
        trains[n_inputs + i, i : i + n_steps] = True
    for step, address in enumerate(recording):
        trains[address, step] = True
    return trains.tolist()


def _add_input(network, trains: Sequence[list[bool]]):
    group = network.create_neuron_group("input", len(trains), log_spikes=True)
    for i, (neuron, train) in enumerate(zip(group.neurons, trains, strict=True)):
        neuron.set_attributes(soma_hw_name=f"input[{i % _NEURONS_PER_CORE}]", model_attributes={"spikes": train})
    return group


def _add_layer(network, inputs, before, layer: Layer, bias_neuron: int):
    """A group of neurons and its synapses, one by one."""
    attributes = {
        "threshold": float(np.nextafter(np.float64(_SCALE * layer.v_threshold), 0)),
        "leak_decay": 0.5,
        "reset": 0.0,
        "force_update": True,
    }
    group = network.create_neuron_group(
        str(layer.number), layer.n_out, model_attributes=attributes, soma_hw_name=f"lif{layer.number}", log_spikes=True,
        default_synapse_hw_name="synapse", default_dendrite_hw_name="dendrite",
    )  # fmt: skip
    biases = (_SCALE / 2 * np.resize(layer.bias, layer.n_out).astype(np.float64)).tolist()
    inputs.connect_neurons_sparse(group, {"weight": biases}, [(bias_neuron, i) for i in range(layer.n_out)])
    pairs, weights = layer.synapses()
    before.connect_neurons_sparse(
        group, {"weight": (_SCALE / 2 * weights.astype(np.float64)).tolist()}, list(map(tuple, pairs.tolist()))
    )
    return group


@contextmanager
def _silent():
    """Send standard output, of compiled code too, nowhere."""
    sys.stdout.flush()
    kept = os.dup(1)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)
