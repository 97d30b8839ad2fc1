"""Polarities as files spell them: 0 and 1, -1 and 1, False and True, or -1 in an unsigned column."""

from __future__ import annotations

import numpy as np

from evsim.errors import RecordingError

__all__ = ["Polarities", "is_polarity"]

WRAPPED = (2**8 - 1, 2**16 - 1, 2**32 - 1, 2**64 - 1)
"""What -1 becomes in unsigned columns; v2e writes such files."""

EXPECTED = "expected 0 and 1, -1 and 1, or False and True"


def is_polarity(column: np.ndarray) -> bool:
    """Whether all values of a column can be polarities of one spelling."""
    try:
        Polarities("").read(column)
    except RecordingError:
        return False
    return True


class Polarities:
    """Reads the polarities of a recording, in one piece or several, all in the same spelling."""

    def __init__(self, path) -> None:
        self._path = path
        self._off: set[int] = set()
        self._has_on = False
        self._n = 0

    @property
    def notes(self) -> list[str]:
        """What was read as what."""
        minus = [value for value in self._off if value]
        words = [f"polarity {value}" + (", -1 in an unsigned column," if value > 0 else "") for value in minus]
        return [f"{word} was read as 0" for word in words]

    def read(self, values: np.ndarray) -> np.ndarray:
        """int8 [n] of 0 (off) and 1 (on).

        Raises
        ------
        RecordingError
            Names the first event whose polarity is none, or does not go with those before.
        """
        values = np.asarray(values)
        if values.dtype.kind == "b":  # a damaged file can hold bytes that are neither
            return (values.view(np.uint8) != 0).astype(np.int8)
        on = values == 1
        self._has_on |= bool(on.any())
        if self._off <= {0} and np.all(on | (values == 0)):
            self._off |= set() if on.all() else {0}
            self._n += on.size
            return on.astype(np.int8)
        for value in (0, -1, *WRAPPED):
            if (values == value).any() and not (value > 0 and self._is_of_another_width(values, value)):
                self._off.add(value)
        # Zero is off wherever it occurs, and then nothing else is.
        off = next((value for value in (0, -1, *WRAPPED) if value in self._off), 0)
        known = on | (values == off)
        if not known.all():
            first = int(np.argmin(known))
            raise RecordingError(
                f"{self._path}: polarity of event {self._n + first} is {values[first]}{self._both()}; {EXPECTED}"
            )
        if len(self._off) > 1:
            raise RecordingError(f"{self._path}: two spellings of off{self._both()}; {EXPECTED}")
        self._n += on.size
        return on.astype(np.int8)

    def _both(self) -> str:
        several = " and ".join(str(value) for value in sorted(self._off))
        return f" (polarities {several} in one file)" if len(self._off) > 1 else ""

    @staticmethod
    def _is_of_another_width(values: np.ndarray, value: int) -> bool:
        """Whether an unsigned column is of another width than the one in which -1 is `value`."""
        return values.dtype.kind == "u" and value != np.iinfo(values.dtype).max

    def finish(self) -> None:
        """Refuse a recording all of whose polarities are 255 (or 65535, ...): on or off, nobody knows."""
        odd = [value for value in self._off if value > 0]
        if odd and not self._has_on:
            raise RecordingError(f"{self._path}: polarity is {odd[0]} throughout; {EXPECTED}")
