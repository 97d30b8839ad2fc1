"""Pack the N-MNIST test recordings of an archive into one labelled file, networks/zoo/nmnist_test_100.h5.

    python tools/make_nmnist_test.py NMNIST_ZIP

NMNIST_ZIP holds `NMNIST/Test/<digit>/<id>.bin`; a recording keeps its id and every event.
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from evsim.recordings.check import check
from evsim.recordings.options import ReadOptions
from evsim.recordings.readers.nmnist import decode
from evsim.recordings.recording import EventRecording
from evsim.recordings.write_bundle import write_bundle_hdf5

TARGET = Path(__file__).parents[1] / "networks" / "zoo" / "nmnist_test_100.h5"
ATTRIBUTES = {
    "title": "N-MNIST, 100 test recordings",
    "source": "Orchard, Jayawant, Cohen and Thakor (2015), Converting static image datasets to spiking neuromorphic "
    "datasets using saccades, Frontiers in Neuroscience 9:437; the first 100 test recordings, unchanged",
    "licence": "CC BY-SA 4.0 (to our knowledge: the copy they were taken from carries no licence file)",
}


def recordings(archive_path: Path) -> Iterator[tuple[str, EventRecording]]:
    """Id and recording of each test file, in order of the ids."""
    with zipfile.ZipFile(archive_path) as archive:
        names = [name for name in archive.namelist() if "/Test/" in name and name.endswith(".bin")]
        for name in sorted(names, key=lambda name: Path(name).stem):
            raw = decode(np.frombuffer(archive.read(name), np.uint8))
            labelled = replace(raw, sensor=(34, 34), label=int(Path(name).parent.name))
            yield Path(name).stem, check(name, labelled, ReadOptions())


if __name__ == "__main__":
    write_bundle_hdf5(TARGET, recordings(Path(sys.argv[1])), **ATTRIBUTES)
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")
