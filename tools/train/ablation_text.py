"""The words and tables of docs/ablations.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evsim.auditing.estimate import estimate
from tools.train.ablation_audit import MODELS

__all__ = [
    "DIFFERENCES", "OPENING", "RECONSTRUCTION", "REMARKS", "TITLES", "WARNING",
    "arm_row", "difference_row", "header", "interval", "seed_lines",
]  # fmt: skip

TITLES = {
    "shortcut": "Membrane shortcut against SEW shortcut (Spikformer V2, a reconstruction)",
    "attention": "SDSA against SSA against DSSA at equal size (one small transformer)",
    "groupwise": "The group-wise convolution of SpikingResformer on and off",
    "transfer": "Transfer from MNIST to N-MNIST against training from scratch (200 recordings)",
}
RECONSTRUCTION = """Spikformer V2 is a reconstruction here, not the authors' network: neither code nor weights were \
released, and of the 167
designs that fit two of its published numbers of parameters none reaches the third, 172.70 M. See [claims](claims.md).
"""
REMARKS = {
    "shortcut": RECONSTRUCTION.strip(),
    "groupwise": "The arms are not of equal size: `off` leaves the convolutions out and puts nothing in their place.",
    "transfer": "`transferred` has seen 5,000 labelled MNIST images before (its first stage, called mnist, whose "
    "accuracy is that on MNIST's 10,000 test images); `scratch` has not.",
}
OPENING = """# Ablations

Claims of the papers on a scale that anyone can repeat:

```
python -m tools.train.ablations --root DATA --output DIR --seeds 10
python -m tools.train.pretrain --root DATA --output MIM --seeds 10
python -m tools.train.ablation_table DIR --root DATA --mim MIM/mim.json
```

N-MNIST, 1,000 training recordings (200 where it says so), the same 100 test recordings for every network. Every figure
is a mean over the seeds with its 95 % interval (Student's t). Accuracy is PyTorch's. The rest is evsim's audit: literal
counts of the same 100 recordings through the imported checkpoint, event by event. "Additions" are synaptic ones, a
payload of n as n additions; "MACs" are products of real values. Energy is the audit's panel
(`evsim audit --energy NAME`), µJ a recording:

* `pair_4.6_0.9`: 0.9 pJ an addition, 4.6 pJ a MAC, over synaptic, bias and residual additions; no memory, no neurons.
* `step_simple`: the same with memory for weights and states, as STEP and SpikingJelly price it.

Neither is a measurement of a device: constants of 45 nm tables times counts.
"""
DIFFERENCES = "Differences, seed by seed (in points, counts and µJ):"
WARNING = """## What one may not conclude

* A hundred test recordings resolve large differences only: where the interval of a difference holds zero, the study has
  found nothing, which is not the same as finding them equal. The 95 % Wilson interval of one network at 75 of 100 is
  65.7 to 82.5 % already.
* The interval is over seeds only. All networks see the same hundred recordings, so what is special in these is in every
  figure.
* The networks are tiny and trained for a few epochs: far from converged. Which arm learns faster is not which is better
  in the end, and neither says anything of the published sizes on ImageNet.
* All arms use the same learning rate and schedule, tuned for neither.
* Several comparisons were made, and none is corrected for that.
* Arms fire at rates of their own. Fewer additions may come from the mechanism or from a network that learnt to be
  quieter; these studies do not tell the two apart.
"""
_COLUMNS = ("accuracy, %", "additions", "MACs", *(f"{name}, µJ" for name in MODELS))


def header(*before: str) -> list[str]:
    """Title and rule of a table."""
    names = (*before, *_COLUMNS)
    return ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]


def arm_row(name: str, arm: dict, audits: Sequence[dict]) -> str:
    """One arm: sizes, then everything that has an interval."""
    cells = [name, f"{arm['parameters']:,}", f"{100 * arm['mean_rate']:.1f}"]
    return "| " + " | ".join([*cells, *_figures(_columns(arm, audits))]) + " |"


def difference_row(ours: tuple, theirs: tuple) -> str:
    """The first arm less another, paired by seed."""
    pairs = zip(_columns(*ours[1:]), _columns(*theirs[1:]), strict=True)
    less = [[a - b for a, b in zip(mine, other, strict=True)] for mine, other in pairs]
    return "| " + " | ".join([f"{ours[0]} less {theirs[0]}", *_figures(less)]) + " |"


def seed_lines(arms: dict, audits: dict) -> Iterator[str]:
    """Every accuracy, and how often evsim and PyTorch disagree."""
    for name, arm in arms.items():
        seeds = ", ".join(f"{100 * accuracy:.4g}" for accuracy in arm["accuracy"])
        yield f"Accuracy by seed, {name}: {seeds}."
    n = sum(audit["n"] for each in audits.values() for audit in each)
    differing = sum(audit["differing"] for each in audits.values() for audit in each)
    yield f"Predictions in which evsim and PyTorch differ: {differing} of {n:,}."


def interval(values: Sequence[float], digits: int = 1) -> str:
    """Mean and 95 % interval of Student's t."""
    e = estimate(values)
    mean, low, high = (f"{round(x, digits) + 0.0:,.{digits}f}" for x in (e.mean, e.low, e.high))  # no "-0.0"
    return f"{mean} ({low} to {high})"


def _columns(arm: dict, audits: Sequence[dict]) -> list[list[float]]:
    """One list of values, seed by seed, for each column."""
    counts = [[audit["counts"][name] for audit in audits] for name in ("acs", "macs")]
    energy = [[sum(audit["energy"][model].values()) for audit in audits] for model in MODELS]
    return [[100 * accuracy for accuracy in arm["accuracy"]], *counts, *energy]


def _figures(columns: list[list[float]]) -> list[str]:
    return [interval(values, digits) for values, digits in zip(columns, (1, 0, 0, 2, 2), strict=True)]
