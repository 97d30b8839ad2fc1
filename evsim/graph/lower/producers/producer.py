"""What writes a current: a layer, a product, a pool, chosen when its target is known.

A producer has addresses of its own, (place, channel) of `space`. It is written where they are those of the target, or
through a map where its handler takes one; else it gets a current of its own and is copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from evsim.engine.current import Current
from evsim.handlers.views.address_map import AddressMap

__all__ = ["Producer", "Site"]


class Site(Protocol):
    """What a producer needs of the network under construction."""

    as_written: bool
    notes: list[str]

    def name(self, path: str, what: str) -> str: ...

    def add(self, handler, spikes: str | None = None, **ports: str) -> str: ...

    def deliver(self, events, order: np.ndarray, path: str) -> str: ...

    def release(self, current: Current) -> None: ...


@dataclass(eq=False)
class Producer:
    """What all have.

    Parameters
    ----------
    path : str
        The module's name; the handler is called so.
    space : (int, int)
        Places and channels of what it writes.

    Attributes
    ----------
    scales : {"channels", "batch", "one", ""}
        What it can be multiplied by: one number a channel, a batch, one for all, or nothing.
    maps : bool
        Whether it writes through a map.
    sets : bool
        Whether it must be the first writer.
    sends : bool
        Whether it can leave as spikes instead.
    """

    path: str
    space: tuple[int, int]
    scales: ClassVar[str] = ""
    maps: ClassVar[bool] = False
    sets: ClassVar[bool] = False
    sends: ClassVar[bool] = False

    def write(self, building: Site, current: Current, scale: np.ndarray, result: AddressMap | None) -> None:
        """Add its handler; `scale` float64 as `scales` says (or [1])."""
        raise NotImplementedError

    def send(self, building: Site) -> tuple[str, float]:
        """Add its handler without a current; its name, and the unit of what it sends."""
        raise NotImplementedError

    def takes(self, scale: np.ndarray) -> bool:
        """Whether it can be multiplied by just that."""
        return True

    @property
    def n_batch(self) -> int:
        """How many scales it takes, where it takes one a batch."""
        raise NotImplementedError

    def batch_of(self, at: np.ndarray) -> np.ndarray:
        """The batch of each of its addresses."""
        raise NotImplementedError
