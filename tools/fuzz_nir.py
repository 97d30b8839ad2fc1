"""The door of NIR graphs: HDF5 files that a stranger wrote, damaged as bytes or through HDF5 itself.

A case is what a person would do with the file: look at it, import it with steps of a millisecond, run it, and write it
as NIR again.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from tools.fuzz_doors import Door, outcome, run_a_few_events
from tools.fuzz_doors import look_at as look

__all__ = ["DOORS", "damage_nir"]

_NUMBERS = [0.0, -1.0, 1.0, 2.0, 1.5, 1e6, 2.0**31, 1e-30, 1e30, -1e-3, np.nan, np.inf]
_VALUES = [0, 1, -1, 3, 2**31, 2**62, 0.5, "same", "somehow", b"", True, [1, 1], [2, 2], [0, 0], [1.5, 1], [[1], [2]]]
_TYPES = ["Conv2d", "Conv1d", "IF", "LIF", "CubaLI", "Linear", "Delay", "Input", "Output", "NIRGraph", "Scale", ""]
_KINDS = ("IF", "LIF", "CubaLIF")


def damage_nir(data: bytes, other: bytes, rng: np.random.Generator, general: Callable) -> bytes:
    """Bytes, or datasets: gone, of another value, shape or type, exchanged; edges that lead elsewhere."""
    if rng.random() < 0.4:
        return general(data, other, rng)
    import h5py

    memory = io.BytesIO(data)
    with h5py.File(memory, "a") as file:
        places: list[str] = []
        file.visititems(lambda name, node: places.append(name) if isinstance(node, h5py.Dataset) else None)
        for _ in range(rng.choice([1, 1, 2, 3])):
            place = places[rng.integers(len(places))]
            if place in file:
                with suppress(Exception):  # not every change is one that HDF5 makes
                    _change(file, place, str(places[rng.integers(len(places))]), rng)
    return memory.getvalue()


def _change(file, place: str, elsewhere: str, rng: np.random.Generator) -> None:
    value, way = file[place][()], rng.integers(6)
    if place.endswith("edges") and rng.random() < 0.7:
        value = value.copy()
        value.flat[rng.integers(value.size)] = value.flat[rng.integers(value.size)]
        way = 6
    new = {
        0: lambda: None,
        1: lambda: _VALUES[rng.integers(len(_VALUES))],
        2: lambda: _with_a_number(value, rng),
        3: lambda: value[..., None] if rng.random() < 0.5 else value.reshape(-1)[:3],
        4: lambda: file[elsewhere][()],
        5: lambda: _TYPES[rng.integers(len(_TYPES))],
        6: lambda: value,
    }[int(way)]()
    kind = file[place].dtype if way == 6 else None
    del file[place]
    if new is not None:
        file.create_dataset(place, data=new, dtype=kind)


def _with_a_number(value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    changed = np.array(value, float)
    changed.flat[rng.integers(changed.size)] = _NUMBERS[rng.integers(len(_NUMBERS))]
    return changed


def _write_seeds(folder: Path) -> dict[str, Path]:
    from tests.nir_nets import Maker, chain, flatten, small, written

    folder.mkdir()
    graphs = {kind: small(kind, v_threshold=0.5) for kind in _KINDS}
    m = Maker()
    inner = chain((2, 6, 6), m.conv2d(2, 4, padding="same"), m.neurons("LIF", 4, 6, 6), out=(4, 6, 6))
    graphs["nested"] = chain((2, 6, 6), inner, flatten(4, 6, 6), m.linear(144, 5), m.neurons("LI", 5))
    return {name: Path(written(graph, folder / f"{name}.nir")) for name, graph in graphs.items()}


def _use(path: Path) -> None:
    from evsim.checkpoints.weights import write_weights
    from evsim.errors import EvsimError
    from evsim.graph.nir.export import export_nir
    from evsim.loading.importing import build_network
    from evsim.loading.nir_graph import import_nir

    look(path)
    spikes = "many" if path.stat().st_size % 2 else "one"
    weights, notes = import_nir(str(path), {"dt": "1ms", "steps": "4", "spikes": spikes, "reset": "subtract"})
    for note in notes:
        if not note.isprintable():
            raise AssertionError(f"not printable: {note!r}")
    run_a_few_events(build_network(weights, str(path)), path)
    stored = path.with_suffix(".npz")
    write_weights(stored, weights)
    try:
        export_nir(stored, path.with_suffix(".back.nir"))
    except EvsimError as error:
        raise EvsimError(f"{path}: {error}") from None


DOORS = {"nir": Door(_write_seeds, damage_nir, lambda path: outcome(path, _use))}
