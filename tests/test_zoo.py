"""What is bundled: every network builds, runs, is as accurate as its card says, and is small enough to ship."""

import json

import pytest

from evsim.checkpoints.weights import read_weights
from evsim.evaluation import Plan, Threads, find_dataset, wilson_interval
from evsim.evaluation.evaluate import Evaluation
from evsim.evaluation.examiner import Examiner
from evsim.loading.zoo import bundled, default_recording, find_weights, zoo_folder
from evsim.loading.zoo import card_of as card_of_header
from evsim.runs.run import run
from tests.command import call
from tests.contract import JIT

LARGEST_NETWORK = 1_500_000
LARGEST_ZOO = 8_500_000
needs_compiler = pytest.mark.skipif(not JIT, reason="whole networks take too long without the compiler")


def card_of(name):
    return card_of_header(read_weights(find_weights(name)).header)


def text_of(name):
    return (zoo_folder() / f"{name}.md").read_text()


def test_four_families_have_learnt_both_datasets_and_one_has_learnt_the_first():
    families = ("sdt", "spikformer", "spikformer-v2", "spikingresformer")
    both = {f"{family}-{dataset}" for family in families for dataset in ("nmnist", "mnist")}
    assert set(bundled()) == both | {"qkformer-nmnist"}


@pytest.mark.parametrize("name", bundled())
def test_the_card_says_what_the_header_says(name):
    card, text = card_of(name), text_of(name)
    for side in ("evsim", "pytorch"):
        share = card["accuracy"][side]
        assert f"{share['correct']:,} of {share['n']:,}" in text
        assert tuple(share["interval"]) == pytest.approx(wilson_interval(share["correct"], share["n"]))
    for key, count in card["mean_counts"].items():
        if key in ("acs", "macs", "masks", "updates"):
            assert f"{count:,.0f} " in text
    assert f"{card['energy']['nj'] / 1000:.3g} µJ" in text
    assert card["verification"]["unexcused"] == 0
    assert "licence" in text


@pytest.mark.parametrize("name", bundled())
def test_a_network_is_small(name):
    assert (zoo_folder() / f"{name}.npz").stat().st_size < LARGEST_NETWORK


def test_all_that_is_bundled_is_small():
    assert sum(path.stat().st_size for path in zoo_folder().iterdir() if path.is_file()) < LARGEST_ZOO


@needs_compiler
@pytest.mark.parametrize("name", bundled())
def test_a_network_recognises_its_bundled_recording(name):
    path = find_weights(name)
    report, _ = run(path, default_recording(path))
    assert report.prediction == report.true_class


@needs_compiler
def test_an_accuracy_repeats_on_the_bundled_recordings():
    name = "spikformer-v2-nmnist"
    dataset = find_dataset(str(zoo_folder() / "nmnist_test_100.h5"))
    report = Evaluation(Plan(name, dataset.kind), dataset).run(Threads())
    card = card_of(name)
    assert report.top1.hits == card["accuracy"]["evsim"]["correct"]
    assert report.mean_counts["acs"] == pytest.approx(card["mean_counts"]["acs"], rel=1e-9)


@needs_compiler
def test_the_energy_of_a_card_is_that_of_the_audit():
    from evsim.auditing.energy_model import find_model
    from evsim.auditing.layers import audit_run
    from evsim.auditing.panel import compute_pj, energy_panel

    dataset = find_dataset(str(zoo_folder() / "nmnist_test_100.h5"))
    for name in ("sdt-nmnist", "spikingresformer-nmnist"):
        examiner = Examiner.load(Plan(name, dataset.kind))
        run, _ = audit_run(examiner.network, examiner.steps(dataset.items[0]).spikes)
        for model in map(find_model, ("pair_4.6_0.9", "step_simple", "yan2024")):
            found = compute_pj(run.totals.as_dict(), model)
            assert found == pytest.approx(energy_panel(run, model).rows[0].parts["compute"])
        card, pair = card_of(name), find_model("pair_4.6_0.9")
        assert card["energy"]["nj"] == pytest.approx(compute_pj(card["mean_counts"] | {"scalings": 0}, pair) / 1e3)


def test_the_digits_are_one_of_each():
    from evsim.recordings import read_recording

    path = zoo_folder() / "mnist_digits.npz"
    assert [read_recording(path, index=digit, normalise="none").label for digit in range(10)] == list(range(10))


def test_zoo_lists_networks_and_recordings(monkeypatch, capsys):
    code, out, _ = call(monkeypatch, capsys, "zoo")
    assert code == 0
    share = card_of("sdt-nmnist")["accuracy"]["evsim"]
    row = next(line for line in out.splitlines() if line.startswith("sdt-nmnist "))
    assert f"{100 * share['correct'] / share['n']:.2f}" in row
    assert "nmnist_test_100.h5" in out
    assert "\nspikformer_v2 is a reconstruction" in out
    assert "\\n" not in out
    assert "mnist_digits.npz" in out


def test_zoo_as_json(monkeypatch, capsys):
    found = json.loads(call(monkeypatch, capsys, "zoo", "--json")[1])
    assert set(found["networks"]) == set(bundled())
    assert found["networks"]["sdt-nmnist"]["card"] == card_of("sdt-nmnist")
    assert "sdt-nmnist.npz" not in found["recordings"]


def test_an_unknown_name_lists_the_known_ones(monkeypatch, capsys):
    code, _, err = call(monkeypatch, capsys, "run", "-w", "sdt-imagenet")
    assert code == 2
    assert "sdt-nmnist" in err
    assert "mnist_digits" not in err
