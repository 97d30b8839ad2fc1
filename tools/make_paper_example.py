"""A two-page article in two columns from evsim's own output: ``python -m tools.make_paper_example FOLDER``.

Tables and figures are written by the public functions, as ``evsim audit --table`` and ``evsim raster`` write them, and
set with pdflatex where there is one; nothing is edited in between. Prints what LaTeX found too wide.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from matplotlib.figure import Figure

import evsim
from evsim.auditing.bibliography import bibtex
from evsim.auditing.conventions import conventions
from evsim.auditing.energy_model import choose_models
from evsim.auditing.paper.typeset import PACKAGES
from evsim.cli.figures import write_figure
from evsim.loading.zoo import DEFAULT_RECORDING, find_weights, zoo_folder
from evsim.plots import plot_operations, plot_rates, raster_figure
from evsim.plots.sizes import SIZES
from evsim.plots.theme import LIGHT, drawn_with
from evsim.runs.run import run

RECORDINGS = [str(zoo_folder() / f"nmnist_digit_{n}.h5") for n in range(10)]
LAYERS = ("block.0.attn.q_lif", "block.0.attn.talking_heads_lif")
FIRST_PAGE = ("summary", "operations", "raster", "rates")
SECOND_PAGE = ("conventions", "claim", "compare")
CAPTIONS = {
    "operations": "Operations of each layer",
    "raster": "Spikes of the queries and of the gate of the first block, one scale for both",
    "rates": "Share of the neurons of each population that fire at each step",
}
HEAD = r"""\documentclass[10pt,twocolumn]{article}
\usepackage[letterpaper,textwidth=6.875in,textheight=9.6in,columnsep=0.3125in]{geometry}
\usepackage{PACKAGES}
\renewcommand{\topfraction}{0.99}\renewcommand{\dbltopfraction}{0.99}\renewcommand{\textfraction}{0.01}
\renewcommand{\floatpagefraction}{0.3}\renewcommand{\dblfloatpagefraction}{0.3}
\setcounter{topnumber}{9}\setcounter{dbltopnumber}{9}\setcounter{totalnumber}{20}
\makeatletter\setlength{\@fptop}{0pt}\setlength{\@fpsep}{8pt plus 1fil}\setlength{\@fpbot}{0pt plus 2fil}
\setlength{\@dblfptop}{0pt}\setlength{\@dblfpsep}{8pt plus 1fil}\setlength{\@dblfpbot}{0pt plus 2fil}\makeatother
\begin{document}
"""
"""Floats alone: the settings keep them at the top of their pages."""


def main(folder: Path) -> None:
    """Tables, figures, the article, and its PDF."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in tables().items():
        (folder / f"{name}.tex").write_text(text, "utf-8")
    for name, figure in figures().items():
        write_figure(figure, str(folder / f"{name}.pdf"), 300)
        (folder / f"{name}.tex").write_text(float_of(name), "utf-8")
    references = bibtex(list(conventions().values()), choose_models())
    (folder / "references.bib").write_text(references, "utf-8")
    (folder / "paper.tex").write_text(article(), "utf-8")
    compile_article(folder)


def tables() -> dict[str, str]:
    """Ten recordings, one of each digit."""
    report = evsim.audit("sdt-nmnist", RECORDINGS)
    both = evsim.audit(["sdt-nmnist", "spikformer-nmnist"], RECORDINGS)
    claim = evsim.audit("sdt-nmnist", RECORDINGS, claim="sdsa-87x")
    found = {name: report.to_latex(name, names=["SDT"]) for name in ("summary", "conventions")}
    compared = both.to_latex("compare", names=["SDT", "Spikformer"])
    return found | {"compare": compared, "claim": claim.to_latex("measured", names=["SDT"])}


def figures() -> dict[str, Figure]:
    """Pictures of one recording, a column wide."""
    _, trace = run(find_weights("sdt-nmnist"), str(zoo_folder() / DEFAULT_RECORDING))
    return {
        "raster": raster_figure(trace, LAYERS, size="column"),
        "rates": drawn(2.5, lambda ax: plot_rates(ax, trace)),
        "operations": drawn(2.4, lambda ax: plot_operations(ax, trace.ledger)),
    }


def drawn(height: float, draw) -> Figure:
    """One picture, a column wide."""
    size = SIZES["column"]
    with drawn_with(LIGHT, size.font):
        figure = Figure(figsize=(size.width, height))
        draw(figure.add_subplot())
    return figure


def float_of(name: str) -> str:
    picture = rf"\centering\includegraphics{{{name}.pdf}}"
    caption = rf"\caption{{{CAPTIONS[name]}; sdt-nmnist, one recording (nmnist\_digit\_7.h5).}}"
    return "\n".join([r"\begin{figure}[tbp]", picture, caption, r"\end{figure}", ""])


def article() -> str:
    first, second = ([rf"\input{{{name}}}" for name in page] for page in (FIRST_PAGE, SECOND_PAGE))
    head = HEAD.replace("PACKAGES", ",".join(PACKAGES))
    return head + "\n".join([*first, r"\clearpage", *second, r"\clearpage", r"\end{document}", ""])


def compile_article(folder: Path) -> None:
    """Twice, for labels; say what is too wide."""
    if shutil.which("pdflatex") is None:
        print("no pdflatex here: paper.tex is written, not set")
        return
    for _ in range(2):
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    log = (folder / "paper.log").read_text(errors="replace")
    if done.returncode:
        sys.exit(log[-1500:])
    wide = re.findall(r"^Overfull.*|^.*Float too large.*", log, re.M)
    print("\n".join(wide) or "no overfull boxes")
    print(re.search(r"Output written on .*", log)[0])


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "paper-example"))
