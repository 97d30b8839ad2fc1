"""simulate: the only loop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from evsim.errors import NetworkError, RecordingError
from evsim.event_queue import EventQueue
from evsim.ledger import Ledger, OpCounts
from evsim.network import INPUT, Network
from evsim.spikes import Spikes

__all__ = ["Observer", "Result", "simulate"]


class Observer(Protocol):
    """Anything that wants to see what each source sent at each step (a `Probe`, a progress bar)."""

    def show(self, name: str, step: int, spikes: Spikes) -> None: ...


@dataclass(frozen=True, eq=False)
class Result:
    """What a run leaves behind.

    Parameters
    ----------
    logits : float32 [n_classes]
    logits_by_step : float32 [n_steps, n_classes]
    ledger : Ledger
    n_steps : int
    """

    logits: np.ndarray
    logits_by_step: np.ndarray
    ledger: Ledger
    n_steps: int

    @property
    def prediction(self) -> int:
        """Index of the largest logit.

        Raises
        ------
        NetworkError
            The network ends without a classifier (a pre-training checkpoint).
        """
        if not self.logits.size:
            raise NetworkError("the network has no classifier: no logits, no prediction")
        return int(np.argmax(self.logits))


def simulate(
    network: Network, recording: Sequence[Spikes], probes: Sequence[Observer] = (), order: str = "step"
) -> Result:
    """Pop the earliest inbox, handle it, charge the ledger, show the probes, push the spikes along every edge.

    Parameters
    ----------
    network : Network
        Is reset first: a run does not depend on the one before.
    recording : sequence of Spikes
        The input events, one entry a step.
    probes : sequence of Observer
    order : {"step", "stage"}
        See `EventQueue`.

    Raises
    ------
    RecordingError
        An input event lies outside the network's input.
    """
    _check_places(network, recording)
    network.reset()
    queue, ledger = EventQueue(order), Ledger()
    n_steps = len(recording)
    for step, spikes in enumerate(recording):
        _send(network, queue, probes, INPUT, step, spikes)
        for stage in network.sleepless_stages():
            queue.push(step, stage, "bias", Spikes.none())
    while queue:
        step, stage, inbox = queue.pop()
        handler = network.handlers[stage]
        spikes, counts = handler.handle(step, inbox)
        delivered = sum(len(events) for events in inbox.values())
        pushed = _send(network, queue, probes, handler.name, step, spikes)
        traffic = OpCounts(events_in=delivered, events_out=len(spikes), queue_ops=delivered + pushed)
        ledger.charge(handler.name, step, counts + traffic)
    readout = network.readout
    return Result(readout.logits(n_steps), readout.logits_by_step(n_steps), ledger, n_steps)


def _check_places(network: Network, recording: Sequence[Spikes]) -> None:
    """Kernels trust addresses; sorted ones are checked by their ends."""
    n_places = math.prod(network.input_shape)
    for step, spikes in enumerate(recording):
        if len(spikes) and not 0 <= spikes.address[0] <= spikes.address[-1] < n_places:
            found = f"{spikes.address[0]} to {spikes.address[-1]}"
            raise RecordingError(f"step {step}: input addresses {found}, the network has {n_places} input places")


def _send(network: Network, queue: EventQueue, probes: Sequence[Observer], name: str, step: int, spikes: Spikes) -> int:
    """Show and push what `name` sent at `step`; returns the number of events put on the queue."""
    for probe in probes:
        probe.show(name, step, spikes)
    pushed = 0
    for edge in network.edges_from(name):
        if edge.wakes or len(spikes):
            queue.push(step, edge.stage, edge.port, spikes)
            pushed += len(spikes)
    return pushed
