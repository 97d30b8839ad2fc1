"""What becomes of measurements: ratios, table, JSON, plot, page. Nothing here is timed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tools.benchmarks.equality import Equality
from tools.benchmarks.memory import bound
from tools.benchmarks.page import PageError, fill, main, render
from tools.benchmarks.table import Results, as_json, best_dense, ratio, table
from tools.benchmarks.target import HOST, TARGETS, TargetError, check_held, hold
from tools.benchmarks.timing import Measurement, interleave

ROOT = Path(__file__).parents[1]
SECONDS = {
    "evsim": [1.0, 1.0, 2.0, 1.0, 1.0],
    "evsim, int16": [0.5, 0.8, 0.5, 0.5, 0.5],
    "evsim, int8": [0.5, 0.5, 0.5, 0.5, 0.5],
    "SpikingJelly 2": [3.0, 3.0, 3.0, 3.0, 4.0],
    "plain torch, folded": [2.0, 2.0, 2.0, 2.0, 2.0],
    "SpikingJelly 2 channels_last": [2.0, 2.5, 2.5, 2.5, 2.5],
    "SpikingJelly 2 torch.compile": [1.5, 1.5, 1.5, 1.5, 1.5],
}


def measured(seconds):
    return Results(
        [Measurement("sdt_8_384", "SDT", 1, seconds, dict.fromkeys(seconds, 0.0), ["one could not"])],
        {"sdt_8_384": {"weights": 67_000_000, "evsim": 360_000_000, "SpikingJelly 2": 900_000_000}},
        {"sdt_8_384": Equality(1000, 1, 0, 1000, 7), "other": None},
        {"sdt_8_384": {"block.0.attn.q_lif": (21.0, 20.9)}},
    )


@pytest.fixture
def results():
    return measured({name: times for name, times in SECONDS.items() if not name.endswith("compile")})


def test_ratios_are_taken_round_by_round():
    found = ratio(SECONDS, "SpikingJelly 2")
    assert (found.median, found.low, found.high) == (3.0, 1.5, 4.0)


def test_compiled_forms_are_kept_apart():
    assert best_dense(SECONDS, "SpikingJelly 2") == "SpikingJelly 2 channels_last"
    assert best_dense(SECONDS, "SpikingJelly 2", compiled=True) == "SpikingJelly 2 torch.compile"
    assert best_dense(SECONDS, "plain torch", compiled=True) is None


def test_the_table_says_all(results):
    text = table(results)
    assert "(one could not)" in text
    assert "1 of 1,000 neuron-steps differ, 0 beyond rounding" in text
    assert "block.0.attn.q_lif 20.90" in text
    assert "bound 1.3 x weights + 300 MB = 387 MB: met" in text
    results.memory["sdt_8_384"]["evsim"] = 400_000_000
    assert "387 MB: MISSED" in table(results)
    assert bound({"weights": 100_000_000}) == 430_000_000


def test_contestants_take_turns():
    turns = []

    class Contestant:
        def __init__(self, name):
            self.name = name

        def run(self, index):
            turns.append((self.name, index))
            return np.zeros(1)

    seconds = interleave([Contestant("a"), Contestant("b")], n_inputs=2, rounds=3)
    assert turns == [("a", 0), ("a", 1), ("b", 0), ("b", 1)] * 3
    assert [len(times) for times in seconds.values()] == [3, 3]


def test_the_plot_is_drawn(results, tmp_path):
    from tools.benchmarks.plot import plot_ratios

    plot_ratios(results.measurements, tmp_path / "ratios.png")
    assert (tmp_path / "ratios.png").stat().st_size > 1000


def test_the_page_renders_what_was_measured(results, tmp_path):
    path, page = tmp_path / "workloads.json", tmp_path / "page.md"
    path.write_text(json.dumps(as_json(results)))
    page.write_text((ROOT / "docs" / "performance.md").read_text(encoding="utf-8"), encoding="utf-8")
    tables = render(json.loads(path.read_text()))
    assert "| SDT | 1 | 1.0000 | 2.5000 | **2.50** (1.25-2.50) | 2.0000 | **2.00** (1.00-2.00) |" in tables["workloads"]
    assert (
        "| SDT | 1 | 1.0000 | 0.5000 | **2.00** (1.25-4.00) | 0.5000 | **2.00** (2.00-4.00) |" in tables["fixed-point"]
    )
    assert "387: met" in tables["memory"]
    filled = fill(page.read_text(encoding="utf-8"), tables)
    assert fill(filled, tables) == filled
    assert filled.count("<!-- measured: ") == page.read_text(encoding="utf-8").count("<!-- measured: ")
    assert all(table in filled for table in tables.values())


def test_what_was_compiled_has_a_table_of_its_own():
    tables = render(as_json(measured(SECONDS)))
    assert list(tables) == ["compiled"]
    assert "| SDT | 1 | 1.0000 | 1.5000 | **1.50** (0.75-1.50) |" in tables["compiled"]


def test_every_kind_of_measurement_has_a_slot_in_the_page():
    from tools.benchmarks.page import _RENDERERS

    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    fill(page, {name: "" for renderers in _RENDERERS.values() for name in renderers})


@pytest.mark.parametrize("target", TARGETS)
def test_times_of_a_target_have_tables_of_their_own(target, results):
    results.target = target
    measured = as_json(results)
    assert measured["target"] == target
    assert table(results).startswith(f"target: both sides held to {target} (Numba {TARGETS[target].numba}")
    tables = render(measured)
    assert set(tables) == {f"workloads-{target}", f"fixed-point-{target}"}
    assert f"\nboth sides held to {target} (" in tables[f"workloads-{target}"]


def test_both_sides_are_told_the_target():
    environment = {}
    hold("avx2", environment, dict.fromkeys(("avx2", "fma", "bmi2"), True))
    assert environment["NUMBA_CPU_NAME"] == "haswell"
    assert (environment["ONEDNN_MAX_CPU_ISA"], environment["ATEN_CPU_CAPABILITY"]) == ("AVX2", "avx2")
    environment = {}
    hold(HOST, environment, {})
    assert not {name for name in environment if not name.startswith("EVSIM_")}


def test_a_target_that_the_processor_lacks_is_refused():
    with pytest.raises(
        TargetError, match=r"--target avx512: this processor has no avx512f, .*; it can do avx2, generic"
    ):
        hold("avx512", {}, dict.fromkeys(("avx2", "fma", "bmi2", "avx512cd"), True))


def test_a_side_that_does_not_keep_to_the_target_is_noticed(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setenv("EVSIM_BENCHMARK_TARGET", "generic")
    with pytest.raises(TargetError, match="--target generic: Numba compiles for"):
        check_held()


def test_other_kinds_are_rendered():
    machine = {"processor": "a processor", "python": "3", "packages": {"evsim": "0", "torch": None}}
    point = {"fraction": 1.0, "events": 10, "acs": 20, "updates": 5, "seconds": [0.1]}
    line = {"slope": 1.0, "intercept": 0.0, "r_squared": 0.99}
    subject = {
        "title": "s",
        "points": [point],
        "over_events": line,
        "over_acs": line,
        "over_both": line,
        "blank_share": 0.01,
    }
    rows = [{"layer": "l", "density": d, "evsim": 1.0, "dense": 2.0 - d} for d in (0.1, 0.5)]
    naive = [{"name": n, "seconds": [s], "spikes": 3, "differing": 0} for n, s in (("evsim", 1.0), ("slow", 5.0))]
    projection = {"name": "p", "acs": 10**9, "seconds": 0.1, "additions_per_second": 1e10}
    limits = [{"place": "beyond", "weight_bytes": 1024, "additions_per_second": 1e9}]
    made = {
        "events_line": {"subjects": [subject]},
        "layers": {"rows": rows, "break_even": {"l": None}},
        "naive": {"rows": naive},
        "roofline": {"limits": limits, "triad_bytes_per_second": 4e9, "networks": {"n": [projection]}},
    }
    found = {
        k: v for kind, content in made.items() for k, v in render({"kind": kind, "machine": machine, **content}).items()
    }
    assert "| s | 100 | 0.990 | 0.990 | 0 | 0.990 | 1.0 % |" in found["events_line"]
    assert "| l | 1.9 | 1.5 | none |" in found["layers"]
    assert "| slow | 5e+03 | 5.0 | 3 | 0 |" in found["naive"]
    assert "| memory bandwidth (triad) / 4 bytes | 1.0 |" in found["roofline"]
    assert found["naive"].endswith("a processor; Python 3, evsim 0.\n")


def test_a_file_that_measured_nothing_is_refused_in_one_line(tmp_path, monkeypatch, capsys):
    path = tmp_path / "other.json"
    path.write_text('{"kind": "poem"}')
    monkeypatch.setattr(sys, "argv", ["page", str(path)])
    assert main() == 2
    assert capsys.readouterr().err.startswith(f"page: {path}: kind 'poem', expected one of workloads,")
    with pytest.raises(PageError, match="no slot <!-- measured: poem -->"):
        fill("", {"poem": "..."})


@pytest.mark.parametrize("option", [["--rounds", "3"], ["--threads", "0"], ["--workload", "nothing"]])
def test_the_command_refuses_nonsense(option):
    done = subprocess.run(
        [sys.executable, "-m", "tools.benchmark", *option], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert option[1] in done.stderr.splitlines()[-1]
