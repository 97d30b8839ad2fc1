"""Weights that are no numbers are refused by name, and a run whose logits are none is an error, never a prediction."""

import json

import numpy as np
import pytest

from evsim.checkpoints import Weights, read_weights, write_weights
from evsim.checkpoints.numbers import check_numbers
from evsim.checkpoints.refusal import Refused
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.errors import CheckpointError, NetworkError, RecordingError
from evsim.handlers.projections.batch_norm import fold_batch_norm
from evsim.loading.importing import import_checkpoint, load_network
from evsim.loading.zoo import bundled, find_weights, zoo_folder
from evsim.networks import sdt, spikingresformer
from tests.checkpoint_files import torch_zip
from tests.fuzz_networks import pickled_state

ZOO = zoo_folder() / "sdt-nmnist.npz"
OPTIONS = {"img_size": "16", "n_steps": "4", "pooling_stat": "1111", "dvs_mode": "true"}
NORM, WEIGHT = "block.0.attn.q_bn", "patch_embed.proj_conv1.weight"
IMPOSSIBLE = {
    "negative variance": (f"{NORM}.running_var", -1e-6, np.float32, "negative variances"),
    "a weight of 3e38": (WEIGHT, 3e38, np.float32, "values up to 3e+38"),
    "a weight of -3e38": (WEIGHT, -3e38, np.float32, "values up to 3e+38"),
    "a float64 of 1e300": (f"{NORM}.weight", 1e300, np.float64, "values up to 1e+300"),
    "an infinite variance": (f"{NORM}.running_var", np.inf, np.float32, "NaN or infinite"),
    "a variance that is no number": (f"{NORM}.running_var", np.nan, np.float32, "NaN or infinite"),
    "a mean of 1e16": (f"{NORM}.running_mean", 1e16, np.float32, "values up to 1e+16"),
}


def spoilt(tensors, name, value, dtype):
    array = tensors[name].astype(dtype)
    array.reshape(-1)[0] = value
    return tensors | {name: array}


def small():
    hp = sdt.SMALLEST[0]
    live, dead = sdt.tensor_shapes(hp)
    return {name: np.full(shape, 0.5, np.float32) for name, shape in (live | dead).items()}


@pytest.fixture
def checkpoint(tmp_path):
    def checkpoint(tensors):
        value, storages = pickled_state({name: array.astype(np.float32) for name, array in tensors.items()})
        (tmp_path / "net.pth").write_bytes(torch_zip(value, storages))
        return str(tmp_path / "net.pth")

    return checkpoint


def write_raw(path, tensors, header):
    """As `write_weights`, which would refuse."""
    import zipfile

    from evsim.checkpoints.array_member import encode_array

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("evsim_header.json", json.dumps(header))
        for name, array in tensors.items():
            archive.writestr(f"{name}.npy", encode_array(np.asarray(array)))


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_a_weights_file_is_refused_by_the_name_of_the_tensor(evsim, tmp_path, what):
    name, value, dtype, words = IMPOSSIBLE[what]
    weights = read_weights(ZOO)
    write_raw(tmp_path / "w.npz", spoilt(weights.tensors, name, value, dtype), weights.header)
    for verb in (["info", tmp_path / "w.npz"], ["run", "-w", tmp_path / "w.npz"]):
        code, out, err = evsim(*verb)
        assert code == 2
        assert out == ""
        assert words in err
        assert repr(name) in err
        assert len(err.splitlines()) == 1
    with pytest.raises(CheckpointError, match="in the tensors"):
        write_weights(tmp_path / "again.npz", Weights(spoilt(weights.tensors, name, value, dtype), weights.header))


@pytest.mark.parametrize("what", [what for what in IMPOSSIBLE if "float64" not in what])
def test_a_checkpoint_is_refused_by_the_name_of_the_tensor(checkpoint, what):
    name, value, dtype, words = IMPOSSIBLE[what]
    with pytest.raises(CheckpointError, match="in the tensors") as caught:
        import_checkpoint(checkpoint(spoilt(small(), name, value, dtype)), OPTIONS)
    assert words in str(caught.value)
    assert repr(name) in str(caught.value)


def test_numbers_up_to_the_bound_pass():
    check_numbers({"w": np.array([1e15, -1e15]), "bn.running_var": np.zeros(2), "n": np.array([2**62])})
    with pytest.raises(Refused, match=r"values up to 1.01e\+15, more than 1e\+15, in the tensors 'w'"):
        check_numbers({"w": np.array([1.01e15]), "v": np.ones(2)})


def test_a_batch_norm_that_overflows_when_folded_is_refused_by_both_names(checkpoint):
    tensors = small()
    tensors["block.0.mlp.fc1_conv.weight"][:] = 1e8
    tensors["block.0.mlp.fc1_bn.weight"][:] = 1e8
    with pytest.raises(
        CheckpointError, match=r"net.pth: block.0.mlp.fc1_conv with block.0.mlp.fc1_bn folded in has weig"
    ):
        import_checkpoint(checkpoint(tensors), OPTIONS)
    norm = {f"n.{part}": np.ones(2) for part in ("weight", "bias", "running_mean", "running_var")}
    weight, bias = fold_batch_norm({"l.weight": np.ones((2, 3)), **norm}, "l", "n")
    assert np.isfinite(weight).all()
    assert np.isfinite(bias).all()
    with pytest.raises(NetworkError, match="l with n folded in has bias that are no numbers"):
        fold_batch_norm({"l.weight": np.ones((2, 3)), **norm, "n.running_mean": np.array([1e16, 0])}, "l", "n")


@pytest.mark.parametrize("w", [-200.0, 200.0, -1000.0, 1e6])
def test_a_time_constant_of_no_neuron_is_refused_by_name(checkpoint, w):
    hp = sdt.SMALLEST[0]
    hp = type(hp)(**(vars(hp) | {"spike_mode": "plif"}))
    live, dead = sdt.tensor_shapes(hp)
    tensors = {name: np.full(shape, 0.5, np.float32) for name, shape in (live | dead).items()}
    tensors["head_lif.w"] = np.float32(w)
    with pytest.raises(CheckpointError, match=r"head_lif.w is .* no neuron has it"):
        import_checkpoint(checkpoint({name: np.asarray(array) for name, array in tensors.items()}), OPTIONS)


def test_a_run_whose_logits_are_not_finite_is_an_error():
    hp = spikingresformer.SMALLEST[1]
    live, _ = spikingresformer.tensor_shapes(hp)
    tensors = {name: np.full(shape, 0.5, np.float32) for name, shape in live.items()}
    tensors["classifier.weight"] = np.full(live["classifier.weight"], 3e38, np.float32)
    network = spikingresformer.build(tensors, hp)
    frame = Spikes.from_dense(np.ones((hp.height, hp.width, hp.in_channels), np.float32))
    for order in ("step", "stage"):
        with pytest.raises(NetworkError, match=r"logit 0 of step 0 is inf, no finite number"):
            simulate(network, [frame] * hp.n_steps, order=order)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -1.1e10])
def test_an_input_that_would_overflow_unseen_is_refused(value):
    network, weights = load_network(str(ZOO))
    frame = np.zeros(network.input_shape, np.float32)
    frame[3, 4, 1] = value
    with pytest.raises(RecordingError, match="step 1: input values that are no numbers or above"):
        simulate(network, [Spikes.none(), Spikes.from_dense(frame)])
    assert weights.header["family"] == "sdt"


def test_the_bundled_networks_are_possible():
    for name in bundled():
        assert load_network(find_weights(name))[0].populations()
