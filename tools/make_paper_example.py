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
from evsim.auditing.energy_model import choose_models, find_model
from evsim.auditing.panel import energy_panel
from evsim.auditing.paper.typeset import PACKAGES
from evsim.auditing.replay import describe_trace
from evsim.cli.figures import write_figure
from evsim.loading.zoo import DEFAULT_RECORDING, find_weights, zoo_folder
from evsim.plots import plot_conventions, plot_energy, plot_operations, plot_rates, raster_figure
from evsim.plots.sizes import SIZES
from evsim.plots.theme import LIGHT, drawn_with
from evsim.runs.run import run

RECORDINGS = [str(zoo_folder() / f"nmnist_digit_{n}.h5") for n in range(10)]
LAYERS = ("input", "patch_embed.proj_lif3", "block.0.attn.q_lif", "block.0.attn.talking_heads_lif")
PARTS = ("bars", "summary", "raster", "rates", "conventions", "energy", "compare", "claim")
CAPTIONS = {
    "bars": "Operations of each layer, the same spikes by published conventions, and energy with memory",
    "raster": "Spikes of the queries and of the gate of the first block, one scale for both",
    "rates": "Share of the neurons of each population that fire at each step",
}


def main(folder: Path) -> None:
    """Tables, figures, the article, and its PDF."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in tables().items():
        (folder / f"{name}.tex").write_text(text, "utf-8")
    for name, (figure, width) in figures().items():
        write_figure(figure, str(folder / f"{name}.pdf"), 300)
        (folder / f"{name}.tex").write_text(float_of(name, width), "utf-8")
    references = bibtex(list(conventions().values()), choose_models())
    (folder / "references.bib").write_text(references, "utf-8")
    (folder / "paper.tex").write_text(article(), "utf-8")
    compile_article(folder)


def tables() -> dict[str, str]:
    """Ten recordings of the bundled networks."""
    report = evsim.audit("sdt-nmnist", RECORDINGS)
    both = evsim.audit(["sdt-nmnist", "spikformer-nmnist"], RECORDINGS)
    claim = evsim.audit("sdt-nmnist", RECORDINGS, claim="sdsa-87x")
    names = ["SDT"]
    found = {
        name: report.to_latex(name, names=names) for name in ("summary", "layers", "steps", "conventions", "energy")
    }
    compared = both.to_latex("compare", names=["SDT", "Spikformer"])
    return found | {"compare": compared, "claim": claim.to_latex("measured", names=names)}


def figures() -> dict[str, tuple[Figure, str]]:
    """Rasters and bars of one recording, and the width each is set in."""
    _, trace = run(find_weights("sdt-nmnist"), str(zoo_folder() / DEFAULT_RECORDING))
    audited = describe_trace(trace)
    tallies = [convention.count(audited) for convention in conventions().values()]
    panel = energy_panel(audited, find_model("step_simple"))
    return {
        "raster": (raster_figure(trace, LAYERS[2:], size="column"), "column"),
        "rates": (drawn("column", 2.4, lambda ax: plot_rates(ax, trace)), "column"),
        "bars": (
            drawn(
                "text", 2.3, lambda ax: plot_operations(ax, trace.ledger),
                lambda ax: plot_conventions(ax, tallies), lambda ax: plot_energy(ax, panel),
            ),
            "text",
        ),
    }  # fmt: skip


def drawn(size: str, height: float, *draw) -> Figure:
    """Pictures side by side."""
    with drawn_with(LIGHT, SIZES[size].font):
        figure = Figure(figsize=(SIZES[size].width, height))
        for ax, one in zip(figure.subplots(1, len(draw), squeeze=False)[0], draw, strict=True):
            one(ax)
    return figure


def float_of(name: str, width: str) -> str:
    star = "*" if width == "text" else ""
    picture = rf"\centering\includegraphics{{{name}.pdf}}"
    caption = rf"\caption{{{CAPTIONS[name]}; sdt-nmnist, one recording (nmnist\_digit\_7.h5).}}"
    return "\n".join([rf"\begin{{figure{star}}}[tbp]", picture, caption, rf"\end{{figure{star}}}", ""])


def article() -> str:
    """Floats alone; the settings keep them at the top of their pages."""
    head = [
        r"\documentclass[10pt,twocolumn]{article}",
        r"\usepackage[letterpaper,textwidth=6.875in,textheight=9.5in,columnsep=0.3125in]{geometry}",
        rf"\usepackage{{{','.join(PACKAGES)}}}",
        r"\renewcommand{\topfraction}{0.99}\renewcommand{\dbltopfraction}{0.99}\renewcommand{\textfraction}{0.01}",
        r"\setcounter{topnumber}{9}\setcounter{dbltopnumber}{9}\setcounter{totalnumber}{20}",
        r"\renewcommand{\floatpagefraction}{0.95}\renewcommand{\dblfloatpagefraction}{0.95}",
        r"\makeatletter\setlength{\@fptop}{0pt}\setlength{\@fpsep}{8pt plus 1fil}",
        r"\setlength{\@dblfptop}{0pt}\setlength{\@dblfpsep}{8pt plus 1fil}\makeatother",
        r"\setlength{\floatsep}{8pt}\setlength{\dblfloatsep}{8pt}",
        r"\begin{document}",
    ]
    return "\n".join(
        [*head, *(rf"\input{{{name}}}" for name in PARTS), r"\mbox{}\newpage\mbox{}", r"\end{document}", ""]
    )


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
