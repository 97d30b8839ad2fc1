"""Fixed point: a network in whole numbers. Every sum is exact, so that the order of events cannot matter.

    X = sum of W_int << (s_current - s_weight);   H = V + (((X - V + v_reset) * m) >> r)

See `evsim.arithmetic.whole` for the scales and the proof that nothing overflows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from evsim.arithmetic.precision import BITS, FLOAT, check_precision
from evsim.arithmetic.whole import LARGEST_INPUT, MOST_SHIFT, TELLING, Claim, Scale, Summed
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
            current.fix(scale.exponent, scale.dtype, settling.gains(current))
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

    def gains(self, current: Summed) -> np.ndarray | None:
        return self.settling.gains(current)


@dataclass
class _Settling:
    """Asks the writers of a current what they claim, and finds the scale that holds for all.

    A current has a scale for each channel where every handler that writes or reads it names it among those for which
    it can do with that (`by_channel`). Of the currents that one handler names, all have or none: it passes channels on.
    """

    network: Fixable
    bits: int
    scales: dict[int, Scale] = field(default_factory=dict)
    found_gains: dict[int, np.ndarray] = field(default_factory=dict)
    uniform: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.stage_of = {handler.name: stage for stage, handler in enumerate(self.network.handlers)}
        self.payload_of = {self.network.input_name: LARGEST_INPUT}
        for handler, sources in zip(self.network.handlers, self.network.sources, strict=True):
            told = {port: self.payload_of[source] for port, source in sources.items()}
            self.payload_of[handler.name] = handler.payload_bound(told) if hasattr(handler, "payload_bound") else 1
            if self.network.currents_of(handler) and not hasattr(handler, "fix"):
                kind = type(handler).__name__
                raise NetworkError(f"{handler.name}: {kind} cannot run in whole numbers; use --precision float32")
        self.uniform = self._uniform()

    def _uniform(self) -> set[int]:
        """The currents that have one scale for all channels."""
        uniform, joined = set(), []
        for stage, handler in enumerate(self.network.handlers):
            able = handler.by_channel(self.told(stage)) if hasattr(handler, "by_channel") else ()
            joined.append({id(current) for current in able})
            uniform |= {id(current) for current in self.network.currents_of(handler)} - joined[-1]
        while more := [currents for currents in joined if currents & uniform and currents - uniform]:
            uniform = uniform.union(*more)
        return uniform

    def gains(self, current: Summed) -> np.ndarray | None:
        """What the values of each channel are multiplied by, as its first writer has them; None: one scale for all."""
        if id(current) in self.uniform or not current.writers:
            return None
        if id(current) not in self.found_gains:
            stage = self.stage_of[current.writers[0]]
            self.found_gains[id(current)] = self.network.handlers[stage].gains(self.told(stage))
        return self.found_gains[id(current)]

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
        gains = self.gains(current)
        stages = [self.stage_of[name] for name in current.writers]
        claims = [self.network.handlers[stage].claim(self.told(stage)) for stage in stages]
        readers = [self.network.handlers[self.stage_of[name]] for name in current.readers]
        level = max((getattr(reader, "level", 0.0) for reader in readers), default=0.0)
        finest = max((claim.exponent for claim in claims), default=0) if gains is None else _agreed(claims)
        if gains is None:
            level += float(np.abs(current.bias).max(initial=0))
            least = max((claim.least for claim in claims), default=0)
        else:
            measure = min((reader.measure for reader in readers if hasattr(reader, "measure")), default=1.0)
            fine = TELLING - math.frexp(measure or 1.0)[1]
            level = (level + np.abs(current.bias)) * gains
            least = np.minimum(np.max([claim.least for claim in claims], axis=0), fine)
        narrow = _coarsened(claims, level, finest, 2**14)
        if narrow is not None and np.all(narrow.exponent >= least):
            return Scale(narrow.exponent, narrow.bound, np.int16)
        wide = _coarsened(claims, level, finest, 2**30)
        if wide is None:
            found = f"sums reach {np.max(level + sum(claim.reach for claim in claims)):g}"
            raise NetworkError(f"{' + '.join(current.writers)}: {found}, at no scale below 2^30")
        return wide


def _agreed(claims: list[Claim]) -> np.ndarray:
    """The scale of each channel that the writers would like, not too fine for any of them."""
    finest = np.max([claim.exponent for claim in claims], axis=0)
    return np.minimum(finest, np.min([claim.least for claim in claims], axis=0) + MOST_SHIFT)


def _coarsened(claims: list[Claim], level: float | np.ndarray, exponent: int | np.ndarray, limit: int) -> Scale | None:
    """The finest scale, from `exponent` down, at which sums and levels stay below `limit`; of each channel its own."""
    while np.min(exponent) > -15:
        bound = sum(claim.bound(exponent) for claim in claims)
        is_too_large = bound + np.ldexp(level, exponent) + 4 >= limit
        if not np.any(is_too_large):
            return Scale(exponent, bound, np.int32)
        exponent = exponent - is_too_large.astype(np.int64) if np.ndim(exponent) else exponent - 1
    return None
