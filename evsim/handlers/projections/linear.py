"""Linear: a fully connected layer on every token, which is a convolution of kernel 1."""

from __future__ import annotations

import numpy as np

from evsim.engine.current import Current
from evsim.handlers.projections.conv import Conv2d, Window

__all__ = ["Linear"]


class Linear(Conv2d):
    """X[token, :] += sum over the token's active inputs c of payload * W[:, c].

    Parameters
    ----------
    name : str
        The checkpoint's module name.
    weight : float [c_out, c_in]
        Trailing axes of size 1 (a stored 1x1 convolution) are dropped.
    bias : float [c_out] or None
    n_tokens : int
    current : Current
        [n_tokens, c_out].

    Sets nothing of its own, incs `current`, reads its weights.
    """

    def __init__(self, name: str, weight: np.ndarray, bias: np.ndarray | None, n_tokens: int, current: Current) -> None:
        cells = weight.reshape(weight.shape[0], weight.shape[1], 1, 1)
        super().__init__(name, cells, bias, Window(1, n_tokens), current)
        self.n_weight_axes = weight.ndim
