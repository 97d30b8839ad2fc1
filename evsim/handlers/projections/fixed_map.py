"""FixedMap: weights between places that are the same for every channel; LinearMap: such weights along one axis."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evsim.arithmetic.kernel import kernel
from evsim.arithmetic.whole import FINEST, Claim, Fixing, check_payload
from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers import geometry

__all__ = ["FixedMap", "LinearMap", "Links"]

_BINARY = np.empty(0, np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """The weights that are not zero: of place s those to ``target[start[s]:start[s + 1]]``, ``weight[...]``.

    Parameters
    ----------
    start : int32 [n_sources + 1]
    target : int32 [n]
    weight : float64 [n]
    n_targets : int
    """

    start: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    n_targets: int

    @staticmethod
    def of(source: np.ndarray, target: np.ndarray, weight: np.ndarray, n_sources: int, n_targets: int) -> Links:
        """From triples in any order; a weight of zero is no link."""
        kept = weight != 0
        source, target, weight = source[kept], target[kept], weight[kept]
        order = np.lexsort((target, source))
        start = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=n_sources))])
        return Links(start.astype(np.int32), target[order].astype(np.int32), weight[order], n_targets)

    @property
    def n_sources(self) -> int:
        return self.start.size - 1

    def constant(self) -> float | None:
        """The size of every weight, where they differ in sign at most."""
        sizes = np.abs(self.weight)
        return float(sizes[0]) if sizes.size and np.all(sizes == sizes[0]) else None


class FixedMap:
    """X[t, c] += sum over events (s, c) and their links to t of payload * weight[s, t].

    Where all weights have one size, events add and subtract ones, and each sum is scaled once; else each link of an
    event adds its weight.

    Parameters
    ----------
    name : str
    links : Links
        Between places of `n_channels` channels each.
    n_channels : int
    current : Current or None
        [n_targets, n_channels]. None: the sums leave as spikes of whole-number value, in units of the one weight.
    divisor : float [n_targets] or None
        What each sum is divided by, in place of a multiplication with the size of the weights, which is 1 then.

    Attributes
    ----------
    unit : float or None
        Of the payload of what is sent, or the one size of all weights; None: they differ.

    Raises
    ------
    NetworkError
        The sizes do not fit, or sums should leave as spikes and have no common unit.

    Port "spikes", binary or of whole numbers. Incs `current` if it has one, reads nothing but its inbox.
    """

    constants = ("links",)

    def __init__(
        self, name: str, links: Links, n_channels: int, current: Current | None, divisor: np.ndarray | None = None
    ) -> None:
        self.name, self.links, self.n_channels, self.current = name, links, n_channels, current
        self.n_inputs, self.n_outputs = links.n_sources * n_channels, links.n_targets * n_channels
        self.unit = links.constant()
        self.divisor = None if divisor is None else np.asarray(divisor, np.float32)
        if divisor is not None:
            self.unit = 1 / float(divisor[0]) if divisor.size and np.all(divisor == divisor[0]) else None
        self._adds_ones = divisor is not None or self.unit is not None
        if current is None and self.unit is None:
            raise NetworkError(f"{name}: weights of several sizes, so its sums cannot leave as spikes: give a current")
        if current is not None and (current.n_places, current.n_channels) != (links.n_targets, n_channels):
            found = (current.n_places, current.n_channels)
            raise NetworkError(f"{name}: writes {(links.n_targets, n_channels)} (places, channels) into {found}")
        self._sign = np.sign(links.weight).astype(np.int32)
        self._weight = links.weight.astype(np.float32)
        self._sums = np.zeros((links.n_targets, n_channels) if self._adds_ones else (0, 0), np.int32)
        self._reached = np.zeros(links.n_targets, np.uint8)
        self._largest_payload: int | None = None
        if current is not None:
            is_whole = self.unit is not None and math.frexp(self.unit)[0] == 0.5
            current.join_writer(name, whole=is_whole)
        else:
            self.shape = (self.n_outputs,)

    @property
    def geometry(self) -> geometry.FixedMap:
        """What it says of itself to conventions."""
        return geometry.FixedMap(self.n_inputs, self.n_outputs, self.links.target.size * self.n_channels)

    def payload_bound(self, bounds: Mapping[str, int]) -> int:
        """Every link of one target at its largest."""
        return bounds["spikes"] * self._most_sources() if self.current is None else 1

    def claim(self, fixing: Fixing) -> Claim:
        """Every link of one target at its largest, times the unit."""
        return Claim(FINEST, FINEST, self._most_sources() * fixing.payload * (self.unit or 0.0), 0)

    def fix(self, fixing: Fixing) -> None:
        """A unit that is a power of two is exact.

        Raises
        ------
        NetworkError
            It is none, or the current's scale is coarser.
        """
        exponent = self.current.exponent
        if self.unit is None or math.frexp(self.unit)[0] != 0.5 or math.ldexp(self.unit, exponent) < 1:
            raise NetworkError(
                f"{self.name}: weights of {self.unit} in a current of scale 2^{exponent} have no exact whole numbers, "
                "expected a power of two; use --precision float32"
            )
        self._largest_payload = fixing.payload

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Follow the links of the delivered events."""
        spikes = inbox["spikes"]
        if not len(spikes):
            return Spikes.none(), OpCounts()
        payload = _BINARY if spikes.payload is None else spikes.payload
        if self._largest_payload is not None:
            check_payload(self.name, payload, self._largest_payload)
        if not self._adds_ones:
            rows = self.current.rows(step)
            added, units, graded = _add_links(
                spikes.address, payload, self.links.start, self.links.target, self._weight, rows.value, rows.touched
            )
            memory = OpCounts(weight_reads=added, state_reads=added, state_writes=added)
            return Spikes.none(), memory + OpCounts(event_acs=added, acs=units, graded_acs=graded)
        added, units, graded = _add_links(
            spikes.address, payload, self.links.start, self.links.target, self._sign, self._sums, self._reached
        )
        counts = OpCounts(event_acs=added, acs=units, graded_acs=graded, state_reads=added, state_writes=added)
        places = np.flatnonzero(self._reached)
        sums = self._sums[places]
        self._sums[places], self._reached[places] = 0, 0
        if self.current is None:
            return self._sent(places, sums), counts
        rows = self.current.rows(step)
        rows.value[places] += self._scaled(sums, places)
        rows.touched[places] = 1
        return Spikes.none(), counts + OpCounts(scalings=0 if self.unit == 1 else sums.size)

    def reset(self) -> None:
        """Forget the current of an unfinished step."""
        if self.current is not None:
            self.current.reset()

    def _scaled(self, sums: np.ndarray, places: np.ndarray) -> np.ndarray:
        if self._largest_payload is not None:
            return (sums.astype(np.int64) * int(math.ldexp(self.unit, self.current.exponent))).astype(
                self.current.dtype
            )
        sums = sums.astype(np.float32)
        if self.divisor is not None:
            return sums / self.divisor[places][:, None]  # as PyTorch does: rounded once, whatever the divisor
        return sums * np.float32(self.unit)

    def _sent(self, places: np.ndarray, sums: np.ndarray) -> Spikes:
        at, channel = np.nonzero(sums)
        payload = sums[at, channel]
        address = (places[at] * self.n_channels + channel).astype(np.int32)
        return Spikes(address, None if np.all(payload == 1) else payload)

    def _most_sources(self) -> int:
        return int(np.bincount(self.links.target, minlength=1).max())


class LinearMap(FixedMap):
    """Y[a, o, c] += sum over events (a, i, c) of payload * W[o, i]: fixed weights along one axis (Haar, DCT, mixing).

    Parameters
    ----------
    name : str
    weight : float [n_out, n_in]
    outer, inner : int
        Places before and behind the axis: (a * n + i) * inner + c.
    current : Current or None
        [outer * n_out, inner]; None as in `FixedMap`.

    Incs `current` if it has one, reads nothing but its inbox.
    """

    def __init__(self, name: str, weight: np.ndarray, outer: int, inner: int, current: Current | None) -> None:
        weight = np.asarray(weight, np.float64)
        n_out, n_in = weight.shape
        o, i = np.nonzero(weight)
        a = np.arange(outer)[:, None]
        source, target = (a * n_in + i).reshape(-1), (a * n_out + o).reshape(-1)
        links = Links.of(source, target, np.tile(weight[o, i], outer), outer * n_in, outer * n_out)
        super().__init__(name, links, inner, current)
        self.weight = weight


@kernel(error_model="numpy")
def _add_links(address, payload, start, target, weight, value, reached):
    n_channels = value.shape[1]
    n_added = 0
    n_units = 0
    n_graded = 0
    place = 0
    pixel_end = n_channels
    for event in range(address.size):
        at = address[event]
        if at >= pixel_end:
            place = at // n_channels
            pixel_end = (place + 1) * n_channels
        channel = at - (pixel_end - n_channels)
        amount = payload[event] if payload.size else 1
        first, end = start[place], start[place + 1]
        for link in range(first, end):
            value[target[link], channel] += weight[link] * amount
            reached[target[link]] = 1
        n_added += end - first
        n_units += abs(amount) * (end - first)
        n_graded += (amount != 1) * (end - first)
    return n_added, n_units, n_graded
