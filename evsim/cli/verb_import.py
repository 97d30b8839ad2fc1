"""``evsim import``: a training checkpoint becomes a weights file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from evsim.cli.effect import refuse
from evsim.cli.options import parse_settings
from evsim.errors import EvsimError

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("import")(import_)


def import_(
    context: typer.Context,
    output: Annotated[str, typer.Option("--output", "-o", help="Weights file to write (.npz).")],
    file: Annotated[
        str | None, typer.Argument(metavar="[CHECKPOINT]", help="PyTorch or safetensors file, or a NIR graph (.nir).")
    ] = None,
    ema: Annotated[bool, typer.Option("--ema", help="Take the moving-average weights.")] = False,
    key: Annotated[
        str | None, typer.Option("--key", help="Which of several dicts of tensors in the file: its keys, dotted.")
    ] = None,
    prefix: Annotated[
        str | None, typer.Option("--prefix", help="Take only the tensors whose names begin so: model.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A hyper-parameter the file cannot tell.")
    ] = None,
    quantise: Annotated[
        str | None, typer.Option(help="Run in fixed point by default: int16 or int8; says what it changes.")
    ] = None,
    input: Annotated[
        str | None, typer.Option("--input", "-i", help="With --quantise: recording or folder to compare on.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", "-d", help="With --quantise: labelled recordings to compare on.")
    ] = None,
    from_torch: Annotated[
        str | None, typer.Option(metavar="FILE.py:FUNCTION", help="Record the model that this function returns.")
    ] = None,
    checkpoint: Annotated[str | None, typer.Option(help="With --from-torch: the model's trained weights.")] = None,
    build_args: Annotated[str | None, typer.Option(metavar="JSON", help="With --from-torch: its arguments.")] = None,
    example: Annotated[str | None, typer.Option(help="With --from-torch: a real sample (.npy, .npz, .pt).")] = None,
    example_shape: Annotated[
        str | None, typer.Option(help="With --from-torch: noise of this shape: 1,3,32,32.")
    ] = None,
    axes: Annotated[
        str, typer.Option("--axes", "--example-axes", help="With --from-torch: the example's axes; T time, B batch.")
    ] = "T,B,C,H,W",
    allow_dense: Annotated[bool, typer.Option(help="With --from-torch: run what has no events densely.")] = False,
    as_written: Annotated[bool, typer.Option(help="With --from-torch: do not fuse layers between neurons.")] = False,
    allow_silent: Annotated[bool, typer.Option(help="With --from-torch: accept a silent last population.")] = False,
    dt: Annotated[str | None, typer.Option(help="Of a NIR graph: the length of a step, like 1ms.")] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Of a NIR graph: steps of a run that says nothing else.")
    ] = None,
    reset: Annotated[
        str | None, typer.Option(help="Of a NIR graph: v_reset (the standard) or subtract (v_threshold).")
    ] = None,
    spikes: Annotated[
        str | None, typer.Option(help="Of a NIR graph: one spike a neuron and step (the standard), or many.")
    ] = None,
) -> None:
    """Read a trained network out of a checkpoint, without executing its pickle, or a NIR graph, or record a model."""
    if from_torch is not None:
        refuse(
            context,
            (*_CHECKPOINT_ONLY, *_NIR_ONLY),
            "does not go with --from-torch",
        )
        _record(locals())
        return
    refuse(context, _TORCH_ONLY, "goes with --from-torch")
    if file is None:
        raise EvsimError("import what? say a CHECKPOINT, or --from-torch FILE.py:FUNCTION for a model of your own")
    if _is_nir(file):
        refuse(context, _CHECKPOINT_ONLY, "is for a checkpoint, and this is a NIR graph")
        _import_nir(file, output, {"dt": dt, "steps": steps, "reset": reset, "spikes": spikes})
        return
    refuse(context, _NIR_ONLY, "is for a NIR graph, and this is a checkpoint")
    _import(context, (file, ema, key, prefix), output, settings, (quantise, input, dataset))


def _record(told: dict) -> None:
    from evsim.cli.from_torch import record
    from evsim.outputs import check_outputs

    if told["file"] is not None and told["checkpoint"] is not None:
        raise EvsimError(f"two checkpoints, {told['file']} and {told['checkpoint']}: expected one")
    words = {name: told[name] for name in (*_TORCH_ONLY, "output")}
    words |= {"checkpoint": told["checkpoint"] or told["file"], "model": told["from_torch"]}
    words["shape"] = words.pop("example_shape")
    check_outputs({"--output": told["output"]}, [words["checkpoint"], told["example"]])
    typer.echo(record(words))


def _is_nir(file: str) -> bool:
    from evsim.graph.nir.hdf5 import is_nir

    return is_nir(file)


def _import_nir(file: str, output: str, told: dict) -> None:
    from evsim.checkpoints.weights import write_weights
    from evsim.cli.weights_text import describe_weights
    from evsim.loading.nir_graph import import_nir
    from evsim.outputs import check_outputs
    from evsim.plain_text import plain

    check_outputs({"--output": output}, [file])
    weights, notes = import_nir(file, {name: str(value) for name, value in told.items() if value is not None})
    write_weights(output, weights)
    for line in [*describe_weights(weights), *(f"note: {note}" for note in notes), f"wrote {output}"]:
        typer.echo(plain(line))


def _import(context, source: tuple, output: str, settings: list[str] | None, precision: tuple) -> None:
    from evsim.arithmetic.precision import BITS, check_precision
    from evsim.checkpoints.weights import write_weights
    from evsim.cli.weights_text import describe_weights
    from evsim.loading.importing import import_checkpoint
    from evsim.outputs import check_outputs
    from evsim.plain_text import plain

    (checkpoint, ema, key, prefix), (quantise, input, dataset) = source, precision
    if quantise is not None:
        check_precision(quantise, "--quantise", tuple(BITS))
    else:
        refuse(context, ("input", "dataset"), "is for --quantise: expected --quantise int16 or int8")
    check_outputs({"--output": output}, [checkpoint, input, dataset])
    weights, notes = import_checkpoint(checkpoint, parse_settings(settings or []), ema, key, prefix)
    lines = list(_quantise(weights, quantise, input, dataset)) if quantise else []
    write_weights(output, weights)
    for line in [*describe_weights(weights), *(f"note: {note}" for note in notes), *lines, f"wrote {output}"]:
        typer.echo(plain(line))


def _quantise(weights, precision: str, input: str | None, dataset: str | None) -> Iterator[str]:
    """Note the precision in the header; the tensors stay as they are, and are rounded when a network is built."""
    from evsim.evaluation.quantisation import bundled_recordings, compare_precisions, find_recordings

    weights.header["precision"] = precision
    if input is None and dataset is None:
        name, recordings = bundled_recordings(weights)
        yield f"note: no --input or --dataset: compared on the bundled {name}" if name else _NOT_COMPARED
    else:
        recordings = find_recordings(input, dataset, weights.header.get("class_names"))
    yield from compare_precisions(weights, precision, recordings).lines()


_CHECKPOINT_ONLY = ("ema", "key", "prefix", "settings", "quantise", "input", "dataset")
_NIR_ONLY = ("dt", "steps", "reset", "spikes")
_TORCH_ONLY = (
    "checkpoint", "build_args", "example", "example_shape", "axes", "allow_dense", "as_written", "allow_silent",
)  # fmt: skip
_NOT_COMPARED = "note: not compared: no bundled recording fits this network, give --input or --dataset"
