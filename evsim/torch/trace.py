"""trace: record a model once, make a graph of it, check it in five ways, and write it as a weights file."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import torch
from torch.utils import _pytree as pytree

from evsim.checkpoints.refusal import naming
from evsim.checkpoints.weights import write_weights
from evsim.errors import EvsimError
from evsim.graph.check import parse_graph
from evsim.graph.evaluate import evaluate, steps_of_input
from evsim.graph.file import StoredReference, to_weights
from evsim.graph.graph import Graph
from evsim.graph.lower.lower import Lowered, lower
from evsim.graph.rolling.roll_up import Neuron, roll_up
from evsim.graph.summed import summed
from evsim.graph.twins import form_from, gain_of
from evsim.networks.recorded import TITLE, describe
from evsim.torch.check import axis_of, check_neuron
from evsim.torch.example import as_example, letters_of, other_examples
from evsim.torch.guard import guarded
from evsim.torch.model import check_weights, leaf_classes
from evsim.torch.neurons import Known, find_neurons
from evsim.torch.recorder import Recording, as_array, record
from evsim.torch.report import TraceReport
from evsim.torch.state import plain_kernels, reset
from evsim.traces.stored import verify_recorded
from evsim.traces.verify import SUMMED_TOLERANCE, Verification

__all__ = ["trace"]

_FORWARD = "the model's forward fails on this example"
_COMPARISONS = {"ge", "gt", "lt", "le", "heaviside", "sign", "round"}


def trace(
    model: torch.nn.Module,
    example: object,
    axes: str = "T,B,C,H,W",
    out: str | os.PathLike | None = None,
    neurons: Mapping[str, object] | None = None,
    allow_dense: bool = False,
    as_written: bool = False,
    allow_silent: bool = False,
    second: object = None,
    *,
    class_names: Sequence[str] | None = None,
    normalisation: Mapping[str, Sequence[float]] | None = None,
) -> TraceReport:
    """Record one forward pass of a spiking network and write it as a network of evsim.

    Parameters
    ----------
    model : Module
        In evaluation mode. Neuron modules of SpikingJelly, snnTorch, norse and BrainCog are known.
    example : tensor or array
        A real sample; on noise neurons may stay silent, and then nothing is verified. A batch is cut to one.
    axes : str
        One letter for each axis of the example: T for time (a still image has none), B for batch, any other for data.
    out : path, optional
        The weights file (``.npz``) to write; None only checks.
    neurons : dict, optional
        For neuron classes of your own: by class name, what `evsim.torch.lif` and its like return, or a function of the
        module that returns it.
    allow_dense : bool
        Operations without an event-driven form run on whole arrays, counted apart.
    as_written : bool
        Keep layers apart that have no neurons between them, as the code has them.
    allow_silent : bool
        Accept an example on which the last population never fires.
    second : tensor, array or False, optional
        Another sample, to see that the model computes the same whatever its input; None makes a weaker and a
        stronger one, False skips this.
    class_names : list of str, optional
    normalisation : dict with "mean" and "std", optional
        How pictures become the model's input, for the weights file to remember.

    Returns
    -------
    TraceReport
        Prints as text: populations, handlers, what was fused, what runs dense, what was verified.

    Raises
    ------
    EvsimError
        In one line, with the module's path: the model cannot run step by step, has neurons nobody knows, is in
        training mode, is not a function of its input, or what was recorded is not what it does.

    Examples
    --------
    >>> report = evsim.torch.trace(model.eval(), image, axes="B,C,H,W", out="net.npz")  # doctest: +SKIP
    """
    told = {"allow_dense": allow_dense, "as_written": as_written, "allow_silent": allow_silent, "second": second}
    words = {"class_names": list(class_names) if class_names else None, "normalisation": _plain(normalisation)}
    return guarded(
        "the recorder failed, which is a fault of evsim",
        lambda: _trace(model, example, axes, out, neurons, told, words),
    )


def _trace(model, example, axes: str, out, neurons, told: Mapping[str, object], words: dict) -> TraceReport:
    begin = time.perf_counter()
    if not isinstance(model, torch.nn.Module):
        raise EvsimError(f"the model is {type(model).__name__}, expected a torch.nn.Module")
    if model.training:
        raise EvsimError("the model is in training mode, expected model.eval()")
    check_weights(model)
    letters = letters_of(axes)
    given = as_example(example, letters)
    known = find_neurons(model, neurons or {})
    if not known:
        raise EvsimError(
            f"the model has no neurons of a known class (it has {leaf_classes(model)}): pass "
            "neurons={'ClassName': evsim.torch.lif(...)}"
        )
    first = _run(model, given, known)  # models that set something up do it the first time they run
    recording = _recorded(model, given, letters, known)
    if not np.array_equal(first, recording.result, equal_nan=True):
        raise EvsimError(
            "the model's output is not a function of the input alone: a second run on the same input differs (dropout, "
            "a random encoder, or a state that is not reset)"
        )
    try:
        graph = _graph(model, recording, known)
    except EvsimError as error:
        raise EvsimError(f"{error}{_hint(model, recording, known)}") from None
    checked = _check_neurons(model, known, recording, graph)
    reference = _reference(graph, recording, given, known)
    if not told["allow_silent"]:
        _check_not_silent(graph, reference)
    parse_graph(graph.to_json().encode(), graph.tensors)  # what is written can be read
    other = _check_second(model, given, told["second"], letters, known, graph)
    forced = _check_graph(graph, reference)
    as_written, allow_dense = told["as_written"], told["allow_dense"]
    try:
        lowered = lower(graph, "recorded", reference.rates(), as_written=as_written, allow_dense=allow_dense)
    except EvsimError as error:
        raise EvsimError(f"{error}{_hint(model, recording, known)}") from None
    verification = verify_recorded(lowered.network, graph, reference)
    _check_handlers(verification)
    choices, seconds = _choices(example, letters, recording, graph), time.perf_counter() - begin
    report = _report(out, graph, recording, reference, lowered, checked, forced, verification, other, choices, seconds)
    if out is None:
        return report
    header = {
        "title": f"{TITLE}: {type(model).__name__}",
        "hyper_parameters": asdict(describe(graph, as_written, allow_dense)),
        "source": {"file": None, "sha256": None, "wrapper": f"{type(model).__module__}.{type(model).__name__}"},
        "checked": _ledger(report),
        **words,
    }
    with naming(out):
        write_weights(out, to_weights(graph, reference, header))
    return _with_size(report, os.path.getsize(out))


def _run(model, given: torch.Tensor, known: Mapping[str, Known]) -> np.ndarray:
    """The first tensor of the output, the model being at rest before and after."""
    with plain_kernels(model), torch.no_grad():
        reset(model, known)
        try:
            out = guarded(_FORWARD, lambda: model(given.clone()))
        finally:
            reset(model, known)
    found = [leaf for leaf in pytree.tree_leaves(out) if isinstance(leaf, torch.Tensor)]
    return as_array(found[0]) if found else np.empty(0)


def _recorded(model, given: torch.Tensor, letters: str, known: Mapping[str, Known]) -> Recording:
    """Record; the model is at rest before and after."""
    with plain_kernels(model):
        reset(model, known)
        try:
            return guarded(_FORWARD, lambda: record(model, given, letters, known))
        finally:
            reset(model, known)


def _graph(model, recording: Recording, known: Mapping[str, Known]) -> Graph:
    """Roll the run up, with what is known of its neurons."""
    modules, told = dict(model.named_modules()), {}
    for path, one in known.items():
        try:
            axis = axis_of(one.form, recording.shapes.get(path, ()), modules[path])
        except EvsimError as error:
            raise EvsimError(f"{path}: {error}") from None
        told[path] = Neuron(one.form.to_dict(), one.form.sends, one.steps, one.unit, one.folded, axis)
    return roll_up(recording.run, told)


def _hint(model, recording: Recording, known: Mapping[str, Known]) -> str:
    """Modules that compare what they compute may be neurons that nobody named."""
    modules = dict(model.named_modules())
    compare = [op.path for op in recording.run.ops if op.name in _COMPARISONS and op.path and op.path not in known]
    names = list(dict.fromkeys(type(modules[path]).__name__ for path in compare if path in modules))
    if not names:
        return ""
    return f"; if {names[0]} is a neuron of your own, say what it is: neurons={{{names[0]!r}: evsim.torch.lif(...)}}"


def _check_neurons(model, known: Mapping[str, Known], recording: Recording, graph: Graph) -> dict[str, int]:
    """Each kind of neuron that was called, against its twin."""
    modules, seen, checked = dict(model.named_modules()), set(), Counter()
    with plain_kernels(model):
        for path in recording.run.calls:
            module, one = modules[path], known[path]
            key = (type(module), str(one.form.to_dict()), one.steps, one.unit)
            if key not in seen:
                seen.add(key)
                shape = recording.shapes.get(path, ())
                words = (one.folded or graph.n_steps, axis_of(one.form, shape, module), shape)
                checked[type(module).__name__] += check_neuron(path, module, one, *words)
    return dict(checked)


def _reference(graph: Graph, recording: Recording, given: torch.Tensor, known: Mapping[str, Known]) -> StoredReference:
    """What each population sent, in payloads [n_steps, n_neurons]."""
    sent = {}
    for path in graph.neurons():
        module, sign, n = path.partition("#")
        calls = recording.spikes[module]
        one = known[module]
        values = np.stack(calls) if one.steps == "one" else _call_of(calls, sign, n)
        payload = np.rint(values / np.float32(one.unit))
        if not np.allclose(payload * np.float32(one.unit), values, rtol=1e-6, atol=0):
            raise EvsimError(f"{path}: sends values that are no multiples of {one.unit:g}")
        sent[path] = payload.reshape(graph.n_steps, -1).astype(np.int32)
    return StoredReference(as_array(given), sent, np.asarray(recording.result, np.float32))


def _call_of(calls: list[np.ndarray], sign: str, n: str) -> np.ndarray:
    """Of a module without a state that stands in several places, the call that the place is."""
    return calls[int(n)] if sign else calls[0]


def _check_not_silent(graph: Graph, reference: StoredReference) -> None:
    last = list(graph.neurons())[-1] if graph.neurons() else None
    if last is None:
        raise EvsimError("the model's output depends on no neuron")
    if not reference.sent[last].any():
        raise EvsimError(
            f"{last}: the last population never fires on this example: nothing was verified; give a real sample, or "
            "allow_silent (--allow-silent)"
        )


def _check_second(model, given, second, letters, known, graph: Graph) -> str:
    """Other inputs must give the same graph."""
    if second is False:
        return "recorded once: a second sample was not wanted"
    if second is not None:
        _check_same(model, as_example(second, letters), given, letters, known, graph)
        return "recorded again with another sample: the same graph"
    for name, other in other_examples(given).items():
        try:
            _check_same(model, other, given, letters, known, graph)
        except EvsimError as error:
            raise EvsimError(f"{error} ({name} sample, made from the first; second=... gives one of yours)") from None
    return "recorded again with a weaker and a stronger sample: the same graph"


def _check_same(model, other: torch.Tensor, given: torch.Tensor, letters, known, graph: Graph) -> None:
    if other.shape != given.shape:
        raise EvsimError(f"the second sample is {list(other.shape)}, the first {list(given.shape)}")
    repeated = _graph(model, _recorded(model, other, letters, known), known)
    if repeated.fingerprint() != graph.fingerprint() or not _same_constants(repeated, graph):
        raise EvsimError(
            "the model computes something else on another sample: what it does depends on its input (an if on data, or "
            "a constant made from it)"
        )


def _same_constants(one: Graph, other: Graph) -> bool:
    return all(np.array_equal(one.tensors[name], other.tensors[name]) for name in other.tensors)


def _check_graph(graph: Graph, reference: StoredReference) -> tuple[int, int]:
    """Every population of the graph, in NumPy, fed with the model's spikes."""
    steps = steps_of_input(graph, reference.example)
    run = evaluate(graph, steps, reference.sent)
    neurons, differing, compared = graph.neurons(), 0, 0
    wanted = {}
    for path, array in run.sent.items():
        array = array.reshape(graph.n_steps, -1)
        compared += array.size
        for step, place in np.argwhere(array != reference.sent[path]):
            differing += 1
            wanted.setdefault((path, int(step)), []).append(int(place))
    sizes = summed(graph, steps, reference.sent, wanted) if wanted else {}
    for (path, step), places in wanted.items():
        gain = gain_of(form_from(graph.nodes[neurons[path]].attributes["form"]))
        allowed = SUMMED_TOLERANCE * np.maximum(1.0, gain * sizes[path, step][places])
        margins = run.margins[path].reshape(graph.n_steps, -1)[step, places]
        if np.any(margins > allowed):
            worst = float((margins / allowed).max())
            raise EvsimError(
                f"{path}: the recorded graph is not the model: {len(places)} of its spikes differ at step {step}, the "
                f"worst {worst:.3g} times further from its threshold than rounding explains"
            )
    return differing, compared


def _check_handlers(verification: Verification) -> None:
    if verification.agrees or not verification.flips:
        return
    first = (verification.unexcused or verification.flips)[0]
    raise EvsimError(
        f"{first.population}: event by event, {verification.local.differing + verification.exact.differing:,} spikes "
        f"differ from the model's, {len(verification.unexcused):,} of them by more than rounding explains (the first "
        f"by {first.margin:.2e}): nothing was written"
    )


def _choices(example, letters: str, recording: Recording, graph: Graph) -> tuple[str, ...]:
    """What was taken of the input and the output, where there was more."""
    n_samples = np.shape(example)[letters.index("B")] if "B" in letters else 1
    is_mean = graph.by_step and graph.n_steps > 1
    told = (
        f"input: axis B of {n_samples} was cut to its first" if n_samples > 1 else "",
        recording.chosen,
        f"output: mean over its {graph.n_steps} steps" if is_mean else "",
    )
    return tuple(words for words in told if words)


def _report(out, graph, recording, reference, lowered: Lowered, checked, forced, verification, told, choices, seconds):
    rates = reference.rates()
    return TraceReport(
        out=str(out) if out is not None else "nothing",
        n_steps=graph.n_steps,
        n_recorded=len(recording.run.ops),
        n_nodes=len(graph.nodes),
        populations={path: (array.shape[1], rates[path]) for path, array in reference.sent.items()},
        handlers=dict(Counter(type(handler).__name__ for handler in lowered.network.handlers)),
        notes=tuple(lowered.notes),
        dense=dict(lowered.dense),
        spikes_checked=checked,
        forced=forced,
        verification=verification,
        second=told,
        choices=choices,
        seconds=seconds,
    )


def _with_size(report: TraceReport, n_bytes: int) -> TraceReport:
    from dataclasses import replace

    return replace(report, n_bytes=n_bytes)


def _plain(normalisation: Mapping[str, Sequence[float]] | None) -> dict | None:
    if normalisation is None:
        return None
    return {key: [float(value) for value in normalisation[key]] for key in ("mean", "std")}


def _ledger(report: TraceReport) -> dict:
    """What was checked when the file was made, for its header."""
    v = report.verification
    return {
        "neurons_under_random_currents": report.spikes_checked,
        "graph_forced": list(report.forced),
        "handlers_forced": [v.exact.differing + v.local.differing, v.exact.compared + v.local.compared],
        "handlers_free": [v.free.differing, v.free.compared],
        "logits_difference": v.logits_difference,
        "silent": report.silent,
        "second": report.second,
        "torch": torch.__version__,
    }
