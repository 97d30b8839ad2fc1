"""Fixed point: a network in whole numbers. Every sum is exact, so that the order of events cannot matter.

    X = sum of W_int << (s_current - s_weight);   H = V + (((X - V + v_reset) * m) >> r)

See `evsim.arithmetic.whole` for the scales and the proof that nothing overflows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from evsim.arithmetic.precision import BITS, FLOAT, check_precision
from evsim.arithmetic.whole import LARGEST_INPUT, Claim, Scale, Summed
from evsim.errors import EvsimError, NetworkError

__all__ = ["fix"]


class Fixable(Protocol):
    """What `fix` asks of a network."""

    name: str
    input_name: str
    precision: str
    handlers: list
    sources: list[dict[str, str]]

    def currents_of(self, handler: object) -> list[Summed]: ...

    def reset(self) -> None: ...


def fix(network: Fixable, precision: str) -> Fixable:
    """Turn the arrays of a network just built into whole numbers, in place; float32 leaves them alone.

    Raises
    ------
    EvsimError
        The precision is unknown, the network is no longer in float32, a handler does not know how, or no scale keeps
        the sums of a current in 30 bits.
    """
    if check_precision(precision) == FLOAT:
        return network
    if network.precision != FLOAT:
        raise EvsimError(f"{network.name}: is in {network.precision} already, expected float32")
    network.reset()
    settling = _Settling(network, BITS[precision])
    fixings = [settling.told(stage) for stage in range(len(network.handlers))]
    for handler in network.handlers:
        for current in network.currents_of(handler):
            scale = settling.scale(current)
            current.fix(scale.exponent, scale.dtype)
    for handler, fixing in zip(network.handlers, fixings, strict=True):
        if network.currents_of(handler):
            handler.fix(fixing)
    network.precision = precision
    return network


@dataclass(frozen=True)
class _Fixing:
    """What one handler is told, see `evsim.arithmetic.whole.Fixing`."""

    bits: int
    payload: int
    settling: _Settling

    @property
    def is_signed(self) -> bool:
        """Only what comes from the recording may be negative: spikes and sums of spikes are not."""
        return self.payload >= LARGEST_INPUT

    def scale(self, current: Summed) -> Scale:
        return self.settling.scale(current)


@dataclass
class _Settling:
    """Asks the writers of a current what they claim, and finds the scale that holds for all."""

    network: Fixable
    bits: int
    scales: dict[int, Scale] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stage_of = {handler.name: stage for stage, handler in enumerate(self.network.handlers)}
        self.payload_of = {self.network.input_name: LARGEST_INPUT}
        for handler, sources in zip(self.network.handlers, self.network.sources, strict=True):
            told = {port: self.payload_of[source] for port, source in sources.items()}
            self.payload_of[handler.name] = handler.payload_bound(told) if hasattr(handler, "payload_bound") else 1
            if self.network.currents_of(handler) and not hasattr(handler, "fix"):
                kind = type(handler).__name__
                raise NetworkError(f"{handler.name}: {kind} cannot run in whole numbers; use --precision float32")

    def told(self, stage: int) -> _Fixing:
        """What the handler at `stage` is told."""
        sources = self.network.sources[stage].values()
        return _Fixing(self.bits, max((self.payload_of[source] for source in sources), default=1), self)

    def scale(self, current: Summed) -> Scale:
        """The scale of `current`, once found the same for ever."""
        if id(current) not in self.scales:
            self.scales[id(current)] = self._settle(current)
        return self.scales[id(current)]

    def _settle(self, current: Summed) -> Scale:
        stages = [self.stage_of[name] for name in current.writers]
        claims = [self.network.handlers[stage].claim(self.told(stage)) for stage in stages]
        readers = [self.network.handlers[self.stage_of[name]] for name in current.readers]
        level = max((getattr(reader, "level", 0.0) for reader in readers), default=0.0)
        level += float(np.abs(current.bias).max(initial=0))
        exponent = max((claim.exponent for claim in claims), default=0)
        least = max((claim.least for claim in claims), default=0)
        narrow = _coarsened(claims, level, exponent, 2**14)
        if narrow is not None and narrow.exponent >= least:
            return Scale(narrow.exponent, narrow.bound, np.int16)
        wide = _coarsened(claims, level, exponent, 2**30)
        if wide is None:
            raise NetworkError(f"{' + '.join(current.writers)}: sums reach {level:g}, at no scale below 2^30")
        return wide


def _coarsened(claims: list[Claim], level: float, exponent: int, limit: int) -> Scale | None:
    """The finest scale, from `exponent` down, at which sums and levels stay below `limit`."""
    for coarser in range(exponent, -15, -1):
        bound = sum(claim.bound(coarser) for claim in claims)
        if bound + level * 2.0**coarser + 4 < limit:
            return Scale(coarser, bound, np.int32)
    return None
