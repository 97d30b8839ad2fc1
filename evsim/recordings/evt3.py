"""EVT 3.0: 16-bit words that change one thing each (the row, the time, ...) or name the pixels of a row.

The four top bits say what a word is, the others its value. An event is sent by ADDR_X, or by the bits of a vector of 12
or 8 neighbours that follow the base column. Times have 24 bits and wrap every 16.8 s. Some writers leave out high
times; a low time that starts anew without one counts as the next lap.
"""

from __future__ import annotations

import numpy as np

from evsim.arithmetic.kernel import kernel
from evsim.recordings.decoding import Columns
from evsim.recordings.wrapping import lost_highs

__all__ = ["Evt3"]

ADDR_Y, ADDR_X, VECT_BASE_X, VECT_12, VECT_8, TIME_LOW, TIME_HIGH = 0, 2, 3, 4, 5, 6, 8
HIGH_BITS = 12
HALF_LOW = 1 << HIGH_BITS - 1
# Places of the state that passes from one block to the next.
T_HIGH, T_LOW, ROW, COL, POLARITY, EARLY, LOST = range(7)
WORST_EVENTS_PER_WORD = 12
PIECE_WORDS = 2**15


class Evt3:
    """The state of the camera's encoder, and the events of the words given to it."""

    word_bytes = 2

    def __init__(self) -> None:
        self._state = np.array([-1, 0, -1, 0, 0, 0, 0], np.int64)

    @property
    def early(self) -> int:
        """Events before the first time or row, which have no place in the recording."""
        return int(self._state[EARLY])

    @property
    def notes(self) -> list[str]:
        """Laps of the low time that no high time announced."""
        return lost_highs(int(self._state[LOST]), 1 << HIGH_BITS)

    def decode(self, data: bytes) -> Columns:
        """The events of whole words, a piece at a time because one word can be twelve events."""
        words = np.frombuffer(data, "<u2")
        pieces = [self._piece(words[at : at + PIECE_WORDS]) for at in range(0, words.size, PIECE_WORDS)]
        return (
            Columns(*(np.concatenate(column) for column in zip(*pieces, strict=True))) if pieces else self._piece(words)
        )

    def _piece(self, words: np.ndarray) -> Columns:
        size = WORST_EVENTS_PER_WORD * words.size
        t, p = np.empty(size, np.int64), np.empty(size, np.int8)
        x, y = np.empty((2, size), np.int32)
        n = _decode_words(words, self._state, t, x, y, p)
        return Columns(*(column[:n].copy() for column in (t, x, y, p)))


@kernel
def _set_low(state, value):
    # Back by more than half its range, and no high time since: a word was lost, or was never written.
    if state[T_LOW] - value > HALF_LOW and state[T_HIGH] >= 0:
        state[T_HIGH] += 1
        state[LOST] += 1
    state[T_LOW] = value


@kernel
def _set_high(state, value):
    if state[T_HIGH] < 0:
        state[T_HIGH] = value
    else:
        # The nearest count with these low bits: forward over a wrap, or a little back (jitter).
        step = (value - state[T_HIGH]) & 0xFFF
        state[T_HIGH] += step - 0x1000 if step > 0x800 and state[T_HIGH] >= 0x1000 - step else step
    state[T_LOW] = 0


@kernel
def _decode_words(words, state, t, x, y, p):
    n = 0
    for word in words:
        kind, value = word >> 12, np.int64(word & 0xFFF)
        if kind == ADDR_Y:
            state[ROW] = value & 0x7FF
        elif kind == TIME_LOW:
            _set_low(state, value)
        elif kind == TIME_HIGH:
            _set_high(state, value)
        elif kind == VECT_BASE_X:
            state[COL] = value & 0x7FF
            state[POLARITY] = value >> 11
        elif kind == ADDR_X or kind == VECT_12 or kind == VECT_8:
            width = 1 if kind == ADDR_X else (12 if kind == VECT_12 else 8)
            col = value & 0x7FF if kind == ADDR_X else state[COL]
            mask = 1 if kind == ADDR_X else value
            polarity = value >> 11 if kind == ADDR_X else state[POLARITY]
            for bit in range(width):
                if mask >> bit & 1:
                    if state[T_HIGH] < 0 or state[ROW] < 0:
                        state[EARLY] += 1
                        continue
                    t[n] = state[T_HIGH] << HIGH_BITS | state[T_LOW]
                    x[n], y[n], p[n] = col + bit, state[ROW], polarity
                    n += 1
            if kind != ADDR_X:
                state[COL] += width
    return n
