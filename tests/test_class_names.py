"""Labels by name: whatever the order, with some classes missing, and never by a guess."""

import json
import shutil
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim.checkpoints import read_weights, write_weights
from evsim.checkpoints.class_names import find_class
from evsim.errors import RecordingError
from evsim.evaluation.dataset import Dataset, Item, align_classes
from evsim.loading.zoo import find_weights, zoo_folder
from evsim.recordings import read_recording
from evsim.recordings.write_bundle import write_bundle_hdf5
from tests.evaluations import found

WORDS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
DIGITS = tuple(str(digit) for digit in range(10))


def dataset(names, **options):
    items = tuple(Item(f"{name}/0", "nowhere", label) for label, name in enumerate(names))
    return Dataset("folder", items, tuple(names), has_own_order=False, **options)


def labels(found):
    return {item.id.removesuffix("/0"): item.label for item in found.items}


@given(st.permutations(WORDS), st.permutations(WORDS), st.integers(1, 10))
def test_any_subset_in_any_order_gets_the_networks_numbers(ours, theirs, n):
    found = align_classes(dataset(ours[:n]), theirs)
    assert labels(found) == {name: theirs.index(name) for name in ours[:n]}


def test_names_are_compared_as_people_write_them():
    theirs = ["hand clapping", "arm roll", "7", "3"]
    found = align_classes(dataset(["Hand_Clapping", "arm-roll", "07", "3 - three"]), theirs)
    assert list(labels(found).values()) == [0, 1, 2, 3]


@pytest.mark.parametrize("names", [("cat", "wolf"), ("wolf",), ("cat", "Cat"), ("cat", "")])
def test_a_class_the_network_does_not_name_is_refused_with_both_lists(names):
    with pytest.raises(RecordingError) as refusal:
        align_classes(dataset(names), WORDS)
    for word in (*names, "airplane", "truck", "--class-order"):
        assert word in str(refusal.value)
    assert str(refusal.value).isprintable()


def test_positions_count_only_when_told():
    found = align_classes(dataset(("cat", "wolf"), by_position=True), WORDS)
    assert labels(found) == {"cat": 0, "wolf": 1}
    assert "by position, as told: cat is output 0 (airplane), wolf is output 1 (automobile)" in found.notes[-1]


@pytest.mark.parametrize("names", [None, [], ()])
def test_a_network_without_names_asks(names):
    with pytest.raises(RecordingError, match="have no names"):
        align_classes(dataset(("cat", "dog")), names)
    with pytest.raises(RecordingError, match="have no names"):  # '0', '1', '10', '2': by value or by name?
        align_classes(dataset(sorted(map(str, range(11)))), names)
    assert labels(align_classes(dataset(DIGITS), names)) == {digit: int(digit) for digit in DIGITS}
    published = replace(dataset(("cat", "dog")), has_own_order=True)
    assert align_classes(published, names) is published


def test_numbers_in_the_recordings_mean_classes_of_that_name():
    stored = Dataset("hdf5", (Item("a", "", 7), Item("b", "", 2)))
    assert [item.label for item in align_classes(stored, list(reversed(DIGITS))).items] == [2, 7]
    assert align_classes(stored, WORDS) is stored
    assert align_classes(stored, None) is stored
    with pytest.raises(RecordingError, match="label 2 of the dataset is none of the network's classes 10, 20, 7"):
        align_classes(stored, ["10", "20", "7"])


@pytest.mark.parametrize(("label", "names", "expected"), [
    (7, None, 7), (7, DIGITS, 7), (7, tuple(reversed(DIGITS)), 2), (7, WORDS, 7), ("cat", WORDS, 3),
    ("wolf", WORDS, None), (None, WORDS, None), ("7", WORDS, None), (11, DIGITS, None),
])  # fmt: skip
def test_the_label_of_a_recording_is_one_of_the_networks_classes(label, names, expected):
    assert find_class(label, names) == expected


@pytest.fixture
def digits(tmp_path):
    """Digits 1 and 7 in folders of their names, and what a Mac adds."""
    for digit in ("1", "7"):
        (tmp_path / "ds" / digit).mkdir(parents=True)
        shutil.copy(zoo_folder() / f"nmnist_digit_{digit}.h5", tmp_path / "ds" / digit / "a.h5")
        (tmp_path / "ds" / digit / "._a.h5").write_bytes(b"\0\5\x16\7" + bytes(100))
    for leftover in ("__MACOSX", ".hidden", "._7"):
        (tmp_path / "ds" / leftover / "7").mkdir(parents=True)
        (tmp_path / "ds" / leftover / "7" / "._a.h5").write_bytes(b"")
    return tmp_path


def report(evsim, *words):
    code, out, err = evsim("evaluate", *words, "--json", "-")
    assert code == 0, err
    return json.loads(out)


def test_a_folder_that_lacks_classes_is_scored_as_a_whole_one(evsim, digits):
    told = report(evsim, "-d", digits / "ds")
    assert [(one["id"], one["label"], one["top"][0]) for one in told["outcomes"]] == [
        ("1/a.h5", 1, 1),
        ("7/a.h5", 7, 7),
    ]
    assert told["top1"]["hits"] == 2
    assert any("2 of them; labels were matched by class name" in note for note in told["notes"])


def test_a_network_that_numbers_its_classes_otherwise(evsim, digits):
    weights = read_weights(find_weights("sdt-nmnist"))
    names = ["zero", "7", "two", "three", "four", "five", "six", "1", "eight", "nine"]
    write_weights(digits / "w.npz", replace(weights, header=weights.header | {"class_names": names}))
    told = report(evsim, "-d", digits / "ds", "-w", digits / "w.npz")
    assert [(one["label"], one["top"][0]) for one in told["outcomes"]] == [(7, 1), (1, 7)]
    code, _, err = evsim("evaluate", "-d", digits / "ds", "-w", digits / "w.npz", "--class-order", "numeric")
    assert code == 0, err


def test_other_classes_are_refused_by_the_command_in_one_line(evsim, digits):
    (digits / "ds" / "7").rename(digits / "ds" / "seven")
    code, out, err = evsim("evaluate", "-d", digits / "ds")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "'seven'" in err
    assert "--class-order" in err


def test_n_mnist_unpacked_on_a_mac(tmp_path):
    for digit, name in (("1", "00041"), ("7", "00001")):
        (tmp_path / "Test" / digit).mkdir(parents=True)
        (tmp_path / "Test" / digit / f"{name}.bin").write_bytes(bytes(5))
        (tmp_path / "Test" / digit / f"._{name}.bin").write_bytes(bytes(5))
    assert [item.id for item in found("nmnist", tmp_path).items] == ["7/00001", "1/00041"]


def test_a_bundle_may_name_its_classes(tmp_path, evsim):
    recordings = [(key, read_recording(zoo_folder() / f"nmnist_digit_{key}.h5")) for key in ("1", "7")]
    numbered = [(key, replace(one, label=label)) for label, (key, one) in enumerate(recordings)]
    write_bundle_hdf5(tmp_path / "b.h5", numbered, class_names=["1", "7"])
    told = report(evsim, "-d", tmp_path / "b.h5")
    assert [(one["label"], one["top"][0]) for one in told["outcomes"]] == [(1, 1), (7, 7)]
