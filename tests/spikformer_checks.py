"""What the tests of the Spikformer families share: a run against a reference, and damaged checkpoints."""

import os

import numpy as np
import pytest
from safetensors.numpy import save_file

from evsim.errors import CheckpointError
from evsim.loading.importing import build_network, import_checkpoint
from evsim.runs.preparation import Preparation, fit_recording
from evsim.traces.reference import read_reference
from evsim.traces.verify import verify

needs_jit = pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="too slow without compiled kernels")


def check_fixture(folder, name, checkpoint, options, order, n_compared):
    """Every spike of every population of every sample equals the reference's, running free and fed."""
    weights, _ = import_checkpoint(str(folder / checkpoint), options)
    network = build_network(weights)
    reference = read_reference(folder / f"{name}.npz")
    samples = [fit_recording(network, weights, sample, Preparation()).spikes for sample in reference.recordings()]
    verification = verify(network, samples, reference, order)
    assert set(reference.spikes) == {population.name for population in network.populations()}
    assert verification.free.compared == n_compared
    assert verification.free.differing == 0
    assert verification.exact.compared > 0
    assert verification.exact.differing == verification.local.differing == 0
    assert verification.logits_difference < 1e-4
    assert verification.agrees


def write_checkpoint(folder, tensors):
    """A bare state dict in a file; returns its path."""
    path = folder / "checkpoint.safetensors"
    save_file({name: np.ascontiguousarray(tensor, np.float32) for name, tensor in tensors.items()}, path)
    return str(path)


def check_damage(folder, tensors, options):
    """A tensor of another shape, one missing, one too many, or another family's name: an error that names it."""
    import_checkpoint(write_checkpoint(folder, tensors), options)
    names = list(tensors)
    told = {name for name in names if name.endswith(("weight", "bias")) and "bn" in name}
    victim = sorted(told)[len(told) // 2]
    wider = tensors | {victim: np.zeros(tensors[victim].size + 1)}
    shape = f"{victim} is {tensors[victim].size + 1}, expected {tensors[victim].size}"
    _check_refused(folder, wider, options, shape)
    _check_refused(folder, {n: t for n, t in tensors.items() if n != victim}, options, f"missing {victim}")
    _check_refused(folder, tensors | {"block.7.surplus": np.zeros(3)}, options, "block.7.surplus")
    _check_refused(folder, tensors, options | {"family": "sdt"}, "not of sdt")


def _check_refused(folder, tensors, options, words):
    with pytest.raises(CheckpointError) as refusal:
        import_checkpoint(write_checkpoint(folder, tensors), options)
    assert words in str(refusal.value)
    assert "checkpoint.safetensors" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def train_statistics(model, inputs):
    """Give a PyTorch model BatchNorms that know their input, and biases that matter."""
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:  # attention multiplies three rates: it needs some drive to fire at all
                parameter.add_(torch.randn_like(parameter) * 0.2 + 0.5 * name.endswith("bias"))
        for module in model.modules():
            if hasattr(module, "momentum"):
                module.momentum = 1.0
        model.train()
        model(inputs)
    return model.eval()
