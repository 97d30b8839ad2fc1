"""AxisSum: the events of a stream added up along axes; Identity: added into a current where they stand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.arithmetic.kernel import kernel
from evsim.arithmetic.whole import FINEST, Claim, Fixing, check_payload
from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.geometry import FixedMap
from evsim.handlers.views.address_map import AddressMap

__all__ = ["AxisSum", "Identity"]

_BINARY = np.empty(0, np.int32)


class AxisSum:
    """X[target_of[place]] += unit * payload, for each event: a sum along any axes, exact in any order.

    Parameters
    ----------
    name : str
    target_of : int32 [n_inputs]
        Where each place goes: place * n_channels + channel of the current, or a place of what is sent; -1: nowhere.
    current : Current or None
        None: the sums leave as spikes of whole-number value.
    n_outputs : int, optional
        Places of what is sent, where there is no current.
    unit : float
        Of the payload, where there is a current.

    Raises
    ------
    NetworkError
        A target outside, or `n_outputs` missing.

    One addition an event. Port "spikes", binary or of whole numbers. Incs `current` if it has one, reads nothing but
    its inbox.
    """

    constants = ("target_of",)

    def __init__(
        self,
        name: str,
        target_of: np.ndarray,
        current: Current | None,
        n_outputs: int | None = None,
        unit: float = 1.0,
    ) -> None:
        if current is None and (n_outputs is None or unit != 1):
            raise NetworkError(f"{name}: sums that leave as spikes need n_outputs, and take no unit")
        self.name, self.current = name, current
        self.n_outputs = current.n_places * current.n_channels if current is not None else n_outputs
        target_of = np.asarray(target_of, np.int64).reshape(-1)
        if target_of.size and not -1 <= target_of.min() <= target_of.max() < self.n_outputs:
            found = f"{target_of.min()} to {target_of.max()}"
            raise NetworkError(f"{name}: adds into the places {found}, expected 0 to {self.n_outputs - 1}")
        self.target_of = target_of.astype(np.int32)
        self.n_inputs = target_of.size
        self.unit = np.float32(unit)
        self._largest_payload: int | None = None
        self._sums = np.zeros(0 if current is not None else self.n_outputs, np.int32)
        if current is not None:
            current.join_writer(name, whole=(65536.0 * unit).is_integer())
        else:
            self.shape = (self.n_outputs,)

    @property
    def geometry(self) -> FixedMap:
        """What it says of itself to conventions."""
        return FixedMap(self.n_inputs, self.n_outputs, int(np.count_nonzero(self.target_of >= 0)))

    def payload_bound(self, bounds: Mapping[str, int]) -> int:
        """Every place of one target at its largest."""
        return bounds["spikes"] * self._most_sources() if self.current is None else 1

    def claim(self, fixing: Fixing) -> Claim:
        """Every place of one target at its largest; whole numbers at any scale, and a membrane likes a fine one."""
        return Claim(FINEST, FINEST, self._most_sources() * fixing.payload, 0)

    def fix(self, fixing: Fixing) -> None:
        """An event is one whole step of the current's scale.

        Raises
        ------
        NetworkError
            The unit is not 1, or the current's scale is coarser than 1.
        """
        if self.unit != 1:
            raise NetworkError(
                f"{self.name}: adds units of {self.unit:g}, whole numbers need 1; use --precision float32"
            )
        if self.current.exponent < 0:
            raise NetworkError(
                f"{self.name}: its current has the scale 2^{self.current.exponent}, expected 2^0 or finer"
            )
        self.unit, self._largest_payload = np.int64(1 << self.current.exponent), fixing.payload

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Add the delivered events to their targets."""
        spikes = inbox["spikes"]
        if not len(spikes):
            return Spikes.none(), OpCounts()
        value = _BINARY if spikes.payload is None else spikes.payload
        if self._largest_payload is not None:
            check_payload(self.name, value, self._largest_payload)
        if self.current is None:
            address = np.empty(len(spikes), np.int32)
            n, *counted = _add_places(spikes.address, value, self.target_of, self._sums, address)
            sent = _taken(address[:n], self._sums)
        else:
            rows, sent = self.current.rows(step), Spikes.none()
            counted = _add_values(spikes.address, value, self.target_of, self.unit, rows.value, rows.touched)
        added, units, graded = counted
        return sent, OpCounts(event_acs=added, acs=units, graded_acs=graded, state_reads=added, state_writes=added)

    def reset(self) -> None:
        """Forget the current of an unfinished step."""
        if self.current is not None:
            self.current.reset()

    def _most_sources(self) -> int:
        return int(np.bincount(self.target_of[self.target_of >= 0]).max(initial=0))


class Identity(AxisSum):
    """X[place] += unit * payload: spikes added into a current where they stand, a shortcut into membranes.

    Parameters
    ----------
    name : str
    current : Current
    unit : float
    map : AddressMap, optional
        From the places of the stream to those of the current; without fan-out.

    Incs `current`, reads nothing but its inbox.
    """

    def __init__(self, name: str, current: Current, unit: float = 1.0, map: AddressMap | None = None) -> None:
        n_places = current.n_places * current.n_channels
        map = map or AddressMap.identity(n_places)
        if map.n_targets != n_places or map.fan_out > 1:
            found = f"{map.n_targets} places, {map.fan_out} of one event"
            raise NetworkError(f"{name}: adds into {found}, its current has {n_places}, one of each event")
        target_of = np.full(map.n_sources, -1, np.int32)
        is_reached = map.source_of >= 0
        target_of[map.source_of[is_reached]] = np.flatnonzero(is_reached)
        super().__init__(name, target_of, current, unit=unit)


def _taken(address: np.ndarray, sums: np.ndarray) -> Spikes:
    """The sums at the given places, sorted, as spikes; they are cleared."""
    address = np.unique(address)
    payload = sums[address]
    sums[address] = 0
    is_event = payload != 0
    address, payload = address[is_event], payload[is_event]
    return Spikes(address, None if np.all(payload == 1) else payload)


@kernel(error_model="numpy")
def _add_values(address, payload, target_of, unit, value, touched):
    n_channels = value.shape[1]
    flat = value.reshape(-1)
    n_added = 0
    n_units = 0
    n_graded = 0
    for event in range(address.size):
        target = target_of[np.uint32(address[event])]
        if target < 0:
            continue
        amount = payload[event] if payload.size else 1
        flat[np.uint32(target)] += unit * amount
        if touched.size > 1:
            touched[target // n_channels] = 1
        n_added += 1
        n_units += abs(amount)
        n_graded += amount != 1
    if touched.size == 1 and n_added > 0:
        touched[0] = 1
    return n_added, n_units, n_graded


@kernel(error_model="numpy")
def _add_places(address, payload, target_of, sums, reached):
    """Sums by place; `reached` lists each place once, when its sum leaves zero for the first time."""
    n = 0
    n_added = 0
    n_units = 0
    n_graded = 0
    for event in range(address.size):
        target = target_of[address[event]]
        if target < 0:
            continue
        amount = payload[event] if payload.size else 1
        if sums[target] == 0:
            reached[n] = target  # once more where a sum came back to zero meanwhile
            n += 1
        sums[target] += amount
        n_added += 1
        n_units += abs(amount)
        n_graded += amount != 1
    return n, n_added, n_units, n_graded
