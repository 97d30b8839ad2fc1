"""Tables for a manuscript: they compile without overfull boxes, and say what the report says, rounded as it allows."""

import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import evsim as public
from evsim.auditing.bibliography import bibtex, entries
from evsim.auditing.conventions import conventions
from evsim.auditing.energy_model import choose_models
from evsim.auditing.estimate import Estimate
from evsim.auditing.paper.digits import printed, table_format
from evsim.auditing.paper.escape import breakable, comment, escape
from evsim.auditing.paper.paper_table import PaperColumn, PaperTable, Row
from evsim.auditing.paper.tables import TABLES, paper_table
from evsim.auditing.paper.typeset import PACKAGES, typeset
from evsim.auditing.sheet import Report, Sheet
from evsim.errors import EvsimError
from evsim.loading.zoo import bundled, zoo_folder

HOSTILE = [
    r"\input{/etc/passwd}", r"100%_$x^2$ & #1 {", "caf\u00e9 \u4e2d\u6587 \U0001f600\n\\end{table}", "^^41~<>|\"'--",
    "a" * 90, "* star", "[3pt]", "\x1b[31m\u202eevil\udcff", r"\\", "%",
]  # fmt: skip
ONE_NETWORK = [name for name in TABLES if name != "compare"]


def digits(*numbers):
    return [str(zoo_folder() / f"nmnist_digit_{number}.h5") for number in numbers]


@pytest.fixture(scope="module", name="three")
def _three():
    return public.audit("sdt-nmnist", digits(1, 3, 7))


@pytest.mark.parametrize(
    ("mean", "half", "exponent", "text", "spread"),
    [
        (0.5797, 0.007874, 0, "0.5797", "0.0079"), (7466779, 123456, 6, "7.47", "0.12"), (5, 0, 0, "5", ""),
        (7466779, 123456, 3, "7467", "123"), (103.2, 0.0996, 0, "103.20", "0.10"), (1.0, 9.96, 0, "1", "10"),
        (-0.004, 0.2, 0, "0.00", "0.20"),
    ],
)  # fmt: skip
def test_value_and_uncertainty_end_at_the_same_digit(mean, half, exponent, text, spread):
    number = printed(Estimate(mean, half, mean - half, mean + half, 3), exponent, True)
    assert (number.text, number.spread) == (text, spread)


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.sampled_from([0, 3, 6]))
def test_rounding_stays_within_a_twentieth_of_the_uncertainty(mean, half, exponent):
    number = printed(Estimate(mean, half, mean - half, mean + half, 3), exponent)
    if number.spread:
        assert number.text.partition(".")[2].__len__() == number.spread.partition(".")[2].__len__()
        assert abs(float(number.text) * 10**exponent - mean) <= 0.05 * half + 1e-9 * abs(mean) or half < 10 ** (
            exponent - 3
        )


def test_all_digits_of_a_count_and_three_of_what_is_scaled():
    assert printed(7466779, 0, True).text == "7466779"
    assert printed(7466779, 3, True).text == "7467"
    assert printed(103, 3, True).text == "0.103"
    assert printed(12.6178).text == "12.6"
    assert table_format(["-1.25", "100", "0.5"]) == "-3.2"


def test_a_table_says_what_the_sheet_says(three):
    table = paper_table(three, "conventions")
    for row, printed_row in zip(three["conventions"].rows, table.rows, strict=True):
        assert printed_row.cells[0] == row["title"]
        assert printed_row.cells[1] == row["acs"]
        assert row["assumptions"] in printed_row.note
    text = typeset(table)
    energy = three["conventions"].rows[0]["energy_uj"]
    assert f"{energy.mean:.1f} & $\\pm$ & {energy.half_width:.1f}" in text


def test_caption_names_recordings_and_the_plus_minus(three):
    text = three.to_latex("layers")
    assert "n = 3 recordings $\\pm$ half of the 95 \\% confidence interval (Student's t)" in text
    assert "$\\pm$" not in public.audit("sdt-nmnist").to_latex("layers")
    assert "% weights: sdt-nmnist.npz SHA-256 981de678d145" in text
    assert "AC: accumulation" in text


def test_names_stand_in_place_of_files():
    report = public.audit(["sdt-nmnist", "spikformer-nmnist"], digits(7))
    text = report.to_latex("compare", names=["SDT", "Spikformer & Co"])
    assert "SDT" in text
    assert r"Spikformer \& Co" in text.replace(r"\\", " ")
    with pytest.raises(EvsimError, match="1 names, expected 2"):
        report.to_latex("compare", names=["SDT"])
    with pytest.raises(EvsimError, match="leave out --compare"):
        report.to_latex("layers")


def test_widths_are_refused_where_a_table_does_not_fit(three):
    assert r"\begin{table}[" in three.to_latex("steps", "column")
    assert r"\begin{table*}[" in three.to_latex("by-convention")
    assert r"\rotatebox{90}" in three.to_latex("by-convention", "page")
    with pytest.raises(EvsimError, match="--width column: table by_convention"):
        three.to_latex("by-convention", "column")
    with pytest.raises(EvsimError, match="--width narrow"):
        three.to_latex("steps", "narrow")


def test_a_long_table_is_continued_under_its_number():
    rows = [Row((f"layer {i}", i)) for i in range(130)]
    text = typeset(PaperTable("long", "Long", [PaperColumn("layer", "name"), PaperColumn("ACs")], rows))
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 3
    assert text.count(r"\addtocounter{table}{-1}") == 2
    assert text.count(r"\label{") == 1
    assert all(f"layer {i} &" in text for i in range(130))


@pytest.mark.parametrize("rows", [[], [Row(("layer", None))], [Row(("layer", float("nan")))], [Row(("layer", 0))]])
@pytest.mark.parametrize("by_row", [False, True])
def test_tables_without_numbers_are_set(rows, by_row):
    text = typeset(PaperTable("odd", "Odd", [PaperColumn("layer", "name"), PaperColumn("ACs")], rows, by_row=by_row))
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 1


@pytest.mark.parametrize("text", HOSTILE)
def test_no_letter_of_a_name_is_a_command(text):
    for written in (escape(text), breakable(text)):
        assert written.isascii() or "\u00e9" in written
        assert not re.search(r"(?<!\\)[%#&_](?!\d)|\n|\\input\{|\\end\{", written.replace(r"\\", ""))
    assert "\n" not in comment(text)
    assert comment(text).startswith("% ")


def test_every_convention_and_model_cites_what_is_there():
    text = bibtex(list(conventions().values()), choose_models(["all"]))
    assert len(re.findall(r"^@", text, re.M)) == len(entries()) + 1
    assert "@software{evsim" in text
    for convention in conventions().values():
        assert convention.NAME == "literal" or convention.CITES


@pytest.mark.parametrize(
    "words",
    [
        ("--table", "nothing"), ("--table", "layers", "--width", "wide"), ("--table", "compare"), ("--names", "SDT"),
        ("--width", "text"), ("--table", "layers", "--format", "latex"), ("--table", "layers", "--names", "a,b"),
        ("--bibtex", "--weights", "sdt-mnist"), ("--table", "list", "--energy", "all"),
        ("--table", "by-convention", "--width", "column"),
    ],
)  # fmt: skip
def test_mistakes_are_refused_in_one_line(evsim, words):
    code, out, err = evsim("audit", *words)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert words[0] in err or "--width" in err or "--names" in err


def test_list_and_bibtex_run_nothing(evsim, tmp_path):
    assert [line.split()[0] for line in evsim("audit", "--table", "list")[1].splitlines()] == list(TABLES)
    code, _, _ = evsim("audit", "--bibtex", "--convention", "syops", "--energy", "none", "-o", tmp_path / "a.bib")
    assert code == 0
    assert re.findall(r"^@\w+\{(\w+)", (tmp_path / "a.bib").read_text(), re.M) == ["evsim", "syops"]


# ---- compiled ----

has_latex = pytest.mark.skipif(
    shutil.which("pdflatex") is None,
    reason="no pdflatex: the tables are not compiled (texlive-science has all)",
)


def compiled(folder, parts):
    """Compile parts of LaTeX, each on pages of its own; the log's complaints by part."""
    names = []
    for name, text in parts.items():
        (folder / f"{name}.tex").write_text(text, "utf-8")
        names.append(rf"\typeout{{PART {name}}}\input{{{name}}}\clearpage")
    packages = ",".join(PACKAGES)
    head = rf"\documentclass[twocolumn]{{article}}\usepackage{{{packages}}}\vbadness=10000\begin{{document}}"
    (folder / "paper.tex").write_text("\n".join([head, *names, r"\end{document}"]))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=300)
    log = (folder / "paper.log").read_text(errors="replace")
    assert done.returncode == 0, log[-1500:]
    complaints, part = [], ""
    for line in log.splitlines():
        part = line.removeprefix("PART ") if line.startswith("PART ") else part
        too_wide = re.match(r"Overfull \\hbox \(([\d.]+)pt", line)
        if (too_wide and float(too_wide[1]) > 1) or "Float too large" in line or line.startswith("Overfull \\vbox"):
            complaints.append(f"{part}: {line}")
    return complaints


@has_latex
@pytest.mark.parametrize("network", bundled())
def test_every_table_of_every_network_fits(network, tmp_path):
    report = public.audit(network, energy=["all"])
    parts = {f"{name}": report.to_latex(name) for name in ONE_NETWORK}
    parts |= {f"{name}-text": report.to_latex(name, "text") for name in ("summary", "layers", "conventions", "heads")}
    assert compiled(tmp_path, parts) == []


@has_latex
def test_tables_over_recordings_and_comparisons_fit(three, tmp_path):
    parts = {name: three.to_latex(name) for name in ONE_NETWORK}
    others = public.audit(["sdt-nmnist", "spikingresformer-nmnist"], digits(0, 7), energy=["all"])
    parts |= {"compare": others.to_latex("compare"), "turned": three.to_latex("by-convention", "page")}
    parts |= {"named": others.to_latex("compare", names=["SDT", "SpikingResformer"])}
    assert compiled(tmp_path, parts) == []


@has_latex
def test_hostile_names_compile_and_print(tmp_path):
    report = public.audit("sdt-nmnist")
    sheet = report["layers"]
    rows = [{**row, "layer": HOSTILE[i % len(HOSTILE)]} for i, row in enumerate(sheet.rows)]
    provenance = {"weights": HOSTILE[0], "input": [HOSTILE[2]], "command": HOSTILE[5], "versions": HOSTILE[1]}
    bad = Report(HOSTILE[2], [Sheet("la%yers", HOSTILE[1], sheet.columns, rows, HOSTILE)], provenance)
    table = paper_table(replace(bad), "la%yers", [HOSTILE[0]])
    compiled(tmp_path, {"hostile": typeset(table)})
    assert (tmp_path / "paper.pdf").exists()
