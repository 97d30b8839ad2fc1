"""`python -m tools.train.ablation_table DIR --root DATA`: docs/ablations.md from what the trainings left.

DIR is the folder of `tools.train.ablations --output DIR`, `--mim FILE` the mim.json of `tools.train.pretrain`.
Accuracies are PyTorch's, seed by seed; operations and energy are evsim's audit of each checkpoint on the bundled test
recordings (kept in DIR/audits). A study enters the page once every arm has three seeds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tools.train.ablation_audit import audited
from tools.train.ablation_text import (
    DIFFERENCES,
    OPENING,
    REMARKS,
    TITLES,
    WARNING,
    arm_row,
    difference_row,
    header,
    seed_lines,
)
from tools.train.ablations import STUDIES
from tools.train.mim_text import mim_section

PAGE = Path(__file__).parents[2] / "docs" / "ablations.md"
MIN_SEEDS = 3


def main() -> None:
    """Command line."""
    p = argparse.ArgumentParser("python -m tools.train.ablation_table", description=__doc__.splitlines()[0])
    p.add_argument("folder", type=Path)
    p.add_argument("--root", type=Path, required=True, help="data folder: PyTorch runs the test recordings again")
    p.add_argument("--mim", type=Path, help="mim.json of tools.train.pretrain")
    cli = p.parse_args()
    reports = [json.loads(path.read_text()) for path in sorted(cli.folder.glob("*.json"))]
    finished = {report["study"]: report for report in reports if len(report["seeds"]) >= MIN_SEEDS}
    sections = [section(cli, finished[name]) for name in STUDIES if name in finished]
    missing = [TITLES[name] for name in STUDIES if name not in finished]
    if cli.mim:
        sections.append(mim_section(json.loads(cli.mim.read_text())))
    left = "".join(f"* {title}\n" for title in missing)
    notes = f"## Not measured yet\n\nThe command above runs these as well:\n\n{left}\n" if missing else ""
    PAGE.write_text("\n".join([OPENING, *sections, notes + WARNING]))


def section(cli, report: dict) -> str:
    """One study: a table of its arms, their paired differences, every single accuracy, and the command lines."""
    study = report["study"]
    first_stages = {arm["after"] for arm in STUDIES[study].values() if "after" in arm}
    arms = {name: arm for name, arm in report["arms"].items() if name not in first_stages}
    audits = {name: _audits(cli, study, name, report["seeds"]) for name in arms}
    remark = [f"{REMARKS[study]}\n"] if study in REMARKS else []
    lines = [f"## {TITLES[study]}\n", *remark, *header("arm", "parameters", "rate, %")]
    lines += [arm_row(name, arm, audits[name]) for name, arm in arms.items()]
    (first, ours), *others = arms.items()
    lines += ["", DIFFERENCES, "", *header("arms")]
    lines += [difference_row((first, ours, audits[first]), (name, arm, audits[name])) for name, arm in others]
    lines += ["", *seed_lines(report["arms"], audits), ""]
    lines += [f"* {name}: `{options}`" for name, options in report["options"].items()]
    return "\n".join(lines) + "\n"


def _audits(cli, study: str, arm: str, seeds: list[int]) -> list[dict]:
    found = []
    for seed in seeds:
        (checkpoint,) = (cli.folder / study / arm / f"seed{seed}").glob("*.pth.tar")
        found.append(audited(checkpoint, cli.root, cli.folder / "audits" / f"{study}_{arm}_{seed}.json"))
    return found


if __name__ == "__main__":
    main()
