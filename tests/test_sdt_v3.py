"""The official SDT-V3's own whole-number spikes, reproduced from its names alone; published sizes; damage; choices."""

from dataclasses import replace

import numpy as np
import pytest

from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.errors import CheckpointError, TraceError
from evsim.loading.importing import build_network, import_checkpoint
from evsim.networks.sdt_v3 import HyperParameters, tensor_shapes
from evsim.runs.preparation import Preparation, fit_recording
from evsim.traces.reference import read_reference
from evsim.traces.trace import Probe
from evsim.traces.verify import verify
from tests.random_spikformer import n_parameters, random_tensors
from tests.spikformer_checks import check_damage, needs_jit, write_checkpoint

TOLD = {"img_size": "32", "n_heads": "2"}
SMALL = HyperParameters((4, 8, 12, 16), (2, 1), 2, 4, 4, 3, 10, 32, 32)


def tensors_of(hp, seed=0):
    return random_tensors(tensor_shapes(hp)[0], np.random.default_rng(seed))


@needs_jit
def test_every_spike_is_the_official_one(data):
    weights, _ = import_checkpoint(str(data / "sdt_v3.safetensors"), TOLD)
    network = build_network(weights)
    reference = read_reference(data / "sdt_v3.npz")
    assert set(reference.spikes) == {population.name for population in network.populations()}
    assert max(int(sent.max()) for sent in reference.spikes.values()) == 4
    assert all(sent.any() for sent in reference.spikes.values())
    samples = [fit_recording(network, weights, sample, Preparation()).spikes for sample in reference.recordings()]
    found = verify(network, samples, reference)
    assert (found.exact.differing, found.local.differing, found.free.differing) == (0, 0, 0)
    assert found.free.compared == sum(sent.size for sent in reference.spikes.values()) == 19_936
    assert found.logits_difference < 1e-6


@needs_jit
def test_a_spike_of_value_n_is_worth_n_quarters(data):
    """The first population and the layer behind it, by dense arithmetic on the reference's spikes."""
    weights, _ = import_checkpoint(str(data / "sdt_v3.safetensors"), TOLD)
    network, reference = build_network(weights), read_reference(data / "sdt_v3.npz")
    image = reference.inputs[0].transpose(1, 2, 0).reshape(-1).astype(np.float32)
    probe = Probe()
    simulate(network, [Spikes(np.arange(image.size, dtype=np.int32), image)], [probe])
    sent = reference.spikes["ConvBlock1_1.0.Conv.spike1"][0, 0] / 4  # channels, rows, columns
    t = {name: weights.tensors[f"ConvBlock1_1.0.Conv.pwconv1.{name}"] for name in ("0.weight", "1.running_mean")}
    gain = weights.tensors["ConvBlock1_1.0.Conv.pwconv1.1.weight"] / np.sqrt(
        weights.tensors["ConvBlock1_1.0.Conv.pwconv1.1.running_var"] + 1e-5
    )
    x = np.einsum("oc,chw->ohw", t["0.weight"][:, :, 0, 0], sent) - t["1.running_mean"][:, None, None]
    x = x * gain[:, None, None] + weights.tensors["ConvBlock1_1.0.Conv.pwconv1.1.bias"][:, None, None]
    expected = np.round(np.clip(x, 0, 4)).transpose(1, 2, 0).reshape(-1)
    found = probe.spikes("ConvBlock1_1.0.Conv.spike2", 0).to_dense(expected.size)
    assert np.array_equal(found, expected)
    assert expected.max() > 1


PUBLISHED = [  # the names of the four official constructors end in t, s, m and l
    ((24, 48, 96, 128), 2_702_048),
    ((32, 64, 128, 192), 5_105_608),
    ((48, 96, 192, 240), 10_023_112),
    ((64, 128, 256, 360), 18_987_504),
]


@pytest.mark.parametrize(("widths", "expected"), PUBLISHED)
def test_published_sizes_have_the_published_number_of_parameters(widths, expected):
    hp = HyperParameters(widths, (6, 2), 8, 4, 4, 3, 1000, 224, 224)
    assert n_parameters(tensor_shapes(hp)[0]) == expected


def test_a_checkpoint_tells_its_sizes(tmp_path):
    weights, _ = import_checkpoint(write_checkpoint(tmp_path, tensors_of(SMALL)), TOLD)
    assert HyperParameters(**weights.header["hyper_parameters"]) == SMALL
    assert weights.header["assumed"]["levels"] == "4, as the official code has it"
    assert build_network(weights).name == "sdt_v3"


def test_steps_are_refused_where_there_is_no_time(tmp_path):
    path = write_checkpoint(tmp_path, tensors_of(SMALL))
    with pytest.raises(CheckpointError, match="n_steps = '4': expected a whole number from 1 to 1"):
        import_checkpoint(path, TOLD | {"n_steps": "4"})


def test_what_no_tensor_tells_is_asked_for_in_one_message(tmp_path):
    with pytest.raises(CheckpointError, match="give --set img_size=VALUE --set n_heads=VALUE"):
        import_checkpoint(write_checkpoint(tmp_path, tensors_of(SMALL)), {})


def test_damaged_files_are_refused_by_the_tensor(tmp_path):
    check_damage(tmp_path, tensors_of(SMALL), TOLD)


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("expected 4 and 2", {"n_channels": (4, 8)}),
        ("half of an odd number", {"n_channels": (5, 8, 12, 16)}),
        ("12 and 16 channels do not divide by 5 heads", {"n_heads": 5}),
        ("levels 0 and n_steps 1", {"levels": 0}),
        ("levels 4 and n_steps 4", {"n_steps": 4}),
    ],
)
def test_sizes_that_no_network_has_are_refused(words, changes):
    with pytest.raises(CheckpointError, match=words):
        replace(SMALL, **changes)


def test_whole_spikes_that_are_none_are_refused(data, tmp_path):
    entries = dict(np.load(data / "sdt_v3.npz"))
    entries["ispk/spike"] = entries["ispk/spike"] / 2
    np.savez(tmp_path / "bad.npz", **entries)
    with pytest.raises(TraceError, match="ispk/spike is of type float64; expected whole numbers"):
        read_reference(tmp_path / "bad.npz")
