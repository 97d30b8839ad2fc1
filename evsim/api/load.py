"""load: a trained network from a bundled name, a weights file or a training checkpoint."""

from __future__ import annotations

import os

from evsim.api.trained_network import TrainedNetwork
from evsim.arithmetic.precision import check_precision
from evsim.errors import EvsimError
from evsim.graph.nir.hdf5 import is_nir
from evsim.loading.file_kind import is_weights
from evsim.loading.importing import build_network, import_checkpoint, load_network
from evsim.loading.nir_graph import import_nir
from evsim.loading.zoo import find_weights
from evsim.runs.run import origin_of

__all__ = ["load"]


def load(
    source: str | os.PathLike[str],
    *,
    precision: str | None = None,
    ema: bool = False,
    key: str | None = None,
    prefix: str | None = None,
    **settings: object,
) -> TrainedNetwork:
    """A trained network, ready to run.

    Parameters
    ----------
    source : str or path
        Name of a bundled network (``evsim.bundled()`` lists them), a weights file of evsim (``.npz``), or a PyTorch or
        safetensors checkpoint, which is read without PyTorch and without executing its pickle; or a NIR graph.
    precision : {"float32", "int16", "int8"}, optional
        None takes what the weights file says, which is float32 unless it was imported otherwise.
    ema : bool
        Of a checkpoint, take the moving-average weights.
    key, prefix : str, optional
        Of a checkpoint, which of several dicts of tensors, and how the names of the wanted tensors begin.
    **settings
        Of a checkpoint, the hyper-parameters that it cannot tell: ``n_steps=16``, ``pooling_stat="0011"``. Of a NIR
        graph ``dt="1ms"``, and ``steps``, ``reset`` and ``spikes`` as ``evsim import`` takes them.

    Returns
    -------
    TrainedNetwork

    Raises
    ------
    EvsimError
        No such file or name, unreadable, of no known family, or a hyper-parameter is missing; the message names it.

    Examples
    --------
    >>> net = evsim.load("sdt-nmnist")
    >>> net = evsim.load("model_best.pth.tar", n_steps=16)
    """
    if precision is not None:
        check_precision(precision)
    if not isinstance(source, (str, os.PathLike)):
        raise EvsimError(f"load({type(source).__name__}): expected the name of a bundled network, or a path")
    path = find_weights(os.fspath(source))
    if is_weights(path):
        options = {"ema": ema, "key": key, "prefix": prefix}
        if told := ", ".join([*settings, *(name for name, value in options.items() if value)]):
            raise EvsimError(f"{path}: {told} is for a checkpoint, and this weights file has all it needs")
        network, weights = load_network(path, precision)
        return TrainedNetwork(network, weights, origin_of(path))
    told = {name: _text(value) for name, value in settings.items()}
    if is_nir(path):
        weights, notes = import_nir(path, told)
    else:
        weights, notes = import_checkpoint(path, told, ema, key, prefix)
    network = build_network(weights, path, spends=True, precision=precision)
    return TrainedNetwork(network, weights, origin_of(path), tuple(notes))


def _text(value: object) -> str:
    """A setting as the command line spells it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
