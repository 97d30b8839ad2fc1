"""Render the tables of docs/performance.md from measured JSON files.

    python -m tools.benchmarks.page workloads.json events.json ...           print the tables
    python -m tools.benchmarks.page --into docs/performance.md *.json        write them into their slots

Each tool's JSON says what it is (`kind`). A slot in the page is what stands between the comments
``<!-- measured: KIND -->`` and ``<!-- end -->``; a slot of which no file is given stays as it is. Times of both sides
held to a target have slots of their own, ``KIND-TARGET``.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

from tools.benchmarks.memory import BOUNDED, bound
from tools.benchmarks.table import DENSE, best_dense, held, ratio
from tools.benchmarks.target import HOST

__all__ = ["PageError", "fill", "render"]

TIMED = ("workloads", "fixed-point", "compiled")
"""Tables that differ by target; the rest is measured without one."""
_SLOT = re.compile(r"(<!-- measured: ([\w-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


class PageError(Exception):
    """A file holds no measurement, or the page has no slot for it: the message says which."""


def render(measured: Mapping) -> dict[str, str]:
    """The slots that one JSON file fills: Markdown by name.

    Raises
    ------
    PageError
        Its kind is unknown.
    """
    kind = measured.get("kind")
    if kind not in _RENDERERS:
        raise PageError(f"kind {kind!r}, expected one of {', '.join(_RENDERERS)}")
    target = measured.get("target", HOST)
    tables = {name: make(measured) for name, make in _RENDERERS[kind].items() if target == HOST or name in TIMED}
    slot = "" if target == HOST else f"-{target}"
    conditions = "" if target == HOST else f"{held(target).removeprefix('target: ')}; "
    return {
        f"{name}{slot}": f"{table}\n\n{conditions}{_machine(measured['machine'])}\n" for name, table in tables.items()
    }


def fill(page: str, tables: Mapping[str, str]) -> str:
    """The page with each table in its slot.

    Raises
    ------
    PageError
        A table has no slot.
    """
    homeless = set(tables) - {match[2] for match in _SLOT.finditer(page)}
    if homeless:
        raise PageError(f"no slot <!-- measured: {min(homeless)} --> in the page")
    return _SLOT.sub(lambda match: match[1] + tables.get(match[2], match[3]) + match[4], page)


def main() -> int:
    """Print, or write into the page."""
    options = _parser().parse_args()
    tables: dict[str, str] = {}
    try:
        for path in options.json:
            tables |= _render_file(path)
        if options.into:
            options.into.write_text(fill(options.into.read_text(encoding="utf-8"), tables), encoding="utf-8")
        else:
            print("\n".join(f"## {name}\n\n{table}" for name, table in tables.items()))
    except PageError as error:
        print(f"page: {error}", file=sys.stderr)
        return 2
    return 0


def _render_file(path: Path) -> dict[str, str]:
    try:
        return render(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, AttributeError) as error:
        raise PageError(f"{path}: cannot be read ({error})") from None
    except KeyError as error:
        raise PageError(f"{path}: has no {error}") from None
    except PageError as error:
        raise PageError(f"{path}: {error}") from None


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def _workloads(measured: Mapping) -> str:
    head = ["workload", "threads", "evsim", "SpikingJelly 2", "ratio", "plain torch, folded", "ratio"]
    return _table(head, [row for m in measured["measurements"] if (row := _workload_row(m, False))])


def _fixed_point(measured: Mapping) -> str:
    rows = []
    for m in measured["measurements"]:
        cells = []
        for form in ("evsim, int16", "evsim, int8"):
            gains = [a / b for a, b in zip(m["seconds"]["evsim"], m["seconds"][form], strict=True)]
            spread = f"**{median(gains):.2f}** ({min(gains):.2f}-{max(gains):.2f})"
            cells += [f"{median(m['seconds'][form]):.4f}", spread]
        rows.append([m["title"], str(m["threads"]), f"{median(m['seconds']['evsim']):.4f}", *cells])
    return _table(["workload", "threads", "float32", "int16", "float32/int16", "int8", "float32/int8"], rows)


def _compiled(measured: Mapping) -> str:
    head = ["workload", "threads", "evsim", "SpikingJelly 2, compiled", "ratio", "plain torch, compiled", "ratio"]
    rows = [row for m in measured["measurements"] if (row := _workload_row(m, True))]
    return _table(head, rows)


def _workload_row(m: Mapping, compiled: bool) -> list[str] | None:
    seconds, cells = m["seconds"], []
    for prefix in DENSE:
        dense = best_dense(seconds, prefix, compiled)
        if dense is None:
            cells += ["", ""]
            continue
        r, only = ratio(seconds, dense), " (its neurons)" * ("neurons" in dense)
        cells += [f"{median(seconds[dense]):.4f}{only}", f"**{r.median:.2f}** ({r.low:.2f}-{r.high:.2f})"]
    if not any(cells):
        return None
    return [m["title"], str(m["threads"]), f"{median(seconds['evsim']):.4f}", *cells]


def _memory(measured: Mapping) -> str:
    rows = []
    for name, memory in measured["memory_bytes"].items():
        dense = [who for who in memory if who.startswith(DENSE)]
        others = ", ".join(f"{who} {memory[who] / 1e6:.0f}" for who in dense)
        verdict = ""
        if name == BOUNDED:
            verdict = f"{bound(memory) / 1e6:.0f}: {'met' if memory['evsim'] < bound(memory) else 'missed'}"
        rows.append([name, f"{memory['weights'] / 1e6:.0f}", f"{memory['evsim'] / 1e6:.0f}", others, verdict])
    return _table(["workload", "weights, MB", "evsim, MB", "PyTorch, MB", "bound, MB"], rows)


def _equality(measured: Mapping) -> str:
    rows = [
        [name, f"{e['fed_differing']:,} of {e['fed_compared']:,}", str(e["unexcused"]), f"{e['free_differing']:,}"]
        for name, e in measured["equality"].items()
    ]
    return _table(["workload", "fed with PyTorch's spikes: differ", "beyond rounding", "left to itself: differ"], rows)


def _layers(measured: Mapping) -> str:
    rows = measured["rows"]
    densities = sorted({row["density"] for row in rows})
    lines = []
    for layer, even in measured["break_even"].items():
        ratios = {row["density"]: row["dense"] / row["evsim"] for row in rows if row["layer"] == layer}
        equal = f"{100 * even:.2g} %" if even is not None else "none" if ratios[densities[0]] > 1 else "never ahead"
        lines.append([layer, *(f"{ratios[density]:.1f}" for density in densities), equal])
    return _table(["layer", *(f"{100 * density:g} %" for density in densities), "equal at"], lines)


def _events_line(measured: Mapping) -> str:
    rows = []
    for s in measured["subjects"]:
        full = median(s["points"][-1]["seconds"])
        events, acs, both = s["over_events"], s["over_acs"], s["over_both"]
        rows.append([
            s["title"], f"{1e3 * full:.3g}", f"{events['r_squared']:.3f}", f"{acs['r_squared']:.3f}",
            f"{1e3 * acs['intercept']:.3g}", f"{both['r_squared']:.3f}", f"{100 * s['blank_share']:.1f} %",
        ])  # fmt: skip
    head = ["subject", "all events, ms", "R² over events", "R² over additions", "its intercept, ms"]
    return _table([*head, "R² over additions and updates", "blank / full"], rows)


def _roofline(measured: Mapping) -> str:
    rows = []
    for limit in measured["limits"]:
        place = "memory" if limit["place"] == "beyond" else f"the {limit['place']}"
        what = f"`add_rows`, weights in {place} ({limit['weight_bytes'] >> 10:,} KiB)"
        rows.append([what, f"{limit['additions_per_second'] / 1e9:.1f}"])
    rows.append(["memory bandwidth (triad) / 4 bytes", f"{measured['triad_bytes_per_second'] / 4e9:.1f}"])
    for name, projections in measured["networks"].items():
        acs, seconds = (sum(p[key] for p in projections) for key in ("acs", "seconds"))
        fastest = max(projections, key=lambda p: p["additions_per_second"])
        best = f"{fastest['additions_per_second'] / 1e9:.1f} ({fastest['name']})"
        rows.append([f"{name}: all projections; the fastest", f"{acs / seconds / 1e9:.1f}; {best}"])
    return _table(["", "additions/s, G"], rows)


def _naive(measured: Mapping) -> str:
    own, rows = measured["rows"][0]["seconds"], []
    for row in measured["rows"]:
        times = median(theirs / ours for theirs, ours in zip(row["seconds"], own, strict=True))
        numbers = (f"{1e3 * median(row['seconds']):.3g}", f"{times:.1f}", f"{row['spikes']:,}", str(row["differing"]))
        rows.append([row["name"], *numbers])
    return _table(["simulator", "ms", "x evsim", "spikes", "differ"], rows)


def _machine(machine: Mapping) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items() if version)
    return f"{machine['processor']}; Python {machine['python']}, {packages}."


_RENDERERS: dict[str, dict[str, Callable[[Mapping], str]]] = {
    "workloads": {
        "workloads": _workloads,
        "fixed-point": _fixed_point,
        "memory": _memory,
        "equality": _equality,
    },
    "compiled": {"compiled": _compiled},
    "layers": {"layers": _layers},
    "events_line": {"events_line": _events_line},
    "roofline": {"roofline": _roofline},
    "naive": {"naive": _naive},
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", nargs="+", type=Path)
    parser.add_argument("--into", type=Path, help="the page whose slots to fill")
    return parser


if __name__ == "__main__":
    sys.exit(main())
