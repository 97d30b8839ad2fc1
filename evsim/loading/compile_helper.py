"""A process that compiles for another one: the kernels of some families, those first that a run needs last.

It calls each handler of the small networks that a family names, apart from the others and on one event: types are all
that a kernel is compiled for. What the other process has taken is passed over.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator

import numpy as np

from evsim.arithmetic.claims import Claims
from evsim.arithmetic.fixed_point import fix
from evsim.arithmetic.kernel_cache import sharing, why_not_kept
from evsim.engine.network import Network
from evsim.engine.spikes import Spikes
from evsim.handlers.attention.ssa import SSA
from evsim.loading.warm_up import small_networks

__all__ = ["calls_of", "main"]

_EVENT = Spikes(np.zeros(1, np.int32))


def main(folder: str, number: str, families: str, precision: str, mode: str) -> None:
    """Compile until everything is compiled, or until whoever asked for it is gone."""
    claims = Claims(folder, int(number))
    threading.Thread(target=_leave_with_parent, args=[claims], daemon=True).start()
    with sharing(lambda: claims):
        for network in [fix(network, precision) for network in small_networks(families.split(","))][::-1]:
            for call in calls_of(network, mode):
                if why_not_kept():
                    return  # nobody would find what is compiled here
                try:
                    call()
                except Exception:  # taken by another, or of a handler that one event is not enough for
                    continue


def _leave_with_parent(claims: Claims) -> None:
    sys.stdin.buffer.read()
    with claims.between_files():
        os._exit(0)


def calls_of(network: Network, mode: str) -> Iterator[Callable[[], object]]:
    """Calls that compile the kernels of a network, of those first that stand inside no other."""
    if mode == "asynchronous":
        yield from _asynchronous_calls(network)
    populations = set(map(id, network.populations()))
    stages = sorted(
        range(len(network.handlers)), key=lambda stage: (id(network.handlers[stage]) not in populations, -stage)
    )
    for takes_bands in (False, True):  # after a reset populations take their currents band by band
        if takes_bands:
            network.reset()
        for stage in stages:
            yield from _calls_of_handler(network, stage)


def _calls_of_handler(network: Network, stage: int) -> Iterator[Callable[[], object]]:
    handler, inbox = network.handlers[stage], dict.fromkeys(network.sources[stage], _EVENT)
    orders = ("kv", "qk") if isinstance(handler, SSA) else (None,)
    for order in orders:
        if order is not None:
            handler.order = order
        yield lambda: handler.handle(0, inbox)


def _asynchronous_calls(network: Network) -> Iterator[Callable[[], object]]:
    """The large loop first: the other process begins with the small ones."""
    from evsim.asynchronous.membranes import end_step
    from evsim.asynchronous.options import Asynchrony
    from evsim.asynchronous.state import new_state
    from evsim.asynchronous.step import enter_step, run_step
    from evsim.asynchronous.tables import Plan

    plan, how = Plan(network), Asynchrony()
    tables, state = plan.tables(how, False), new_state(plan, how, 1)
    for kernel in (run_step, end_step, enter_step):
        yield lambda kernel=kernel: kernel(tables, state)
