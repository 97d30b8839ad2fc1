"""RealMap: fixed weights between places of a real-valued current, the same for every channel."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.arithmetic.kernel import kernel
from evsim.arithmetic.whole import Claim, Fixing
from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers import geometry
from evsim.handlers.projections.fixed_map import Links

__all__ = ["RealMap"]


class RealMap:
    """target[t, c] += sum over links from s to t of weight[s, t] * source[s, c]: means and fixed maps of currents.

    What events made of the source is mapped, at the places they touched; the constant part goes through once, at build
    time. Sums are in float64, so that their order does not show.

    Parameters
    ----------
    name : str
    links : Links
        Between places of `n_channels` values each.
    n_channels : int
        Neighbouring addresses that share a place of the links: channels, or 1 for a map between single values.
    source, target : Current
        Of n_sources * n_channels and n_targets * n_channels values.
    divisor : float [n_targets] or None
        What each sum is divided by, in place of a multiplication with the size of the weights, which is 1 then.

    Raises
    ------
    NetworkError
        The sizes do not fit.

    Where all weights have one size, a residual add a link and a scaling a sum; else a MAC a link. Incs `target`, reads
    `source`.
    """

    constants = ("links",)

    def __init__(
        self,
        name: str,
        links: Links,
        n_channels: int,
        source: Current,
        target: Current,
        divisor: np.ndarray | None = None,
    ) -> None:
        found = (source.n_places * source.n_channels, target.n_places * target.n_channels)
        expected = (links.n_sources * n_channels, links.n_targets * n_channels)
        if found != expected:
            raise NetworkError(f"{name}: maps between currents of {found} values, expected {expected}")
        self.name, self.links, self.n_channels = name, links, n_channels
        self.source, self.target = source, target
        self.n_inputs, self.n_outputs = expected
        unit = links.constant()
        self.adds_ones = divisor is not None or unit is not None
        self._weight = np.sign(links.weight) if self.adds_ones else links.weight
        self._scale = np.full(links.n_targets, 1.0 if unit is None else unit)
        if divisor is not None:
            self._scale = 1 / np.asarray(divisor, np.float64)
        self._is_scaled = self.adds_ones and bool(np.any(self._scale != 1))
        self._sums = np.zeros(expected[1])
        self._reached = np.zeros(expected[1], np.uint8)
        _, self.wakers = source.join_reader(name, by_place=True)
        target.join_writer(name, self._constant())

    @property
    def geometry(self) -> geometry.FixedMap:
        """What it says of itself to conventions."""
        return geometry.FixedMap(self.n_inputs, self.n_outputs, self.links.target.size * self.n_channels)

    def claim(self, fixing: Fixing) -> Claim:
        """Never in whole numbers: see `fix`."""
        return self.fix(fixing)

    def fix(self, fixing: Fixing) -> Claim:
        """Sums of real values have no exact whole numbers.

        Raises
        ------
        NetworkError
            Always.
        """
        raise NetworkError(
            f"{self.name}: a fixed map of real values cannot run in whole numbers; use --precision float32"
        )

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Map what events made of the source at `step`."""
        source = self.source.rows(step)
        n_links = _follow(source.value, source.touched, self.n_channels, self.links.start, self.links.target,
                          self._weight, self._sums, self._reached)  # fmt: skip
        self.source.release(step, self.name)
        if not n_links:
            return Spikes.none(), OpCounts()
        target = self.target.rows(step)
        n = _write(self._sums, self._reached, self._scale, self.n_channels, target.value, target.touched)
        memory = OpCounts(state_reads=n_links + n, state_writes=n)
        if not self.adds_ones:
            return Spikes.none(), memory + OpCounts(macs=n_links, weight_reads=n_links)
        return Spikes.none(), memory + OpCounts(residual_adds=n_links, scalings=n if self._is_scaled else 0)

    def reset(self) -> None:
        """Forget the currents of unfinished steps."""
        self.source.reset()
        self.target.reset()

    def _constant(self) -> np.ndarray:
        """What the map makes of the constant part: [n_channels] where all places agree."""
        everywhere = np.broadcast_to(self.source.bias, (self.source.n_places, self.source.n_channels))
        total = np.zeros(self.target.n_places * self.target.n_channels)
        if everywhere.any():
            rows = everywhere.reshape(-1, self.n_channels)
            sums = total.reshape(-1, self.n_channels)
            source = np.repeat(np.arange(self.links.n_sources), np.diff(self.links.start))
            np.add.at(sums, self.links.target, self._weight[:, None] * rows[source])
            sums *= self._scale[:, None]
        total = total.reshape(self.target.n_places, self.target.n_channels)
        return total[0] if np.allclose(total, total[0], rtol=1e-12, atol=0) else total


@kernel(error_model="numpy")
def _follow(value, touched, n_channels, start, target, weight, sums, reached):
    n = 0
    width = value.shape[1]
    flat = value.reshape(-1)
    for place in range(touched.size):
        if not touched[place]:
            continue
        for at in range(place * width, (place + 1) * width):
            source = at // n_channels
            channel = at - source * n_channels
            for link in range(start[source], start[source + 1]):
                to = target[link] * n_channels + channel
                sums[to] += weight[link] * flat[at]
                reached[to] = 1
            n += start[source + 1] - start[source]
    return n


@kernel(error_model="numpy")
def _write(sums, reached, scale, n_channels, value, touched):
    """Add the scaled sums where one was made, and clear them; how many."""
    n = 0
    flat = value.reshape(-1)
    for to in range(sums.size):
        if reached[to]:
            flat[to] += sums[to] * scale[to // n_channels]
            touched[to // value.shape[1]] = 1
            sums[to] = 0
            reached[to] = 0
            n += 1
    return n
