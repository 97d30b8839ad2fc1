"""simulate_asynchronously: a recording through a network, spike by spike, with no layer waiting for another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from evsim.arithmetic.whole import check_payload
from evsim.asynchronous.columns import (
    ACT_SIZE,
    AT_BARRIER,
    BIAS_ON,
    CURSOR,
    DECIDED,
    DELIVERIES,
    FIRST_COUNT,
    HAS_SPIKED,
    LAST_CHANGE,
    MICRO_STEPS,
    MOST_WAITING,
    N_CURVE,
    N_DIRTY,
    N_FIRED,
    N_INPUTS,
    N_WAITING,
    ORDER,
    ORDER_OF,
    READING_SIZE,
    STATE_WRITES,
    STATUS,
    STEP,
    WITHDRAWN,
    X_AT,
)
from evsim.asynchronous.delivery import emit, inject
from evsim.asynchronous.membranes import end_step
from evsim.asynchronous.options import Asynchrony
from evsim.asynchronous.state import new_state
from evsim.asynchronous.step import enter_step, run_step
from evsim.asynchronous.tables import Plan
from evsim.engine.ledger import Ledger, OpCounts
from evsim.engine.network import INPUT, Network
from evsim.engine.simulator import Observer, Result, check_logits, check_places
from evsim.engine.spikes import Spikes
from evsim.errors import EvsimError
from evsim.handlers.acts import Kind

__all__ = ["AsynchronousResult", "Decision", "Undone", "simulate_asynchronously"]


@dataclass(frozen=True)
class Decision:
    """When the readout changed its class for the last time: after `delivery` of all `deliveries`."""

    delivery: int
    deliveries: int

    @property
    def share(self) -> float:
        """The share of all deliveries that had been made."""
        return self.delivery / self.deliveries if self.deliveries else 0.0


@dataclass(frozen=True)
class Undone:
    """What a run that stopped at its decision left: spikes that waited, and steps and input events not begun."""

    waiting: int
    steps: int
    input_events: int


@dataclass(frozen=True, eq=False)
class AsynchronousResult(Result):
    """What a run leaves behind; `n_steps` are the steps that were begun.

    Parameters
    ----------
    how : Asynchrony
    deliveries : int
        Spikes and input events that were delivered, one by one.
    micro_steps, withdrawn : int
        Groups that were chosen; spikes that waited and were not sent, because inhibition came first.
    most_waiting : int
        The longest the queue has been.
    barriers : tuple of str
        Handlers that waited until nothing else did.
    decision : Decision
    undone : Undone or None
        None for a run that was not stopped.
    order : dict of str to list of int64 array
        For the input and every population, step by step: the place of each of its spikes, in the order of their
        addresses, in the sequence of all spikes of the step.
    curve : float64 [n, 1 + n_classes] or None
        A number of deliveries, and the logits after them, summed over the steps so far; None unless asked for.
    """

    how: Asynchrony = field(default_factory=Asynchrony)
    deliveries: int = 0
    micro_steps: int = 0
    withdrawn: int = 0
    most_waiting: int = 0
    barriers: tuple[str, ...] = ()
    decision: Decision = Decision(0, 0)
    undone: Undone | None = None
    order: Mapping[str, list[np.ndarray]] = field(default_factory=dict)
    curve: np.ndarray | None = None

    def as_dict(self) -> dict:
        """Plain values for a report: the options, and what the run was in numbers."""
        decision, undone = self.decision, self.undone
        return {
            **self.how.as_dict(),
            "deliveries": self.deliveries,
            "micro_steps": self.micro_steps,
            "withdrawn": self.withdrawn,
            "most_waiting": self.most_waiting,
            "barriers": list(self.barriers),
            "decision": {"delivery": decision.delivery, "share": decision.share},
            "undone": None if undone is None else asdict(undone),
        }


def simulate_asynchronously(
    network: Network,
    recording: Sequence[Spikes],
    how: Asynchrony | None = None,
    probes: Sequence[Observer] = (),
    *,
    entry: Sequence[np.ndarray] | None = None,
    keeps_order: bool = True,
    keeps_curve: bool = False,
) -> AsynchronousResult:
    """Within each step, take spikes one by one from a queue for the whole network, until none waits.

    The model, the options and what is proved of it are in docs/asynchronous.md. The network, its weights and its ledger
    are those of `evsim.engine.simulator.simulate`; membranes are the run's own.

    Parameters
    ----------
    network : Network
        Is reset first.
    recording : sequence of Spikes
        The input events, one entry a step. A count is one event with a payload; real values are presented at once.
    how : Asynchrony, optional
    probes : sequence of Observer
        Are shown the input and the populations, once a step. A neuron that fired n times has the payload n.
    entry : sequence of int array, optional
        For each step the order in which its events enter, as indices; that of their addresses when left out.
    keeps_order, keeps_curve : bool
        Whether the result has `order`, and `curve`.

    Raises
    ------
    RecordingError
        An input event lies outside the network's input.
    EvsimError
        An input event, or the number of spikes of a neuron within a step, is larger than whole numbers are proved for.
    NetworkError
        A logit is not a finite number.
    """
    check_places(network, recording)
    network.reset()
    return _Run(network, recording, how or Asynchrony(), probes, entry, keeps_order, keeps_curve).result()


_MOST_NARROW, _MOST_WIDE = 2**16, 2
"""Sums of 14 bits, or of 30, for one spike a neuron are kept in 32 bits with a sign."""


class _Run:
    def __init__(self, network, recording, how, probes, entry, keeps_order, keeps_curve) -> None:
        self.network, self.recording, self.how, self.probes = network, recording, how, probes
        self.entry, self.keeps_order = entry, keeps_order
        self.plan = Plan(network)
        self.tables = self.plan.tables(how, keeps_curve)
        self.state = new_state(self.plan, how, max([1, *map(len, recording)]))
        self.ledger = Ledger()
        self.order: dict[str, list[np.ndarray]] = {}
        self.base_logits = network.readout.bias.astype(np.float64)
        for population in network.populations():
            population.is_eager = False  # a projection behind a barrier leaves its rows, for every reading
        barriers = [h for h, act in enumerate(self.plan.acts) if act.kind == Kind.BARRIER]
        self.sleepless = [h for h in barriers if getattr(network.handlers[h], "wakes_itself", False)]
        self.heard = [h for h, ports in enumerate(network.sources) if INPUT in ports.values()]

    def result(self) -> AsynchronousResult:
        """Every step, and what they leave."""
        n_steps = 0
        for step, spikes in enumerate(self.recording):
            self._play(step, spikes)
            n_steps = step + 1
            if self.state.now[STATUS] == DECIDED:
                break
        now, readout = self.state.now, self.network.readout
        decision = Decision(int(now[LAST_CHANGE]), int(now[DELIVERIES]))
        n, has_curve = int(now[N_CURVE]), self.tables.keeps_curve
        by_step = readout.logits_by_step(n_steps)
        check_logits(self.network, by_step)
        return AsynchronousResult(
            readout.logits(n_steps), by_step, self.ledger, n_steps, self.how,
            deliveries=int(now[DELIVERIES]), micro_steps=int(now[MICRO_STEPS]), withdrawn=int(now[WITHDRAWN]),
            most_waiting=int(now[MOST_WAITING]), barriers=tuple(self.plan.barriers), decision=decision,
            undone=self._undone(n_steps), order=self.order,
            curve=self.state.curve[:n].copy() if has_curve else None,
        )  # fmt: skip

    def _undone(self, n_steps: int) -> Undone | None:
        if self.state.now[STATUS] != DECIDED:
            return None
        left = self.recording[n_steps:]
        return Undone(int(self.state.now[N_WAITING]), len(left), sum(map(len, left)))

    def _play(self, step: int, spikes: Spikes) -> None:
        t, s = self.tables, self.state
        s.now[STEP] = step
        self._clear()
        if t.readout >= 0:
            s.logits[:] += self.base_logits
        is_whole = self._enter(step, spikes)
        enter_step(t, s)
        if not is_whole:
            self._present(step, spikes)
        while True:
            run_step(t, s)
            if s.now[STATUS] != AT_BARRIER:
                break
            self._call(step)
        self._read_out(step)
        self._show(step, spikes)
        end_step(t, s)
        self._charge(step)
        s.neurons[:, N_FIRED] = 0

    def _clear(self) -> None:
        """A step begins with nothing."""
        t, s = self.tables, self.state
        for array in (s.flags, s.marks, s.sums):
            array[:] = 0
        s.x[t.n_neurons :] = 0
        s.buckets[:] = -1
        t.acts[:, HAS_SPIKED] = 0
        t.acts[self.sleepless, HAS_SPIKED] = 1
        t.acts[:, FIRST_COUNT:] = 0
        t.readings[:, BIAS_ON] = not t.is_late

    def _enter(self, step: int, spikes: Spikes) -> bool:
        """Put the step's events before the loop; False for real values, which do not enter one by one."""
        s, n = self.state, len(spikes)
        if spikes.payload is not None and spikes.payload.dtype == np.float32:
            s.now[N_INPUTS] = 0
            s.inputs[:n, 2] = np.arange(n)
            return False
        payload = np.ones(n, np.int32) if spikes.payload is None else spikes.payload
        for h in self.heard:
            if self.plan.acts[h].largest_payload is not None:
                check_payload(self.network.handlers[h].name, payload, self.plan.acts[h].largest_payload)
        entry = np.arange(n) if self.entry is None else self.entry[step]
        s.now[N_INPUTS], s.inputs[:n, 0], s.inputs[:n, 1] = n, spikes.address[entry], payload[entry]
        return True

    def _present(self, step: int, spikes: Spikes) -> None:
        """A real-valued image, whole: each handler that hears the input takes it as it does in the synchronous mode."""
        self.state.now[DELIVERIES] += len(spikes)
        self.state.now[ORDER] += len(spikes)
        for h in self.heard if len(spikes) else ():
            inbox = {port: spikes for port, heard in self.network.sources[h].items() if heard == INPUT}
            n = len(spikes) * len(inbox)
            self._handle(h, step, inbox, OpCounts(events_in=n, queue_ops=n))

    def _call(self, step: int) -> None:
        """A handler with a barrier, now that nothing else waits."""
        t, s, plan = self.tables, self.state, self.plan
        h = int(s.now[CURSOR]) // ACT_SIZE - 1
        act, inbox = plan.acts[h], {}
        for port, place in zip(act.ports, act.numbers, strict=True):
            at = plan.sums_at[h] + place
            payload = s.sums[at : at + act.n_sums // len(act.ports)].astype(np.int64)
            if payload.any():
                inbox[port] = Spikes.from_dense(payload)
        if act.reads is not None:
            self._lay_out(h, step)
        t.acts[h, HAS_SPIKED] = 0
        self._handle(h, step, inbox, OpCounts())  # what arrived was counted as it came

    def _lay_out(self, h: int, step: int) -> None:
        """What has been added to the current that a handler reads, as it finds it in the synchronous mode."""
        t, s, plan = self.tables, self.state, self.plan
        r = plan.readers.index(h)
        rows, at, p = plan.acts[h].reads.rows(step), plan.x_at[r], plan.place_at[r]
        rows.value[...] = s.x[at : at + rows.value.size].reshape(rows.value.shape)
        places = s.listed[p : p + t.readings[r, N_DIRTY]]
        rows.touched[places] = 1
        s.dirty[p + places] = 0
        t.readings[r, N_DIRTY] = 0

    def _handle(self, h: int, step: int, inbox: Mapping[str, Spikes], arrivals: OpCounts) -> None:
        """Call a handler, and pass on what it sends and what it adds to its current."""
        t, s, handler = self.tables, self.state, self.network.handlers[h]
        spikes, counts = handler.handle(step, inbox)
        self.ledger.charge(handler.name, step, counts + arrivals + OpCounts(events_out=len(spikes)))
        if self.plan.acts[h].kind == Kind.BARRIER:
            self._tell(handler.name, step, spikes, s.now[ORDER] + np.arange(len(spikes), dtype=np.int64))
        if len(spikes):
            if spikes.payload is not None and spikes.payload.dtype.kind == "f":
                raise EvsimError(
                    f"--mode asynchronous: {handler.name} sends real values, which only layers can wait for"
                )
            payload = np.ones(len(spikes), np.int64) if spikes.payload is None else spikes.payload.astype(np.int64)
            s.now[DELIVERIES] += len(spikes)
            s.now[ORDER] += len(spikes)
            emit(h * ACT_SIZE, spikes.address.astype(np.int64), payload, t, s)
        written = self.plan.written_by(h)
        if written is not None:
            rows = written.rows(step)
            inject(h * ACT_SIZE, rows.value.astype(self.plan.value), rows.touched, t, s)
            written.reset()

    def _read_out(self, step: int) -> None:
        """The readout, if anything came, keeps the logits of the step."""
        s, readout, r = self.state, self.network.readout, self.tables.readout
        counted = self.tables.acts[self.plan.stage_of[readout.name]]
        if r < 0 or not counted[STATE_WRITES]:
            return
        counted[FIRST_COUNT:] = 0
        at, n = self.tables.readings[r // READING_SIZE, X_AT], readout.n_inputs
        value = s.x[at : at + n]
        rows = readout.current.rows(step)
        rows.value[0], rows.touched[0] = value, 1
        counts = readout.handle(step, {})[1]
        readout.current.reset()
        self.ledger.charge(readout.name, step, counts)
        s.logits[:] += np.ldexp(value.astype(np.float64), -readout.current.exponent)

    def _show(self, step: int, spikes: Spikes) -> None:
        s, plan = self.state, self.plan
        n = len(spikes)
        entered = np.empty(n, np.int64)
        is_real = spikes.payload is not None and spikes.payload.dtype == np.float32
        entered[np.arange(n) if self.entry is None or is_real else self.entry[step]] = s.inputs[:n, 2]
        self._tell(INPUT, step, spikes, entered)
        fired = np.flatnonzero(s.neurons[:, N_FIRED])
        self._check_refired(int(s.neurons[:, N_FIRED].max(initial=0)))
        cuts = np.searchsorted(fired, plan.x_at[: plan.n_populations + 1])
        for r, population in enumerate(plan.populations):
            here = fired[cuts[r] : cuts[r + 1]]
            n_fired = s.neurons[here, N_FIRED]
            payload = n_fired.astype(np.int32) if (n_fired > 1).any() else None
            sent = Spikes((here - plan.x_at[r]).astype(np.int32), payload)
            self._tell(population.name, step, sent, s.neurons[here, ORDER_OF])

    def _check_refired(self, times: int) -> None:
        """Whole sums are proved for one spike a neuron and step; their type has room for so many."""
        if times < 2 or self.plan.is_float:
            return
        currents = [current for handler in self.network.handlers for current in Network.currents_of(handler)]
        room = _MOST_WIDE if any(current.dtype == np.int32 for current in currents) else _MOST_NARROW
        if times > room:
            raise EvsimError(
                f"--refire: a neuron fired {times} times within a step, whole-number sums hold {room} times; "
                "expected --precision float32"
            )

    def _tell(self, name: str, step: int, spikes: Spikes, order: np.ndarray) -> None:
        if self.keeps_order:
            self.order.setdefault(name, [np.empty(0, np.int64)] * step).append(order)
        for probe in self.probes:
            probe.show(name, step, spikes)

    def _charge(self, step: int) -> None:
        counts = self.tables.acts[:-1, FIRST_COUNT:]
        for h in np.flatnonzero(counts.any(axis=1)):
            self.ledger.charge(self.network.handlers[h].name, step, OpCounts._make(counts[h].tolist()))
