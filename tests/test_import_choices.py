"""What tensors cannot tell comes from the stored arguments or the user, or is asked for: all of it at once."""

import numpy as np
import pytest

from evsim.checkpoints import read_weights, write_weights
from evsim.checkpoints.choices import Choices
from evsim.checkpoints.kinds import flag, image_size, one_of, positive, real
from evsim.errors import CheckpointError
from evsim.loading.importing import build_network, import_checkpoint, load_network
from evsim.networks import sdt, sdt_v2, spikformer, spikformer_v2, spikingformer, spikingresformer
from tests.checkpoint_files import integer, mapping, namespace, text, torch_zip
from tests.fuzz_networks import pickled_state

DOUBLE = {0.5: b"G\x3f\xe0" + bytes(6), 4.0: b"G\x40\x10" + bytes(6), 2.0: b"G\x40\x00" + bytes(6)}
TOLD = {"img_size": integer(32), "time_steps": integer(4), "pooling_stat": text("1111"), "dvs_mode": b"\x88"}
NONE, TRUE, FALSE = b"N", b"\x88", b"\x89"


@pytest.fixture
def checkpoint(tmp_path):
    """A file of the smallest network of a family with some arguments; returns its path."""

    def checkpoint(module, arguments, **changes):
        hp = module.SMALLEST[0]
        hp = type(hp)(**(vars(hp) | changes))
        live, dead = module.tensor_shapes(hp)
        shapes = live | {name: shape for name, shape in dead.items() if not name.endswith("*")}
        tensors = {name: np.full(shape, 0.5, np.float32) for name, shape in shapes.items()}
        state, storages = pickled_state(tensors)
        path = tmp_path / "net.pth.tar"
        path.write_bytes(torch_zip(mapping(state_dict=state, args=namespace(mapping(**arguments))), storages))
        return str(path)

    return checkpoint


def refused(path, options=None):
    with pytest.raises(CheckpointError) as caught:
        import_checkpoint(path, options or {})
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def hyper_parameters(path, options=None):
    return import_checkpoint(path, options or {})[0].header["hyper_parameters"]


# ------------------------------------------------------------------------------------------ asking


MISSING = {
    sdt: ["img_size", "n_steps", "pooling_stat", "dvs_mode"],
    spikformer: ["img_size", "n_steps", "n_heads"],
    spikformer_v2: ["img_size", "n_steps", "n_heads", "shortcut"],
    spikingresformer: ["img_size", "n_steps"],
    spikingformer: ["img_size", "n_steps", "n_heads"],
    sdt_v2: ["img_size", "n_steps", "n_heads"],
}


@pytest.mark.parametrize("module", MISSING, ids=lambda module: module.FAMILY)
def test_everything_missing_is_asked_for_in_one_message(checkpoint, module):
    said = refused(checkpoint(module, {}))
    for name in MISSING[module]:
        assert f"{name} (" in said
        assert f"--set {name}=VALUE" in said
    assert said.count("=VALUE") == len(MISSING[module])


def test_nonsense_is_said_before_what_is_missing(checkpoint):
    assert "n_steps = 'x': expected a whole number" in refused(checkpoint(sdt, {}), {"n_steps": "x"})


@pytest.mark.parametrize("name", ["time_steps", "time_step", "T", "n_steps", "timesteps"])
def test_steps_under_any_of_their_names(checkpoint, name):
    told = {key: value for key, value in TOLD.items() if key != "time_steps"}
    assert hyper_parameters(checkpoint(sdt, told | {name: integer(6)}))["n_steps"] == 6


def test_arguments_that_contradict_each_other_are_not_chosen_from(checkpoint):
    path = checkpoint(sdt, TOLD | {"T": integer(10)})
    said = refused(path)
    for word in ("time_steps = 4", "T = 10", "--set n_steps=VALUE"):
        assert word in said
    weights, notes = import_checkpoint(path, {"n_steps": "10"})
    assert weights.header["hyper_parameters"]["n_steps"] == 10
    assert any("the checkpoint's arguments say time_steps = 4" in note for note in notes)


# ------------------------------------------------------------------------------------------ neurons


def test_time_constant_and_thresholds_of_the_arguments_are_those_of_the_network(checkpoint):
    path = checkpoint(sdt, TOLD | {"tau": DOUBLE[4.0], "v_threshold": DOUBLE[0.5]})
    weights, notes = import_checkpoint(path, {})
    found = weights.header["hyper_parameters"]
    assert (found["tau"], found["v_threshold"], found["v_reset"], found["attn_v_threshold"]) == (4.0, 0.5, 0.0, 0.5)
    assert any("tau = 4, v_threshold = 0.5" in note for note in notes)
    assert "tau" not in weights.header["assumed"]
    for population in build_network(weights).populations():
        assert (population.rate, population.v_threshold) == (0.25, 0.5)


@pytest.mark.parametrize("module", MISSING, ids=lambda module: module.FAMILY)
def test_every_family_takes_the_constants_of_its_neurons(checkpoint, module):
    arguments = TOLD | {"num_heads": integer(2), "shortcut": text("ms")}
    told = {"tau": "4.0", "v_threshold": "0.75", "v_reset": "-0.5"}
    network = build_network(import_checkpoint(checkpoint(module, arguments), told)[0])
    thresholds = {float(population.v_threshold) for population in network.populations()}
    assert thresholds == ({0.75} if module is spikingresformer else {0.75, 0.5})
    assert {float(population.rate) for population in network.populations()} == {0.25}
    assert {float(population.v_reset) for population in network.populations()} == {-0.5}


def test_constants_of_the_official_code_are_remembered_as_assumed(checkpoint, tmp_path):
    weights, _ = import_checkpoint(checkpoint(sdt, TOLD), {})
    assert weights.header["assumed"]["tau"] == "2.0, as the official code has it"
    assert {"v_threshold", "v_reset", "attn_v_threshold"} < set(weights.header["assumed"])
    write_weights(tmp_path / "w.npz", weights)
    assert read_weights(tmp_path / "w.npz").header["assumed"] == weights.header["assumed"]


def test_a_weights_file_without_the_constants_has_the_official_ones(checkpoint, tmp_path):
    weights, _ = import_checkpoint(checkpoint(sdt, TOLD), {})
    for name in ("tau", "v_threshold", "v_reset", "attn_v_threshold"):
        del weights.header["hyper_parameters"][name]
    del weights.header["assumed"]
    write_weights(tmp_path / "w.npz", weights)
    network, _ = load_network(str(tmp_path / "w.npz"))
    for population in network.populations():
        threshold = 0.5 if population.name.endswith("talking_heads_lif") else 1.0
        assert (population.rate, population.v_threshold, population.v_reset) == (0.5, threshold, 0.0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"v_reset": NONE}, "v_reset (potential after a spike; the arguments say None: unset, or a soft reset?)"),
        ({"decay_input": FALSE}, "decay_input = False"),
        ({"tau": text("x")}, "tau = 'x'"),
        ({"tau": integer(1)}, "tau 1.0: expected a finite number above 1"),
        ({"v_threshold": integer(0)}, "expected more than v_reset"),
        ({"spike_mode": text("plif")}, "the stored arguments say 'plif', and the file has no time constants"),
        ({"spike_mode": text("alif")}, "the stored arguments say 'alif'"),
    ],
)
def test_neurons_that_evsim_would_have_to_guess_are_asked_for(checkpoint, arguments, words):
    assert words in refused(checkpoint(sdt, TOLD | arguments))


def test_the_users_word_settles_what_the_arguments_leave_open(checkpoint):
    assert hyper_parameters(checkpoint(sdt, TOLD | {"v_reset": NONE}), {"v_reset": "0"})["v_reset"] == 0.0
    path = checkpoint(sdt, TOLD | {"spike_mode": text("alif")})
    assert hyper_parameters(path, {"spike_mode": "lif"})["spike_mode"] == "lif"
    assert "so it is lif" in refused(path, {"spike_mode": "plif"})


def test_the_tensors_of_plif_need_no_argument_and_allow_no_other(checkpoint):
    assert hyper_parameters(checkpoint(sdt, TOLD, spike_mode="plif"))["spike_mode"] == "plif"
    path = checkpoint(sdt, TOLD | {"spike_mode": text("lif")}, spike_mode="plif")
    assert "and the file has time constants" in refused(path)
    assert hyper_parameters(path, {"spike_mode": "plif"})["spike_mode"] == "plif"


def test_a_time_constant_that_is_no_power_of_two_is_noted(checkpoint):
    _, notes = import_checkpoint(checkpoint(sdt, TOLD), {"tau": "3"})
    assert any("tau = 3 is no power of two" in note for note in notes)


# ------------------------------------------------------------------------------------------ heads and shortcuts


@pytest.mark.parametrize(("variant", "width", "heads"), [("cifar10dvs", 256, 16), ("imagenet", 512, 8)])
def test_heads_of_a_model_file_go_with_its_width(checkpoint, variant, width, heads):
    told = {"img_size": integer(32), "T": integer(4)}
    sizes = {"variant": variant, "pooling_stat": "1111", "height": 32, "width": 32, "mlp_ratio": 1}
    official = import_checkpoint(checkpoint(spikformer, told, n_channels=width, **sizes), {})[0]
    assert official.header["hyper_parameters"]["n_heads"] == heads
    assert official.header["assumed"]["n_heads"] == f"{heads}, as the official code has it"
    narrow = checkpoint(spikformer, told, n_channels=32, **sizes)
    assert f"heads of the attention, of 32 channels; the official file has {heads} at {width} channels" in refused(
        narrow
    )
    assert hyper_parameters(narrow, {"n_heads": "2"})["n_heads"] == 2
    stored = checkpoint(spikformer, told | {"num_heads": integer(4)}, n_channels=32, **sizes)
    assert hyper_parameters(stored)["n_heads"] == 4


def test_steps_that_the_imagenet_file_ignores_are_asked_for(checkpoint):
    sizes = {"variant": "imagenet", "pooling_stat": "1111", "height": 32, "width": 32}
    told = {"img_size": integer(32), "num_heads": integer(2)}
    assert hyper_parameters(checkpoint(spikformer, told, **sizes))["n_steps"] == 4
    said = refused(checkpoint(spikformer, told | {"time_step": integer(1)}, **sizes))
    assert "the official file runs 4 whatever its arguments say, and they say 1" in said


def test_the_shortcut_of_the_reconstruction_is_never_guessed(checkpoint):
    told = {"img_size": integer(32), "T": integer(4), "num_heads": integer(2)}
    assert "--set shortcut=VALUE" in refused(checkpoint(spikformer_v2, told))
    path = checkpoint(spikformer_v2, told | {"shortcut": text("ms")})
    assert hyper_parameters(path)["shortcut"] == "ms"


# ------------------------------------------------------------------------------------------ normalisation and values


def test_a_mean_that_is_none_is_noted_and_left_out(checkpoint):
    for mean in (text("abc"), b"](K\x01e", b"](NK\x01e"):
        weights, notes = import_checkpoint(checkpoint(sdt, TOLD | {"mean": mean, "std": mean}), {})
        if mean != b"](K\x01e":
            assert weights.header["normalisation"] is None
            assert any("no normalisation" in note for note in notes)
    assert weights.header["class_names"] is None


@pytest.mark.parametrize("value", [True, 2.5, "2.5", 0, -1, 10**6, float("inf"), float("nan"), None, [1], "x" * 10**5])
def test_counts_that_are_none(value):
    with pytest.raises(CheckpointError, match=r"n_steps = .*expected a whole number from 1 to 10000") as caught:
        Choices("net.pth", {}, {"n_steps": value}).take("n_steps", positive, "steps")
    assert len(str(caught.value)) < 300


def test_kinds_take_what_people_write():
    assert positive("4") == positive(4.0) == 4
    assert image_size([3, 32, 48]) == image_size("32x48") == (32, 48)
    assert flag("Yes") is True
    assert real("-0.5") == -0.5
    assert one_of("sew", "ms")("MS") == "ms"
    with pytest.raises(ValueError, match="expected a, b or c"):
        one_of("a", "b", "c")("d")


# ------------------------------------------------------------------------------------------ verify


def test_verify_that_disagrees_says_what_was_assumed(evsim, data, tmp_path):
    bare = data / "sdt_mlp1.legacy_zip_false.pth"
    settings = ["img_size=32", "n_steps=4", "pooling_stat=0011", "dvs_mode=false"]
    words = [word for setting in settings for word in ("--set", setting)]
    for name, extra in (("right.npz", []), ("wrong.npz", ["--set", "v_threshold=0.75"])):
        assert evsim("import", bare, "-o", tmp_path / name, *words, *extra)[0] == 0
    reference = ["-r", data / "sdt_mlp1.npz"]
    code, out, _ = evsim("verify", "-w", tmp_path / "right.npz", *reference)
    assert code == 0
    assert "assumed at import" not in out
    code, out, _ = evsim("verify", "-w", tmp_path / "wrong.npz", *reference)
    assert code == 1
    assert "assumed at import: tau = 2.0, as the official code has it" in out
    assert "assumed at import: v_threshold" not in out
