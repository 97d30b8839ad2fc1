"""The training command on data small enough for a test: readers, batches, loop, files, pre-training, ablations."""

import json
from argparse import Namespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tools.train import loop, reference  # noqa: E402
from tools.train.__main__ import train  # noqa: E402
from tools.train.ablation_text import arm_row, difference_row, interval  # noqa: E402
from tools.train.ablations import STUDIES, summary  # noqa: E402
from tools.train.batches import epoch_batches, prepare, shift  # noqa: E402
from tools.train.checkpoint import load_checkpoint, load_encoder  # noqa: E402
from tools.train.datasets import Dataset, count_frames, read_dataset, slice_by_number, slice_by_time  # noqa: E402
from tools.train.evaluate import wilson  # noqa: E402
from tools.train.models.masked import MaskedAutoencoder, draw_visible, patches  # noqa: E402
from tools.train.networks import NETWORKS, build  # noqa: E402
from tools.train.options import complete, parser  # noqa: E402
from tools.train.pretrain import DECODER, encoder_sizes, enlarged, pretrain  # noqa: E402
from tools.train.rates import watch_rates  # noqa: E402


def toy(events, n=12, channels=None):
    """Random data of the right form."""
    rng = np.random.default_rng(0)
    channels = channels or (2 if events else 1)
    shape = (n, 2, channels, 32, 32) if events else (n, channels, 32, 32)
    x, y = rng.integers(0, 4 if events else 256, shape), rng.integers(0, 10, n)
    statistics = (None, None) if events else ((0.0,) * channels, (1.0,) * channels)
    return Dataset(x.astype(np.uint16), y, x.astype(np.uint16), y, *statistics, 10, "noise")


def arguments(data, output, *words):
    name = "nmnist" if data.mean is None else "mnist"
    quick = ["--epochs", "2", "--batch-size", "4", "--time-steps", "2"]
    argv = ["--dataset", name, "--root", "nowhere", "--output", str(output), *quick, *words]
    return complete(parser().parse_args(argv), data)


# --- data -------------------------------------------------------------------------------------------------------


def test_nmnist_frames_equal_the_reference(shared):
    data = read_dataset("nmnist", shared / "data", 4)
    archive = np.load(shared / "fixtures/trained/sdt_nmnist_T4.npz")
    np.testing.assert_array_equal(data.x_test, archive["frames"][..., 1:33, 1:33])
    np.testing.assert_array_equal(data.y_test, archive["labels"])
    assert data.x_train.shape == (1000, 4, 2, 32, 32)


@pytest.mark.parametrize(("cut", "word"), [(slice_by_number, "number"), (slice_by_time, "time")])
@pytest.mark.parametrize("n_steps", [10, 16])
def test_slices_equal_the_reference(shared, cut, word, n_steps):
    archive = np.load(shared / "fixtures/dvs_events_to_frames.npz")
    t, x, y, p = (archive[key].astype(np.int64) for key in "txyp")
    frames = count_frames(cut(t, n_steps), p, y, x, (n_steps, 2, 128, 128))
    np.testing.assert_array_equal(frames, archive[f"frames_{word}_{n_steps}"])


@pytest.mark.parametrize(("name", "shape"), [("mnist", (1, 32, 32)), ("cifar10", (3, 32, 32))])
def test_image_sets(shared, name, shape):
    data = read_dataset(name, shared / "data", 4)
    assert data.x_train.shape[1:] == shape
    assert set(data.y_test) == set(range(10))


def test_gesture_clips(shared):
    data = read_dataset("dvsgesture", shared / "data", 4)
    assert data.x_train.shape == (40, 4, 2, 32, 32)
    assert data.x_train.max() > 255  # no counter may wrap


def test_shift_moves_and_fills_with_zeros():
    x = torch.ones(200, 1, 8, 8)
    moved = shift(x, 3, torch.Generator().manual_seed(0))
    sizes = {int(s) for s in moved.sum((1, 2, 3))}
    assert max(sizes) == 64
    assert min(sizes) == 25


def test_images_are_normalised_and_events_get_a_sum():
    image = Dataset(*[np.zeros(0)] * 4, (0.5,), (0.25,), 10, "")
    x = prepare(torch.tensor([[[[0, 255]]]]), image, 3)
    assert x.shape == (1, 3, 1, 2)
    torch.testing.assert_close(x[0, 2, 0], torch.tensor([-2.0, 2.0]))
    events = torch.arange(4).view(1, 1, 2, 1, 2)
    assert prepare(events, toy(events=True), 3)[0, 0, 2].tolist() == [[2.0, 4.0]]


def test_batches_repeat_for_the_same_seed(tmp_path):
    data = toy(events=True)
    args = arguments(data, tmp_path, "--network", "sdt", "--n-train", "6")
    first, again = ([y.tolist() for _, y in epoch_batches(data, args, 3)] for _ in range(2))
    assert first == again
    assert [len(y) for y in first] == [4, 2]


# --- training ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("events", [True, False])
@pytest.mark.parametrize("network", [n for n in NETWORKS if n != "ablated"])
def test_presets_are_small_and_train(tmp_path, network, events):
    data = toy(events, n=4)
    args = arguments(data, tmp_path, "--network", network, "--epochs", "1")
    assert sum(p.numel() for p in build(args).parameters()) < 350_000
    card = train(args, data)
    name = f"{network}_{args.dataset}"
    assert json.loads((tmp_path / f"{name}.json").read_text()) == card
    wrapper = load_checkpoint(tmp_path / f"{name}.pth.tar")
    assert list(wrapper) == ["epoch", "arch", "state_dict", "optimizer", "version", "args", "metric"]
    assert wrapper["version"] == 2
    assert str(tmp_path) not in str(wrapper["args"])
    build(wrapper["args"]).load_state_dict(wrapper["state_dict"])  # the arguments alone rebuild the network


def test_arguments_have_the_official_names(tmp_path):
    args = arguments(toy(events=True), tmp_path, "--network", "sdt")
    official = "dim layer num_heads mlp_ratio time_steps pooling_stat dvs_mode spike_mode in_channels num_classes"
    assert set((official + " img_size TET TET_means TET_lamb crop_pct mean std").split()) <= set(vars(args))


def test_a_resumed_run_ends_where_a_whole_one_does(tmp_path, monkeypatch):
    data, words = toy(events=True), ("--network", "spikformer_v2", "--dim", "16", "--layer", "1")
    train(arguments(data, tmp_path / "whole", *words), data)
    save = loop.save_checkpoint

    def save_once(*args):
        if args[4] == 1:
            raise KeyboardInterrupt
        save(*args)

    monkeypatch.setattr(loop, "save_checkpoint", save_once)
    with pytest.raises(KeyboardInterrupt):
        train(arguments(data, tmp_path / "cut", *words), data)
    monkeypatch.undo()
    last = tmp_path / "cut/spikformer_v2_nmnist/last.pth.tar"
    assert load_checkpoint(last)["epoch"] == 0
    train(arguments(data, tmp_path / "cut", *words, "--resume", str(last)), data)
    whole, cut = (load_checkpoint(tmp_path / run / "spikformer_v2_nmnist.pth.tar") for run in ("whole", "cut"))
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, cut["state_dict"][name]), name


def test_TET_asks_every_step(tmp_path):
    data = toy(events=True, n=4)
    card = train(arguments(data, tmp_path, "--network", "sdt", "--dim", "16", "--TET", "--TET-lamb", "0.1"), data)
    assert card["training"]["TET"]
    assert not build(Namespace(**vars(arguments(data, tmp_path, "--network", "sdt")))).TET


def test_spikes_can_be_priced(tmp_path):
    data, words = toy(events=True), ("--network", "spikformer_v2", "--dim", "16", "--layer", "1", "--epochs", "6")
    free = train(arguments(data, tmp_path / "free", *words), data)
    dear = train(arguments(data, tmp_path / "dear", *words, "--rate-penalty", "50"), data)
    assert dear["pytorch"]["mean_rate"] < free["pytorch"]["mean_rate"]


def test_transfer_takes_all_but_the_head(tmp_path):
    data = toy(events=True, n=4)
    args = arguments(data, tmp_path, "--network", "sdt", "--dim", "16", "--layer", "1", "--epochs", "1")
    train(args, data)
    model = build(args)
    assert load_encoder(model, tmp_path / "sdt_nmnist.pth.tar") == ["head.bias", "head.weight"]


def test_wilson_interval():
    assert wilson(95, 100) == pytest.approx((0.8882, 0.9785), abs=1e-4)


# --- masked image modelling -------------------------------------------------------------------------------------


def test_pretraining_layout_is_the_reference_one(shared):
    state = torch.load(shared / "fixtures/v2_mim_pretrain_layout.pth", weights_only=False)["model"]
    model = MaskedAutoencoder(dim=48, num_heads=4, layer=2, img_size=64, decoder_dim=32, decoder_layer=2)
    model.load_state_dict(state, strict=True)


@pytest.mark.parametrize("shortcut", ["ms", "sew"])
def test_hidden_patches_do_not_reach_the_encoder(shortcut):
    torch.manual_seed(0)
    sizes = {"in_channels": 1, "dim": 16, "num_heads": 2, "layer": 1, "img_size": 64, "shortcut": shortcut}
    model = MaskedAutoencoder(**sizes, decoder_dim=8, decoder_layer=1).train()
    visible = draw_visible(3, 4, 0.5, torch.Generator().manual_seed(0))
    x = torch.rand(3, 1, 64, 64) * 4
    hidden = ~visible.view(3, 4, 4).repeat_interleave(16, 1).repeat_interleave(16, 2)[:, None]
    assert visible.sum(1).tolist() == [8] * 3
    torch.testing.assert_close(model.encode(x, visible), model.encode(x + 5 * hidden, visible))


def test_a_fully_visible_map_is_the_plain_encoder():
    torch.manual_seed(0)
    sizes = {"in_channels": 1, "dim": 16, "num_heads": 2, "layer": 1}
    masked = MaskedAutoencoder(**sizes, img_size=32, decoder_dim=8, decoder_layer=1).eval()
    plain = NETWORKS["spikformer_v2"][0](**sizes).eval()
    plain.load_state_dict(masked.state_dict(), strict=False)
    x = torch.rand(2, 1, 32, 32) * 4
    ours = masked.encode(x, torch.ones(2, 4, dtype=bool)).mean(1)
    torch.testing.assert_close(ours, masked.norm(plain.features(x).mean(0)))


def test_patches_keep_rows_and_columns():
    x = torch.zeros(1, 1, 32, 48)
    x[0, 0, 17, 33] = 1.0  # patch (1, 2), pixel (1, 1)
    assert int(patches(x)[0].max(1).values.argmax()) == 5
    assert int(patches(x)[0, 5].argmax()) == 17


def test_pretrain_then_finetune(tmp_path):
    data = enlarged(toy(events=False, n=4))
    args = arguments(data, tmp_path, "--network", "spikformer_v2", "--dim", "16", "--layer", "1", "--epochs", "1")
    args.img_size = 64
    assert len(pretrain(data, args, tmp_path / "pre.pth")) == 1
    kept = load_checkpoint(tmp_path / "pre.pth")["args"]
    MaskedAutoencoder(**encoder_sizes(kept), **DECODER)
    assert load_encoder(build(args), tmp_path / "pre.pth") == ["head.bias", "head.weight"]


# --- ablations --------------------------------------------------------------------------------------------------


def ablated(arm):
    data = toy(events="nmnist" in arm["options"])
    return build(complete(parser().parse_args([*arm["options"].split(), "--root", "x"]), data))


def test_attentions_compare_at_equal_size():
    sizes = {name: sum(p.numel() for p in ablated(arm).parameters()) for name, arm in STUDIES["attention"].items()}
    assert sizes["sdsa"] == sizes["ssa"]
    assert abs(sizes["dssa"] / sizes["sdsa"] - 1) < 0.01


def test_every_arm_builds_and_fires():
    for arms in STUDIES.values():
        for arm in arms.values():
            model = ablated(arm)
            channels = next(p for p in model.parameters() if p.ndim == 4).shape[1]
            with watch_rates(model) as rates, torch.no_grad():
                model.steps(torch.rand(2, 2, channels, 32, 32) * 3)
            assert max(rates.values()) > 0


def test_summary_names_mean_and_spread():
    rows = [{"accuracy": a, "n": 100, "wilson_95": [0, 1], "mean_rate": 0.1} for a in (0.9, 0.8)]
    cards = [{"parameters": 1, "training_seconds": 1, "pytorch": row} for row in rows]
    assert summary(cards)["mean"] == pytest.approx(0.85)
    assert summary(cards)["sd_over_seeds"] == pytest.approx(0.0707, abs=1e-4)


def audit_of(acs):
    return {
        "counts": {"acs": acs, "macs": 0},
        "energy": {"pair_4.6_0.9": {"compute": acs / 1e6}, "step_simple": {"compute": acs / 1e6, "weights": 1.0}},
        "n": 100,
        "differing": 0,
    }


def test_a_difference_is_paired_by_seed_and_has_an_interval():
    assert interval([71, 79, 78]) == "76.0 (65.2 to 86.8)"
    membrane = {"accuracy": [0.71, 0.79, 0.78], "parameters": 1000, "mean_rate": 0.05}
    sew = {"accuracy": [0.67, 0.7, 0.59], "parameters": 1000, "mean_rate": 0.06}
    audits = [[audit_of(1000 + i) for i in range(3)], [audit_of(2000 + i) for i in range(3)]]
    row = difference_row(("membrane", membrane, audits[0]), ("sew", sew, audits[1]))
    assert row.startswith("| membrane less sew | 10.7 (-8.3 to 29.6) | -1,000 (-1,000 to -1,000) | 0 (0 to 0) |")
    assert arm_row("sew", sew, audits[1]).startswith("| sew | 1,000 | 6.0 | 65.3 (51.2 to 79.5) | 2,001 (1,999 to")
    assert arm_row("sew", sew, audits[1]).endswith("| 1.00 (1.00 to 1.00) |")


def test_the_reference_file_holds_what_the_network_said(tmp_path, monkeypatch):
    data = toy(events=True, n=4)
    card = train(arguments(data, tmp_path, "--network", "spikingresformer", "--epochs", "1"), data)
    monkeypatch.setattr(reference, "read_dataset", lambda *a: data)
    reference.main([str(tmp_path / "spikingresformer_nmnist.pth.tar"), "--root", "nowhere", "--n-spikes", "2"])
    archive = np.load(tmp_path / "spikingresformer_nmnist.reference.npz")
    assert (archive["logits_f32"].argmax(1) == archive["labels"]).sum() == card["pytorch"]["correct"]
    shapes = json.loads(str(archive["meta_json"]))["spike_shapes"]
    assert set(shapes) == set(card["pytorch"]["rates"])
    assert shapes["layers.0.0.activation_in"] == [2, 2, 16, 32, 32]
