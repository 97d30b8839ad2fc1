"""Datasets, the accuracy of the bundled network, workers, broken recordings, and the command."""

import csv
import gzip
import json
import shutil
import tracemalloc
import zipfile
from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import binomtest

from evsim.checkpoints import read_weights, write_weights
from evsim.checkpoints.class_names import class_names
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.engine.twin import twin
from evsim.errors import EvsimError, RecordingError
from evsim.evaluation import Plan, Threads, wilson_interval
from evsim.evaluation.dataset import Dataset, Item, align_classes, choose_items
from evsim.evaluation.evaluate import Choice, Evaluation, evaluate
from evsim.loading.importing import import_checkpoint, load_network
from evsim.loading.zoo import find_weights, zoo_folder
from evsim.recordings import read_recording
from evsim.recordings.options import ReadOptions
from evsim.recordings.write_bundle import write_bundle_hdf5
from evsim.runs.preparation import Preparation
from evsim.runs.run import run
from tests.command import call
from tests.evaluations import DIGITS, digits_evaluation, found, without_time
from tests.test_sdt_fixtures import BARE


@pytest.fixture(scope="module")
def report():
    """The bundled network on the hundred bundled recordings, one worker."""
    return digits_evaluation().run(Threads(1))


@pytest.fixture
def evsim(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *args: call(monkeypatch, capsys, *args)


# --- the numbers ----------------------------------------------------------------------------------------------------


@given(st.integers(1, 60_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_equals_scipy(case):
    hits, n = case
    expected = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    np.testing.assert_allclose(wilson_interval(hits, n), (expected.low, expected.high), rtol=1e-9, atol=1e-12)


def test_wilson_interval_of_nothing_is_everything():
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_the_bundled_network_is_as_accurate_as_its_card_says(report):
    assert (report.top1.hits, report.top1.n, report.n_broken) == (95, 100, 0)
    assert report.top1.low < 0.95 < report.top1.high
    assert report.top5.hits == 100


def test_predictions_equal_the_official_code(report, shared):
    reference = np.load(shared / "fixtures" / "trained" / "sdt_nmnist_T4.npz")
    expected = dict(zip(reference["recording_ids"].tolist(), reference["predictions"].tolist(), strict=True))
    assert {int(outcome.id): outcome.prediction for outcome in report.outcomes} == expected


def test_tables_are_sums_of_the_outcomes(report):
    confusion = np.array(report.confusion)
    assert confusion.sum() == 100
    assert np.trace(confusion) == 95
    labels = np.bincount([outcome.label for outcome in report.outcomes], minlength=10)
    assert confusion.sum(axis=1).tolist() == labels.tolist() == [row.recall.n for row in report.classes]
    assert confusion.sum(axis=0).tolist() == [row.precision.n for row in report.classes]
    acs = [outcome.counts["acs"] for outcome in report.outcomes]
    assert report.mean_counts["acs"] == sum(acs) / 100


def test_an_outcome_counts_what_a_run_counts(report):
    single, _ = run(find_weights("sdt-nmnist"), DIGITS, Preparation(index="00003"))
    outcome = next(outcome for outcome in report.outcomes if outcome.id == "00003")
    assert outcome.counts == single.totals.as_dict()
    assert outcome.top == tuple(np.argsort(-np.array(single.logits))[:5])


# --- workers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_workers", [2, 5])
def test_the_number_of_workers_changes_nothing(report, n_workers):
    assert without_time(digits_evaluation().run(Threads(n_workers))) == without_time(report)


def test_the_order_of_the_queue_changes_no_prediction(report):
    dataset = found(DIGITS)
    staged = evaluate(Plan("sdt-nmnist", dataset.kind, order="stage"), dataset, Threads(2), Choice(limit=10))
    assert [outcome.top for outcome in staged.outcomes] == [outcome.top for outcome in report.outcomes[:10]]


def test_a_twin_shares_the_weights_and_nothing_else():
    network, _ = load_network(find_weights("sdt-nmnist"))
    other = twin(network)
    weights, arrays = 0, 0
    for handler, copied in zip(network.handlers, other.handlers, strict=True):
        constants = getattr(handler, "constants", ())
        for name, array in vars(handler).items():
            if isinstance(array, np.ndarray) and array.size:
                assert np.shares_memory(array, getattr(copied, name)) == (name in constants), (handler.name, name)
                weights += array.nbytes * (name in constants)
                arrays += 1
            elif name == "blocks":
                assert array is copied.blocks
                weights += array.values.nbytes
    assert weights > 0.9 * 4 * 160_000
    assert arrays > len(network.handlers)


def test_a_twin_costs_less_than_the_weights_of_a_large_network():
    network, _ = load_network(find_weights("sdt-nmnist"))
    tracemalloc.start()
    try:
        copies = [twin(network) for _ in range(4)]
        per_twin = tracemalloc.get_traced_memory()[0] / len(copies)
    finally:
        tracemalloc.stop()
    state = sum(population.n_neurons for population in network.populations()) * 8  # membranes and spike addresses
    assert per_twin < 2 * state


def test_interleaved_twins_do_not_disturb_each_other():
    network, _ = load_network(find_weights("sdt-nmnist"))
    rng = np.random.default_rng(5)
    size = int(np.prod(network.input_shape))
    inputs = [[Spikes.from_dense(rng.poisson(0.1, size)) for _ in range(4)] for _ in range(2)]
    expected = [simulate(network, spikes).logits for spikes in inputs]
    twins = [twin(network), twin(network)]
    again = [simulate(twins[turn % 2], inputs[turn % 2]).logits for turn in range(6)]
    for turn, logits in enumerate(again):
        np.testing.assert_array_equal(logits, expected[turn % 2])


# --- datasets -------------------------------------------------------------------------------------------------------


def test_archive_folder_and_bundle_of_nmnist_agree(report, shared, tmp_path):
    archive = shared / "data" / "nmnist_1000_100.zip"
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path, [name for name in file.namelist() if "/Test/" in name])
    for dataset in (
        found("nmnist", archive),
        found(archive),
        found("nmnist", tmp_path),
        found("nmnist", tmp_path / "NMNIST"),
    ):
        same = evaluate(Plan("sdt-nmnist", dataset.kind), dataset, Threads(2))
        assert [outcome.top for outcome in same.outcomes] == [outcome.top for outcome in report.outcomes]
        assert [outcome.counts for outcome in same.outcomes] == [outcome.counts for outcome in report.outcomes]
    train = found("nmnist", archive, split="train")
    assert len(train.items) == 1000
    by_class = found(tmp_path / "NMNIST" / "Test")
    assert by_class.kind == "folder"
    assert evaluate(Plan("sdt-nmnist", "folder"), by_class, Threads(2)).top1.hits == 95


def test_a_folder_for_each_class_of_any_format(tmp_path):
    for digit in (1, 7):
        (tmp_path / "test" / str(digit)).mkdir(parents=True)
        shutil.copy(zoo_folder() / f"nmnist_digit_{digit}.h5", tmp_path / "test" / str(digit) / "a.h5")
    (tmp_path / "test" / "7" / "notes.md").write_text("not a recording")
    dataset = found(tmp_path)
    assert [item.id for item in dataset.items] == ["1/a.h5", "7/a.h5"]
    assert dataset.class_names == ("1", "7")
    assert any("'test'" in note for note in dataset.notes)


def test_gesture_classes_are_numbered_as_the_official_code_does(tmp_path):
    folder = tmp_path / "ibmGestureTest" / "user24_led"
    folder.mkdir(parents=True)
    for gesture in range(11):
        np.save(folder / f"{gesture}.npy", np.zeros((1, 4)))
        (tmp_path / "jelly" / "events_np" / "test" / str(gesture)).mkdir(parents=True)
        (tmp_path / "jelly" / "events_np" / "test" / str(gesture) / "user24_led_0.npz").touch()
    for root in (tmp_path, tmp_path / "jelly"):
        dataset = found("dvsgesture", root)
        labels = {item.path.split("/")[-1 if root == tmp_path else -2].removesuffix(".npy"): item.label
                  for item in dataset.items}  # fmt: skip
        assert labels == {"0": 0, "1": 1, "10": 2, "2": 3, "3": 4, "4": 5, "5": 6, "6": 7, "7": 8, "8": 9, "9": 10}
        assert list(dataset.class_names) == class_names("dvsgesture", 11)
        assert any("output 2 is folder 10" in note for note in dataset.notes)
        by_value = found("dvsgesture", root, class_order="numeric")
        assert [item.label for item in by_value.items if "10" in item.id] == [10]
        aligned = align_classes(by_value, dataset.class_names)
        assert {item.id: item.label for item in aligned.items} == {item.id: item.label for item in dataset.items}
        assert "another order" in aligned.notes[-1]


def test_gestures_as_published(tmp_path):
    (tmp_path / "trials_to_test.txt").write_text("user24_led.aedat\n\n")
    (tmp_path / "user24_led_labels.csv").write_text("class,startTime_usec,endTime_usec\n11,5,9\n2,10,20\n")
    dataset = found("dvsgesture", tmp_path)
    assert [(item.id, item.label, item.index) for item in dataset.items] == [
        ("user24_led/0", 2, 0),
        ("user24_led/1", 1, 1),
    ]
    (tmp_path / "user24_led_labels.csv").unlink()
    with pytest.raises(RecordingError, match="no label file"):
        found("dvsgesture", tmp_path)


def test_hdf5_files_of_other_projects(tmp_path):
    with h5py.File(tmp_path / "shd.h5", "w") as file:
        kind = h5py.vlen_dtype(np.float16)
        file.create_dataset("spikes/times", (2,), kind)[:] = [np.zeros(3, np.float16), np.zeros(1, np.float16)]
        kind = h5py.vlen_dtype(np.uint16)
        file.create_dataset("spikes/units", (2,), kind)[:] = [np.zeros(3, np.uint16), np.zeros(1, np.uint16)]
        file["labels"] = np.array([4, 2])
    with h5py.File(tmp_path / "torchneuromorphic.h5", "w") as file:
        for key, label in (("0", 3), ("10", 1), ("2", 0)):
            file[f"data/{key}/times"], file[f"data/{key}/addrs"] = np.arange(2), np.zeros((2, 3), np.int16)
            file[f"data/{key}/labels"] = np.array([label])
    assert [(item.index, item.label) for item in found(tmp_path / "shd.h5").items] == [("0", 4), ("1", 2)]
    items = found(tmp_path / "torchneuromorphic.h5").items
    assert [(item.id, item.label) for item in items] == [("0", 3), ("2", 0), ("10", 1)]
    for item in (*items, *found(tmp_path / "shd.h5").items):
        assert read_recording(item.path, index=item.index).label == item.label


def test_images_of_any_size_are_cropped_as_the_official_code_does(tmp_path, data):
    """A tiny network for 32x32 colour images, trained for nothing, before PNG files of 50x40."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(("n01", "n02")):
        (tmp_path / "val" / name).mkdir(parents=True)
        pixels = rng.integers(0, 256, (50, 40, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "val" / name / f"{label}.png")
    weights, _ = import_checkpoint(str(data / "sdt_mlp1.legacy_zip_false.pth"), BARE)
    write_weights(tmp_path / "w.npz", weights)
    dataset = found(tmp_path, class_order="lexicographic")  # these weights do not name their classes
    plan = Plan(str(tmp_path / "w.npz"), "folder", normalise="imagenet", crop_pct=0.95)
    result = evaluate(plan, dataset, Threads(2))
    assert (result.n_broken, result.top1.n) == (0, 2)
    assert any("crop_pct 0.95" in note for note in result.notes)
    with pytest.raises(EvsimError, match="none of the 2 recordings could be read"):
        evaluate(replace(plan, crop_pct=None), dataset)


def test_cifar10dvs_tests_on_the_last_tenth_of_each_class(tmp_path):
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    for name in names:
        (tmp_path / "events_np" / name).mkdir(parents=True)
        for number in range(11):
            (tmp_path / "events_np" / name / f"cifar10_{name}_{number}.npz").touch()
    test, train = found("cifar10dvs", tmp_path), found("cifar10dvs", tmp_path, split="train")
    assert [item.id for item in test.items] == [f"{name}/cifar10_{name}_9.npz" for name in names]
    assert len(train.items) == 100
    assert test.class_names == names
    assert [item.label for item in test.items] == list(range(10))


def test_images_of_npz_idx_and_cifar_batches(tmp_path):
    rng = np.random.default_rng(0)
    digits, labels = rng.integers(0, 256, (4, 28, 28), np.uint8), np.array([3, 1, 4, 1], np.uint8)
    np.savez(tmp_path / "mnist.npz", test_x=digits, test_y=labels, train_x=digits[:1], train_y=labels[:1])
    idx = tmp_path / "idx"
    idx.mkdir()
    with gzip.open(idx / "t10k-images-idx3-ubyte.gz", "wb") as file:
        file.write(b"\0\0\x08\x03" + np.array([4, 28, 28], ">u4").tobytes() + digits.tobytes())
    with gzip.open(idx / "t10k-labels-idx1-ubyte.gz", "wb") as file:
        file.write(b"\0\0\x08\x01" + np.array([4], ">u4").tobytes() + labels.tobytes())
    cifar = rng.integers(0, 256, (2, 3, 32, 32), np.uint8)
    (tmp_path / "test_batch.bin").write_bytes(b"".join(bytes([5 + i]) + cifar[i].tobytes() for i in range(2)))
    for kind, root, images, expected in (
        ("mnist", tmp_path / "mnist.npz", digits[:, None], labels),
        ("mnist", idx, digits[:, None], labels),
        ("cifar10", tmp_path / "test_batch.bin", cifar, [5, 6]),
    ):
        from evsim.evaluation.dataset import kind_module

        dataset = found(kind, root)
        assert [item.label for item in dataset.items] == list(expected)
        recordings = [kind_module(kind).read(item, ReadOptions(normalise="none")) for item in dataset.items]
        np.testing.assert_allclose(np.stack([r.image for r in recordings]), images / np.float32(255), rtol=1e-6)
    assert len(found("mnist", tmp_path / "mnist.npz", split="train").items) == 1


def test_mnist_of_the_shared_data_is_listed(shared):
    dataset = found("mnist", shared / "data" / "mnist_full.npz")
    assert len(dataset.items) == 10_000
    assert dataset.items[0].label == 7


def test_imagenet_needs_a_thousand_classes(tmp_path):
    (tmp_path / "val" / "n01440764").mkdir(parents=True)
    with pytest.raises(RecordingError, match="expected 1000 folders named after synsets; found 1"):
        found("imagenet", tmp_path)


def test_shuffle_and_limit_depend_on_the_seed_alone():
    items = [Item(str(number), "", 0) for number in range(50)]
    assert choose_items(items, 7, None) == tuple(items[:7])
    assert choose_items(items, None, 3) == choose_items(items, None, 3)
    assert choose_items(items, 10, 3) == choose_items(items, None, 3)[:10]
    assert choose_items(items, 10, 3) != choose_items(items, 10, 4)


def test_a_bundle_keeps_every_event(tmp_path, shared):
    with zipfile.ZipFile(shared / "data" / "nmnist_1000_100.zip") as file:
        names = {name.split("/")[-1]: name for name in file.namelist() if "/Test/" in name}
        file.extract(names["00042.bin"], tmp_path)
    original = read_recording(tmp_path / names["00042.bin"])
    bundled = read_recording(DIGITS, index="00042")
    for column in "txyp":
        np.testing.assert_array_equal(getattr(bundled, column), getattr(original, column))
    assert bundled.label == int(names["00042.bin"].split("/")[-2])
    shifted = replace(original, t=original.t + 10**15)
    write_bundle_hdf5(tmp_path / "late.h5", [("a", shifted)], source="test")
    np.testing.assert_array_equal(read_recording(tmp_path / "late.h5").t, shifted.t)


@pytest.mark.parametrize(
    ("name", "root", "message"),
    [
        ("nmnist", None, "say where it is with --root"),
        ("nowhere", None, "neither a path nor one of"),
        ("nmnist", "absent", "no such file or folder"),
        ("nmnist", ".", "no folder Test or NMNIST/Test"),
        ("dvsgesture", "absent", "no such file"),
        ("mnist", ".", "no .npz with images and labels"),
        ("imagenet", "a.txt", "cannot be listed"),
        ("cifar10dvs", "a.txt", "no folder events_np"),
        ("nmnist", "a.txt", "not a readable zip archive"),
        ("hdf5", "a.txt", "HDF5"),
        ("a.txt", None, "neither a folder of classes nor"),
        ("folder", "empty", "holds no labelled recording"),
    ],
)
def test_datasets_that_are_not_there_are_refused_in_one_line(tmp_path, monkeypatch, name, root, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordingError, match=message) as refusal:
        found(name, root)
    assert "\n" not in str(refusal.value)


def test_tonic_downloads_only_when_asked(tmp_path, monkeypatch):
    import tonic.datasets

    asked = []

    def fake(save_to, train):
        asked.append((save_to, train))
        folder = tmp_path / "NMNIST" / "Test" / "7"
        folder.mkdir(parents=True)
        (folder / "00001.bin").touch()

    monkeypatch.setattr(tonic.datasets, "NMNIST", fake)
    with pytest.raises(RecordingError):
        found("nmnist", tmp_path)
    assert asked == []
    assert [item.id for item in found("nmnist", tmp_path, download=True).items] == ["7/00001"]
    assert asked == [(str(tmp_path), False)]


def test_a_failed_download_is_one_line(tmp_path, monkeypatch):
    import tonic.datasets

    def fail(**_):
        raise OSError("no route\nto host")

    monkeypatch.setattr(tonic.datasets, "DVSGesture", fail)
    with pytest.raises(RecordingError, match="tonic could not fetch DVSGesture") as refusal:
        found("dvsgesture", tmp_path, download=True)
    assert "\n" not in str(refusal.value)


# --- what goes wrong ------------------------------------------------------------------------------------------------


def one_broken(tmp_path):
    """Three recordings, the second of them half a file."""
    for name in ("1/a.h5", "1/b.h5", "7/a.h5"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(zoo_folder() / f"nmnist_digit_{name[0]}.h5", tmp_path / name)
    half = (tmp_path / "1/b.h5").read_bytes()[:1000]
    (tmp_path / "1/b.h5").write_bytes(half)
    # Classes 1 and 7 are numbers 0 and 1 here; that the network disagrees is not the point.
    return found(tmp_path)


def test_a_broken_recording_is_counted_and_named(tmp_path):
    dataset = one_broken(tmp_path)
    result = evaluate(Plan("sdt-nmnist", dataset.kind), dataset, Threads(2))
    assert (result.n_recordings, result.n_broken, result.top1.n) == (3, 1, 2)
    assert [broken["id"] for broken in result.broken] == ["1/b.h5"]
    assert "truncated" in result.broken[0]["error"]
    assert sum(map(sum, result.confusion)) == 2


def test_strict_stops_at_a_broken_recording(tmp_path):
    dataset = one_broken(tmp_path)
    with pytest.raises(EvsimError, match=r"1/b\.h5: .*truncated"):
        Evaluation(Plan("sdt-nmnist", dataset.kind), dataset).run(Threads(1), strict=True)


def test_a_dataset_nobody_can_read_is_an_error(tmp_path):
    dataset = one_broken(tmp_path)
    broken = replace(dataset, items=dataset.items[1:2])
    with pytest.raises(EvsimError, match="none of the 1 recordings could be read"):
        evaluate(Plan("sdt-nmnist", dataset.kind), broken)


@pytest.mark.parametrize("label", [10, -1])
def test_a_class_the_network_does_not_have_is_refused(label):
    dataset = Dataset("hdf5", (Item("a", DIGITS, label, "00001"),))
    with pytest.raises(EvsimError, match=f"is of class {label}, but the network tells only 10 classes apart"):
        Evaluation(Plan("sdt-nmnist", "hdf5"), dataset)


def test_labels_follow_the_names_of_the_network(tmp_path):
    weights = read_weights(find_weights("sdt-nmnist"))
    names = [str(digit) for digit in reversed(range(10))]
    write_weights(tmp_path / "w.npz", replace(weights, header=weights.header | {"class_names": names}))
    items = (Item("a", DIGITS, 7, "00001"),)
    dataset = Dataset("hdf5", items, tuple(map(str, range(10))))
    evaluation = Evaluation(Plan(str(tmp_path / "w.npz"), "hdf5"), dataset)
    assert [item.label for item in evaluation.dataset.items] == [2]


# --- the command ----------------------------------------------------------------------------------------------------


def test_evaluate_prints_and_writes(evsim, tmp_path):
    code, out, err = evsim("evaluate", "-d", DIGITS, "--limit", 20, "--shuffle-seed", 3, "--json", "r.json",
                           "--csv", "r.csv", "--workers", 2)  # fmt: skip
    assert (code, err) == (0, "")
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["schema"] == "evsim-evaluation/2"
    assert report["n_recordings"] == 20
    assert report["identity"]["options"]["shuffle_seed"] == 3
    assert f"({report['top1']['hits']} of 20)" in out
    rows = list(csv.DictReader((tmp_path / "r.csv").open()))
    assert len(rows) == 20
    assert sum(int(row["correct"]) for row in rows) == report["top1"]["hits"]
    assert [row["id"] for row in rows] == [outcome["id"] for outcome in report["outcomes"]]
    assert not list(tmp_path.glob("*.jsonl"))


def test_evaluate_to_standard_output_is_json_alone(evsim):
    code, out, _ = evsim("evaluate", "-d", DIGITS, "--limit", 2, "--json", "-")
    assert code == 0
    assert json.loads(out)["n_recordings"] == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-d", "nmnist"], ["--root"]),
        (["-d", DIGITS, "--weights", "nothing.npz"], ["nothing.npz", "no such file"]),
        (["-d", DIGITS, "--scheduler", "tcp://127.0.0.1:1", "--workers", "2"], ["--workers", "--scheduler"]),
        (["-d", DIGITS, "--order", "random"], ["--order random"]),
        (["-d", DIGITS, "--split", "half"], ["split 'half'"]),
        (["-d", DIGITS, "--journal", "absent/j.jsonl"], ["absent/j.jsonl", "cannot be written"]),
        (["-d", DIGITS, "--limit", "2", "--fit", "downsample=2"], ["none of the 2 recordings", "17x17"]),
        (["-d", DIGITS, "--limit", "2", "--csv", "absent/r.csv"], ["absent/r.csv", "cannot be written"]),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(evsim, options, words):
    code, out, err = evsim("evaluate", *options)
    assert (code, out) == (2, "")
    *broken, last = err.strip().splitlines()
    assert all(line.startswith("broken: ") for line in broken)
    assert last.startswith("evsim: ")
    assert all(word in last for word in words), err
