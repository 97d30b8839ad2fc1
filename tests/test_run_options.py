"""`evsim run --threads`, and what a run keeps in memory."""

import json

import numpy as np
import pytest

from evsim.checkpoints.weights import read_weights
from evsim.engine import pipeline
from evsim.engine.simulator import simulate
from evsim.loading.importing import build_network, load_network
from evsim.loading.zoo import default_recording, find_weights, zoo_folder
from evsim.runs.preparation import Preparation, prepare_input
from evsim.runs.run import run

WEIGHTS = sorted(path.stem for path in zoo_folder().glob("*-nmnist.npz"))


def test_threads_do_not_change_a_run(evsim, monkeypatch):
    monkeypatch.setattr(pipeline, "_FEWEST_NEURONS", 0)
    reports = []
    for threads in ("1", "3"):
        code, out, _ = evsim("run", "--json", "--threads", threads)
        assert code == 0
        report = json.loads(out)
        for key in ("wall_seconds", "compile_seconds", "peak_memory_bytes"):
            del report[key]
        reports.append(report)
    assert reports[0] == reports[1]


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", "257", "99999999999999999999", ""])
def test_other_numbers_of_threads_are_refused_in_one_line(evsim, text):
    code, out, err = evsim("run", f"--threads={text}")
    assert (code, out, err) == (2, "", f"evsim: --threads {text}: expected a whole number from 1 to 256\n")


def test_a_stream_takes_no_threads(evsim):
    code, _, err = evsim("run", "--follow", "-", "--threads", "2")
    assert (code, err.count("\n")) == (2, 1)
    assert err == "evsim: --threads: means nothing to a stream, leave it out or leave out --follow\n"


@pytest.mark.parametrize("name", WEIGHTS)
def test_the_tensors_move_into_the_network(name):
    path = find_weights(name)
    network, spent = load_network(path)
    kept = read_weights(path)
    assert spent.tensors == {}
    assert spent.header == kept.header
    untouched = build_network(kept)
    assert kept.tensors
    steps = prepare_input(network, spent, default_recording(path), Preparation()).spikes
    np.testing.assert_array_equal(simulate(network, steps).logits, simulate(untouched, steps).logits)


def test_spikes_are_kept_only_for_a_trace():
    path = find_weights("sdt-nmnist")
    report, trace = run(path, default_recording(path), keeps_spikes=False)
    with_spikes, kept = run(path, default_recording(path))
    assert trace is None
    assert sum(layer.step.size for layer in kept.layers.values()) > 0
    assert report.logits == with_spikes.logits
