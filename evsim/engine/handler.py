"""Handler: the one contract of everything a network is made of; and what the engine asks of two kinds of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes

__all__ = ["Handler", "Population", "Readout"]


class Handler(Protocol):
    """The one contract: spikes in by port, spikes and counts out. A handler knows its own arrays, nobody else.

    A handler may name the arrays that no run writes in a class attribute `constants`: twins of a network share them.
    A spiking population says `is_population`, the handler with the logits has `logits_by_step`.
    One that gains from several steps at once has `handle_steps(turns)`, which gets (step, inbox) of steps in a row and
    returns for each what `handle` would have.
    One with currents may run in whole numbers: `fix(fixing)` converts its arrays, `claim(fixing)` says what it will
    write, and `payload_bound(bounds)` how large a payload it sends (see `evsim.arithmetic.whole`).
    """

    name: str

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]: ...

    def reset(self) -> None: ...


class Population(Handler, Protocol):
    """A handler whose spikes are a layer of neurons."""

    is_population: bool
    is_eager: bool
    shape: tuple[int, ...]
    axes: str
    reference_axes: str

    @property
    def n_neurons(self) -> int: ...


class Readout(Handler, Protocol):
    """The handler at the end, which holds the logits."""

    def logits_by_step(self, n_steps: int) -> np.ndarray: ...

    def logits(self, n_steps: int) -> np.ndarray: ...
