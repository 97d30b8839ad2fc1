"""Hidden entries, `._name` companions and `__MACOSX` are no recordings and no classes, in any kind of dataset."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from evsim.auditing.inputs import expand
from evsim.errors import RecordingError
from evsim.evaluation.dataset import FindOptions, find_dataset
from evsim.evaluation.datasets.cifar10dvs import CLASSES
from evsim.recordings import read_recording
from evsim.recordings.entries import is_hidden

DATA = Path(__file__).parent / "data"
COMPANION = bytes.fromhex("00051607000200004d6163204f53205820202020") + bytes(100)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("a/b.bin", False),
        ("a/._b.bin", True),
        (".DS_Store", True),
        ("__MACOSX/a/b.bin", True),
        ("a/.git/b", True),
        ("Thumbs.db", True),
        ("a.b/c", False),
        ("_a/b", False),
    ],
)
def test_names(place, expected):
    assert is_hidden(place) is expected


def litter(folder):
    """What a Mac leaves in every folder, and the folder its archives bring."""
    for inside in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        (inside / ".DS_Store").write_bytes(bytes(68))
        for path in [path for path in inside.iterdir() if path.is_file() and not path.name.startswith(".")]:
            (inside / f"._{path.name}").write_bytes(COMPANION)
            (folder / "__MACOSX" / inside.name).mkdir(parents=True, exist_ok=True)
            (folder / "__MACOSX" / inside.name / f"._{path.name}").write_bytes(COMPANION)


def nmnist(root):
    for digit in "17":
        (root / "Test" / digit).mkdir(parents=True)
        shutil.copy(
            DATA / f"nmnist_{digit}_00001.bin" if digit == "7" else DATA / "nmnist_1_00041.bin", root / "Test" / digit
        )
    return root


def test_nmnist_in_folder_and_archive(tmp_path):
    root = nmnist(tmp_path / "set")
    litter(root / "Test")
    assert sorted(item.label for item in find_dataset("nmnist", str(root)).items) == [1, 7]
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in sorted(root.rglob("*")):
            archive.write(path, path.relative_to(root))
            if path.is_file() and not path.name.startswith("."):
                archive.writestr(f"__MACOSX/{path.relative_to(root).parent}/._{path.name}", COMPANION)
    assert sorted(item.label for item in find_dataset(str(tmp_path / "set.zip")).items) == [1, 7]


def test_class_folders(tmp_path):
    for name in ("airplane", "truck"):
        (tmp_path / name).mkdir()
        shutil.copy(DATA / "nmnist_7_00001.bin", tmp_path / name / "a.bin")
    litter(tmp_path)
    found = find_dataset(str(tmp_path))
    assert found.class_names == ("airplane", "truck")
    assert [item.id for item in found.items] == ["airplane/a.bin", "truck/a.bin"]


def test_cifar10dvs(tmp_path):
    for name in CLASSES:
        (tmp_path / name).mkdir()
        for number in range(10):
            (tmp_path / name / f"{number}.npz").write_bytes(b"x")
    litter(tmp_path)
    found = find_dataset("cifar10dvs", str(tmp_path))
    assert [item.id for item in found.items] == [f"{name}/9.npz" for name in CLASSES]


def test_dvs_gesture_and_image_files(tmp_path):
    folder = tmp_path / "gesture" / "ibmGestureTest" / "user24"
    folder.mkdir(parents=True)
    np.save(folder / "3.npy", np.zeros((2, 4)))
    litter(tmp_path / "gesture" / "ibmGestureTest")
    assert len(find_dataset("dvsgesture", str(tmp_path / "gesture")).items) == 1
    images = tmp_path / "mnist"
    images.mkdir()
    np.savez(images / "a.npz", test_x=np.zeros((2, 28, 28), np.uint8), test_y=np.arange(2))
    litter(images)
    assert len(find_dataset("mnist", str(images), FindOptions()).items) == 2


def test_a_folder_to_audit(tmp_path):
    shutil.copy(DATA / "nmnist_7_00001.bin", tmp_path / "a.bin")
    litter(tmp_path)
    assert [source.name for source in expand([str(tmp_path)])] == ["a.bin"]


def test_an_archive_of_arrays(tmp_path):
    events = {"t": np.arange(5), "x": np.arange(5), "y": np.arange(5), "p": np.arange(5) % 2}
    np.savez(tmp_path / "a.npz", **events)
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        for name in "txyp":
            archive.writestr(f"__MACOSX/._{name}.npy", COMPANION)
    assert read_recording(tmp_path / "a.npz").t.tolist() == list(range(5))


def test_a_companion_by_its_own_name(tmp_path):
    for name in ("._00001.bin", "a.bin", "a.csv"):
        (tmp_path / name).write_bytes(COMPANION)
        with pytest.raises(RecordingError, match="AppleDouble"):
            read_recording(tmp_path / name)
