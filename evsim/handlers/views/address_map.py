"""AddressMap: where each place of a view comes from (view, permute, expand, slice, pad, nearest upsampling)."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import numpy as np

from evsim.arithmetic import lanes
from evsim.arithmetic.kernel import kernel
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError

__all__ = ["MOST_PLACES", "AddressMap"]

_NO_PAYLOAD = np.empty(0, np.int32)
_WORTH_MARKS = 64
"""Places of a view, at most, for each event of those that are marked and not sorted."""
MOST_PLACES = 1 << 28
"""Places of a view at most: a gigabyte of table."""


class AddressMap:
    """out[place] = in[source_of[place]], and nothing where source_of is -1.

    Addressing is not counted, here as in every kernel that works out the address of a row. An event costs one lookup,
    or nothing where the map is the identity.

    Parameters
    ----------
    source_of : int32 [n_targets]
    n_sources : int

    Raises
    ------
    NetworkError
        A source outside 0 to n_sources - 1, other than -1, or more places than `MOST_PLACES`.
    """

    def __init__(self, source_of: np.ndarray, n_sources: int) -> None:
        if max(len(source_of), n_sources) > MOST_PLACES:
            raise NetworkError(f"a view of {n_sources} places as {len(source_of)}, expected {MOST_PLACES} at most")
        source_of = np.ascontiguousarray(source_of, np.int64).reshape(-1)
        if source_of.size and not -1 <= source_of.min() <= source_of.max() < n_sources:
            found = f"{source_of.min()} to {source_of.max()}"
            raise NetworkError(f"a view of the places {found}, its source has {n_sources}")
        self.source_of, self.n_sources = source_of.astype(np.int32), n_sources

    @staticmethod
    def identity(n_places: int) -> AddressMap:
        """Every place comes from itself."""
        return AddressMap(np.arange(n_places), n_places)

    @staticmethod
    def of_view(view: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...]) -> AddressMap:
        """The map of a NumPy view of an array of `shape`; it may put -1 where nothing comes (padding)."""
        n_sources = math.prod(shape)
        if n_sources > MOST_PLACES:
            raise NetworkError(f"a view of {n_sources} places, expected {MOST_PLACES} at most")
        return AddressMap(view(np.arange(n_sources, dtype=np.int32).reshape(shape)), n_sources)

    def then(self, other: AddressMap) -> AddressMap:
        """This map and, of what it makes, the other one."""
        if other.n_sources != self.n_targets:
            raise NetworkError(f"a view of {other.n_sources} places of a view that has {self.n_targets}")
        padded = np.append(self.source_of, np.int32(-1))
        return AddressMap(padded[other.source_of], self.n_sources)

    def __deepcopy__(self, memo: dict) -> AddressMap:
        return self  # never written: twins share it

    @property
    def n_targets(self) -> int:
        return self.source_of.size

    @cached_property
    def is_identity(self) -> bool:
        return self.n_sources == self.n_targets and bool(np.all(self.source_of == np.arange(self.n_targets)))

    @cached_property
    def _links(self) -> tuple[np.ndarray, np.ndarray]:
        """The targets of source s are ``target[start[s]:start[s + 1]]``, sorted; int32 [n_sources + 1], int32 [n]."""
        target = np.argsort(self.source_of, kind="stable")[np.count_nonzero(self.source_of < 0) :]
        fan_out = np.bincount(self.source_of[target], minlength=self.n_sources)
        start = np.concatenate([[0], np.cumsum(fan_out)])
        return start.astype(np.int32), target.astype(np.int32)

    @property
    def start(self) -> np.ndarray:
        """Where the targets of each source begin in `target`, int32 [n_sources + 1]."""
        return self._links[0]

    @property
    def target(self) -> np.ndarray:
        """The targets of source after source, int32."""
        return self._links[1]

    @cached_property
    def fan_out(self) -> int:
        """Targets of a source, at most."""
        reached = self.source_of[self.source_of >= 0]
        return 1 if self.is_identity else int(np.bincount(reached).max(initial=0)) if reached.size else 0

    @cached_property
    def is_monotone(self) -> bool:
        """Whether events that come sorted leave sorted."""
        return self.target.size == 0 or bool(np.all(np.diff(self.target) > 0))

    def move(self, spikes: Spikes) -> Spikes:
        """The events at their new places, sorted, with their payload."""
        if self.is_identity or not len(spikes):
            return spikes
        n = _count_links(spikes.address, self.start)
        if not self.is_monotone and _WORTH_MARKS * n > self.n_targets:
            return self._mark(spikes, n)
        address, event = np.empty(n, np.int32), np.empty(n, np.int32)
        _follow_links(spikes.address, self.start, self.target, address, event)
        if not self.is_monotone:
            order = np.argsort(address)
            address, event = address[order], event[order]
        return Spikes(address, None if spikes.payload is None else spikes.payload[event])

    def _mark(self, spikes: Spikes, n: int) -> Spikes:
        """The same by marks on the places of the view: faster than sorting where events are not rare."""
        marks = np.zeros(-(-self.n_targets // lanes.LANES) * lanes.LANES, np.uint8)
        address = np.empty(n + lanes.LANES, np.int32)
        payload = _NO_PAYLOAD if spikes.payload is None else spikes.payload
        values = np.empty(self.n_targets if payload.size else 0, payload.dtype)
        _mark_links(spikes.address, payload, self.start, self.target, marks, self.n_targets, values, address)
        address = address[:n].copy()
        return Spikes(address, None if spikes.payload is None else values[address])


@kernel(error_model="numpy")
def _count_links(address, start):
    n = 0
    for event in range(address.size):
        n += start[address[event] + 1] - start[address[event]]
    return n


@kernel(error_model="numpy")
def _mark_links(address, payload, start, target, marks, n_targets, values, positions):
    for event in range(address.size):
        for link in range(start[address[event]], start[address[event] + 1]):
            marks[target[link]] = 1
            if payload.size:
                values[target[link]] = payload[event]
    lanes.list_nonzero(marks, n_targets, 0, positions, np.int64(0))


@kernel(error_model="numpy")
def _follow_links(address, start, target, moved, event_of):
    n = 0
    for event in range(address.size):
        for link in range(start[address[event]], start[address[event] + 1]):
            moved[n] = target[link]
            event_of[n] = event
            n += 1
