"""The door of recorded networks: graphs that a stranger wrote.

Half of the cases are damaged files. In the other half the graph itself is changed and everything around it made to fit
again (shapes, header, fingerprint), so that what reads the file has no easy reason to refuse it: operations are put
where nobody would put them, operands are exchanged, sizes blown up, nodes repeated, text nested.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tools.fuzz_doors import Door, change_json, damage_archive, load_and_run, outcome

__all__ = ["DOORS", "damage_graph"]

_SECONDS_TO_REFUSE = 1.0
_HUGE = [0, 1, 2, 3, 7, 10**4, 10**5, 10**6, 2**24, 2**26, 10**9, 2**31, 2**63, -1, -(2**31)]
_WORDS = {
    "dims": [[0], [1], [-1], [0, 1], [1, 0], [0, 1, 2, 3], [0, 2, 3, 1], [3, 2, 1, 0], [0, 1, 3, 2], []],
    "dim": [0, 1, 2, 3, -1], "keepdim": [True, False], "start": [0, 1, 2, -1], "stop": [1, 2, 4, 2**31],
    "step": [1, 2], "before": [[0, 0, 1, 1], [0, 1, 0, 0], [0, 0, -1, 0]], "after": [[0, 0, 1, 1], [0, 0, 0, 2]],
    "value": [0.0, 1.0, -1.0, 0.5, 1e30], "size": [[1], [2, 2], [1, 1], [3, 5], [6, 6], [8]],
    "times": [[1, 1, 2, 1], [1, 2], [2, 1, 1, 1]], "kernel": [[2, 2], [3, 3], [1, 1], [2], [1, 2, 2]],
    "stride": [[1, 1], [2, 2], [3, 1], [2], [1, 1, 1]], "padding": [[0, 0], [1, 1], [0], [0, 0, 0]],
    "dilation": [[1, 1], [2, 2], [1], [1, 1, 1]], "ceil": [True, False], "count_padding": [True, False],
    "divisor": [0, 3], "groups": [1, 2, 4], "eps": [1e-5, 0.0], "n_axes": [1, 2], "tanh": [True, False],
    "low": [0.0, -1.0], "high": [1.0, 0.5, 4.0], "slope": [0.1], "starts": [[0, 0, 0, 0], [0, 1, 0, 0]],
    "counts": [[1, 1, 2, 2], [1, 8, 6, 6]], "steps": [[1, 1, 1, 1], [1, 2, 1, 1]], "unit": [1.0, 0.25], "axis": [0, -3],
    "shape": [[1, 8, 36], [1, 288], [8, 36], [1, 8, 6, 6], [1, 1, 8, 36], [36, 8], [1, 36, 8], [6, 6, 8], []],
}  # fmt: skip
"""What an attribute of an operation that is put in may be."""


def damage_graph(data: bytes, other: bytes, rng: np.random.Generator, general: Callable) -> bytes:
    """Damage to the file, or to the graph with all around it mended."""
    if rng.random() < 0.4:
        return damage_archive(data, other, rng, general)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.npz")
        path.write_bytes(data)
        _rewrite(path, rng)
        return path.read_bytes()


def _rewrite(path: Path, rng: np.random.Generator) -> None:
    from evsim.checkpoints.weights import Weights, read_weights, write_weights

    weights = read_weights(str(path))
    tensors = {name: tensor for name, tensor in weights.tensors.items() if not name.startswith("reference/")}
    text = tensors.pop("ir_json").tobytes()
    graph = json.loads(text)
    for _ in range(rng.choice([1, 1, 2, 3, 8])):
        with suppress(Exception):  # not every change fits every graph
            _CHANGES[rng.integers(len(_CHANGES))](graph, rng)
    if rng.random() < 0.1:
        graph = json.loads(change_json(json.dumps(graph).encode(), rng))
    text = json.dumps(graph).encode()
    if rng.random() < 0.03:
        text = b"[" * int(rng.choice([10, 10**4, 10**6])) + text
    header = dict(weights.header)
    used = _used(graph)
    tensors = {name: tensor for name, tensor in tensors.items() if name in used}
    with suppress(Exception):
        header["hyper_parameters"] = _described(text, tensors, bool(rng.random() < 0.5))
    tensors["ir_json"] = np.frombuffer(text, np.uint8)
    write_weights(str(path), Weights(tensors, header))


def _used(graph: dict) -> set[str]:
    with suppress(Exception):
        return {node.get("name") for part in ("nodes", "readout") for node in graph[part]}
    return set()


def _described(text: bytes, tensors: dict, allow_dense: bool) -> dict:
    from evsim.graph.check import parse_graph
    from evsim.networks.recorded import describe

    return asdict(describe(parse_graph(text, tensors), allow_dense=allow_dense))


def _rewire(graph: dict, rng) -> None:
    """An operand from elsewhere, maybe from further down."""
    nodes = graph["nodes"] if rng.random() < 0.8 else graph["readout"]
    node = nodes[rng.integers(len(nodes))]
    node["in"][rng.integers(len(node["in"]))] = int(rng.integers(-2, len(graph["nodes"]) + 2))
    _mend(graph)


def _put_in(graph: dict, rng) -> None:
    """An operation between a value and whoever reads it."""
    from evsim.graph.ops import OPS

    nodes = graph["nodes"]
    at = int(rng.integers(len(nodes)))
    names = [name for name in OPS if name not in ("input", "tensor", "neuron", "steps", "at_step", "integrator")]
    for _ in range(30):  # until one fits
        name = names[rng.integers(len(names))]
        op = OPS[name]
        n = int(rng.integers(op.n_inputs[0], op.n_inputs[1] + 1)) if op.n_inputs[1] < 6 else 2
        inputs = [at, *(int(rng.integers(at + 1)) for _ in range(n - 1))][:n]
        words = {key: _WORDS[key][rng.integers(len(_WORDS[key]))] for key in op.attributes if key in _WORDS}
        if name == "reshape" and rng.random() < 0.5:
            words["shape"] = [1, int(np.prod(nodes[at]["out"]))]
        shapes = [tuple(nodes[i]["out"]) for i in inputs]
        with suppress(Exception):
            checked = {key: check(words[key]) for key, check in op.attributes.items()}
            out = list(map(int, op.shape(checked, *shapes)))
            _insert(graph, at + 1, {"op": name, "in": inputs, "out": out, "path": "put.in", **words}, at)
            _mend(graph)
            return


def _insert(graph: dict, place: int, node: dict, instead_of: int) -> None:
    """Numbers from `place` on move up by one; who read `instead_of` reads the new node."""

    def moved(i: int, reads: bool) -> int:
        return place if reads and i == instead_of else i + 1 if i >= place else i

    n = len(graph["nodes"])
    for i, other in enumerate(graph["nodes"]):
        other["in"] = [moved(j, i >= place) for j in other["in"]]
    for other in graph["readout"]:
        of_step = other["op"] in ("steps", "at_step")
        other["in"] = [moved(j, of_step and j < n) for j in other["in"]]
    graph["output"] += 1
    graph["nodes"].insert(place, node)


def _mend(graph: dict) -> None:
    """Shapes as they follow from the operands, as far as they do."""
    from evsim.graph.ops import OPS

    shapes: list = []
    for node in [*graph["nodes"], *graph["readout"]]:
        op = OPS[node["op"]]
        with suppress(Exception):
            checked = {key: check(node.get(key)) for key, check in op.attributes.items()}
            node["out"] = list(map(int, op.shape(checked, *(shapes[i] for i in node["in"]))))
        shapes.append(tuple(node["out"]))


def _blow_up(graph: dict, rng) -> None:
    """One size of one node."""
    nodes = graph["nodes"] if rng.random() < 0.7 else graph["readout"]
    node = nodes[rng.integers(len(nodes))]
    keys = [key for key, value in node.items() if isinstance(value, list | int) and not isinstance(value, bool)]
    key, size = keys[rng.integers(len(keys))], int(_HUGE[rng.integers(len(_HUGE))])
    if isinstance(node[key], list) and node[key]:
        node[key][rng.integers(len(node[key]))] = size
    else:
        node[key] = size
    if rng.random() < 0.5:
        _mend(graph)


def _repeat(graph: dict, rng) -> None:
    nodes = graph["nodes"] if rng.random() < 0.5 else graph["readout"]
    node = nodes[rng.integers(len(nodes))]
    nodes += [json.loads(json.dumps(node)) for _ in range(int(rng.choice([1, 3, 100, 60_000])))]


def _leave_out(graph: dict, rng) -> None:
    nodes = graph["nodes"] if rng.random() < 0.7 else graph["readout"]
    del nodes[rng.integers(len(nodes))]


def _form(graph: dict, rng) -> None:
    """Another neuron form, or other numbers in it."""
    from evsim.handlers.neuron_forms.forms import FORMS

    neurons = [node for node in graph["nodes"] if node["op"] == "neuron"]
    form = neurons[rng.integers(len(neurons))]["form"]
    if rng.random() < 0.5:
        form["form"] = list(FORMS)[rng.integers(len(FORMS))]
    numbers = [key for key, value in form.items() if isinstance(value, int | float)]
    if numbers:
        strange = [0.0, -1.0, 1e30, 1e-30, 2, None, [1.0] * 8, "x", True]
        form[numbers[rng.integers(len(numbers))]] = strange[rng.integers(len(strange))]


def _settings(graph: dict, rng) -> None:
    key = ("n_steps", "output", "by_step", "format")[rng.integers(4)]
    graph[key] = [0, 1, 3, 10**4, 10**9, True, len(graph["nodes"]), -1][rng.integers(8)]


_CHANGES = (_put_in, _put_in, _put_in, _rewire, _rewire, _blow_up, _repeat, _leave_out, _form, _settings)


def _run(path: Path) -> str:
    """As a person would use it; a refusal must come at once.

    A kernel that this process has not used yet is unpickled from the kernels' own cache: the second time counts.
    """
    said = outcome(path, load_and_run)
    begin = time.process_time()
    if said != "sound":
        said = outcome(path, load_and_run)
    seconds = time.process_time() - begin
    return f"slow: refused after {seconds:.1f} s" if said == "refused" and seconds > _SECONDS_TO_REFUSE else said


def _seeds(folder: Path) -> dict[str, Path]:
    from tests.fuzz_networks import write_graph_seeds

    folder.mkdir()
    return write_graph_seeds(folder)


DOORS = {"graphs": Door(_seeds, damage_graph, _run, patience=100)}
