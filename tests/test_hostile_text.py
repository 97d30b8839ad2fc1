"""Text from files: harmless on a terminal, in a page, in a table, and never a reason to fail after the work is done."""

import csv
import io
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim.auditing.formats import format_names, write_report
from evsim.auditing.sheet import Column, Report, Sheet
from evsim.checkpoints import read_weights, write_weights
from evsim.engine.ledger import Ledger
from evsim.loading.zoo import find_weights, zoo_folder
from evsim.plain_text import plain, plain_cell
from evsim.traces.trace import Layer, Trace, write_trace

ESCAPE = "\x1b]0;PWNED\x07"
HOSTILE = ["[/bold]", "[link=http://x]y[/link]", ESCAPE, "\x1b[2J", "a\nb", "=1+1", "\u202eright", ":smile:", "\x9b31m"]


@given(st.text(st.characters(codec=None)))
def test_plain_text_is_printable_and_printable_text_is_unchanged(text):
    shown = plain(text)
    assert shown.isprintable()
    assert shown == text or not text.isprintable()
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("=cmd", "'=cmd"), ("+1", "'+1"), ("-x", "'-x"), ("@x", "'@x"), ("\t=x", r"'\t=x"), (" =x", "' =x"),
     ("plain", "plain"), ("a=b", "a=b"), (-3, -3), (1.5, 1.5), (None, None), ("", "")],
)  # fmt: skip
def test_cells_of_csv(cell, expected):
    assert plain_cell(cell) == expected


def hostile_names(weights, names):
    return replace(weights, header=weights.header | {"class_names": names})


@pytest.fixture
def weights(tmp_path):
    """The bundled network with a hostile name for each class."""
    names = [*HOSTILE, "\ud800"]
    write_weights(tmp_path / "w.npz", hostile_names(read_weights(find_weights("sdt-nmnist")), names))
    return tmp_path / "w.npz"


@pytest.mark.parametrize(
    "words", [("info", "{w}"), ("run", "-w", "{w}"), ("run", "-w", "{w}", "--json"), ("zoo",), ("lint", "-w", "{w}"),
              ("audit", "-w", "{w}", "--format", "latex"), ("report", "-w", "{w}", "-o", "{o}"),
              ("evaluate", "-w", "{w}", "-d", "{d}", "--limit", "3", "--class-order", "numeric")],
)  # fmt: skip
def test_every_verb_survives_hostile_class_names(evsim, weights, tmp_path, words):
    places = {"w": weights, "o": tmp_path / "o.html", "d": zoo_folder() / "nmnist_test_100.h5"}
    code, out, err = evsim(*(word.format(**places) for word in words))
    assert (code, err if "evaluate" not in words else "") == (0, "")
    assert "\x1b" not in out
    assert "\x07" not in out
    out.encode("utf-8")


def test_escape_sequences_never_reach_the_terminal_even_in_colour(evsim, weights, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    for words in (("info", weights), ("run", "-w", weights), ("run", "-i", f"{ESCAPE}nothing.h5")):
        _, out, err = evsim(*words)
        assert not re.search("\x1b(?!\\[[0-9;]*m)", out + err)
        assert "\x07" not in out + err


def test_a_file_name_of_bytes_that_are_no_text(evsim, tmp_path):
    shutil.copy(zoo_folder() / "nmnist_digit_7.h5", tmp_path / "a\udcff.h5")
    for words in (("run", "-i"), ("audit", "--format", "latex", "-o", tmp_path / "o", "-i")):
        code, out, err = evsim(*words, tmp_path / "a\udcff.h5")
        assert code == 0
        assert "\\udcff" in (out if words[0] != "audit" else (tmp_path / "o").read_text())
        (out + err).encode("utf-8")


@pytest.mark.parametrize("hostile", [*HOSTILE, "\ud800", "<script>alert(1)</script>", "\\end{table}", "a|b", "`x`"])
@pytest.mark.parametrize("name", format_names())
def test_a_report_in_any_format_holds_hostile_names_as_text(name, hostile):
    columns = [Column("layer", "layer", "text"), Column("acs", "ACs")]
    rows = [{"layer": hostile, "acs": 1}, {"layer": "next", "acs": 2}]
    text = write_report(Report(hostile, [Sheet("s", hostile, columns, rows, [hostile])], {"input": hostile}), name)
    text.encode("utf-8")
    assert "\x1b" not in text
    assert "\u202e" not in text
    if name == "csv":
        table = list(csv.reader(io.StringIO(text)))
        assert {len(row) for row in table} == {8}
        assert not any(cell.startswith(("=", "+", "-", "@")) for row in table for cell in row)
        assert len(text.splitlines()) == len(table)
    if name == "markdown":
        assert "<script>" not in text
        assert len([line for line in text.splitlines() if line.startswith("| ")]) == 4
    if name == "latex":
        assert "\\end{table}" not in text.replace("\\end{table}\n", "")


def test_evaluate_writes_formulas_as_text(evsim, tmp_path, monkeypatch):
    (tmp_path / "ds" / "7").mkdir(parents=True)
    shutil.copy(zoo_folder() / "nmnist_digit_7.h5", tmp_path / "ds" / "7" / "a.h5")
    (tmp_path / "ds" / "=7").mkdir()
    shutil.copy(zoo_folder() / "nmnist_digit_7.h5", tmp_path / "ds" / "=7" / "=cmd\nb.h5")
    monkeypatch.chdir(tmp_path)
    code, _, err = evsim("evaluate", "-d", "ds", "--class-order", "lexicographic", "--csv", "o.csv")
    assert code == 0, err
    rows = list(csv.DictReader((tmp_path / "o.csv").open(newline="")))
    assert sorted(row["id"] for row in rows) == ["'=7/=cmd\\nb.h5", "7/a.h5"]


@pytest.mark.parametrize("name", ["$\\frac{$", "[bold]", "\x1b[2J", "a\nb", "\u202ex"])
def test_hostile_layer_names_are_drawn_listed_and_exported(evsim, tmp_path, name):
    layer = Layer((2, 3), "token,channel", np.array([0, 1], np.int32), np.array([1, 5]))
    write_trace(tmp_path / "t.h5", Trace({name: layer}, np.zeros(2, np.float32), 2, Ledger(), {}))
    assert evsim("raster", "-t", tmp_path / "t.h5", "-o", tmp_path / "r.svg")[0] == 0
    assert "\x1b" not in (tmp_path / "r.svg").read_text()
    code, out, _ = evsim("info", tmp_path / "t.h5")
    assert code == 0
    assert plain(name) in out
    assert "\x1b" not in out
    assert evsim("export", tmp_path / "t.h5", "-o", tmp_path / "o.csv")[0] == 0
