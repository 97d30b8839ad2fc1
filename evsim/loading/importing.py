"""From a training checkpoint to a weights file: recognise the family, read its hyper-parameters, keep its tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from types import ModuleType

import numpy as np

from evsim import networks
from evsim.arithmetic.fixed_point import fix
from evsim.arithmetic.precision import FLOAT
from evsim.checkpoints.assembly import Expendable
from evsim.checkpoints.checkpoint import Checkpoint, read_checkpoint
from evsim.checkpoints.choices import Choices
from evsim.checkpoints.class_names import class_names
from evsim.checkpoints.fit import Shapes, select_tensors
from evsim.checkpoints.header import check_preparation, read_header_values, read_preparation
from evsim.checkpoints.header_check import check_normalisation
from evsim.checkpoints.numbers import check_numbers
from evsim.checkpoints.refusal import naming, shown
from evsim.checkpoints.weights import Weights, read_weights
from evsim.engine.current import bounded
from evsim.engine.network import Network
from evsim.errors import CheckpointError, NetworkError
from evsim.loading.common_prefix import strip_common_prefix

__all__ = ["build_network", "import_checkpoint", "load_network", "values_allowed"]

_ALWAYS_ALLOWED = 2**28
_VALUES_PER_WEIGHT = 16
"""Values of all currents over all steps: a network of 66 million weights on images of 288x288 has 150 million."""


def import_checkpoint(
    path: str,
    options: Mapping[str, str],
    ema: bool = False,
    key: str | None = None,
    prefix: str | None = None,
) -> tuple[Weights, list[str]]:
    """Weights (tensors and names unchanged, dead tensors dropped) and notes for the user.

    Parameters
    ----------
    path : str
        A PyTorch checkpoint (zip or legacy) or a safetensors file.
    options : mapping of str to str
        Hyper-parameters by name (see the family's `HyperParameters`); ``split_by``, ``fit`` and ``sensor``, the way
        its recordings were prepared, for the weights file to remember; ``family``, where tensor names do not tell.
    ema : bool
        Take the moving-average weights.
    key : str, optional
        The keys that lead to the state dict, joined by dots, where the file holds several dicts of tensors.
    prefix : str, optional
        Take only the tensors whose names begin so.

    Raises
    ------
    CheckpointError
        Unreadable, hostile, of no known family, tensors missing, unknown or no numbers, or hyper-parameters that
        nobody told, all of them named.
    """
    checkpoint = read_checkpoint(path, ema=ema, key=key, prefix=prefix)
    found, stripped = strip_common_prefix(path, checkpoint.tensors, networks.is_known)
    shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
    choices = Choices(checkpoint.path, checkpoint.args, options)
    with choices.collected():
        module = _family(choices, shapes)
        hp = module.read_hyper_parameters(shapes, choices)
    preparation = read_preparation(choices)
    choices.refuse_unknown()
    tensors, dropped = _select(checkpoint, found, module.tensor_shapes(hp))
    with naming(path):
        check_numbers(tensors)
    with _named(path, module.FAMILY, tensors, hp.n_steps):
        module.build(tensors, hp)  # a weights file that cannot be built is of no use to anybody
    normalisation, ignored = _normalisation(checkpoint.args, hp.in_channels)
    header = {
        "format_version": 1,
        "family": module.FAMILY,
        "title": module.TITLE,
        "hyper_parameters": asdict(hp),
        "class_names": class_names(checkpoint.args.get("dataset"), hp.n_classes),
        "normalisation": normalisation,
        "input": preparation,
        "assumed": choices.assumed,
        "source": {
            "file": checkpoint.path.replace("\\", "/").rsplit("/", 1)[-1],
            "sha256": checkpoint.sha256,
            "wrapper": checkpoint.wrapper,
        },
        "dropped": dropped,
    }
    return Weights(tensors, header), [*checkpoint.notes, *stripped, *choices.notes, *ignored]


def _select(checkpoint: Checkpoint, found: Mapping[str, np.ndarray], shapes: tuple[Shapes, Shapes]):
    """The tensors that the network uses; what was left unread, and how to leave others out, is part of a refusal."""
    try:
        return select_tensors(checkpoint.path, found, *shapes)
    except CheckpointError as error:
        text = str(error)
        unread = "".join(f"; it {note}" for note in checkpoint.notes if note.startswith("ignored what is no tensor"))
        hint = "; --prefix NAME takes only tensors whose names begin so" if "unknown " in text else ""
        raise CheckpointError(f"{text}{unread}{hint}") from None


def build_network(
    weights: Weights, path: str = "weights", spends: bool = False, precision: str | None = FLOAT
) -> Network:
    """The network of a weights file, in float32 unless another precision is named; None takes the file's own.

    With `spends` the tensors move into the network one by one, and `weights` keeps its header only.

    Raises
    ------
    CheckpointError
        The header names no known family, or its hyper-parameters do not describe a network of these tensors.
    EvsimError
        The network cannot run in that precision.
    """
    network = _build(weights, path, spends)
    return fix(network, precision or weights.header.get("precision", FLOAT))


def _build(weights: Weights, path: str, spends: bool) -> Network:
    n_steps = weights.header["hyper_parameters"].get("n_steps", 1)
    with _named(path, str(weights.header["family"]), weights.tensors, n_steps if type(n_steps) is int else 1):
        module = networks.family(weights.header["family"])
        hp = read_header_values(path, weights.header["hyper_parameters"], module.HyperParameters)
        if hasattr(module, "build_stored"):
            network = module.build_stored(weights, path, hp)
            if spends:
                weights.tensors.clear()
            return network
        _check_depth(hp, len(weights.tensors))
        tensors, _ = select_tensors(path, weights.tensors, *module.tensor_shapes(hp))
        if spends:
            tensors = Expendable(tensors)
            weights.tensors.clear()
        return module.build(tensors, hp)


def _check_depth(hp: object, n_tensors: int) -> None:
    """More blocks than tensors there cannot be, and to list the tensors of so many takes time and memory."""
    depths = [value for name in ("depth", "depths") for value in np.atleast_1d(getattr(hp, name, 0))]
    if sum(depths) > n_tensors:
        raise CheckpointError(f"hyper-parameters of {sum(depths)} blocks, and {n_tensors} tensors")


def values_allowed(tensors: Mapping[str, np.ndarray]) -> int:
    """How many values the currents of a network of these weights may have, over all its steps."""
    return max(_ALWAYS_ALLOWED, _VALUES_PER_WEIGHT * sum(tensor.size for tensor in tensors.values()))


@contextmanager
def _named(path: str, family: str, tensors: Mapping[str, np.ndarray], n_steps: int) -> Iterator[None]:
    """Whatever goes wrong when a network is built is the fault of the file: its name begins the message.

    How large it may be follows from what the file holds: a few numbers in a header cost nothing.
    """
    try:
        with naming(path), bounded(values_allowed(tensors), n_steps):
            yield
    except CheckpointError as error:
        text = str(error)
        raise CheckpointError(text if text.startswith(path) else f"{path}: {text}") from None
    except NetworkError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its hyper-parameters describe no {family} network ({error})") from error


def load_network(path: str, precision: str | None = FLOAT) -> tuple[Network, Weights]:
    """Read a weights file and build its network; the weights have given it their tensors, and are a header only."""
    weights = read_weights(path)
    check_preparation(path, weights.header)
    return build_network(weights, path, spends=True, precision=precision), weights


def _family(choices: Choices, shapes: Mapping[str, tuple[int, ...]]) -> ModuleType:
    """The family that the user names, else the one that recognises the tensors."""
    named = choices.take("family", str, "the network family") if "family" in choices.options else None
    return networks.recognise(choices.path, shapes, named, choices.args.get("model"))


def _normalisation(args: Mapping[str, object], n_channels: int) -> tuple[dict | None, list[str]]:
    """Mean and standard deviation of the channels as the arguments have them, or a note where they make none."""
    stored = {name: args.get(name) for name in ("mean", "std")}
    if not all(stored.values()):
        return None, []
    try:
        found = {name: [float(value) for value in values] for name, values in stored.items()}
        check_normalisation(found)
        if {len(values) for values in found.values()} != {n_channels}:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        said = " and ".join(f"{name} = {shown(value)}" for name, value in stored.items())
        return None, [f"no normalisation: the arguments say {said}, expected {n_channels} numbers each, none of std 0"]
    return found, []
