"""`python -m tools.train.ablation_table DIR`: docs/ablations.md from what `tools.train.ablations --output DIR` left.

Accuracies are PyTorch's, seed by seed. Operations are evsim's: each checkpoint is imported and run on the bundled test
recordings. A study enters the page once every arm has three seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from math import sqrt
from pathlib import Path
from tempfile import TemporaryDirectory

from scipy.stats import t as student

from evsim.audit.energy_model import find_model
from evsim.checkpoints.importing import import_checkpoint
from evsim.checkpoints.weights import write_weights
from evsim.errors import CheckpointError
from evsim.evaluate import evaluate
from evsim.evaluation import Plan, Threads, find_dataset
from evsim.zoo import zoo_folder
from tools.train.ablations import STUDIES

PAGE = Path(__file__).parents[2] / "docs" / "ablations.md"
MIN_SEEDS = 3
ENERGY = "pair_4.6_0.9"
TITLES = {
    "shortcut": "Membrane shortcut against SEW shortcut (Spikformer V2)",
    "attention": "SDSA against SSA against DSSA at equal size (one small transformer)",
    "groupwise": "The group-wise convolution of SpikingResformer on and off",
    "transfer": "Transfer from MNIST to N-MNIST against training from scratch (200 recordings)",
}
OPENING = """# Ablations

Claims of the papers on a scale that anyone can repeat:

```
python -m tools.train.ablations --root DATA --output DIR
python -m tools.train.ablation_table DIR
```

N-MNIST, 1,000 training recordings (200 where it says so), the same 100 test recordings for every network. Accuracy is
PyTorch's, one figure a seed; the interval is Student's over the seeds. Operations are literal counts of evsim per
recording, mean over the test recordings and seeds; energy is 0.9 pJ an addition and 4.6 pJ a MAC over them
(`pair_4.6_0.9`), nothing else.
"""
WARNING = """## What one may not conclude

* Three seeds and a hundred test recordings resolve large differences only: where the interval of a difference holds
  zero, the study has found nothing. The 95 % Wilson interval of one network at 75 of 100 is 65.7 to 82.5 % already.
* The interval is over seeds only. All networks see the same hundred recordings, so what is special in these is in every
  figure.
* The networks are tiny and trained for a few epochs: far from converged. Which arm learns faster is not which is better
  in the end, and neither says anything of the published sizes on ImageNet.
* All arms use the same learning rate and schedule, tuned for neither.
* Several comparisons were made, and none is corrected for that.
"""


def main() -> None:
    """Command line."""
    p = argparse.ArgumentParser("python -m tools.train.ablation_table", description=__doc__.splitlines()[0])
    p.add_argument("folder", type=Path)
    folder = p.parse_args().folder
    reports = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    finished = {report["study"]: report for report in reports if len(report["seeds"]) >= MIN_SEEDS}
    sections = [section(folder, finished[name]) for name in STUDIES if name in finished]
    missing = [TITLES[name] for name in STUDIES if name not in finished]
    left = "".join(f"* {title}\n" for title in missing)
    notes = f"## Not measured yet\n\nThe command above runs these as well:\n\n{left}\n" if missing else ""
    PAGE.write_text("\n".join([OPENING, *sections, notes + WARNING]))


def section(folder: Path, report: dict) -> str:
    """One study as a table, the differences of its arms, and its command lines."""
    arms = report["arms"]
    lines = [f"## {TITLES[report['study']]}\n"]
    lines += [
        "| arm | parameters | accuracy by seed, % | mean, 95 % interval | rate % | additions | MACs | energy, uJ |"
    ]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for name, arm in arms.items():
        checkpoints = sorted((folder / report["study"] / name).glob("seed*/*.pth.tar"))
        lines.append("| " + " | ".join(row(name, arm, checkpoints)) + " |")
    lines += ["", *differences(arms), ""]
    lines += [f"* {name}: `{options}`" for name, options in report["options"].items()]
    return "\n".join(lines) + "\n"


def row(name: str, arm: dict, checkpoints: list[Path]) -> list[str]:
    """The cells of one arm."""
    seeds = ", ".join(f"{100 * accuracy:.0f}" for accuracy in arm["accuracy"])
    counted = [counts for counts in map(operations, checkpoints) if counts]
    cells = [name, f"{arm['parameters']:,}", seeds, interval(arm["accuracy"]), f"{100 * arm['mean_rate']:.1f}"]
    if len(counted) < len(checkpoints) or not counted:
        return [*cells, "not a network evsim runs", "", ""]
    acs, macs = (statistics.mean(counts[key] for counts in counted) for key in ("acs", "macs"))
    model = find_model(ENERGY)
    return [
        *cells,
        f"{acs:,.0f}",
        f"{macs:,.0f}",
        f"{(model.price('add') * acs + model.price('mac') * macs) / 1e6:.2f}",
    ]


def differences(arms: dict) -> Iterator[str]:
    """The first arm less each other one, seed by seed."""
    (first, ours), *others = arms.items()
    for name, theirs in others:
        paired = [a - b for a, b in zip(ours["accuracy"], theirs["accuracy"], strict=True)]
        yield f"{first} less {name}, paired by seed: {interval(paired)} points."


def interval(values: list[float]) -> str:
    """Mean and 95 % interval of Student's t over the seeds, in per cent; an accuracy stays within 0 and 100."""
    mean = statistics.mean(values)
    half = student.ppf(0.975, len(values) - 1) * statistics.stdev(values) / sqrt(len(values))
    return f"{100 * mean:.1f} ({100 * (mean - half):.1f} to {100 * min(1.0, mean + half):.1f})"


def operations(checkpoint: Path) -> dict[str, float] | None:
    """Mean counts of evsim over the bundled test recordings; None where evsim has no such network."""
    told = {"split_by": "time", "fit": "crop", "sensor": "34x34"}
    try:
        weights, _ = import_checkpoint(str(checkpoint), told)
    except CheckpointError:
        return None
    if weights.header["hyper_parameters"]["in_channels"] == 3:
        weights, _ = import_checkpoint(str(checkpoint), told | {"fit": "crop,on_off_sum"})
    with TemporaryDirectory() as folder:
        path = f"{folder}/network.npz"
        write_weights(path, weights)
        dataset = find_dataset(str(zoo_folder() / "nmnist_test_100.h5"))
        return evaluate(Plan(path, dataset.kind), dataset, Threads()).mean_counts


if __name__ == "__main__":
    main()
