"""One name, one number: what a count is called is the same wherever it is written, and former names lead to it."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

import evsim
from evsim.cli.evaluate_text import write_csv
from evsim.engine.ledger import COUNTS, OpCounts, with_former_names, with_present_names
from evsim.errors import EvsimError
from evsim.evaluation import Journal
from evsim.loading.zoo import zoo_folder
from evsim.traces.trace import VERSION, read_trace, write_trace
from tests.command import call
from tests.spikformer_checks import needs_jit

ACS, EVENT_ACS = 7_466_779, 7_317_043
"""The bundled network on the bundled digit: event counts as input, so the two differ."""
DIGIT = "nmnist_digit_7.h5"


@pytest.fixture(name="run")
def _run(monkeypatch, capsys):
    def call_one(*words):
        code, out, err = call(monkeypatch, capsys, *words)
        assert code == 0, err
        return out

    return call_one


@needs_jit
def test_the_command_line_says_one_number(run, tmp_path):
    table = run("run")
    assert f"{ACS:,}" in next(line for line in table.splitlines() if line.startswith("total"))
    assert f"{EVENT_ACS:,} ACs if a payload of n is one addition" in table
    report = json.loads(run("run", "--json", "--trace", tmp_path / "run.h5"))
    _check(report["totals"])
    assert sum(layer["counts"]["acs"] for layer in report["layers"]) == ACS
    assert report["schema"] == "evsim-run/2"
    assert "unit_acs is acs" in report["former_names"]
    for words in ((), ("--trace", tmp_path / "run.h5")):
        audit = json.loads(run("audit", *words, "--format", "json", "--energy", "none"))
        assert audit["schema"] == "evsim-audit/2"
        assert audit["sheets"]["layers"]["rows"][-1]["acs"] == ACS
        assert sum(step["acs"] for step in audit["sheets"]["steps"]["rows"]) == ACS
        totals = {row["key"]: row["mean"] for row in audit["sheets"]["totals"]["rows"]}
        assert (totals["acs"], totals["event_acs"]) == (ACS, EVENT_ACS)
    run("report", "--trace", tmp_path / "run.h5", "-o", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert f"{ACS:,} additions" in page
    assert f"{EVENT_ACS:,}" not in page


@needs_jit
def test_an_evaluation_says_the_same_number(tmp_path):
    found = evsim.evaluate("sdt-nmnist", [(str(zoo_folder() / DIGIT), 7)])
    assert found.mean_counts["acs"] == ACS
    written = found.as_dict()
    assert written["schema"] == "evsim-evaluation/2"
    _check(written["mean_counts"])
    _check(written["outcomes"][0]["counts"])
    write_csv(str(tmp_path / "each.csv"), found)
    with open(tmp_path / "each.csv", encoding="utf-8") as file:
        row = next(csv.DictReader(file))
    _check({name: int(row[name]) for name in ("acs", "event_acs", "unit_acs")})


@needs_jit
def test_python_says_the_same_number():
    run = evsim.load("sdt-nmnist").run()
    total = run.counts.total
    assert (total.acs, total.event_acs) == (ACS, EVENT_ACS)
    assert sum(row["acs"] for row in run.counts.to_dict("step")) == ACS
    with pytest.warns(FutureWarning, match="unit_acs is called acs now"):
        assert total.unit_acs == ACS
    _check(run.to_dict()["totals"])


def test_the_page_defines_every_name():
    page = (Path(__file__).parents[1] / "docs" / "counting.md").read_text(encoding="utf-8")
    table = page.split("| name | what it counts |")[1].split("\n\n")[0]
    named = [name for line in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", line.split("|")[1])]
    assert sorted(named) == sorted(COUNTS)


def test_former_names():
    former = {"acs": 3, "unit_acs": 9, "graded_acs": 2, "macs": 1}
    assert with_present_names(former) == {"event_acs": 3, "acs": 9, "graded_acs": 2, "macs": 1}
    present = OpCounts(acs=9, event_acs=3).as_dict()
    assert with_present_names(with_former_names(present)) == present
    with pytest.raises(TypeError, match="unit_acs"):
        OpCounts(unit_acs=1)


def test_a_trace_of_version_1_is_read_under_todays_names(data):
    path = data / "trace_version_1.h5"
    trace = read_trace(path)
    total = trace.ledger.total()
    with h5py.File(path) as file:
        assert file.attrs["format_version"] == 1
        assert total.acs == int(file["ledger/unit_acs"][()].sum()) == 24_201
        assert total.event_acs == int(file["ledger/acs"][()].sum()) == 23_175
    assert (total.zero_macs, total.silent_updates, total.order_ands) == (0, 0, 0)
    assert trace.sleepless == {}


@needs_jit
def test_an_audit_of_a_trace_of_version_1_says_what_is_missing(run, data):
    path = data / "trace_version_1.h5"
    found = json.loads(run("audit", "--trace", path, "--format", "json", "--energy", "none"))
    assert "format version 1" in found["provenance"]["notes"][0]
    assert found["sheets"]["layers"]["rows"][-1]["acs"] == 24_201
    lint = json.loads(run("lint", "--trace", path, "--format", "json"))
    first = lint["sheets"]["claims"]["rows"][0]
    assert (first["holds"], first["share"]) == ("no", None)
    assert "not in a trace of version 1" in first["why"]


def test_a_trace_written_again_is_of_todays_version(data, tmp_path):
    trace = read_trace(data / "trace_version_1.h5")
    write_trace(tmp_path / "again.h5", trace)
    again = read_trace(tmp_path / "again.h5")
    assert again.format_version == VERSION == 2
    assert again.ledger.total() == trace.ledger.total()


@pytest.mark.parametrize("value", [-1, 10**9, 2.5, "many", [1, 2]])
def test_a_trace_with_impossible_neurons_is_refused(data, tmp_path, value):
    trace = read_trace(data / "trace_version_1.h5")
    name = next(reversed(trace.layers))
    write_trace(tmp_path / "run.h5", trace)
    with h5py.File(tmp_path / "run.h5", "a") as file:
        file[f"spikes/{name}"].attrs["n_sleepless"] = np.asarray(value) if isinstance(value, list) else value
    with pytest.raises(EvsimError, match=r"run\.h5"):
        read_trace(tmp_path / "run.h5")


def test_a_journal_of_the_former_format_is_refused(tmp_path):
    path = tmp_path / "j.jsonl"
    path.write_text('{"journal": "evsim-evaluate/1", "version": "0.1"}\n{"id": "a"}\n')
    with pytest.raises(EvsimError, match=r"j\.jsonl: is a journal of an earlier version .* --journal"):
        Journal(path, {"version": "0.1"}, resume=True)


def _check(totals):
    assert totals["acs"] == totals["unit_acs"] == ACS
    assert totals["event_acs"] == EVENT_ACS
