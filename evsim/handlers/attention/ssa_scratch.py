"""Memory that spiking self-attention writes anew at each step."""

from __future__ import annotations

import numpy as np

from evsim.arithmetic import lanes
from evsim.arithmetic.row_panels import row_width

__all__ = ["Scratch"]

_MOST_CHANNELS = 255
"""Channels of a head whose coincidences fit a byte."""
_PAIRS_OF_A_ROW = 80
"""Places of a row of bytes that are added in the time of one pair by itself."""


class Scratch:
    """What the kernels of `ssa_order` and `ssa_products` write; marks, keys, rows and sums are zero between calls.

    Parameters
    ----------
    n_tokens, n_heads, n : int
        n: channels of a head.

    Attributes
    ----------
    most_by_pair : int
        Pairs of one query token and head, at most, that are added one by one; of more, rows of the keys' marks are.
    """

    def __init__(self, n_tokens: int, n_heads: int, n: int) -> None:
        n_groups, n_columns, width = n_tokens * n_heads, n_heads * n, row_width(n)
        n_places = n_tokens * n_columns
        kind = np.uint8 if n <= _MOST_CHANNELS else np.int32
        marks = [np.zeros(n_places + max(64, width), np.uint8) for _ in range(2)]
        starts = [np.zeros(n_groups + 1, np.int64) for _ in range(3)]
        bits = [np.zeros((n_groups, -(-n // 64)), np.uint64) for _ in range(3)]
        self.n_keys, self.kept = np.zeros(n_columns, np.int64), np.zeros(n_places + 1, np.int32)
        self.index = (*marks, *starts, *bits, self.n_keys, self.kept)
        self.v_marks, (self.q_start, _, self.v_start) = marks[1], starts
        self.sums = lanes.aligned_zeros((width,), np.int32)
        self.product = lanes.aligned_zeros((n_columns, width), np.int32)
        self.keys = lanes.aligned_zeros((n_columns, row_width(n_tokens, kind)), kind)
        self.row = lanes.aligned_zeros((self.keys.shape[1],), kind)
        self.most_by_pair = max(2, self.row.size // _PAIRS_OF_A_ROW) if n <= _MOST_CHANNELS else n_tokens * n
