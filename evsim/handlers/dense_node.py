"""DenseNode: an operation that has no event-driven form, on whole arrays at every step, and counted apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from evsim.arithmetic.whole import Claim, Fixing
from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.dense_inputs import DenseInputs
from evsim.handlers.geometry import DenseArray

__all__ = ["DenseNode"]


class DenseNode:
    """target += function(operands): softmax, layer normalisation, GELU, gates of squeeze-and-excitation.

    It runs at every step, whether anything came or not, and is charged by formula: `dense_macs` and `comparisons` as
    whoever builds it worked them out from the shapes, and a load or store for each value. So it is not event-driven,
    and no sum of literal counts contains it.

    Parameters
    ----------
    name : str
        The model's module name.
    function : callable
        float32 arrays to one array; of the operands alone, without a state.
    sources : sequence of (str or Current, shape)
        See `DenseInputs`.
    target : Current or int
        Where the result goes, by address; or the number of places of a stream of whole numbers.
    dense_macs, comparisons : int
        Of one step.

    Raises
    ------
    NetworkError
        The sizes do not fit; when run, the result has another size, or is not finite, or not whole where a stream is
        expected.

    Sets nothing of its own, incs `target`, reads its sources.
    """

    wakes_itself = True

    def __init__(
        self,
        name: str,
        function: Callable[..., np.ndarray],
        sources: Sequence[tuple[str | Current, tuple[int, ...]]],
        target: Current | int,
        dense_macs: int = 0,
        comparisons: int = 0,
    ) -> None:
        self.name, self.function = name, function
        self.inputs = DenseInputs(name, sources)
        for i, current in enumerate(self.inputs.currents):
            setattr(self, f"source_{i}", current)  # where a network looks for currents
        self.wakers = self.inputs.wakers
        self.target = target if isinstance(target, Current) else None
        self.n_inputs = self.inputs.n_places
        self.n_outputs = target.n_places * target.n_channels if isinstance(target, Current) else target
        self._cost = OpCounts(
            dense_macs=dense_macs, comparisons=comparisons, state_reads=self.n_inputs, state_writes=self.n_outputs
        )
        if self.target is None:
            self.shape = (self.n_outputs,)
        else:
            self.target.join_writer(name)

    @property
    def geometry(self) -> DenseArray:
        """What it says of itself to conventions."""
        return DenseArray(self.n_inputs, self.n_outputs)

    def payload_bound(self, bounds: Mapping[str, int]) -> int:
        """Nothing is known of a function: no whole numbers, see `fix`."""
        return self.fix(None) if self.target is None else 1

    def claim(self, fixing: Fixing) -> Claim:
        """Never in whole numbers: see `fix`."""
        return self.fix(fixing)

    def fix(self, fixing: Fixing | None) -> Claim:
        """A function of real arrays has no whole numbers.

        Raises
        ------
        NetworkError
            Always.
        """
        raise NetworkError(f"{self.name}: runs densely on real values, not whole numbers; use --precision float32")

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Evaluate the function on the operands of `step`."""
        result = np.asarray(self.function(*self.inputs.arrays(step, inbox)), np.float32).reshape(-1)
        self.inputs.release(step)
        if result.size != self.n_outputs:
            raise NetworkError(f"{self.name}: a result of {result.size} values, expected {self.n_outputs}")
        if not np.isfinite(result).all():
            raise NetworkError(f"{self.name}: a result that is not finite at step {step}")
        if self.target is not None:
            rows = self.target.rows(step)
            rows.value[...] += result.reshape(rows.value.shape)
            rows.touched[:] = 1
            return Spikes.none(), self._cost
        spikes = Spikes.from_dense(result)
        if spikes.payload is not None and spikes.payload.dtype != np.int32:
            raise NetworkError(f"{self.name}: a stream of {result[spikes.address[0]]:g}, ..., expected whole numbers")
        return spikes, self._cost

    def reset(self) -> None:
        """Forget the currents of unfinished steps."""
        self.inputs.reset()
        if self.target is not None:
            self.target.reset()
