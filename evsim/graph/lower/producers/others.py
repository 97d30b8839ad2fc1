"""Producers of last resort: a copy of what stands elsewhere, and whole arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evsim.graph.lower.producers.producer import Producer
from evsim.graph.lower.values import Stored
from evsim.handlers.elementwise.affine import Affine, Copy

__all__ = ["Dense", "OfStored"]


@dataclass(eq=False)
class OfStored(Producer):
    """A current that stands elsewhere, copied or scaled."""

    stored: Stored
    scales: ClassVar[str] = "any"
    maps: ClassVar[bool] = True

    def write(self, building, current, scale, result) -> None:
        name, source = building.name(self.path, "copy"), self.stored.current
        if scale.size == 1 and scale.reshape(-1)[0] == 1:
            building.add(Copy(name, source, current, result))
        else:
            building.add(Affine(name, source, current, scale, None, result))


@dataclass(eq=False)
class Dense(Producer):
    """Anything else, on whole arrays; `add` is told the current and adds the handler."""

    adding: object
    sets: ClassVar[bool] = True

    def write(self, building, current, scale, result) -> None:
        self.adding(current)
