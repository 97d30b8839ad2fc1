"""The measurements as a table and as JSON."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from statistics import median

from tools.benchmarks.timing import Measurement

__all__ = ["Ratio", "as_json", "best_dense", "machine", "ratio", "table"]


@dataclass(frozen=True)
class Ratio:
    """PyTorch's time over evsim's, round by round."""

    median: float
    low: float
    high: float


def ratio(measurement: Measurement, dense: str) -> Ratio:
    """Above 1: evsim is faster."""
    pairs = zip(measurement.seconds[dense], measurement.seconds["evsim"], strict=True)
    ratios = [theirs / ours for theirs, ours in pairs]
    return Ratio(median(ratios), min(ratios), max(ratios))


def best_dense(measurement: Measurement, prefix: str) -> str | None:
    """The fastest form (by median) of the dense models whose name starts so."""
    forms = {name: median(times) for name, times in measurement.seconds.items() if name.startswith(prefix)}
    return min(forms, key=forms.get) if forms else None


def table(measurements: list[Measurement]) -> str:
    """One line a contestant; each measurement's best form of each dense model carries a star."""
    lines = [f"{'':42} {'threads':>7} {'median s':>9} {'min':>8} {'max':>8}   PyTorch/evsim (min-max)"]
    for m in measurements:
        lines.append(m.title)
        stars = {best_dense(m, "SpikingJelly 2"), best_dense(m, "plain torch")}
        for name, times in m.seconds.items():
            line = f"  {name:40} {m.threads:7} {median(times):9.4f} {min(times):8.4f} {max(times):8.4f}"
            if name != "evsim":
                r = ratio(m, name)
                line += f"   {r.median:5.2f} ({r.low:.2f}-{r.high:.2f}){'*' if name in stars else ' '}"
                line += f"  logits differ by {m.logits_difference[name]:.1e}"
            lines.append(line)
        lines += [f"  ({note})" for note in m.notes]
    return "\n".join([*lines, "* the fastest form of this model"])


def as_json(measurements: list[Measurement], memory: dict[str, dict[str, int]]) -> dict:
    """Everything measured, with the machine it was measured on."""
    rows = []
    for m in measurements:
        ratios = {name: asdict(ratio(m, name)) for name in m.seconds if name != "evsim"}
        best = {prefix: best_dense(m, prefix) for prefix in ("SpikingJelly 2", "plain torch")}
        rows.append({**asdict(m), "ratios": ratios, "best": best})
    return {"machine": machine(), "measurements": rows, "peak_memory_bytes": memory}


def machine() -> dict:
    """The processor and the versions that matter."""
    packages = {}
    for package in ("evsim", "numpy", "numba", "torch", "spikingjelly"):
        try:
            packages[package] = version(package)
        except PackageNotFoundError:
            packages[package] = None
    return {"processor": _processor(), "python": platform.python_version(), "packages": packages}


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
        return f"{names[0]} ({len(names)} cores seen)"
    except (OSError, IndexError):
        return platform.processor()
