"""Models that SpikingJelly 2 builds, reproduced spike for spike from their state dicts."""

import numpy as np
import pytest

from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.loading.importing import build_network, import_checkpoint
from evsim.networks import sdt_spikingjelly, spikformer_spikingjelly
from evsim.traces.trace import Probe
from tests.random_spikformer import random_tensors
from tests.spikformer_checks import check_damage, needs_jit, train_statistics, write_checkpoint

N_STEPS = 4
SPIKFORMER_LIFS = {
    "patch_embed.proj_lif": "patch_embed.stages.0.neuron",
    "patch_embed.proj_lif1": "patch_embed.stages.1.neuron",
    "patch_embed.proj_lif2": "patch_embed.stages.2.neuron",
    "patch_embed.proj_lif3": "patch_embed.stages.3.neuron",
    "patch_embed.rpe_lif": "patch_embed.positional_encoding.neuron",
    "block.1.attn.attn_lif": "blocks.1.attn.attn_lif",
    "block.1.attn.proj_lif": "blocks.1.attn.proj_lif",
    "block.1.mlp.fc1_lif": "blocks.1.mlp.neuron1",
    "block.1.mlp.fc2_lif": "blocks.1.mlp.neuron2",
}
SDT_LIFS = {
    "patch_embed.proj_lif": "patch_embed.stages.0.2",
    "patch_embed.proj_lif1": "patch_embed.stages.1.2",
    "patch_embed.proj_lif2": "patch_embed.stages.2.2",
    "patch_embed.proj_lif3": "patch_embed.final_lif",
    "block.1.attn.shortcut_lif": "blocks.1.attn.shortcut_lif",
    "block.1.attn.v_lif": "blocks.1.attn.v_lif",
    "block.1.attn.talking_heads_lif": "blocks.1.attn.attn_lif",
    "block.1.mlp.fc1_lif": "blocks.1.mlp.lif1",
    "block.1.mlp.fc2_lif": "blocks.1.mlp.lif2",
    "head_lif": "head_lif",
}


def spikformer_model(patch_size, size):
    model = pytest.importorskip("spikingjelly.activation_based.model.spikformer")
    sizes = {"img_size_h": size, "img_size_w": size, "num_classes": 10, "embed_dims": 32, "num_heads": 2, "depths": 2}
    return model.Spikformer(T=N_STEPS, patch_size=patch_size, **sizes)


def sdt_model(pooling_stat):
    model = pytest.importorskip("spikingjelly.activation_based.model.spike_driven_transformer")
    sizes = {"num_classes": 10, "embed_dims": 32, "num_heads": 2, "depths": 2}
    return model.SpikeDrivenTransformer(T=N_STEPS, pooling_stat=pooling_stat, **sizes)


def run_model(model, images, lifs):
    """Spikes [n_steps, n_samples, ...] of the neurons, by evsim's names, and logits."""
    torch = pytest.importorskip("torch")
    found = {}
    modules = dict(model.named_modules())
    for name, theirs in lifs.items():
        modules[theirs].register_forward_hook(lambda _, __, out, name=name: found.update({name: out.numpy()}))
    with torch.no_grad():
        logits = model(images).numpy()
    return found, logits.mean(axis=0) if logits.ndim == 3 else logits


def check_model(model, images, lifs, options, folder):
    """Every spike at every step, and the logits."""
    train_statistics(model, images)
    pytest.importorskip("spikingjelly.activation_based.functional").reset_net(model)
    expected, logits = run_model(model, images, lifs)
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items() if tensor.ndim}
    weights, _ = import_checkpoint(write_checkpoint(folder, state), options)
    network = build_network(weights)
    populations = {population.name: population for population in network.populations()}
    for sample, image in enumerate(images.numpy()):
        probe = Probe(lifs)
        steps = [Spikes.from_dense(image.transpose(1, 2, 0))] * N_STEPS
        result = simulate(network, steps, [probe])
        for name, spikes in expected.items():
            for step in range(N_STEPS):
                row = spikes[step, sample].reshape(populations[name].shape[-1], -1)  # channels, then places
                np.testing.assert_array_equal(probe.spikes(name, step).address, np.flatnonzero(row.T), err_msg=name)
            assert spikes.any(), f"{name} is silent: nothing was checked"
        np.testing.assert_allclose(result.logits, logits[sample], atol=1e-4)


def random_images(size):
    torch = pytest.importorskip("torch")
    torch.manual_seed(7)
    return torch.randn(2, 3, size, size)


@needs_jit
@pytest.mark.parametrize(("patch_size", "pooling_stat", "size"), [(4, "0011", 32), (16, "1111", 128)])
def test_spikformer_equals_spikingjelly(tmp_path, patch_size, pooling_stat, size):
    images = random_images(size)
    options = {"n_heads": "2", "img_size": str(size), "n_steps": "4", "pooling_stat": pooling_stat}
    check_model(spikformer_model(patch_size, size), images, SPIKFORMER_LIFS, options, tmp_path)


@needs_jit
@pytest.mark.parametrize("pooling_stat", ["0011", "0110"])
def test_sdt_equals_spikingjelly(tmp_path, pooling_stat):
    images = random_images(32)
    options = {"img_size": "32", "n_steps": "4", "pooling_stat": pooling_stat}
    check_model(sdt_model(pooling_stat), images, SDT_LIFS, options, tmp_path)


def random_checkpoint(module, **sizes):
    hp = module.HyperParameters(
        depth=1, n_channels=16, n_heads=1, mlp_ratio=4, in_channels=3, n_classes=10, n_steps=2,
        height=16, width=16, pooling_stat="0011", **sizes,
    )  # fmt: skip
    return random_tensors(module.tensor_shapes(hp)[0], np.random.default_rng(0))


def test_a_damaged_spikformer_is_refused_by_name(tmp_path):
    tensors = random_checkpoint(spikformer_spikingjelly, variant="spikingjelly", attn_scale=0.125, pool="currents")
    options = {"n_heads": "1", "img_size": "16", "n_steps": "2", "pooling_stat": "0011"}
    check_damage(tmp_path, tensors, options)


def test_a_damaged_sdt_is_refused_by_name(tmp_path):
    tensors = random_checkpoint(sdt_spikingjelly, spike_mode="lif", dvs_mode=False)
    check_damage(tmp_path, tensors, {"img_size": "16", "n_steps": "2", "pooling_stat": "0011"})
