"""Affine and Copy: a finished current, scaled and shifted or as it is, added to another one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.arithmetic.kernel import kernel
from evsim.arithmetic.whole import Claim, Fixing, moved
from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.geometry import Elementwise
from evsim.handlers.views.address_map import AddressMap

__all__ = ["Affine", "Copy"]


class Affine:
    """target[t] += scale[t] * source[source_of[t]] + shift[t]: a BatchNorm that was not folded, a scale, a view.

    What events did to the source is scaled at the places they touched; the constant part, bias and shift, is worked
    out once, at build time. Where the map pads, only the shift remains.

    Parameters
    ----------
    name : str
    source, target : Current
    scale, shift : float, or arrays of the target: [n_channels] or [n_places, n_channels]
    map : AddressMap, optional
        From addresses (place * n_channels + channel) of the source to those of the target.

    Raises
    ------
    NetworkError
        The sizes do not fit.

    One scaling a value (`Copy`: none). Added to what an earlier writer left, also a residual add. Incs `target`, reads
    `source`.
    """

    constants = ("scale", "map")

    def __init__(
        self,
        name: str,
        source: Current,
        target: Current,
        scale: np.ndarray | float | None = None,
        shift: np.ndarray | float | None = None,
        map: AddressMap | None = None,
    ) -> None:
        sizes = (source.n_places * source.n_channels, target.n_places * target.n_channels)
        map = map or AddressMap.identity(sizes[1])
        if (map.n_sources, map.n_targets) != sizes:
            raise NetworkError(f"{name}: a map of {(map.n_sources, map.n_targets)} between currents of {sizes} values")
        self.name, self.source, self.target, self.map = name, source, target, map
        self.n_inputs, self.n_outputs = sizes
        self.scale = None if scale is None else _spread(name, scale, target).astype(np.float32)
        _, self.wakers = source.join_reader(name, by_place=True)
        is_dyadic = scale is None or bool(np.all(np.isin(np.frexp(self.scale)[0], (0, 0.5, -0.5))))
        target.join_writer(name, _constant(name, source, target, map, scale, shift), source.is_whole and is_dyadic)
        self._is_first = target.writers[0] == name
        self._finer = 0

    @property
    def geometry(self) -> Elementwise:
        """What it says of itself to conventions."""
        return Elementwise(self.n_inputs, self.n_outputs)

    def claim(self, fixing: Fixing) -> Claim:
        """What the source has."""
        source = fixing.scale(self.source)
        return Claim(source.exponent, source.exponent, source.reach, 1)

    def fix(self, fixing: Fixing) -> None:
        """A copy is moved to the steps of the target; a scaled value would have to be rounded.

        Raises
        ------
        NetworkError
            There is a scale.
        """
        if self.scale is not None:
            raise NetworkError(f"{self.name}: a scaled current cannot run in whole numbers; use --precision float32")
        self._finer = self.target.exponent - self.source.exponent

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Add what the events of `step` made of the source."""
        source, target = self.source.rows(step), self.target.rows(step)
        value = moved(source.value, self._finer) if self._finer else source.value
        links = (self.map.start, self.map.target)
        scale = np.empty((0, 0), np.float32) if self.scale is None else self.scale
        n = _add_scaled(value, source.touched, *links, scale, self.map.is_identity, target.value, target.touched)
        self.source.release(step, self.name)
        return Spikes.none(), OpCounts(
            residual_adds=0 if self._is_first else n,
            scalings=0 if self.scale is None else n,
            state_reads=n if self._is_first else 2 * n,
            state_writes=n,
        )

    def reset(self) -> None:
        """Forget the currents of unfinished steps."""
        self.source.reset()
        self.target.reset()


class Copy(Affine):
    """target[t] += source[source_of[t]]: for a second consumer, or another view of a current.

    Parameters as in `Affine`. Incs `target`, reads `source`.
    """

    def __init__(self, name: str, source: Current, target: Current, map: AddressMap | None = None) -> None:
        super().__init__(name, source, target, map=map)


def _spread(name: str, values: np.ndarray | float, target: Current) -> np.ndarray:
    """[n_places, n_channels] (or [1, n_channels], the same at each place) of a number, or of one for each channel."""
    values = np.asarray(values, np.float64)
    shape = (target.n_places if values.ndim > 1 else 1, target.n_channels)
    try:
        return np.broadcast_to(values, shape)
    except ValueError:
        raise NetworkError(f"{name}: values of shape {values.shape} for a current of {shape}") from None


def _constant(name, source: Current, target: Current, map: AddressMap, scale, shift) -> np.ndarray:
    """scale * bias + shift, float64: [n_channels] where all places agree."""
    if map.is_identity and source.bias.ndim == 1 and source.n_channels == target.n_channels:
        constant = source.bias[None, :]
    else:
        everywhere = np.broadcast_to(source.bias, (source.n_places, source.n_channels)).reshape(-1)
        constant = np.append(everywhere, 0.0)[map.source_of].reshape(target.n_places, target.n_channels)
    constant = constant if scale is None else constant * _spread(name, scale, target)
    constant = constant if shift is None else constant + _spread(name, shift, target)
    return constant[0] if np.all(constant == constant[0]) else constant


@kernel(error_model="numpy")
def _add_scaled(source, source_touched, start, target_of, scale, is_identity, target, touched):
    n_channels, n_target_channels = source.shape[1], target.shape[1]
    flat, flat_source = target.reshape(-1), source.reshape(-1)
    n = 0
    for place in range(source_touched.size):
        if not source_touched[place]:
            continue
        first = place * n_channels
        if is_identity and n_channels == n_target_channels:
            if scale.size:
                row = scale[place if scale.shape[0] > 1 else 0]
                for j in range(n_channels):
                    flat[first + j] += row[j] * flat_source[first + j]
            else:
                for j in range(n_channels):
                    flat[first + j] += flat_source[first + j]
            touched[place] = 1
            n += n_channels
            continue
        for at in range(first, first + n_channels):
            for link in range(start[at], start[at + 1]):
                to = target_of[link]
                to_place = to // n_target_channels
                amount = flat_source[at]
                if scale.size:
                    factor = scale[to_place if scale.shape[0] > 1 else 0, to - to_place * n_target_channels]
                    flat[to] += factor * amount
                else:
                    flat[to] += amount
                touched[to_place] = 1
                n += 1
    return n
