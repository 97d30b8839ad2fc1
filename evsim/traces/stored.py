"""verify_stored: a recorded network against what its model did, which its own file holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from evsim.checkpoints.refusal import naming
from evsim.checkpoints.weights import read_weights
from evsim.engine.network import Network
from evsim.engine.spikes import Spikes
from evsim.errors import TraceError
from evsim.graph.evaluate import steps_of_input
from evsim.graph.file import StoredReference, from_weights
from evsim.graph.graph import Graph
from evsim.graph.lower.lower import input_layout
from evsim.graph.summed import summed
from evsim.graph.twins import form_from, gain_of
from evsim.traces.reference import Reference
from evsim.traces.verify import Flip, Verification, verify

__all__ = ["input_spikes", "verify_recorded", "verify_stored"]


def verify_stored(network: Network, order: str = "stage") -> Verification:
    """All three levels of agreement with the run that a recorded network's file holds.

    Raises
    ------
    TraceError
        The network was not recorded, or its file holds no reference.
    """
    known = network.recorded
    if known is None or known.reference is None:
        raise TraceError(
            "its file holds no reference (a NIR graph brings none): say either --reference FILE or --against-torch "
            "CHECKPOINT"
        )
    with naming(known.file):
        graph, reference = from_weights(read_weights(known.file))
    return verify_recorded(network, graph, reference, order)


def verify_recorded(network: Network, graph: Graph, reference: StoredReference, order: str = "stage") -> Verification:
    """The same with the graph at hand; flips know what their current was summed from."""
    spikes = {path: array[:, None] for path, array in reference.sent.items()}
    known = Reference(reference.example[None], spikes, reference.logits(graph)[None])
    verification = verify(network, [input_spikes(graph, reference.example)], known, order)
    if verification.flips:
        verification.flips = list(_weighed(network, graph, reference, verification.flips))
    return verification


def input_spikes(graph: Graph, example: np.ndarray) -> list[Spikes]:
    """The example as the events of each step; of a still image, the same object at each."""
    at, shape = input_layout(graph)
    steps = steps_of_input(graph, example)

    def events(step: np.ndarray) -> Spikes:
        dense = np.zeros(at.size, np.float32)
        dense[at.reshape(-1)] = step.reshape(-1)
        return Spikes.from_dense(dense.reshape(shape))

    return [events(steps[0])] * graph.n_steps if graph.is_still else [events(step) for step in steps]


def _weighed(network: Network, graph: Graph, reference: StoredReference, flips: list[Flip]) -> Iterator[Flip]:
    """The flips with the sum of the sizes of what their charge was summed from."""
    wanted = {(flip.population, flip.step) for flip in flips}
    sizes = summed(graph, steps_of_input(graph, reference.example), reference.sent, wanted)
    places = {population.name: population.reference_places for population in network.populations()}
    neurons = graph.neurons()
    for flip in flips:
        form = form_from(graph.nodes[neurons[flip.population]].attributes["form"])
        size = float(sizes[flip.population, flip.step][places[flip.population][flip.address]])
        yield replace(flip, summed=size * gain_of(form))
