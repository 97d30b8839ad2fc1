"""Sums of spike streams: two streams place by place (the SEW residual), and the mean over the tokens of one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.arithmetic.kernel import kernel
from evsim.arithmetic.whole import FINEST, Claim, Fixing, check_payload, divided
from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.acts import Act, Kind
from evsim.handlers.geometry import Mean, Sum

__all__ = ["SpikeMean", "SpikeSum"]

_BINARY = np.empty(0, np.int32)


class SpikeSum:
    """out = stream + branch, place by place: spikes of whole-number value, payload int32.

    Parameters
    ----------
    name : str
    n_places : int
        Places of each operand: tokens times channels.

    Source: Fang et al., Deep Residual Learning in Spiking Neural Networks (NeurIPS 2021), the ADD of spike-element-wise
    (SEW) residuals. One residual add, one word read and one written for each event of the branch. Ports "stream"
    and "branch", binary or of whole numbers. Sets nothing, reads nothing but its inbox.
    """

    def __init__(self, name: str, n_places: int) -> None:
        self.name = name
        self.n_inputs = 2 * n_places

    def payload_bound(self, bounds: Mapping[str, int]) -> int:
        """The largest value of an event, from those of the two ports."""
        return sum(bounds.values())

    @property
    def geometry(self) -> Sum:
        """What it says of itself to conventions."""
        return Sum(self.n_inputs // 2)

    def asynchronous(self) -> Act:
        """Every spike of either stream passes as an event of its own."""
        return Act(Kind.PASS, ports=("stream", "branch"), n_outputs=self.n_inputs // 2)

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Merge the two streams; a silent branch leaves the stream as it is."""
        stream, branch = (inbox.get(port, Spikes.none()) for port in ("stream", "branch"))
        if not len(branch):
            return stream, OpCounts()
        address = np.empty(len(stream) + len(branch), np.int32)
        payload = np.empty(address.size, np.int32)
        n = _merge(stream.address, _whole(stream), branch.address, _whole(branch), address, payload)
        n_added = len(branch)
        counts = OpCounts(residual_adds=n_added, state_reads=n_added, state_writes=n_added)
        is_binary = bool(np.all(payload[:n] == 1))
        return Spikes(address[:n].copy(), None if is_binary else payload[:n].copy()), counts

    def reset(self) -> None:
        """Nothing is remembered between steps."""


class SpikeMean:
    """X[channel] += 1 / n_tokens * sum over tokens of the events' values: a column sum, one addition an event.

    Parameters
    ----------
    name : str
    n_tokens : int
    current : Current
        [1, n_channels].

    Raises
    ------
    NetworkError
        `current` has more than one place.

    The sum is of whole numbers, hence exact; the division is a scaling. Port "spikes", binary or of whole numbers.
    Incs `current`, reads nothing but its inbox.
    """

    def __init__(self, name: str, n_tokens: int, current: Current) -> None:
        if current.n_places != 1:
            raise NetworkError(f"{name}: sums tokens into one place, its current has {current.n_places}")
        self.name = name
        self.n_tokens = n_tokens
        self.current = current
        self.n_inputs = n_tokens * current.n_channels
        current.join_writer(name)
        self._sums = np.zeros(current.n_channels, np.int64)
        self._largest_payload: int | None = None

    def claim(self, fixing: Fixing) -> Claim:
        """A mean is no larger than the largest event; it is rounded once."""
        return Claim(FINEST, FINEST, fixing.payload, 1)

    def fix(self, fixing: Fixing) -> None:
        """The quotient is rounded (half up) to whole steps of the current."""
        self._largest_payload = fixing.payload

    @property
    def geometry(self) -> Mean:
        """What it says of itself to conventions."""
        return Mean(self.n_tokens, self.current.n_channels)

    def asynchronous(self) -> Act:
        """A running sum, each event divided as it comes."""
        is_fixed = self._largest_payload is not None
        numbers = (self.n_tokens, self.current.n_channels, self.current.exponent, int(is_fixed))
        n_sums = 2 * self.current.n_channels
        return Act(Kind.MEAN_SPIKES, numbers, writes=self.current, n_sums=n_sums, largest_payload=self._largest_payload)

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Add the delivered events to their columns, then divide."""
        spikes = inbox["spikes"]
        if not len(spikes):
            return Spikes.none(), OpCounts()
        payload = _BINARY if spikes.payload is None else spikes.payload
        if self._largest_payload is not None:
            check_payload(self.name, payload, self._largest_payload)
        rows, sums, n = self.current.rows(step), self._sums, len(spikes)
        units, graded = _add_columns(spikes.address, payload, sums)
        if self._largest_payload is None:
            _add_quotients(sums, self.n_tokens, rows.value[0])
        else:
            rows.value[0] += divided(sums, self.n_tokens, self.current.exponent).astype(rows.value.dtype)
            sums[:] = 0
        rows.touched[0] = 1
        return Spikes.none(), OpCounts(
            acs=units, event_acs=n, graded_acs=graded, scalings=sums.size, state_reads=n, state_writes=n
        )

    def reset(self) -> None:
        """Forget the current of an unfinished step."""
        self.current.reset()


def _whole(spikes: Spikes) -> np.ndarray:
    """The value of every event, int32."""
    return np.ones(len(spikes), np.int32) if spikes.payload is None else spikes.payload


@kernel
def _merge(stream, stream_value, branch, branch_value, address, payload):
    """Sorted union of two sorted address lists; values that cancel leave no event."""
    n = 0
    i = 0
    j = 0
    while i < stream.size or j < branch.size:
        from_stream = j >= branch.size or (i < stream.size and stream[i] <= branch[j])
        from_branch = i >= stream.size or (j < branch.size and branch[j] <= stream[i])
        address[n] = stream[i] if from_stream else branch[j]
        total = 0
        if from_stream:
            total += stream_value[i]
            i += 1
        if from_branch:
            total += branch_value[j]
            j += 1
        payload[n] = total
        n += total != 0
    return n


@kernel(error_model="numpy")
def _add_columns(address, value, sums):
    """Add events to the sums of their columns; their sizes, and those of a value other than 1. Binary: no values."""
    n_units, n_graded, first = np.int64(0), np.int64(0), np.int64(0)
    for event in range(address.size):
        while address[event] >= first + sums.size:  # no division: tokens are passed one by one
            first += sums.size
        amount = np.int64(value[event]) if value.size else np.int64(1)
        sums[np.uint32(address[event] - first)] += amount
        n_units += abs(amount)
        n_graded += amount != 1
    return n_units, n_graded


@kernel(error_model="numpy")
def _add_quotients(sums, n, target):
    """target += sums / n, divided in float64; the sums are cleared."""
    for j in range(sums.size):
        target[j] += np.float32(sums[j] / n)
        sums[j] = 0
