"""The measurements as a table and as JSON."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from statistics import median

from tools.benchmarks.equality import Equality
from tools.benchmarks.memory import BOUNDED, Memory, bound
from tools.benchmarks.target import HOST, TARGETS
from tools.benchmarks.timing import Measurement

__all__ = ["DENSE", "Ratio", "Results", "as_json", "best_dense", "held", "machine", "ratio", "table"]

DENSE = ("SpikingJelly 2", "plain torch")
"""How the names of dense models begin."""


@dataclass
class Results:
    """Everything that one call of ``tools.benchmark`` measured.

    Parameters
    ----------
    measurements : list of Measurement
    memory : dict of str to Memory
        By workload.
    equality : dict of str to Equality or None
        By workload.
    rates : dict of str to dict of str to (float, float)
        By tuned workload and layer or population: percent wanted and achieved.
    target : str
        The instructions that both sides were held to, see `tools.benchmarks.target`.
    """

    measurements: list[Measurement] = field(default_factory=list)
    memory: dict[str, Memory] = field(default_factory=dict)
    equality: dict[str, Equality | None] = field(default_factory=dict)
    rates: dict[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    target: str = HOST


@dataclass(frozen=True)
class Ratio:
    """PyTorch's time over evsim's, round by round."""

    median: float
    low: float
    high: float


def ratio(seconds: Mapping[str, list[float]], dense: str) -> Ratio:
    """Above 1: evsim is faster."""
    ratios = [theirs / ours for theirs, ours in zip(seconds[dense], seconds["evsim"], strict=True)]
    return Ratio(median(ratios), min(ratios), max(ratios))


def best_dense(seconds: Mapping[str, list[float]], prefix: str, compiled: bool = False) -> str | None:
    """The fastest form (by median) of the dense models whose name starts so, compiled ones or the others."""
    forms = {
        name: median(times)
        for name, times in seconds.items()
        if name.startswith(prefix) and name.endswith("torch.compile") == compiled
    }
    return min(forms, key=forms.get) if forms else None


def table(results: Results) -> str:
    """One line a contestant; the best form of each dense model carries a star."""
    lines = [
        held(results.target),
        f"{'':42} {'threads':>7} {'median s':>9} {'min':>8} {'max':>8}   PyTorch/evsim (min-max)",
    ]
    for m in results.measurements:
        lines.append(m.title)
        stars = {best_dense(m.seconds, prefix, compiled) for prefix in DENSE for compiled in (False, True)}
        for name, times in m.seconds.items():
            line = f"  {name:40} {m.threads:7} {median(times):9.4f} {min(times):8.4f} {max(times):8.4f}"
            if name != "evsim":
                r = ratio(m.seconds, name)
                line += f"   {r.median:5.2f} ({r.low:.2f}-{r.high:.2f}){'*' if name in stars else ' '}"
                line += f"  logits differ by {m.logits_difference[name]:.1e}"
            lines.append(line)
        lines += [f"  ({note})" for note in m.notes]
    lines.append("* the fastest form of this model, compiled or not")
    lines += [f"equality, {name}: {equality}" for name, equality in results.equality.items() if equality]
    for name, rates in results.rates.items():
        lines += _rate_lines(name, rates)
    for name, memory in results.memory.items():
        lines.append(_memory_line(name, memory))
    return "\n".join(lines)


def held(target: str) -> str:
    """What both sides were held to, in a line."""
    if target == HOST:
        return "target: the processor's own, nothing is held back"
    return f"target: both sides held to {target} ({TARGETS[target]})"


def _rate_lines(name: str, rates: Mapping[str, tuple[float, float]]) -> list[str]:
    if not rates:
        return []
    worst = max(rates, key=lambda layer: abs(rates[layer][1] - rates[layer][0]))
    lines = [f"rates, {name}: {len(rates)} set; farthest from what was wanted is {worst}; achieved, percent:"]
    words = [f"{layer} {achieved:.2f}" for layer, (_, achieved) in rates.items()]
    return lines + ["  " + ", ".join(words[i : i + 4]) for i in range(0, len(words), 4)]


def _memory_line(name: str, memory: Memory) -> str:
    line = f"peak memory, {name}: " + ", ".join(f"{who} {size / 1e6:.0f} MB" for who, size in memory.items())
    if name == BOUNDED:
        met = "met" if memory["evsim"] < bound(memory) else "MISSED"
        line += f"; bound 1.3 x weights + 300 MB = {bound(memory) / 1e6:.0f} MB: {met}"
    return line


def as_json(results: Results) -> dict:
    """Everything measured, with the machine it was measured on."""
    rows = []
    for m in results.measurements:
        ratios = {name: asdict(ratio(m.seconds, name)) for name in m.seconds if name != "evsim"}
        rows.append({**asdict(m), "ratios": ratios})
    equality = {name: asdict(found) for name, found in results.equality.items() if found}
    is_compiled = any(name.endswith("torch.compile") for m in results.measurements for name in m.seconds)
    return {
        "kind": "compiled" if is_compiled else "workloads",
        "target": results.target,
        "machine": machine(),
        "measurements": rows,
        "equality": equality,
        "rates": results.rates,
        "memory_bytes": results.memory,
    }


def machine() -> dict:
    """The processor and the versions that matter."""
    packages = {}
    for package in ("evsim", "numpy", "numba", "torch", "spikingjelly", "sanafe"):
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
