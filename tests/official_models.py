"""Checkpoints and references of official models, out of the recordings in tests/data/recorded."""

from __future__ import annotations

import numpy as np

from evsim.checkpoints.weights import read_weights
from evsim.engine.simulator import simulate
from evsim.graph.file import from_weights
from evsim.graph.lower.lower import lower
from evsim.loading.importing import build_network, import_checkpoint
from evsim.runs.preparation import Preparation, fit_recording
from evsim.traces.reference import Reference
from evsim.traces.verify import verify
from tests.spikformer_checks import write_checkpoint


def official_model(data, name):
    """Tensors by the names of the checkpoint, and what the official code did on one input."""
    graph, stored = from_weights(read_weights(data / "recorded" / f"{name}.npz"))
    spikes = {path: sent[:, None] for path, sent in stored.sent.items()}
    return dict(graph.tensors), Reference(stored.example, spikes, stored.logits(graph)[None])


def check_official(data, name, folder, options, n_compared):
    """Imported by its names alone, every spike of the official model, running free and fed; the network, its steps."""
    tensors, reference = official_model(data, name)
    weights, _ = import_checkpoint(write_checkpoint(folder, tensors), options)
    network = build_network(weights)
    assert set(reference.spikes) == {population.name for population in network.populations()}
    samples = [fit_recording(network, weights, sample, Preparation()).spikes for sample in reference.recordings()]
    found = verify(network, samples, reference)
    assert (found.exact.differing, found.local.differing, found.free.differing) == (0, 0, 0)
    assert (found.exact.compared + found.local.compared, found.free.compared) == (n_compared, n_compared)
    assert found.logits_difference < 1e-5
    assert found.agrees
    return network, samples[0]


def check_counts(data, name, network, steps, as_written=False):
    """The network built by name and the one lowered from the recording are the same handlers doing the same work."""
    graph, stored = from_weights(read_weights(data / "recorded" / f"{name}.npz"))
    recorded = lower(graph, rates=stored.rates(), as_written=as_written).network
    mine, theirs = simulate(network, steps), simulate(recorded, steps)
    assert len(network.handlers) == len(recorded.handlers)
    assert mine.ledger.total() == theirs.ledger.total()
    assert np.array_equal(mine.logits, theirs.logits)
    counts, expected = mine.ledger.by_handler(), theirs.ledger.by_handler()
    shared = counts.keys() & expected.keys()
    assert len(shared) > len(network.handlers) / 2
    assert all(counts[handler] == expected[handler] for handler in shared)
