"""Further doors of `fuzz_readers.py`: traces, references, journals and energy models.

A case does what a person would do with the file. A journal that is accepted must say what the sound one said: a changed
line that is believed is a finding, as a crash is.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from zlib import crc32

import numpy as np

from tools.fuzz_doors import Door, change_json, damage_archive, outcome

__all__ = ["DOORS"]

_NAMES = ["x", "a/b", "\x1b]0;x\x07", "[/bold]", "=1+1", "\ud800"[:0] + "ü", "head", "input", "a" * 300]
_ATTRIBUTES = [
    0, -1, 1, 10**6, 2**62, 1.5, np.nan, "x", "", b"\xff", "a,b", "row,col,channel", np.arange(3), np.zeros((2, 2)),
    np.array([0, 0, 0]), np.array([2**31, 2**31, 2]), np.array([-4, -5, 1]), np.array([]),
]  # fmt: skip
_TYPES = ["<f4", "<f8", "<i8", "<i4", "<u8", "|S4", "<i1", "<c8", "|b1", ">i8", "<f2"]


def damage_trace(data: bytes, other: bytes, rng: np.random.Generator, general: Callable) -> bytes:
    """Bytes, or through HDF5 itself: another attribute, another array, a link, something gone."""
    if rng.random() < 0.4:
        return general(data, other, rng)
    import h5py

    memory = io.BytesIO(data)
    with h5py.File(memory, "a") as file:
        places = ["/"]
        file.visit(places.append)
        for _ in range(rng.choice([1, 1, 2])):
            place = places[rng.integers(len(places))]
            if place not in file:
                continue
            with suppress(Exception):  # not every change is one that HDF5 makes
                _CHANGES[rng.integers(len(_CHANGES))](file, place, rng)
    return memory.getvalue()


def _attribute(file, place: str, rng) -> None:
    node = file[place]
    names = [*node.attrs, "shape"]
    name = names[rng.integers(len(names))]
    if name == "provenance" and rng.random() < 0.8:
        node.attrs[name] = change_json(str(node.attrs[name]).encode(), rng).decode("utf-8", "replace")
    else:
        node.attrs[name] = _ATTRIBUTES[rng.integers(len(_ATTRIBUTES))]


def _provenance(file, place: str, rng) -> None:
    if "provenance" in file.attrs:
        text = str(file.attrs["provenance"])
        file.attrs["provenance"] = change_json(text.encode(), rng).decode("utf-8", "replace")


def _array(file, place: str, rng) -> None:
    """Other values, another type, more than there is."""
    import h5py

    node = file[place]
    if not isinstance(node, h5py.Dataset) or node.ndim != 1:
        return
    kind, size = str(rng.choice(_TYPES)), node.size
    way = rng.integers(5)
    values = node[()]
    del file[place]
    if way == 0:
        file[place] = np.zeros(size, kind)
    elif way == 1 and values.dtype.kind in "iuf" and size:
        values[rng.integers(size)] = rng.choice(np.array([0, -1, 1, 127], values.dtype))
        file[place] = values
    elif way == 2:
        file.create_dataset(place, (int(rng.choice([10**6, 3 * 10**8, 10**12])),), values.dtype, chunks=(1000,))
    elif way == 3:
        file[place] = values[: rng.integers(size + 1)]
    else:
        file[place] = np.zeros((size, 1) if rng.random() < 0.5 else (), values.dtype)


def _link(file, place: str, rng) -> None:
    import h5py

    if place == "/":
        return
    del file[place]
    if rng.random() < 0.7:
        file[place] = h5py.SoftLink("/spikes") if rng.random() < 0.5 else h5py.ExternalLink("/dev/zero", "/x")


def _rename(file, place: str, rng) -> None:
    if place.count("/") == 1:
        file.move(place, f"{place.rpartition('/')[0]}/{_NAMES[rng.integers(len(_NAMES))]}")


_CHANGES = (_attribute, _attribute, _provenance, _provenance, _array, _array, _link, _rename)


def _use_trace(path: Path) -> None:
    """Look at it, audit it, export it, draw it."""
    from evsim.auditing.collect import audit_traces
    from evsim.cli.file_text import describe_file
    from evsim.exports import export_trace
    from evsim.plain_text import plain
    from evsim.plots import raster_figure
    from evsim.reports import tell_trace
    from evsim.traces.trace import read_trace

    trace = read_trace(path)
    for line in describe_file(str(path)):
        assert plain(line).isprintable()
    out = path.with_name("out")
    try:
        for name in ("csv", "nir"):
            export_trace(trace, name, str(out))
    finally:
        out.unlink(missing_ok=True)
    raster_figure(trace, list(trace.layers)[:1]).draw_without_rendering()
    audit_traces([str(path)])
    if crc32(path.read_bytes()) % 16 == 0:  # takes seconds
        tell_trace(trace, "fuzz")


def _use_reference(path: Path) -> None:
    from evsim.loading.importing import load_network
    from evsim.loading.zoo import find_weights
    from evsim.runs.preparation import Preparation, fit_recording
    from evsim.traces.reference import read_reference
    from evsim.traces.verify import verify

    known = read_reference(path)
    network, weights = load_network(find_weights("sdt-nmnist"))
    samples = [fit_recording(network, weights, sample, Preparation()).spikes for sample in known.recordings()]
    verify(network, samples, known)


@cache
def _sound_journal() -> tuple:
    """The evaluation whose journal is damaged, and what its journal says."""
    from evsim.evaluation.evaluate import Choice
    from evsim.evaluation.threads import Threads
    from tests.evaluations import digits_evaluation

    evaluation = digits_evaluation(Choice(limit=8))
    return evaluation, {one.id: one for one in evaluation.run(Threads(1)).outcomes}


def _use_journal(path: Path) -> None:
    from evsim.evaluation.journal import Journal
    from evsim.evaluation.resumed import check_resumed

    evaluation, sound = _sound_journal()
    journal = Journal(path, evaluation.identity, resume=True)
    try:
        check_resumed(journal, evaluation.dataset.items, evaluation.examiner.n_classes)
        for id, found in journal.outcomes.items():
            ours = sound[id]
            assert (found.label, found.top, found.counts) == (ours.label, ours.top, ours.counts), "a changed line"
    finally:
        journal.close()


def _use_model(path: Path) -> None:
    from evsim.auditing.energy_model import OPERATIONS, find_model

    model = find_model(str(path))
    for operation in OPERATIONS:
        price = model.price(operation, 1000.0)
        assert price is None or 0 <= price < 1e12


def damage_text(data: bytes, other: bytes, rng: np.random.Generator, general: Callable) -> bytes:
    """Bytes, digits, lines: changed, doubled, taken from elsewhere, nested without end."""
    way = rng.integers(6)
    lines = data.split(b"\n")
    at = int(rng.integers(len(lines)))
    if way == 0:
        digits = [i for i, c in enumerate(data) if 48 <= c <= 57]
        changed = bytearray(data)
        changed[digits[rng.integers(len(digits))]] = int(rng.integers(48, 58))
        return bytes(changed)
    if way == 1:
        lines.insert(at, lines[rng.integers(len(lines))])
    elif way == 2:
        lines[at] = b"x = " + b"[" * 5000
    elif way == 3:
        lines[at] = b'{"id": ' + b"[" * int(rng.choice([5, 5000]))
    elif way == 4:
        del lines[at]
    else:
        return general(data, other, rng)
    return b"\n".join(lines)


def _write_traces(folder: Path) -> dict[str, Path]:
    from evsim.loading.zoo import default_recording, find_weights
    from evsim.runs.run import run
    from evsim.traces.trace import write_trace

    folder.mkdir()
    for name in ("sdt-nmnist", "spikformer-mnist"):
        weights = find_weights(name)
        write_trace(folder / f"{name}.h5", run(weights, default_recording(weights))[1])
    return {path.name: path for path in sorted(folder.iterdir())}


def _write_references(folder: Path) -> dict[str, Path]:
    rng = np.random.default_rng(1)
    folder.mkdir()
    frames = rng.poisson(0.05, (2, 4, 2, 32, 32)).astype(np.float32)
    logits = rng.normal(size=(2, 10)).astype(np.float32)
    shape = (4, 2, 64, 8, 8)
    spikes = np.packbits(rng.random(shape) < 0.1)
    name = "block.0.attn.q_lif"
    plain = {"frames": frames, "logits_f32": logits}
    np.savez_compressed(folder / "frames.npz", **plain)
    told = {f"spk/{name}": spikes, f"shape/{name}": np.array(shape)}
    np.savez(folder / "shape.npz", **plain, **told)
    meta = json.dumps({"lif": {name: {"shape": shape}}})
    np.savez_compressed(folder / "meta.npz", **plain, **{f"spk/{name}": spikes, "meta_json": np.array(meta)})
    return {path.name: path for path in sorted(folder.iterdir())}


def _write_journals(folder: Path) -> dict[str, Path]:
    from evsim.evaluation.journal import Journal

    folder.mkdir()
    evaluation, sound = _sound_journal()
    journal = Journal(folder / "journal.jsonl", evaluation.identity)
    journal.append(*sound.values())
    journal.close()
    return {"journal.jsonl": folder / "journal.jsonl"}


def _write_models(folder: Path) -> dict[str, Path]:
    from evsim.auditing.energy_model import bundled_models

    folder.mkdir()
    for name, path in bundled_models().items():
        (folder / f"{name}.toml").write_bytes(path.read_bytes())
    return {path.name: path for path in sorted(folder.iterdir())}


def _naming(act: Callable[[Path], None]) -> Callable[[Path], str]:
    """As `outcome`, where a message need not name the file: the network it is compared with may be at fault."""

    def run(path: Path) -> str:
        from evsim.errors import EvsimError

        def named(path: Path) -> None:
            try:
                act(path)
            except EvsimError as error:
                raise EvsimError(f"{os.fspath(path)}: {error}") from None

        return outcome(path, named)

    return run


DOORS = {
    "traces": Door(_write_traces, damage_trace, _naming(_use_trace)),
    "references": Door(_write_references, damage_archive, _naming(_use_reference)),
    "journals": Door(_write_journals, damage_text, _naming(_use_journal)),
    "models": Door(_write_models, damage_text, _naming(_use_model)),
}
