"""import_nir: a NIR graph becomes a weights file, which runs as any recorded network does."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict

import numpy as np

from evsim.checkpoints.numbers import check_numbers
from evsim.checkpoints.refusal import listed, naming
from evsim.checkpoints.weights import Weights
from evsim.errors import EvsimError
from evsim.graph.check import parse_graph
from evsim.graph.file import to_weights
from evsim.graph.nir.flat import Flat, flatten
from evsim.graph.nir.hdf5 import read_nodes
from evsim.graph.nir.reading import Reading
from evsim.graph.nir.translate import graph_of
from evsim.loading.importing import build_network
from evsim.networks.recorded import TITLE, describe
from evsim.recordings.duration import parse_microseconds, written

__all__ = ["describe_nir", "import_nir"]

OPTIONS = ("dt", "steps", "reset", "spikes")
_MOST_STEPS = 10_000


def import_nir(path: str, options: Mapping[str, str]) -> tuple[Weights, list[str]]:
    """Weights whose graph is that of the file, and notes for the user.

    Parameters
    ----------
    path : str
        As `nir.write` makes it.
    options : mapping of str to str
        ``dt``, the length of a step (``1ms``), which the file cannot tell; ``steps``, how many a run has if it does not
        say otherwise; ``reset`` and ``spikes``, see `evsim.graph.nir.reading.Reading`.

    Raises
    ------
    EvsimError
        No dt, an unknown option, an unreadable or hostile file, or a graph that cannot run event by event.
    """
    reading, n_steps = _told(path, options)
    with naming(path):
        with open(path, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        flat = flatten(read_nodes(path))
        graph = graph_of(flat, reading, n_steps or 1)
        check_numbers(graph.tensors)
        graph = parse_graph(graph.to_json().encode(), graph.tensors)  # as whoever reads the weights file will
        header = {
            "title": f"{TITLE}: NIR graph",
            "hyper_parameters": asdict(describe(graph, any_steps=True)),
            "input": {"dt": written(reading.dt), "steps": None if n_steps is None else str(n_steps)},
            "read_as": reading.described(),
            "source": {"file": path.replace("\\", "/").rsplit("/", 1)[-1], "sha256": sha256, "wrapper": "NIR"},
        }
        weights = to_weights(graph, None, header)
    network = build_network(weights, path)
    return weights, [*_notes(flat, n_steps), *network.recorded.lowered.notes]


def describe_nir(path: str) -> Iterator[str]:
    """What a NIR file holds, one fact a line.

    Raises
    ------
    EvsimError
        It is damaged, or no graph that leads from an input to an output.
    """
    with naming(path):
        flat = flatten(read_nodes(path))
    yield "NIR graph; evsim import reads it: --dt says how long a step is"
    yield _kinds(flat)
    yield from (f"{name}: {type(node).__name__}" for name, node in flat.nodes.items())


def _told(path: str, options: Mapping[str, str]) -> tuple[Reading, int | None]:
    """The options, checked."""
    if unknown := sorted(set(options) - set(OPTIONS)):
        raise EvsimError(f"{path}: unknown setting {unknown[0]} of a NIR graph, expected {', '.join(OPTIONS)}")
    if options.get("dt") is None:
        raise EvsimError(
            f"{path}: a NIR graph is made of differential equations and does not say how long a step is: --dt 1ms"
        )
    steps = options.get("steps")
    if steps is not None and not (str(steps).isdecimal() and 1 <= int(str(steps)[:9]) <= _MOST_STEPS):
        raise EvsimError(f"--steps {steps}: expected 1 to {_MOST_STEPS}")
    words = {name: options[name] for name in ("reset", "spikes") if options.get(name) is not None}
    return Reading(parse_microseconds(options["dt"], "dt"), **words), None if steps is None else int(steps)


def _is_integrator(node: object) -> bool:
    """Whether its equation has no time constant that dt could be weighed against."""
    return type(node).__name__ in ("I", "IF")


def _kinds(flat: Flat) -> str:
    kinds = Counter(type(node).__name__ for node in flat.nodes.values())
    return "nodes: " + ", ".join(f"{n} {kind}" for kind, n in kinds.most_common())


def _notes(flat: Flat, n_steps: int | None) -> list[str]:
    notes = [_kinds(flat)]
    scaled = [name for name, node in flat.nodes.items() if _is_integrator(node) and np.any(node.r != 1)]
    if scaled:
        notes.append(f"r is not 1: a step adds r I to the membrane, whatever dt: {listed(scaled)}")
    if flat.left_out:
        notes.append(f"left out, they lead to no output: {listed(flat.left_out)}")
    if n_steps is None:
        notes.append("no --steps: a run takes as many as its recording fills")
    return notes
