"""Spikes: the events one population (or the input) sends in one step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evsim.errors import RecordingError

__all__ = ["Spikes", "check_places"]

_MOST_PLACES = 2**31


@dataclass(frozen=True, slots=True, eq=False)
class Spikes:
    """The events of one source in one step, one row an event.

    Parameters
    ----------
    address : int32 [n]
        Where each event is, sorted and unique: ``(row * width + col) * n_channels + channel`` on a map,
        ``token * n_channels + channel`` on a token list. Channels are fastest, so that one event adds
        contiguous weight rows.
    payload : int32 [n], float32 [n] or None
        None for binary spikes. int32 for graded spikes (event counts, SEW sums). float32 for real values
        (a direct-coded image). No payload is zero: an event of value zero is no event.
    """

    address: np.ndarray
    payload: np.ndarray | None = None

    def __len__(self) -> int:
        return self.address.size

    @staticmethod
    def none() -> Spikes:
        """No event at all (one shared object)."""
        return _NONE

    @staticmethod
    def from_dense(values: np.ndarray) -> Spikes:
        """The nonzero entries of an array whose last axis is the channel.

        0/1 arrays become binary spikes, whole numbers that fit int32 graded ones, all else real values.
        """
        flat = np.ascontiguousarray(values).reshape(-1)
        if np.issubdtype(flat.dtype, np.floating):
            flat = flat.astype(np.float32)
        check_places(flat.size)
        address = np.flatnonzero(flat).astype(np.int32)
        payload = flat[address]
        if np.all(payload == 1):
            return Spikes(address)
        if np.all(np.abs(payload) < 2**31) and np.all(payload == np.trunc(payload)):
            return Spikes(address, payload.astype(np.int32))
        return Spikes(address, payload.astype(np.float32))

    def to_dense(self, size: int) -> np.ndarray:
        """A flat array of `size` places; int32 for binary and graded spikes, float32 for real values."""
        dense = np.zeros(size, np.int32 if self.payload is None else self.payload.dtype)
        dense[self.address] = 1 if self.payload is None else self.payload
        return dense


def check_places(n_places: int) -> None:
    """Refuse a map with more places than an address of 32 bits can reach.

    Raises
    ------
    RecordingError
        There are more than 2^31.
    """
    if n_places > _MOST_PLACES:
        raise RecordingError(f"{n_places:,} places, more than the {_MOST_PLACES:,} that an address can reach")


_NONE = Spikes(np.empty(0, np.int32))
