"""Mask: the product of two spike streams, place by place; AndNot: the spikes of one where the other is silent."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.arithmetic.kernel import kernel
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.geometry import Elementwise
from evsim.handlers.views.address_map import AddressMap

__all__ = ["AndNot", "Mask"]

_BINARY, _NOWHERE = np.empty(0, np.int32), np.empty(0, np.int32)


class Mask:
    """out[r] = left[left.source_of[r]] * right[right.source_of[r]].

    The maps are views onto the places of the result, broadcast either way. The events of one operand, which are
    tested, are followed to the result; the other operand is marked. Tested is the operand that fewer events make
    fewer tests of; where one is broadcast and the other is not, the other one.

    Parameters
    ----------
    name : str
    left, right : AddressMap
        From each operand's places to those of the result.
    ports : (str, str)

    Attributes
    ----------
    tests_left : bool
        Whether `left` is tested whatever the two send: a gate's stream, also where one gate opens for one place.

    Raises
    ------
    NetworkError
        The maps lead to different numbers of places.

    A mask is one test of one place. Where both values of a coincidence differ from 1 and -1 their product is counted
    as an addition repeated: one `event_acs`, `acs` of the smaller of the two sizes, `graded_acs`. Operands are binary
    or of whole numbers, signed perhaps. Sets nothing, reads nothing but its inbox.
    """

    constants = ("left", "right")
    tests_left = False

    def __init__(
        self, name: str, left: AddressMap, right: AddressMap, ports: tuple[str, str] = ("left", "right")
    ) -> None:
        if left.n_targets != right.n_targets:
            raise NetworkError(f"{name}: a product of {left.n_targets} and {right.n_targets} places, expected as many")
        self.name, self.ports = name, ports
        self.left, self.right = left, right
        self.n_inputs, self.n_outputs = left.n_sources + right.n_sources, left.n_targets
        self.shape = (self.n_outputs,)
        self._maps = {ports[0]: left, ports[1]: right}
        self._values = {port: np.zeros(map.n_sources, np.int32) for port, map in self._maps.items()}
        self._marks = {
            port: np.zeros(map.n_sources + 1, np.uint8) for port, map in self._maps.items()
        }  # the last: nobody

    @property
    def geometry(self) -> Elementwise:
        """What it says of itself to conventions."""
        return Elementwise(self.n_inputs, self.n_outputs)

    def payload_bound(self, bounds: Mapping[str, int]) -> int:
        """The largest product."""
        return bounds[self.ports[0]] * bounds[self.ports[1]]

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Multiply the two operands; nothing is done unless both sent spikes."""
        if len(inbox) < 2 or not all(map(len, inbox.values())):
            return Spikes.none(), OpCounts()
        maps = self._maps
        tested, marked = self._order(inbox)
        tests, marks = inbox[tested], inbox[marked]
        if maps[tested].is_identity and tests.payload is None and marks.payload is None:
            spikes, n_tests = self._meet(tests, marks, maps[marked], self._marks[marked]), len(tests)
            return spikes, OpCounts(masks=n_tests, state_reads=n_tests, state_writes=len(marks))
        n_tests = _count_tests(tests.address, maps[tested].start)
        address, payload = np.empty(n_tests, np.int32), np.empty(n_tests, np.int32)
        n, units, graded = _multiply(
            tests.address, _value(tests), maps[tested].start, maps[tested].target, maps[marked].source_of,
            marks.address, _value(marks), self._values[marked], address, payload,
        )  # fmt: skip
        counts = OpCounts(
            event_acs=graded, acs=units, graded_acs=graded,
            masks=n_tests, state_reads=n_tests, state_writes=len(marks),
        )  # fmt: skip
        is_binary = tests.payload is None and marks.payload is None
        return _sorted(address[:n], None if is_binary else payload[:n], maps[tested].is_monotone), counts

    @staticmethod
    def _meet(tests: Spikes, marks: Spikes, map: AddressMap, is_marked: np.ndarray) -> Spikes:
        """The tested events that stand on the result's own places, and whose partner sent one too."""
        both = np.empty(len(tests), np.int32)
        source_of = _NOWHERE if map.is_identity else map.source_of
        n_both = _meet(tests.address, source_of, marks.address, is_marked, both)
        return Spikes(both[:n_both])

    def reset(self) -> None:
        """Nothing is remembered between steps."""

    def _order(self, inbox: Mapping[str, Spikes]) -> tuple[str, str]:
        """Which port is tested and which is marked."""
        first, second = self.ports
        left, right = self.left, self.right
        if self.tests_left:
            return first, second
        if (left.fan_out > 1) != (right.fan_out > 1):
            return (second, first) if left.fan_out > 1 else (first, second)
        n_first, n_second = _n_tests(inbox[first], left), _n_tests(inbox[second], right)
        return (first, second) if n_first <= n_second else (second, first)


class AndNot:
    """out[r] = kept[kept.source_of[r]] where absent[absent.source_of[r]] has no event: (1 - x) * y of binary x.

    Parameters
    ----------
    name : str
    kept, absent : AddressMap
        From each operand's places to those of the result.

    Raises
    ------
    NetworkError
        The maps lead to different numbers of places.

    Source: Fang et al., Deep Residual Learning in Spiking Neural Networks (NeurIPS 2021), the IAND of its
    spike-element-wise residuals. A mask is one test of one place; a silent `absent` lets everything pass untested.
    Ports "kept" and "absent". Sets nothing, reads nothing but its inbox.
    """

    constants = ("kept", "absent")

    def __init__(self, name: str, kept: AddressMap, absent: AddressMap) -> None:
        if kept.n_targets != absent.n_targets:
            raise NetworkError(f"{name}: {kept.n_targets} places, {absent.n_targets} to be absent, expected as many")
        self.name = name
        self.kept, self.absent = kept, absent
        self.n_inputs, self.n_outputs = kept.n_sources + absent.n_sources, kept.n_targets
        self.shape = (self.n_outputs,)
        self._marks = np.zeros(absent.n_sources, np.uint8)

    @property
    def geometry(self) -> Elementwise:
        """What it says of itself to conventions."""
        return Elementwise(self.n_inputs, self.n_outputs)

    def payload_bound(self, bounds: Mapping[str, int]) -> int:
        """Payloads of `kept` pass."""
        return bounds["kept"]

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """The events of `kept` whose partner is silent."""
        kept, absent = (inbox.get(port, Spikes.none()) for port in ("kept", "absent"))
        if not len(kept) or not len(absent):
            return self.kept.move(kept), OpCounts()
        moved = self.kept.move(kept)
        passed = np.empty(len(moved), np.uint8)
        _pass_unmarked(moved.address, self.absent.source_of, absent.address, self._marks, passed)
        stays = passed != 0
        payload = None if moved.payload is None else moved.payload[stays]
        counts = OpCounts(masks=len(moved), state_reads=len(moved), state_writes=len(absent))
        return Spikes(moved.address[stays], payload), counts

    def reset(self) -> None:
        """Nothing is remembered between steps."""


def _n_tests(spikes: Spikes, map: AddressMap) -> int:
    return len(spikes) if map.is_identity else _count_tests(spikes.address, map.start)


def _value(spikes: Spikes) -> np.ndarray:
    return _BINARY if spikes.payload is None else spikes.payload


def _sorted(address: np.ndarray, payload: np.ndarray | None, is_sorted: bool) -> Spikes:
    if not is_sorted:
        order = np.argsort(address)
        address, payload = address[order], None if payload is None else payload[order]
    return Spikes(address, payload)


@kernel(error_model="numpy")
def _count_tests(address, start):
    n = 0
    for event in range(address.size):
        n += start[address[event] + 1] - start[address[event]]
    return n


@kernel(error_model="numpy")
def _meet(tested, source_of, marked, marks, both):
    """Binary operands, the tested one where the result is; no map where the partner stands on the same place."""
    for event in range(marked.size):
        marks[np.uint32(marked[event])] = 1
    n = np.int64(0)
    if source_of.size == 0:
        for event in range(tested.size):
            both[n] = tested[event]  # stays where n moves on
            n += marks[np.uint32(tested[event])]
    else:
        for event in range(tested.size):
            both[n] = tested[event]
            n += marks[source_of[np.uint32(tested[event])]]  # -1 is the last place, which is never marked
    if 64 * marked.size > marks.size:
        marks[:] = 0
    else:
        for event in range(marked.size):
            marks[np.uint32(marked[event])] = 0
    return n


@kernel(error_model="numpy")
def _multiply(tested, tested_value, start, target, source_of, marked, marked_value, marks, address, payload):
    for event in range(marked.size):
        marks[marked[event]] = marked_value[event] if marked_value.size else 1
    n = 0
    n_units = 0
    n_graded = 0
    for event in range(tested.size):
        amount = tested_value[event] if tested_value.size else 1
        for link in range(start[tested[event]], start[tested[event] + 1]):
            place = target[link]
            partner = source_of[place]
            other = marks[partner] if partner >= 0 else 0
            address[n] = place  # stays where n moves on
            payload[n] = amount * other
            n += other != 0
            if abs(amount) > 1 and abs(other) > 1:
                n_graded += 1
                n_units += min(abs(amount), abs(other))
    for event in range(marked.size):
        marks[marked[event]] = 0
    return n, n_units, n_graded


@kernel(error_model="numpy")
def _pass_unmarked(address, source_of, absent, marks, passed):
    for event in range(absent.size):
        marks[absent[event]] = 1
    for event in range(address.size):
        partner = source_of[address[event]]
        passed[event] = partner < 0 or marks[partner] == 0
    for event in range(absent.size):
        marks[absent[event]] = 0
