"""Workloads whose biases are shifted until the layers read what was wanted."""

from dataclasses import replace

import numpy as np
import pytest

from evsim.networks import sdt, spikformer, spikformer_spikingjelly, spikingresformer
from tools.benchmarks.densities import Densities
from tools.benchmarks.random_weights import random_tensors
from tools.benchmarks.rates import RatesMissed, check_rates, tune
from tools.benchmarks.workload import Workload, read_rates, read_workload, write_workload
from tools.benchmarks.workloads import spikformer_8_512, spikformer_8_512_spikingjelly, spikingresformer_ti

SDT = sdt.HyperParameters(2, 32, 2, 2, 2, 5, "lif", 4, "0111", False, 32, 32)
SPIKFORMER = spikformer.HyperParameters("imagenet", 2, 64, 4, 2, 3, 5, 4, 64, 64, 1 / 8, "1111")
RESFORMER = spikingresformer.HyperParameters(
    (16, 32), (1, 2), (2, 1), (1, 1), 4, 16, 3, 5, "7x7", "lif", 4, 32, 32, 32,
)  # fmt: skip


def workload(family, hp):
    rng = np.random.default_rng(3)
    tensors = random_tensors(family.tensor_shapes(hp)[0], rng)
    image = rng.standard_normal((1, hp.in_channels, hp.height, hp.width)).astype(np.float32)
    return Workload("small", "a small network", family, tensors, hp, image)


def test_populations_of_a_membrane_shortcut_reach_their_rates():
    wanted = {"patch_embed.proj_lif": 12, "patch_embed.proj_lif3": 8, "block.0.attn.shortcut_lif": 20}
    wanted |= {"block.0.attn.q_lif": 15, "block.0.mlp.fc1_lif": 25, "block.1.mlp.fc2_lif": 6, "head_lif": 25}
    tuned = check_rates(tune(workload(sdt, SDT), wanted), relative=0.05, absolute=0.5)
    assert {name: rates[0] for name, rates in tuned.rates.items()} == wanted


def test_layers_behind_pools_sums_and_attention_read_what_was_wanted():
    wanted = {"patch_embed.proj_conv1": 30, "patch_embed.rpe_conv": 12, "block.0.attn.q_conv": 20}
    wanted |= {"block.0.attn.proj_conv": 25, "block.0.mlp.fc1_conv": 30, "block.0.mlp.fc2_conv": 5}
    wanted |= {"block.0.attn.q_lif": 15, "block.0.attn.k_lif": 15, "block.1.attn.q_conv": 34}
    tuned = check_rates(tune(workload(spikformer, SPIKFORMER), wanted), relative=0.05, absolute=0.7)
    found = Densities.of(tuned.network(), tuned.recording(0)).of_names(wanted)
    assert found == {name: achieved for name, (_, achieved) in tuned.rates.items()}


def test_a_stream_of_sums_cannot_become_thinner():
    wanted = {"patch_embed.rpe_conv": 12, "block.0.attn.q_conv": 30, "block.0.mlp.fc1_conv": 20}
    tuned = tune(workload(spikformer, SPIKFORMER), wanted)
    with pytest.raises(RatesMissed, match=r"block\.0\.mlp\.fc1_conv reads or sends [23]\d\.\d+ %, wanted 20\.00 %"):
        check_rates(tuned)


def test_layers_that_read_the_same_spikes_must_want_the_same():
    with pytest.raises(RatesMissed, match="read the same spikes"):
        tune(workload(spikformer, SPIKFORMER), {"block.0.attn.q_conv": 20, "block.0.attn.k_conv": 21})


@pytest.mark.parametrize("name", ["block.9.attn.q_conv", "patch_embed.nothing"])
def test_a_layer_that_is_not_there_is_named(name):
    with pytest.raises(RatesMissed, match=name):
        tune(workload(spikformer, SPIKFORMER), {name: 20})


def test_the_rates_that_scale_the_attention_are_those_that_arise():
    tuned = check_rates(spikingresformer_ti.settle(workload(spikingresformer, RESFORMER)), relative=0.1)
    populations = [f"layers.{block}.activation_{role}" for block in ("0.0", "1.1") for role in ("in", "attn")]
    found = Densities.of(tuned.network(), tuned.recording(0)).of_names(populations)
    for name, percent in found.items():
        key = name.replace("activation_in", "firing_rate_x").replace("activation_attn", "firing_rate_attn")
        assert tuned.tensors[key].mean() == pytest.approx(percent / 100, rel=0.2)


def test_the_published_rates_are_followed_as_far_as_a_stream_of_sums_can():
    published, _ = spikformer_8_512.read_published(spikformer_8_512.PUBLISHED)
    wanted = spikformer_8_512.wanted(spikformer_8_512.PUBLISHED, 8)
    assert set(published) - set(wanted) == {"patch_embed.proj_conv", "head"}  # real values, not spikes
    misfit = {name: abs(wanted[name] - rate) for name, rate in published.items() if name in wanted}
    assert max(misfit.values()) < spikformer_8_512.LARGEST_MISFIT
    assert all(rate == 0 for name, rate in misfit.items() if not name.endswith(("_conv",)) or "proj_conv" in name)
    stream = [wanted[f"block.{i}.{layer}"] for i in range(8) for layer in ("attn.q_conv", "mlp.fc1_conv")]
    assert np.all(np.diff(stream) >= spikformer_8_512.GROWTH - 1e-9)


def test_a_workload_in_a_file_keeps_its_rates(tmp_path):
    tuned = replace(workload(spikingresformer, RESFORMER), rates={"a": (10.0, 10.5)})
    tuned.tensors.update({key: np.full_like(t, 0.5) for key, t in tuned.tensors.items() if "firing_rate" in key})
    write_workload(tmp_path / "w.npz", tuned)
    found = read_workload(tmp_path / "w.npz")
    assert found.rates == tuned.rates
    assert found.hp == tuned.hp
    assert {name: tuple(rate) for name, rate in read_rates(tmp_path / "w.npz").items()} == tuned.rates
    assert found.weight_bytes == 4 * sum(t.size for t in tuned.tensors.values())
    found.network()


def test_the_spikingjelly_layout_is_the_same_network():
    hp = replace(SPIKFORMER, variant="cifar10dvs", pool="currents")
    official = workload(spikformer, hp)
    theirs = spikformer_8_512_spikingjelly.renamed(official.tensors, hp)
    expected = spikformer_spikingjelly.tensor_shapes(replace(hp, variant="spikingjelly"))[0]
    assert {name: tensor.shape for name, tensor in theirs.items()} == expected
