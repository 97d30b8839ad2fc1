"""Slow, obvious twins of spiking self-attention and of the sums of spike streams, from dense arrays alone."""

import numpy as np

from evsim.ledger import OpCounts


def ssa(q, k, v, n_heads, scale, order=None):
    """q, k, v bool [n_tokens, c] -> scale * q k^T v by head, tokens that hold something, counts."""
    q, k, v = (_heads(x, n_heads) for x in (q, k, v))
    out = _tokens(q @ (k.transpose(0, 2, 1) @ v)) * scale
    if not (q.any() and k.any() and v.any()):
        return out, out.any(axis=1), OpCounts()
    return out, out.any(axis=1), ssa_counts(q, k, v, order)


def ssa_counts(q, k, v, order):
    """q, k, v int [n_heads, n_tokens, n]: the additions of both orders, and everything of the one that runs."""
    n_tested = int(k.sum())
    k = k * v.any(axis=2, keepdims=True) * q.any(axis=1, keepdims=True)
    kv_pairs = int((k * v.sum(axis=2, keepdims=True)).sum())
    qk_pairs = int((k * q.sum(axis=1, keepdims=True)).sum())
    rows = q * k.any(axis=1, keepdims=True)
    entries = q @ k.transpose(0, 2, 1) != 0
    row_adds = int(rows.sum()) * q.shape[2]
    entry_adds = int((entries * v.sum(axis=2)[:, None, :]).sum())
    written = int(rows.any(axis=2).sum()) * q.shape[2]
    both = {"acs_kv_first": kv_pairs + row_adds, "acs_qk_first": qk_pairs + entry_adds}
    is_kv = both["acs_kv_first"] <= both["acs_qk_first"] if order is None else order == "kv"
    pairs, added, read = (kv_pairs, row_adds, row_adds) if is_kv else (qk_pairs, entry_adds, int(entries.sum()))
    return OpCounts(
        masks=n_tested + pairs, acs=pairs + added, unit_acs=pairs + added, scalings=written,
        state_reads=pairs + read + written, state_writes=pairs + written, **both,
    )  # fmt: skip


def spike_sum(stream, branch):
    """Two int arrays -> their sum, counts: one residual add an event of the branch."""
    n = int((branch != 0).sum())
    return stream + branch, OpCounts(residual_adds=n, state_reads=n, state_writes=n)


def spike_mean(x):
    """x int [n_tokens, c] -> float64 [c], counts: one addition an event."""
    n = int((x != 0).sum())
    if not n:
        return x.mean(axis=0), OpCounts()
    graded = int(((x != 0) & (x != 1)).sum())
    sums = {"acs": n, "unit_acs": int(abs(x).sum()), "graded_acs": graded}
    return x.mean(axis=0), OpCounts(**sums, scalings=x.shape[1], state_reads=n, state_writes=n)


def _heads(x, n_heads):
    return x.reshape(x.shape[0], n_heads, -1).transpose(1, 0, 2).astype(np.int64)


def _tokens(x):
    return x.transpose(1, 0, 2).reshape(x.shape[1], -1)
