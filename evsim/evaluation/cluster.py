"""Cluster: a dataset on the workers of an existing Dask cluster (extra `[cluster]`)."""

from __future__ import annotations

import logging
import os
import pkgutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from evsim import __version__
from evsim.errors import EvsimError
from evsim.evaluation.dataset import Item
from evsim.evaluation.examiner import Examiner, Plan
from evsim.evaluation.outcome import Outcome
from evsim.recordings.discover import one_line

__all__ = ["Cluster"]

CONNECT_SECONDS = 20
LARGEST_CHUNK = 32
CHUNKS_A_THREAD = 8


class Cluster:
    """Workers elsewhere. Every one must have this version of evsim and see weights and recordings at the same paths.

    A worker that dies takes nothing along: what it was at is done again by another.

    Parameters
    ----------
    address : str
        Of the scheduler, ``tcp://host:8786``.

    Attributes
    ----------
    size : int
        Threads of all workers, as counted when a run begins.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.size = 0

    def run(self, examiner: Examiner, items: Sequence[Item]) -> Iterator[list[Outcome]]:
        """The outcomes as chunks of them come back; leaving the loop early cancels the rest."""
        with _connected(self.address) as client:
            self.size = _count_threads(client)
            _check_workers(client)
            yield from self._collect(client, examiner, _chunks(items, self.size))

    def _collect(self, client, examiner: Examiner, chunks: Sequence[Sequence[Item]]) -> Iterator[list[Outcome]]:
        from distributed import as_completed

        # A task like any other: should the worker that holds the network die, another builds it again.
        loaded = client.submit(_load, _portable(examiner.plan), examiner.sha256, __version__)
        pending = [client.submit(_examine, loaded, chunk, pure=False) for chunk in chunks]
        try:
            for _, outcomes in as_completed(pending, loop=client.loop, with_results=True):
                if not isinstance(outcomes, list):  # a future that was cancelled, because nobody was left
                    raise EvsimError(f"{self.address}: the scheduler or its workers went away ({one_line(outcomes)})")
                yield outcomes
        finally:
            with suppress(Exception):  # a scheduler that has gone cannot be told
                client.cancel([*pending, loaded])


def _load(plan: Plan, sha256: str, version: str) -> Examiner:
    """On a worker: the network, if it is the one that is meant."""
    if version != __version__:
        raise EvsimError(f"a worker has evsim {__version__}, the client {version}; install the same everywhere")
    examiner = Examiner.load(plan)
    if examiner.sha256 != sha256:
        raise EvsimError(f"{plan.weights}: a worker sees another file under this name (SHA-256 {examiner.sha256})")
    return examiner


def _examine(examiner: Examiner, items: Sequence[Item]) -> list[Outcome]:
    """On a worker: a chunk of recordings. A twin, because the worker's other threads use the same examiner."""
    own = examiner.twin()
    return [own.examine(item) for item in items]


def _portable(plan: Plan) -> Plan:
    """A path that does not depend on where the client stands; a bundled name stays a name."""
    return replace(plan, weights=os.path.abspath(plan.weights)) if os.path.exists(plan.weights) else plan


def _chunks(items: Sequence[Item], n_threads: int) -> list[list[Item]]:
    """Large enough to be worth a message, small enough to keep every thread busy until the end."""
    size = min(LARGEST_CHUNK, max(1, len(items) // (CHUNKS_A_THREAD * n_threads)))
    found = [replace(item, path=os.path.abspath(item.path)) for item in items]
    return [found[begin : begin + size] for begin in range(0, len(found), size)]


def _count_threads(client) -> int:
    client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    return max(1, sum(client.nthreads().values()))


def _check_workers(client) -> None:
    """Refuse a cluster before any work, where a worker has no evsim, or another one.

    What is sent is a function of Python itself: one of evsim could not even be received.
    """
    told = client.run(pkgutil.resolve_name, "evsim:__version__", on_error="return")
    for worker, found in told.items():
        if isinstance(found, BaseException):
            raise EvsimError(f"worker {worker} cannot import evsim ({one_line(found)}); install {__version__} there")
        if found != __version__:
            raise EvsimError(f"worker {worker} has evsim {found}, the client {__version__}; install the same")


@contextmanager
def _connected(address: str):
    """A client of the cluster; whatever goes wrong there becomes one line."""
    try:
        from distributed import Client
    except ImportError:
        raise EvsimError("--scheduler needs Dask: pip install 'evsim[cluster]'") from None
    for name in ("distributed.client", "distributed.comm", "distributed.core"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # what it would print, the one line says
    try:
        with Client(address, timeout=CONNECT_SECONDS, set_as_default=False) as client:
            yield client
    except EvsimError:
        raise
    except Exception as error:  # Dask, its transports and anything a worker raises
        raise EvsimError(f"{address}: {type(error).__name__}: {one_line(error)}") from error
