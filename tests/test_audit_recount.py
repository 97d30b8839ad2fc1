"""The literal counts of the official checkpoints, counted again densely and without a kernel of evsim."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest

from evsim.auditing.layers import describe, log_for
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.loading.importing import build_network, import_checkpoint
from evsim.runs.preparation import Preparation, fit_recording
from evsim.traces.reference import read_reference
from tests import twins

pytestmark = pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="too slow without compiled kernels")

BARE = {"n_steps": "4", "pooling_stat": "0011", "dvs_mode": "false", "img_size": "32"}
BUNDLED = [
    ("sdt_mlp1", "sdt_mlp1.legacy_zip_false.pth", BARE),
    ("sdt_cifar10dvs_erode_tet", "sdt_cifar10dvs_erode_tet.model_best.pth.tar", {}),
]
SHARED = [
    ("sdt_cifar_lif", "sdt_cifar_lif.model_best.pth.tar", {}),
    ("sdt_gesture_0111", "sdt_gesture_0111.model_best.pth.tar", {}),
    ("spikformer_cifar10", "spikformer_cifar10.model_best.pth.tar", {}),
    ("spikformer_cifar10dvs", "spikformer_cifar10dvs.checkpoint_max_test_acc1.pth", {"n_heads": "2"}),
    ("v2_static_sew", "v2_static_sew.pth", {"img_size": "64", "shortcut": "sew"}),
    ("v2_dvs2ch_ms", "v2_dvs2ch_ms.pth", {"img_size": "64", "shortcut": "ms"}),
]


def assert_counts_are_exact(folder, name, checkpoint, options):
    weights, _ = import_checkpoint(str(folder / checkpoint), options)
    network = build_network(weights)
    recording = next(iter(read_reference(folder / f"{name}.npz").recordings()))
    steps = fit_recording(network, weights, recording, Preparation()).spikes
    recorder, log = twins.Recorder(), log_for(network)
    result = simulate(network, steps, [recorder, log])
    run = describe(network, log, result.ledger, result.n_steps)
    again = twins.recount(network, recorder.sent, result.n_steps).rows
    for layer in run.layers:
        for step, counts in enumerate(layer.steps):
            expected = again.get((layer.name, step))
            assert counts == expected or (expected is None and not any(counts.as_dict().values())), (layer.name, step)


@pytest.mark.parametrize(("name", "checkpoint", "options"), BUNDLED)
def test_every_count_of_the_bundled_checkpoints(data, name, checkpoint, options):
    assert_counts_are_exact(data, name, checkpoint, options)


@pytest.mark.parametrize(("name", "checkpoint", "options"), SHARED)
def test_every_count_of_the_shared_checkpoints(shared, name, checkpoint, options):
    assert_counts_are_exact(shared / "fixtures", name, checkpoint, options)


def _reach(size, out_size, window):
    """How many outputs each input row (or column) of a map reaches along that axis."""
    reach = np.zeros(size, np.int64)
    for out in range(out_size):
        for tap in range(window.kernel):
            at = out * window.stride - window.padding + tap
            if 0 <= at < size:
                reach[at] += 1
    return reach


def _dense_additions(layer, spikes):
    """sum over events of payload * rows reached * columns reached * output channels of the group."""
    geometry = layer.geometry
    window = geometry.window
    shape = (window.height, window.width, geometry.n_in)
    dense = np.abs(spikes.to_dense(math.prod(shape)).reshape(shape).astype(np.int64)).sum(axis=2)
    rows = _reach(window.height, window.out_height, window)
    columns = _reach(window.width, window.out_width, window)
    return int(rows @ dense @ columns) * geometry.n_out // geometry.groups


def test_additions_of_the_full_size_gesture_network(shared):
    """Too large for the slow twins: every synaptic layer and step, counted densely from the spikes alone."""
    name = "full_sdt_gesture_2_256_T16"
    weights, _ = import_checkpoint(str(shared / f"fixtures/{name}.model_best.pth.tar"), {})
    network = build_network(weights)
    recording = next(iter(read_reference(shared / f"fixtures/{name}.npz").recordings()))
    steps = fit_recording(network, weights, recording, Preparation()).spikes
    recorder, log = twins.Recorder(), log_for(network)
    result = simulate(network, steps, [recorder, log])
    for layer in describe(network, log, result.ledger, result.n_steps).synapses:
        for step, counts in enumerate(layer.steps):
            spikes = recorder.sent.get((layer.operand.source, step), Spikes.none())
            assert counts.unit_acs == _dense_additions(layer, spikes), (layer.name, step)
