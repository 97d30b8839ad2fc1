"""State: what a run without barriers changes, laid out for the compiled loop."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evsim.asynchronous.columns import BEST, FIRST_WORD, N_NOW, RANDOM_STATE, STRIDE
from evsim.asynchronous.options import Asynchrony
from evsim.asynchronous.tables import Plan, joined

__all__ = ["State", "new_state"]

_CURVE_POINTS = 4096


class State(NamedTuple):
    """Everything a run changes, but for the last columns of the tables.

    Parameters
    ----------
    now : int64
        Numbers of the run, see `evsim.asynchronous.columns`.
    x, need, scratch : float32 or int32
        Of every reading: what has reached it in this step, and from where on a neuron is ready (never: the largest).
    v, base : float32 or int32 [n_neurons]
        Membrane potential at the end of the last step; x at the neuron's spike, where that matters.
    flags : uint8 [n_neurons]
    neurons : int64 [n_neurons, 2]
        Spikes in this step, and the place of the first one in the sequence of all.
    places, listed, dirty
        Of a place of a reading: the last step in which it was reached; the touched ones listed; marks.
    marks, sums : uint8, float64 or int64
        What handlers without neurons remember until the step ends.
    carried : int64 [n, 2]
        Population and place of neurons that begin the next step above their threshold.
    relayed : int64 [n, 3]
        Source, address and payload of what passes on within one delivery.
    waiting, heap_key, heap_sequence, buckets
        The queue, see `evsim.asynchronous.waiting`.
    group : int64
        The spikes of a micro-step.
    inputs : int64 [n, 3]
        Address, payload and place in the sequence of the step's input events.
    logits : float64 [n_classes]
        Sum over the steps that are done, and the bias of this one.
    curve : float64 [n, 1 + n_classes]
    """

    now: np.ndarray
    x: np.ndarray
    need: np.ndarray
    v: np.ndarray
    base: np.ndarray
    flags: np.ndarray
    neurons: np.ndarray
    places: np.ndarray
    listed: np.ndarray
    dirty: np.ndarray
    marks: np.ndarray
    sums: np.ndarray
    scratch: np.ndarray
    carried: np.ndarray
    relayed: np.ndarray
    waiting: np.ndarray
    heap_key: np.ndarray
    heap_sequence: np.ndarray
    buckets: np.ndarray
    group: np.ndarray
    inputs: np.ndarray
    logits: np.ndarray
    curve: np.ndarray


def new_state(plan: Plan, how: Asynchrony, largest_input: int) -> State:
    """A state at rest, with room for so many input events a step: memory for what waits, whatever a recording holds."""
    n_x, n_places, n = plan.x_at[-1], plan.place_at[-1], plan.n_neurons
    n_waiting, n_classes = n + largest_input, plan.network.readout.n_inputs
    n_heap = n_waiting if how.schedule == "momentum" else 0
    now = np.zeros(N_NOW, np.int64)
    now[STRIDE], now[FIRST_WORD], now[BEST], now[RANDOM_STATE] = 1, -1, -1, how.seed
    never = np.inf if plan.is_float else 2**31 - 1
    return State(
        now=now,
        x=np.zeros(n_x, plan.value),
        need=np.full(n_x + plan.widest + 1, never, plan.value),
        v=joined([np.full(p.n_neurons, p.constants_of_charge[1]) for p in plan.populations], plan.value),
        base=np.zeros(n if how.remembers else 1, plan.value),
        flags=np.zeros(n, np.uint8),
        neurons=np.zeros((n, 2), np.int64),
        places=np.full(n_places, -1, np.int64),
        listed=np.zeros(n_places, np.int32),
        dirty=np.zeros(n_places, np.uint8),
        marks=np.zeros(plan.marks_at[-1] + 1, np.uint8),
        sums=np.zeros(plan.sums_at[-1] + 1, plan.wide),
        scratch=np.zeros(plan.widest + 1, plan.value),
        carried=np.zeros((plan.place_at[plan.n_populations] + 1, 2), np.int64),
        relayed=np.zeros((2 * sum(act.n_outputs for act in plan.acts) + 16, 3), np.int64),
        waiting=np.zeros(n_waiting, np.int64),
        heap_key=np.zeros(n_heap, np.float64),
        heap_sequence=np.zeros(n_heap, np.int64),
        buckets=np.full((plan.n_populations + 1, 2), -1, np.int64),
        group=np.zeros(min(how.group_size, n_waiting) + 1, np.int64),
        inputs=np.zeros((largest_input, 3), np.int64),
        logits=np.zeros(n_classes, np.float64),
        curve=np.zeros((_CURVE_POINTS, 1 + n_classes), np.float64),
    )
