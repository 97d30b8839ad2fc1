"""A few hundred damaged files of every kind; `tools/fuzz_readers.py` runs as many as one has time for."""

import subprocess
import sys
from pathlib import Path

import pytest

from evsim.recordings import read_recording
from tests import encoders, fuzz_seeds
from tools import fuzz_graphs
from tools.fuzz_doors import DOORS

ROOT = Path(__file__).parents[1]


def test_the_seeds_are_sound(tmp_path):
    for name, path in fuzz_seeds.write_seeds(tmp_path, encoders).items():
        if name != "gesture_labels":
            assert read_recording(path, trained_with="none").path == str(path)


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_damaged_files_are_refused_in_one_line_or_read_soundly(tmp_path):
    command = [sys.executable, ROOT / "tools" / "fuzz_readers.py", "--cases", "700", "--seed", "7", "--keep", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing but sound recordings and one-line refusals" in done.stdout


@pytest.mark.parametrize("door", DOORS)
def test_the_seeds_of_every_door_are_sound(tmp_path, door):
    for name, path in DOORS[door].write_seeds(tmp_path / "seeds").items():
        assert DOORS[door].run(path) == "sound", name


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_damaged_checkpoints_and_weights_are_refused_in_one_line_and_run_nothing(tmp_path):
    command = [sys.executable, ROOT / "tools" / "fuzz_readers.py", "--doors", "checkpoints,weights"]
    command += ["--cases", "600", "--seed", "7", "--keep", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_damaged_nir_graphs_are_refused_in_one_line_or_run_soundly(tmp_path):
    pytest.importorskip("nir")
    command = [sys.executable, ROOT / "tools" / "fuzz_readers.py", "--doors", "nir"]
    command += ["--cases", "120", "--seed", "7", "--keep", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["plain", "attention", "payloads"])
def test_the_seeds_of_graphs_are_sound(tmp_path, name):
    door = fuzz_graphs.DOORS["graphs"]
    assert door.run(door.write_seeds(tmp_path / "seeds")[name]) == "sound"


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_graphs_of_strangers_are_refused_in_one_line_or_run(tmp_path):
    command = [sys.executable, ROOT / "tools" / "fuzz_readers.py", "--doors", "graphs"]
    command += ["--cases", "60", "--seed", "7", "--keep", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
