"""Make the recordings of networks/zoo from the public datasets.

    python tools/make_zoo_recordings.py NMNIST_ZIP DVS_GESTURE_FOLDER MNIST_NPZ

NMNIST_ZIP holds `NMNIST/Test/<digit>/<id>.bin`; the folder holds SpikingJelly's .npz clips (t, x, y, p); MNIST_NPZ has
`test_x` and `test_y`.
"""

from __future__ import annotations

import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from evsim.recordings import read_recording, write_events_hdf5
from evsim.recordings.check import check
from evsim.recordings.decoding import read_stream
from evsim.recordings.options import ReadOptions
from evsim.recordings.readers.nmnist import Decoder

ZOO = Path(__file__).parents[1] / "networks" / "zoo"
NMNIST = "N-MNIST test set, recording {}. Orchard, Jayawant, Cohen and Thakor (2015), Frontiers in Neuroscience 9:437"
MNIST = "MNIST test set, images {} counted from 0. LeCun, Cortes and Burges"
GESTURE = "DVS128 Gesture, {}, class not recorded. Amir et al. (2017), CVPR"


def write_digits(archive_path: Path) -> None:
    """The first test recording of each class."""
    with zipfile.ZipFile(archive_path) as archive:
        names = sorted((name for name in archive.namelist() if "/Test/" in name and name.endswith(".bin")), key=_id)
        for digit in range(10):
            name = next(name for name in names if name.split("/")[-2] == str(digit))
            raw = read_stream(name, archive.open(name), Decoder(name, ReadOptions()))
            raw = replace(raw, sensor=(34, 34), label=digit)
            recording = check(name, raw, ReadOptions())
            source = NMNIST.format(Path(name).name)
            write_events_hdf5(ZOO / f"nmnist_digit_{digit}.h5", recording, source, "CC BY-SA 4.0")


def write_gesture(folder: Path) -> None:
    """The clip with the fewest events."""
    clips = [read_recording(path, sensor=(128, 128)) for path in sorted(folder.glob("clip_*.npz"))]
    fewest = min(range(len(clips)), key=lambda number: clips[number].t.size)
    number = f"{fewest + 1:02d}"
    write_events_hdf5(ZOO / f"gesture_clip_{number}.h5", clips[fewest], GESTURE.format(f"clip {number}"), "CC BY 4.0")


def write_images(archive_path: Path) -> None:
    """The first MNIST test image of each class, uint8 28x28, in order of the digits."""
    with np.load(archive_path) as archive:
        images, labels = archive["test_x"], archive["test_y"]
    first = [int(np.argmax(labels == digit)) for digit in range(10)]
    source = np.array(MNIST.format(", ".join(map(str, first))))
    np.savez_compressed(ZOO / "mnist_digits.npz", x=images[first], y=labels[first], source=source)


def _id(name: str) -> str:
    return name.split("/")[-1]


if __name__ == "__main__":
    write_digits(Path(sys.argv[1]))
    write_gesture(Path(sys.argv[2]))
    write_images(Path(sys.argv[3]))
