"""``evsim audit`` and ``evsim lint`` as a person runs them."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys

import pytest
from scipy.stats import t as student

from evsim.auditing.estimate import estimate
from evsim.loading.zoo import find_weights, zoo_folder

FORMATS = ("csv", "json", "latex", "markdown", "table")


def evsim(*words, code=0):
    """Run the command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "evsim", *map(str, words)], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def digits(*numbers):
    return [zoo_folder() / f"nmnist_digit_{number}.h5" for number in numbers]


@pytest.fixture(scope="module", name="three")
def _three():
    """The audit of three recordings, as JSON."""
    return json.loads(evsim("audit", "--input", *digits(1, 3, 7), "--format", "json", "--energy", "all"))


def test_one_recording_by_default():
    text = evsim("audit", "--energy", "none")
    assert "Literal counts by layer" in text
    assert "SpikingJelly 2" in text
    assert re.search(r"^command +evsim audit --energy none$", text, re.M)
    assert max(map(len, text.splitlines())) <= 100


def test_mean_and_interval_over_recordings(three):
    rows = {row["count"]: row for row in three["sheets"]["totals"]["rows"]}
    single = []
    for path in digits(1, 3, 7):
        one = json.loads(
            evsim("audit", "--input", path, "--format", "json", "--energy", "none", "--convention", "literal")
        )
        single.append(one["sheets"]["totals"]["rows"][0]["mean"])
    found = rows["ACs (payload n = n additions)"]
    expected = estimate(single)
    assert (found["mean"], found["sd"]) == pytest.approx((expected.mean, expected.sd))
    half = student.ppf(0.975, 2) * expected.sd / 3**0.5
    assert (found["low"], found["high"]) == pytest.approx((expected.mean - half, expected.mean + half))


def test_every_layer_and_head_is_in_the_total(three):
    layers = three["sheets"]["layers"]["rows"]
    total = layers.pop()
    assert total["layer"] == "total"
    for key in ("acs", "macs", "masks"):
        assert sum(row[key]["mean"] for row in layers) == pytest.approx(total[key]["mean"])
    heads = [row for row in three["sheets"]["heads"]["rows"] if row["layer"] == "block.0.attn.qkv"]
    row = next(row for row in layers if row["layer"] == "block.0.attn.qkv")
    assert sum(head["masks"]["mean"] for head in heads) == pytest.approx(row["masks"]["mean"])
    assert sum(step["acs"]["mean"] for step in three["sheets"]["steps"]["rows"]) == pytest.approx(total["acs"]["mean"])


def test_every_ratio_has_its_assumptions_beside_it(three):
    panels = [sheet for key, sheet in three["sheets"].items() if key.startswith("energy_")]
    assert len(panels) == 10
    for panel in panels:
        assert all(row["assumptions"] for row in panel["rows"])
    assert any("UNVERIFIED" in note for note in three["sheets"]["energy_step_simple"]["notes"])


def test_the_footer_can_be_traced(three):
    known = three["provenance"]
    assert re.search(r"SHA-256 [0-9a-f]{64}$", known["weights"])
    assert len(known["input"]) == 3
    assert "numba" in known["versions"]
    assert known["command"].startswith("evsim audit --input ")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format(name, tmp_path):
    path = tmp_path / "report"
    evsim("audit", *digits(1, 2), "--format", name, "--output", path)
    text = path.read_text()
    assert "Spikingformer" in text
    assert not (tmp_path / "report.part").exists()
    if name == "csv":
        rows = list(csv.DictReader(io.StringIO(text)))
        total = [row for row in rows if (row["sheet"], row["row"], row["column"]) == ("layers", "total", "acs")]
        assert len(total) == 1
        places = [(row["sheet"], row["row"], row["column"]) for row in rows if row["row"] not in ("note", "input")]
        assert len(places) == len(set(places))
        assert total[0]["n"] == "2"
        assert float(total[0]["low"]) < float(total[0]["value"]) < float(total[0]["high"])
    if name == "latex":
        assert text.count(r"\begin{tabular") == text.count(r"\end{tabular") >= 8
        rows = [line for line in text.splitlines() if line.endswith(r" \\")]
        assert all(len(re.findall(r"(?<!\\)&", row)) >= 1 for row in rows)
        printed = [line for line in text.splitlines() if not line.startswith("%")]
        assert not re.search(r"(?<!\\)_", "\n".join(printed))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_the_latex_compiles(tmp_path):
    evsim("audit", *digits(1, 2), "--format", "latex", "--energy", "all", "--output", tmp_path / "tables.tex")
    document = (
        "\\documentclass{article}\\usepackage[margin=2cm]{geometry}\\usepackage{booktabs,siunitx,tabularx,graphicx}"
        "\\begin{document}\\input{tables.tex}\\end{document}"
    )
    (tmp_path / "paper.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:]


def test_a_trace_gives_the_same_tables(tmp_path):
    path = digits(3)[0]
    evsim("run", "--input", path, "--trace", tmp_path / "run.h5")
    traced = json.loads(evsim("audit", "--trace", tmp_path / "run.h5", "--format", "json"))
    run = json.loads(evsim("audit", "--input", path, "--format", "json"))
    assert traced["sheets"] == run["sheets"]
    assert traced["provenance"]["weights"] == run["provenance"]["weights"]


def test_two_networks_on_the_same_recordings():
    weights = find_weights("sdt-nmnist")
    whole = json.loads(evsim("audit", "--compare", weights, weights, *digits(1, 2), "--format", "json"))
    rows = whole["sheets"]["compare"]["rows"]
    assert rows[0]["measure"] == "ACs"
    assert all(row["ratio"] is None or row["ratio"]["mean"] == 1 for row in rows)
    assert all(row["assumptions"] for row in rows if row["measure"].startswith("energy"))


def test_a_folder_of_recordings(tmp_path):
    for path in digits(4, 5):
        shutil.copy(path, tmp_path)
    text = evsim("audit", "--input", tmp_path, "--energy", "none", "--convention", "literal")
    assert "2 recordings" in text


def test_lint():
    text = evsim("lint")
    assert re.search(r"only masks and additions between Q, K and V +yes", text)
    assert "max-pool on membrane values" in text
    evsim("lint", "--strict", code=1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--convention", "mine"), "--convention mine: unknown"),
        (("--format", "xls"), "--format xls: unknown"),
        (("--energy", "nowhere.toml"), "no such file"),
        (("--weights", "nowhere.npz"), "nowhere.npz"),
        (("--input", "nowhere.h5"), "nowhere.h5"),
        (("--trace", "nowhere.h5"), "nowhere.h5"),
        (("--trace", "a.h5", "--input", "b.h5"), "--trace"),
        (("--order", "random"), "--order random"),
        (("--output", "/nowhere/at/all/x"), "cannot be written"),
    ],
)
def test_mistakes_are_one_line_and_code_2(words, message):
    stderr = evsim("audit", *words, code=2)
    assert message in stderr
    assert stderr.startswith("evsim: ")
    assert stderr.count("\n") == 1


def test_a_trace_of_another_kind(tmp_path):
    (tmp_path / "no.h5").write_bytes(b"not a trace")
    stderr = evsim("audit", "--trace", tmp_path / "no.h5", code=2)
    assert stderr.count("\n") == 1
    assert "no.h5" in stderr
