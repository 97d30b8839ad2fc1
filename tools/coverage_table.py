"""Coverage of the recorder over a catalogue of models: one JSON line a model, and the page made of the lines.

    python -m tools.coverage_table record CATALOGUE.py NAME >> rows.jsonl     one model a process
    python -m tools.coverage_table page rows.jsonl [NOTE] > docs/any-network-coverage.md

A catalogue is a Python file with ``MODELS``: by name, a function that returns (model, example, axes); and ``SOURCE``:
by name, where the model comes from. It stays with whoever has the models.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

__all__ = ["page", "record"]


def record(catalogue: str, name: str) -> dict[str, object]:
    """Record one model, read the file back, run it on its example; what came of that, as plain values."""
    spec = importlib.util.spec_from_file_location("catalogue", catalogue)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(Path(catalogue).resolve().parent))
    spec.loader.exec_module(module)
    import torch

    import evsim.torch
    from evsim.errors import EvsimError

    model, example, axes = module.MODELS[name]()
    row: dict[str, object] = {"name": name, "source": module.SOURCE[name]}
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as folder:
        out, checkpoint = Path(folder, "net.npz"), Path(folder, "model.pth")
        torch.save(model.state_dict(), checkpoint)
        begin, cpu = time.perf_counter(), time.process_time()
        try:
            report = evsim.torch.trace(model, example, axes, out)
        except EvsimError as refusal:
            return row | {"refused": str(refusal)}
        row |= {"seconds": time.perf_counter() - begin, "cpu_seconds": time.process_time() - cpu}
        row |= {"bytes": out.stat().st_size, "checkpoint_bytes": checkpoint.stat().st_size}
        return row | _told(report) | _counted(str(out))


def _told(report) -> dict[str, object]:
    v = report.verification
    n_neurons = sum(n for n, _ in report.populations.values())
    return {
        "n_steps": report.n_steps,
        "populations": len(report.populations),
        "rate": sum(n * rate for n, rate in report.populations.values()) / n_neurons,
        "silent": report.silent,
        "graph_forced": report.forced[0],
        "forced": v.exact.differing + v.local.differing,
        "free": v.free.differing,
        "compared": v.free.compared,
        "logits_difference": v.logits_difference,
        "handlers": report.handlers,
        "dense": report.dense,
        "fused": sum("fused" in note for note in report.notes),
        "real": sum("multiplies real values" in note for note in report.notes),
    }


def _counted(path: str) -> dict[str, object]:
    """What one run of the file on its own example costs, counted as it happens."""
    import numpy as np

    from evsim.checkpoints.weights import read_weights
    from evsim.engine.simulator import simulate
    from evsim.graph.file import from_weights
    from evsim.loading.importing import load_network
    from evsim.traces.stored import input_spikes

    graph, reference = from_weights(read_weights(path))
    network, _ = load_network(path)
    result = simulate(network, input_spikes(graph, reference.example))
    difference = np.abs(result.logits - reference.logits(graph)).max()
    return {"counts": result.ledger.total().as_dict(), "file_logits_difference": float(difference)}


def page(rows: Sequence[Mapping[str, object]], note: str = "") -> str:
    """The page in Markdown; `note`: the conditions of the measurement."""
    done = [row for row in rows if "refused" not in row]
    refused = [row for row in rows if "refused" in row]
    without = [row for row in done if row["free"] == 0]
    n_dense = sum(bool(row["dense"]) for row in done)
    words = {
        "n": len(rows), "done": len(done), "refused": len(refused), "dense": n_dense, "without": len(without),
        "compared": sum(row["compared"] for row in done), "forced": sum(row["forced"] for row in done),
        "flipped": sum(row["forced"] > 0 for row in done), "silent": sum(bool(row["silent"]) for row in done),
    }  # fmt: skip
    parts = [
        _HEAD.strip().format(**words),
        *([note] if note else []),
        "\n".join(_table(done)),
        _SILENT.strip(),
        "\n".join(_silent(done)),
    ]
    parts += [_DIFFER.strip(), "\n".join(_differing(done)), _REFUSED.strip(), "\n".join(_refused(refused))]
    return "\n\n".join(parts) + "\n"


_HEAD = """
# Any network: coverage

Made by `python -m tools.coverage_table page rows.jsonl`; [any-network.md](any-network.md) says how a model is recorded.
{n} models built by their authors' own code, at small sizes, weights at random and calibrated so that populations fire:
what is tested is the recorder and the handlers, not accuracy. {done} are recorded, {dense} of them with an operation
that runs densely; {refused} are refused, each for the reason at the end of this page.

Every population is fed with the spikes of the authors' code and compared spike for spike ("forced"), then the network
runs by itself ("free"): {forced:,} of {compared:,} neuron-steps differ when forced (models: {flipped}; only what
rounding explains is let pass); {without} of the {done} run free without a single difference. Silent populations
(models: {silent}) prove nothing and are named below.

Rate: events per neuron and step. Operations: of one run on the example, the shares of additions that an event caused
(ACs, each event once), of products of real values (MACs) and of products on whole arrays (dense). Import: seconds of
one processor's time, everything included: recording twice, checks, simulations, writing. Layers without neurons between
them: fused into one convolution of spikes + kept as products of real values.
"""
_SILENT = """
## Silent on the example

Nothing was verified in these populations.
"""
_DIFFER = """
## Where spikes differ

A spike that differs with every population forced is a charge that lies on its threshold up to rounding; running free,
what follows from it is another network's state, so that one such spike can change many.
"""
_REFUSED = """
## Refused
"""


def _table(rows: Sequence[Mapping[str, object]]) -> Iterator[str]:
    yield (
        "| model | source | T | populations (silent) | rate, % | neuron-steps | forced | free | ACs, M | ACs, % "
        "| MACs, % | dense, % | fused + real | import, s | file, MB | checkpoint, MB |"
    )
    yield "|---|---|" + "---:|" * 14
    for row in rows:
        counts = row["counts"]
        acs, macs, dense = (counts[key] for key in ("event_acs", "macs", "dense_macs"))
        whole = max(1, acs + macs + dense)
        silent = f" ({len(row['silent'])})" if row["silent"] else ""
        cells = [
            row["name"], row["source"], row["n_steps"], f"{row['populations']}{silent}", f"{100 * row['rate']:.1f}",
            f"{row['compared']:,}", f"{row['forced']:,}", f"{row['free']:,}", f"{acs / 1e6:.2f}",
            f"{100 * acs / whole:.1f}", f"{100 * macs / whole:.1f}", f"{100 * dense / whole:.1f}",
            f"{row['fused']} + {row['real']}", f"{row['cpu_seconds']:.1f}", f"{row['bytes'] / 1e6:.2f}",
            f"{row['checkpoint_bytes'] / 1e6:.2f}",
        ]  # fmt: skip
        yield "| " + " | ".join(map(str, cells)) + " |"


def _silent(rows: Sequence[Mapping[str, object]]) -> Iterator[str]:
    for row in rows:
        if row["silent"]:
            yield f"* {row['name']}: {len(row['silent'])} of {row['populations']} ({', '.join(row['silent'])})"


def _differing(rows: Sequence[Mapping[str, object]]) -> Iterator[str]:
    for row in rows:
        if row["forced"] or row["free"]:
            yield f"* {row['name']}: {row['forced']:,} forced, {row['free']:,} free of {row['compared']:,}"


def _refused(rows: Sequence[Mapping[str, object]]) -> Iterator[str]:
    for row in rows:
        yield f"* {row['name']} ({row['source']}): {row['refused']}"


def main(arguments: Sequence[str]) -> None:
    """See the top of this file."""
    if arguments[:1] == ["record"]:
        print(json.dumps(record(*arguments[1:])))
    else:
        text = Path(arguments[1]).read_text(encoding="utf-8")
        rows = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        sys.stdout.write(page(rows, *arguments[2:3]))


if __name__ == "__main__":
    main(sys.argv[1:])
