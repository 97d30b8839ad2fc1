"""The official Spike-driven Transformer's own spikes, reproduced from its own checkpoints."""

import os

import numpy as np
import pytest

from evsim.loading.importing import build_network, import_checkpoint
from evsim.runs.preparation import Preparation, fit_recording
from evsim.traces.reference import read_reference
from evsim.traces.verify import verify

pytestmark = pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="too slow without compiled kernels")

BARE = {"n_steps": "4", "pooling_stat": "0011", "dvs_mode": "false", "img_size": "32"}

CHECKPOINTS = [
    ("sdt_cifar_lif", "sdt_cifar_lif.model_best.pth.tar", {}),
    ("sdt_cifar10dvs_erode_tet", "sdt_cifar10dvs_erode_tet.model_best.pth.tar", {}),
    ("sdt_gesture_0111", "sdt_gesture_0111.model_best.pth.tar", {}),
    ("sdt_mlp1", "sdt_mlp1.model_best.pth.tar", {}),
    ("sdt_mlp1", "sdt_mlp1.bare_state_dict.pth", BARE),
    ("sdt_mlp1", "sdt_mlp1.module_prefix.pth", BARE),
    ("sdt_mlp1", "sdt_mlp1.legacy_zip_false.pth", BARE),
]
BUNDLED = [("sdt_cifar10dvs_erode_tet", CHECKPOINTS[1][1], {}), ("sdt_mlp1", "sdt_mlp1.legacy_zip_false.pth", BARE)]


def verification_of(folder, name, checkpoint, options, order):
    weights, _ = import_checkpoint(str(folder / checkpoint), options)
    network = build_network(weights)
    reference = read_reference(folder / f"{name}.npz")
    samples = [fit_recording(network, weights, sample, Preparation()).spikes for sample in reference.recordings()]
    return verify(network, samples, reference, order)


def assert_identical(verification):
    assert verification.free.compared > 500_000
    assert verification.free.differing == 0
    assert verification.exact.differing == verification.local.differing == 0
    assert verification.logits_difference < 1e-4
    assert verification.predictions_differing == 0
    assert verification.agrees


@pytest.mark.parametrize("order", ["step", "stage"])
@pytest.mark.parametrize(("name", "checkpoint", "options"), CHECKPOINTS)
def test_every_spike_of_every_wrapper_equals_the_reference(shared, name, checkpoint, options, order):
    assert_identical(verification_of(shared / "fixtures", name, checkpoint, options, order))


@pytest.mark.parametrize("order", ["step", "stage"])
@pytest.mark.parametrize(("name", "checkpoint", "options"), BUNDLED)
def test_every_spike_equals_the_reference_offline(data, name, checkpoint, options, order):
    assert_identical(verification_of(data, name, checkpoint, options, order))


def test_full_size_gesture_network_differs_only_where_rounding_decides(shared):
    name = "full_sdt_gesture_2_256_T16"
    verification = verification_of(shared / "fixtures", name, f"{name}.model_best.pth.tar", {}, "step")
    assert verification.exact.compared + verification.local.compared == 53_489_664
    assert verification.exact.differing == 0
    assert verification.local.differing <= 53  # one in a million
    assert verification.unexcused == []
    assert verification.predictions_differing == 0


def test_trained_nmnist_network_predicts_as_the_official_code_on_all_test_recordings(shared):
    options = {"split_by": "time", "fit": "crop", "sensor": "34x34"}
    weights, _ = import_checkpoint(str(shared / "fixtures/trained/sdt_nmnist_T4.pth.tar"), options)
    reference = read_reference(shared / "fixtures/trained/sdt_nmnist_T4.npz")
    network = build_network(weights)
    samples = [fit_recording(network, weights, sample, Preparation()).spikes for sample in reference.recordings()]
    verification = verify(network, samples, reference)
    assert verification.samples == 100
    assert verification.predictions_differing == 0
    assert verification.free.differing == 0


def test_moving_average_weights_are_other_weights(shared):
    checkpoint = str(shared / "fixtures/sdt_cifar_lif.model_best.pth.tar")
    plain, _ = import_checkpoint(checkpoint, {})
    averaged, _ = import_checkpoint(checkpoint, {}, ema=True)
    assert any(not np.array_equal(plain.tensors[name], averaged.tensors[name]) for name in plain.tensors)
