"""export_nir: the graph of a weights file as a NIR file."""

from __future__ import annotations

import os
from io import BytesIO

from evsim.checkpoints.refusal import listed, naming
from evsim.checkpoints.weights import read_weights
from evsim.errors import CheckpointError, EvsimError
from evsim.graph.file import FAMILY, from_weights
from evsim.graph.nir.hdf5 import library
from evsim.graph.nir.write import nir_of
from evsim.graph.nir.writer import InNir
from evsim.outputs import output_file
from evsim.recordings.duration import parse_microseconds, written

__all__ = ["export_nir"]


def export_nir(path: str | os.PathLike[str], output: str | os.PathLike[str], dt: str | None = None) -> list[str]:
    """Write the graph; returns what whoever reads it must know.

    Parameters
    ----------
    path : path
        A weights file whose network was recorded or read from NIR.
    output : path
    dt : str, optional
        How long a step is, for time constants in seconds; a network that was read from NIR knows.

    Raises
    ------
    EvsimError
        The file holds no graph, an operation is none of NIR's (attention), or a leak is there and no dt.
    """
    nir = library(path)
    weights = read_weights(path)
    if weights.header["family"] != FAMILY:
        raise CheckpointError(
            f"{path}: a network of the family {weights.header['family']} holds no graph, and its attention multiplies "
            "spikes by spikes, for which NIR has no node: expected a network that was recorded, or read from NIR"
        )
    told = _length(path, dt, (weights.header.get("input") or {}).get("dt"))
    with naming(path):
        graph, _ = from_weights(weights)
        made = nir_of(nir, graph, None if told is None else told * 1e-6)
    whole = BytesIO()  # see `evsim.outputs.output_hdf5`
    nir.write(whole, made.graph)
    with output_file(output) as file:
        file.write(whole.getbuffer())
    return list(_notes(made, told, graph.is_still))


def _length(path, told: str | None, kept: str | None) -> int | None:
    """Microseconds of a step."""
    asked, known = (None if text is None else parse_microseconds(text, "dt") for text in (told, kept))
    if None not in (asked, known) and asked != known:
        raise EvsimError(f"--dt {told}: {path} was imported for steps of {kept}, its time constants count these")
    return asked or known


def _notes(made: InNir, dt: int | None, is_still: bool):
    told = {"reset": "v_reset", "spikes": "one"}
    options = [f"--{key} {getattr(made, key)}" for key, usual in told.items() if getattr(made, key) not in ("", usual)]
    length = "1ms" if dt is None else written(dt)
    if options:
        yield f"NIR says neither: read it back with --dt {length} {' '.join(options)}"
    if made.rounded:
        yield f"the same equation in another order of roundings, the last bit may differ: {listed(made.rounded)}"
    if made.is_sum:
        yield "the model sums its output over the steps; NIR sends what it makes of each, of which evsim takes the mean"
    if is_still:
        yield "the model takes one image for all steps; a NIR graph is given it at each"
