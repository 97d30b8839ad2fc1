"""Any network that was recorded: its file holds the graph of one step, and the handlers follow from that.

evsim.torch.trace(model, example, axes=..., out="net.npz")  or  evsim import --from-torch  ->  net.npz  ->  this
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evsim.checkpoints.choices import Choices
from evsim.checkpoints.refusal import naming
from evsim.checkpoints.weights import Weights
from evsim.engine.network import Network
from evsim.errors import CheckpointError
from evsim.graph.file import FAMILY, StoredReference, from_weights
from evsim.graph.graph import Graph
from evsim.graph.lower.lower import Lowered, lower

__all__ = ["FAMILY", "TITLE", "HyperParameters", "Recorded", "build_stored", "recognises"]

TITLE = "Recorded network"


@dataclass(frozen=True)
class HyperParameters:
    """What can be said of a graph without reading it.

    Parameters
    ----------
    n_steps, n_channels, height, width, n_populations : int
    as_written : bool
        Whether layers without neurons between them are kept apart.
    allow_dense : bool
        Whether operations without an event-driven form may run on whole arrays.
    axes : str
        Of the example that was recorded.
    fingerprint : str
        SHA-256 of the graph.
    any_steps : bool
        Whether T is a property of a run and not of the network; `n_steps` then is what the graph was written down with.
    """

    n_steps: int
    n_channels: int
    height: int
    width: int
    n_populations: int
    as_written: bool
    allow_dense: bool
    axes: str
    fingerprint: str
    any_steps: bool = False


@dataclass(frozen=True, eq=False)
class Recorded:
    """What a network of this family knows besides its handlers.

    Parameters
    ----------
    lowered : Lowered
        What was fused, what runs densely.
    reference : StoredReference or None
    file : str
        Where the graph is.
    """

    lowered: Lowered
    reference: StoredReference | None
    file: str

    def __deepcopy__(self, memo: dict) -> Recorded:
        return self  # nothing in it is ever written


def recognises(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """A checkpoint holds no graph."""
    return False


def read_hyper_parameters(shapes: Mapping[str, tuple[int, ...]], choices: Choices) -> HyperParameters:
    """A checkpoint does not tell what is computed with its tensors."""
    raise CheckpointError(
        f"{choices.path}: a checkpoint holds tensors and no graph, record the model that uses them: evsim import "
        "--from-torch mymodel.py:build --checkpoint FILE, or evsim.torch.trace(model, ...) (docs/any-network.md)"
    )


def build_stored(weights: Weights, path: str, hp: HyperParameters) -> Network:
    """The network of a weights file of this family.

    Raises
    ------
    CheckpointError
        The graph is damaged or another than its header says, or has an operation that may not run.
    """
    with naming(path):
        graph, reference = from_weights(weights)
    check_header(path, graph, hp)
    rates = reference.rates() if reference is not None else {}
    lowered = lower(graph, FAMILY, rates, as_written=hp.as_written, allow_dense=hp.allow_dense, any_steps=hp.any_steps)
    lowered.network.recorded = Recorded(lowered, reference, path)
    return lowered.network


def describe(
    graph: Graph, as_written: bool = False, allow_dense: bool = False, any_steps: bool = False
) -> HyperParameters:
    """The header of a graph's file."""
    from evsim.graph.lower.lower import input_layout

    height, width, n_channels = input_layout(graph)[1]
    return HyperParameters(
        graph.n_steps, n_channels, height, width, len(graph.neurons()), as_written, allow_dense, graph.axes,
        graph.fingerprint(), any_steps,
    )  # fmt: skip


def check_header(path: str, graph: Graph, hp: HyperParameters) -> None:
    """The header must say what the graph is.

    Raises
    ------
    CheckpointError
        It says something else.
    """
    known = describe(graph, hp.as_written, hp.allow_dense, hp.any_steps)
    for name, value in vars(known).items():
        if getattr(hp, name) != value:
            raise CheckpointError(f"{path}: hyper-parameter {name} is {getattr(hp, name)!r}, its graph says {value!r}")
