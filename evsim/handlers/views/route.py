"""Route: spikes under other addresses; Concatenate: several streams side by side as one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.geometry import View
from evsim.handlers.views.address_map import AddressMap

__all__ = ["Concatenate", "Route"]


class Route:
    """out[place] = in[source_of[place]]: a view of a spike stream, where no later handler can take it along.

    Parameters
    ----------
    name : str
    map : AddressMap

    No arithmetic: only the traffic of the events is counted. Port "spikes". Sets nothing, reads nothing but its inbox.
    """

    constants = ("map",)

    def __init__(self, name: str, map: AddressMap) -> None:
        self.name, self.map = name, map
        self.n_inputs, self.n_outputs = map.n_sources, map.n_targets
        self.shape = (map.n_targets,)

    @property
    def geometry(self) -> View:
        """What it says of itself to conventions."""
        return View(self.n_inputs, self.n_outputs)

    def payload_bound(self, bounds: Mapping[str, int]) -> int:
        """Payloads pass."""
        return bounds["spikes"]

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Send the delivered spikes on, from their new places."""
        return self.map.move(inbox["spikes"]), OpCounts()

    def reset(self) -> None:
        """Nothing is remembered between steps."""


class Concatenate:
    """out = the streams of all ports, each at its own places.

    Parameters
    ----------
    name : str
    maps : dict of str to AddressMap
        By port; all onto the same places, no two onto the same one.

    Raises
    ------
    NetworkError
        Maps onto different numbers of places, or two onto one place.

    No arithmetic: only the traffic of the events is counted. Sets nothing, reads nothing but its inbox.
    """

    constants = ("maps",)

    def __init__(self, name: str, maps: Mapping[str, AddressMap]) -> None:
        sizes = {map.n_targets for map in maps.values()}
        if len(sizes) != 1:
            raise NetworkError(f"{name}: concatenates onto {sorted(sizes)} places, expected the same for every port")
        taken = sum((map.source_of >= 0).astype(np.int32) for map in maps.values())
        if taken.max(initial=0) > 1:
            raise NetworkError(f"{name}: {np.count_nonzero(taken > 1)} places come from two ports, expected none")
        self.name, self.maps = name, dict(maps)
        self.n_inputs, self.n_outputs = sum(map.n_sources for map in maps.values()), sizes.pop()
        self.shape = (self.n_outputs,)

    @property
    def geometry(self) -> View:
        """What it says of itself to conventions."""
        return View(self.n_inputs, self.n_outputs)

    def payload_bound(self, bounds: Mapping[str, int]) -> int:
        """The largest of any port."""
        return max(bounds.values())

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Merge the delivered streams; one that is silent adds nothing."""
        parts = [self.maps[port].move(spikes) for port, spikes in inbox.items() if len(spikes)]
        if len(parts) < 2:
            return parts[0] if parts else Spikes.none(), OpCounts()
        address = np.concatenate([part.address for part in parts])
        order = np.argsort(address, kind="stable")
        if all(part.payload is None for part in parts):
            return Spikes(address[order]), OpCounts()
        ones = (np.ones(len(part), np.int32) if part.payload is None else part.payload for part in parts)
        return Spikes(address[order], np.concatenate(list(ones))[order]), OpCounts()

    def reset(self) -> None:
        """Nothing is remembered between steps."""
