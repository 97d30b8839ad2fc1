"""ReadoutProgram: logits by a small dense program over what all steps brought."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from evsim.arithmetic.whole import Fixing
from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.dense_inputs import DenseInputs
from evsim.handlers.geometry import ReadoutArrays

__all__ = ["ReadoutProgram"]


class ReadoutProgram:
    """logits = program(operands of all steps): behind the last neurons a network may mix steps as it likes.

    Each step only keeps what came; the program runs when the logits are asked for.

    Parameters
    ----------
    name : str
    program : callable
        One float32 array [n_steps, *shape] for each source, to [n_classes].
    sources : sequence of (str or Current, shape)
        See `DenseInputs`.
    n_classes : int
    by_step : bool
        Whether the program takes a mean over the steps, so that the logits of one step are what it makes of that step
        alone; else there are no logits by step.
    cost : OpCounts
        Of the program, once a run: `macs` where it multiplies real values by weights.
    costs_each_step : bool
        Whether that is what it costs for each step instead.

    Raises
    ------
    NetworkError
        A shape does not fit its current; when asked, the program does not make `n_classes` numbers.

    One addition for each event that is kept. Sets what it keeps, reads its sources.
    """

    wakes_itself = True

    def __init__(
        self,
        name: str,
        program: Callable[..., np.ndarray],
        sources: Sequence[tuple[str | Current, tuple[int, ...]]],
        n_classes: int,
        by_step: bool = False,
        cost: OpCounts | None = None,
        costs_each_step: bool = False,
    ) -> None:
        self.name, self.program = name, program
        self.n_classes, self.by_step, self.cost = n_classes, by_step, cost or OpCounts()
        self.costs_each_step = costs_each_step
        self.inputs = DenseInputs(name, sources)
        for i, current in enumerate(self.inputs.currents):
            setattr(self, f"source_{i}", current)  # where a network looks for currents
        self.wakers, self.n_inputs = self.inputs.wakers, self.inputs.n_places
        self._silent = self.inputs.silent_arrays()
        self._by_step: dict[int, list[np.ndarray]] = {}

    @property
    def geometry(self) -> ReadoutArrays:
        """What audits ask: how many classes."""
        return ReadoutArrays(self.n_classes)

    def fix(self, fixing: Fixing) -> None:
        """The program is in float32: a whole current divided by its scale, plus the bias."""

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Keep what came at `step`; the program is charged with the first one."""
        counts = self.cost if step == 0 or self.costs_each_step else OpCounts()
        if not self.inputs.is_silent(step, inbox):
            self._by_step[step] = self.inputs.arrays(step, inbox)
            counts += self._count(inbox)
        self.inputs.release(step)
        return Spikes.none(), counts

    def logits(self, n_steps: int) -> np.ndarray:
        """float32 [n_classes]."""
        return self._run(range(n_steps))

    def logits_by_step(self, n_steps: int) -> np.ndarray:
        """float32 [n_steps, n_classes]; [0, n_classes] where the program mixes steps."""
        rows = [self._run([step]) for step in range(n_steps)] if self.by_step else []
        return np.stack(rows) if rows else np.empty((0, self.n_classes), np.float32)

    def reset(self) -> None:
        """Forget every step."""
        self._by_step.clear()
        self.inputs.reset()

    def _run(self, steps: Sequence[int]) -> np.ndarray:
        kept = [self._by_step.get(step, self._silent) for step in steps]
        logits = np.asarray(self.program(*(np.stack(arrays) for arrays in zip(*kept, strict=True))), np.float32)
        if logits.size != self.n_classes:
            raise NetworkError(f"{self.name}: the program makes {logits.size} logits, expected {self.n_classes}")
        return logits.reshape(-1)

    def _count(self, inbox: Mapping[str, Spikes]) -> OpCounts:
        """One unit addition an event; a value of a current is a load and a store, as in `Readout`."""
        events = [spikes for port, spikes in inbox.items() if port in self.inputs.sources]
        payloads = [np.ones(len(s), np.int64) if s.payload is None else s.payload for s in events]
        n = sum(map(len, events))
        words = n + sum(current.n_places * current.n_channels for current in self.inputs.currents)
        biased = sum(
            int(np.count_nonzero(np.broadcast_to(bias, (current.n_places, current.n_channels))))
            for bias, current in zip(
                (b for b in self.inputs.biases if b is not None), self.inputs.currents, strict=True
            )
        )
        return OpCounts(
            event_acs=n,
            acs=int(sum(np.abs(p).sum() for p in payloads)),
            graded_acs=int(sum(np.count_nonzero(p != 1) for p in payloads)),
            bias_adds=biased,
            state_reads=words,
            state_writes=words,
        )
