"""simulate: the only loop."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from evsim.engine.event_queue import EventQueue
from evsim.engine.ledger import Ledger, OpCounts
from evsim.engine.network import INPUT, Network
from evsim.engine.pipeline import Sent, is_worth_threads, overlap
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError, RecordingError

__all__ = ["Observer", "Result", "check_logits", "check_places", "simulate"]


LARGEST_INPUT = 1e10
"""Of a pixel or a count: beyond it, sums in float32 may overflow unseen."""


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
    network: Network,
    recording: Sequence[Spikes],
    probes: Sequence[Observer] = (),
    order: str = "stage",
    threads: int = 1,
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
        See `EventQueue`. Of no meaning with more than one thread.
    threads : int
        With more than one, steps overlap, see `evsim.engine.pipeline`; the result does not depend on their number. A
        small network runs on one.

    Raises
    ------
    RecordingError
        An input event lies outside the network's input, or the events of a step are not in order of their places.
    NetworkError
        A logit is not a finite number: sums overflowed, and nothing can be told from them.
    """
    check_places(network, recording)
    network.reset()
    ledger, n_steps = Ledger(), len(recording)
    steps = list(enumerate(recording))
    alone = threads == 1 or not is_worth_threads(network)
    sent = _play(network, steps, order) if alone else _play_together(network, steps, threads)
    for name, step, spikes, counts in sent:
        if counts is not None:
            ledger.charge(name, step, counts)
        for probe in probes:
            probe.show(name, step, spikes)
    readout = network.readout
    by_step = readout.logits_by_step(n_steps)
    check_logits(network, by_step)
    return Result(readout.logits(n_steps), by_step, ledger, n_steps)


def _play(network: Network, steps: Sequence[tuple[int, Spikes]], order: str) -> Iterator[Sent]:
    """What each source sends, as it is sent, and at what cost (None for the input)."""
    queue, sleepless = EventQueue(order), list(network.sleepless_stages())
    for step, spikes in steps:
        yield _enter(network, queue, sleepless, step, spikes)
    while queue:
        if order == "stage":
            yield from _take_turns(network, queue)
        else:
            yield _take_turn(network, queue)


def _play_together(network: Network, steps: Sequence[tuple[int, Spikes]], threads: int) -> Iterator[Sent]:
    """The same on several threads, with a queue for each step."""
    queues, sleepless = [EventQueue() for _ in steps], list(network.sleepless_stages())
    entered = [_enter(network, queue, sleepless, *entry) for queue, entry in zip(queues, steps, strict=True)]
    for first, others in zip(entered, overlap(partial(_take_turn, network), queues, threads), strict=True):
        yield first
        yield from others


def _enter(network: Network, queue: EventQueue, sleepless: Sequence[int], step: int, spikes: Spikes) -> Sent:
    """The recording's events of one step, and a wake-up call for neurons that a bias alone can make fire."""
    _push(network, queue, INPUT, step, spikes)
    for stage in sleepless:
        queue.push(step, stage, "bias", Spikes.none())
    return INPUT, step, spikes, None


def _take_turn(network: Network, queue: EventQueue) -> Sent:
    """Pop the earliest inbox, handle it, push what comes of it."""
    step, stage, inbox = queue.pop()
    handler = network.handlers[stage]
    return _send(network, queue, handler.name, step, inbox, handler.handle(step, inbox))


def _take_turns(network: Network, queue: EventQueue) -> list[Sent]:
    """The same for all steps of the earliest stage: nobody behind it has begun, and nobody before it sends any more."""
    stage, turns = queue.pop_stage()
    handler = network.handlers[stage]
    if len(turns) > 1 and hasattr(handler, "handle_steps"):
        given = handler.handle_steps(turns)
    else:
        given = [handler.handle(step, inbox) for step, inbox in turns]
    return [
        _send(network, queue, handler.name, step, inbox, one) for (step, inbox), one in zip(turns, given, strict=True)
    ]


def _send(
    network: Network,
    queue: EventQueue,
    name: str,
    step: int,
    inbox: Mapping[str, Spikes],
    given: tuple[Spikes, OpCounts],
) -> Sent:
    """Push what a handler made of its inbox, and count what was delivered and sent."""
    spikes, counts = given
    delivered = 0
    for events in inbox.values():
        delivered += events.address.size
    pushed = _push(network, queue, name, step, spikes)
    return name, step, spikes, counts.with_traffic(delivered, spikes.address.size, pushed)


def check_places(network: Network, recording: Sequence[Spikes]) -> None:
    """Kernels trust what they are given; a still image is the same object at every step, and checked once."""
    n_places, seen = math.prod(network.input_shape), None
    for step, spikes in enumerate(recording):
        if spikes is not seen:
            _check_step(step, spikes.address, spikes.payload, n_places)
        seen = spikes


def _check_step(step: int, address: np.ndarray, payload: np.ndarray | None, n_places: int) -> None:
    """Each address is a place of the input and larger than the one before; real values leave room for sums."""
    if address.ndim != 1 or address.dtype.kind not in "iu":
        raise RecordingError(f"step {step}: addresses of type {address.dtype}, {address.ndim} axes; expected int32 [n]")
    if payload is not None and payload.shape != address.shape:
        raise RecordingError(f"step {step}: {payload.size} payloads for {address.size} events, expected as many")
    if not address.size:
        return
    rises = address[1:] > address[:-1]
    if not rises.all():
        at = int(np.argmin(rises)) + 1
        found = f"{address[at]} after {address[at - 1]}"
        raise RecordingError(f"step {step}: input address {found}; expected sorted addresses, each once")
    if not 0 <= address[0] <= address[-1] < n_places:
        found = f"{address[0]} to {address[-1]}"
        raise RecordingError(f"step {step}: input addresses {found}, the network has {n_places} input places")
    if payload is not None and not np.all(np.abs(payload) <= LARGEST_INPUT):  # NaN is not either
        raise RecordingError(f"step {step}: input values that are no numbers or above {LARGEST_INPUT:g}")


def check_logits(network: Network, by_step: np.ndarray) -> None:
    """Nothing can be told from sums that overflowed."""
    if not np.isfinite(by_step).all():
        step, index = np.argwhere(~np.isfinite(by_step))[0]
        raise NetworkError(
            f"{network.name}: logit {index} of step {step} is {by_step[step, index]}, no finite number: the weights or "
            "the input are too large for float32, so there is no prediction"
        )


def _push(network: Network, queue: EventQueue, name: str, step: int, spikes: Spikes) -> int:
    """Push what `name` sent at `step` along every edge; returns the number of events put on the queue."""
    pushed, n_spikes = 0, spikes.address.size
    for stage, port, wakes in network.edges_from(name):
        if wakes or n_spikes:
            queue.push(step, stage, port, spikes)
            pushed += n_spikes
    return pushed
