"""verify: does a run equal the reference?"""

from __future__ import annotations

import os
from collections.abc import Callable

from evsim.api.load import load
from evsim.api.recordings import steps_of
from evsim.api.trained_network import TrainedNetwork
from evsim.errors import EvsimError
from evsim.runs.preparation import Preparation, fit_recording
from evsim.traces.reference import Reference, read_reference
from evsim.traces.verify import Verification
from evsim.traces.verify import verify as verify_network

__all__ = ["verify"]


def verify(
    network: TrainedNetwork | str | os.PathLike,
    reference: Reference | str | os.PathLike | None = None,
    *,
    against_torch: str | os.PathLike | None = None,
    recording: object = None,
    dataset: str | None = None,
    root: str | None = None,
    limit: int | None = None,
    preparation: Preparation | None = None,
    order: str = "stage",
    watch: Callable[[int], None] | None = None,
) -> Verification:
    """Compare a network with the PyTorch model it came from on three levels: exact, local, free-running.

    Parameters
    ----------
    network : TrainedNetwork, name or path
        In float32.
    reference : Reference or path, optional
        Spikes and logits of the official model (docs/reference.md). A recorded network's file holds its own.
    against_torch : path, optional
        In place of a reference, a checkpoint whose PyTorch model is run beside, in a process of its own.
    recording : path or array, optional
    dataset, root, limit : optional
        With `against_torch`: what both are run on, one recording or a dataset as `evaluate` takes it.
    preparation : Preparation, optional
        How recordings become steps.
    order : {"stage", "step"}
    watch : callable, optional
        Told how many recordings have been compared.

    Returns
    -------
    Verification
        `agrees`, and the flips at each level.

    Raises
    ------
    EvsimError
        Nothing to compare with, or it does not fit the network.
    """
    net = network if isinstance(network, TrainedNetwork) else load(network, precision="float32")
    verification = _verify(net, reference, against_torch, (recording, dataset, root, limit), preparation, order, watch)
    verification.assumed = dict(net.weights.header.get("assumed") or {})
    return verification


def _verify(net: TrainedNetwork, reference, against_torch, source: tuple, preparation, order, watch) -> Verification:
    recording, dataset, root, limit = source
    told = preparation or Preparation()
    if reference is None and against_torch is None and net.network.recorded is not None:
        from evsim.traces.stored import verify_stored

        return verify_stored(net.network, order)
    if (reference is None) == (against_torch is None):
        raise EvsimError("verify against what? say either --reference FILE or --against-torch CHECKPOINT")
    if reference is not None:
        known = reference if isinstance(reference, Reference) else read_reference(reference)
        samples = [fit_recording(net.network, net.weights, one, told).spikes for one in known.recordings()]
        return verify_network(net.network, samples, known, order)
    if (dataset is None) == (recording is None):
        raise EvsimError("--against-torch: on what? say either --dataset NAME or --input RECORDING")
    from evsim.traces.dense_model import verify_against_dense

    if dataset is None:
        samples = (steps for steps, _ in steps_of(net.network, net.weights, recording, told))
    else:
        samples = _steps_of_dataset(net, dataset, root, limit, told)
    return verify_against_dense(net.network, os.fspath(against_torch), samples, order, watch or _unwatched)


def _unwatched(n_done: int) -> None:
    """Nobody wants to know."""


def _steps_of_dataset(net: TrainedNetwork, dataset: str, root: str | None, limit: int | None, told: Preparation):
    """The recordings of a dataset, each read when its turn comes."""
    from evsim.evaluation.dataset import choose_items, find_dataset
    from evsim.evaluation.examiner import Examiner, Plan

    found = find_dataset(dataset, root)
    plan = Plan(net.origin["file"], found.kind, told, precision=net.precision)
    examiner = Examiner(plan, net.network, net.weights, net.origin["sha256"])
    return (examiner.steps(item) for item in choose_items(found.items, limit, None))
