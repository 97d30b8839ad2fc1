"""Slow, obvious twins of dual spike self-attention, in the official order of axes, and what the products cost."""

import numpy as np

from evsim.engine.ledger import OpCounts


def split_heads(y, n_heads):
    """Y [P, 2C] as Y1 and Y2, each [n_heads, d, P]."""
    channels = np.asarray(y, np.float64).T.reshape(n_heads, 2, -1, len(y))
    return channels[:, 0], channels[:, 1]


def attention_map(y, x, scale):
    """c1 Y1^T X: y [P, 2C], x [n_heads, d, N], scale [n_heads] -> [n_heads, P, N]."""
    y1, _ = split_heads(y, len(scale))
    return np.stack([c * (y1_head.T @ x_head) for c, y1_head, x_head in zip(scale, y1, x, strict=True)])


def attention_output(y, a, scale):
    """c2 Y2 A: y [P, 2C], a [n_heads, P, N], scale [n_heads] -> [n_heads, d, N]."""
    _, y2 = split_heads(y, len(scale))
    return np.stack([c * (y2_head @ a_head) for c, y2_head, a_head in zip(scale, y2, a, strict=True)])


def product_counts(spikes, n_columns, bias_half, n_patches):
    """spikes [n_heads, rows, N] meet rows of n_columns values; bias_half [C]: the bias of the operand's channels."""
    n_heads, n_rows, _ = spikes.shape
    if not spikes.any():
        return OpCounts()
    acs = int(spikes.sum()) * n_columns
    scaled = int(spikes.any(axis=1).sum()) * n_columns
    words = n_heads * n_rows * n_columns + scaled
    return OpCounts(
        acs=acs,
        event_acs=acs,
        scalings=scaled,
        bias_adds=int(np.count_nonzero(bias_half)) * n_patches,
        weight_reads=acs,
        state_reads=words,
        state_writes=words,
    )
