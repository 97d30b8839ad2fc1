"""Slow, obvious twins: what each operation gives and costs, from dense arrays alone and without a kernel of evsim.

An operand is a dense array, channels last: bool or int for spikes, float for real values; zero means no event.
Each `*_counts` twin counts again, over the dense operands, what the kernel counted event by event.
"""

from __future__ import annotations

import numpy as np

from evsim.engine.ledger import OpCounts

# --- projections ------------------------------------------------------------------------------------------------------


def conv2d(x, weight, stride=1, padding=0, groups=1, dilation=1):
    """x [height, width, c_in], weight [c_out, c_in / groups, ky, kx] -> float64 [out_height, out_width, c_out]."""
    c_out, c_in, *kernel = weight.shape
    out = np.zeros((*_out_size(x.shape, kernel, stride, padding, dilation), c_out))
    for y, x_out, patch in _patches(x.astype(np.float64), kernel, stride, padding, 0.0, dilation):
        for group in range(groups):
            operand = patch[:, :, group * c_in : (group + 1) * c_in].transpose(2, 0, 1)
            channels = slice(group * c_out // groups, (group + 1) * c_out // groups)
            out[y, x_out, channels] = (weight[channels] * operand).sum(axis=(1, 2, 3))
    return out


def conv2d_counts(x, weight_shape, stride=1, padding=0, groups=1, dilation=1):
    """The counts of one step, and which output places were reached by an event [out_height, out_width]."""
    ones = np.ones(weight_shape)

    def fan_out(operand):
        return int(conv2d(operand, ones, stride, padding, groups, dilation).sum())

    reached = conv2d(x != 0, ones, stride, padding, groups, dilation) > 0
    return _projection_counts(x, fan_out, int(reached.sum())), reached.any(axis=-1)


def linear(x, weight):
    """x [n_tokens, c_in], weight [c_out, c_in] -> float64 [n_tokens, c_out]."""
    return x.astype(np.float64) @ weight.astype(np.float64).T


def linear_counts(x, n_out):
    """The counts of one step, and which tokens held an event [n_tokens]."""
    reached = (x != 0).any(axis=-1)
    return _projection_counts(x, lambda operand: int(operand.sum()) * n_out, int(reached.sum()) * n_out), reached


def _projection_counts(x, fan_out, n_accumulators):
    """`fan_out(operand)`: sum over the operand's places of its value there times the weights it meets."""
    sums = fan_out(x != 0)
    memory = {"weight_reads": sums, "state_reads": n_accumulators, "state_writes": n_accumulators}
    if np.issubdtype(x.dtype, np.floating):
        return OpCounts(macs=sums, **memory)
    graded = fan_out((x != 0) & (x != 1))
    return OpCounts(acs=fan_out(abs(x.astype(np.int64))), event_acs=sums, graded_acs=graded, **memory)


# --- neurons ----------------------------------------------------------------------------------------------------------


def sigmoid(w):
    """1 / (1 + exp(-w)), each result rounded to float32."""
    return np.float32(1) / (np.float32(1) + np.float32(np.exp(-np.float64(np.float32(w)))))


class Neurons:
    """LIF, PLIF and IF: every neuron at every step in float32, asleep or not.

    `debt` counts the steps a neuron slept; it pays them back, an update each, when it wakes.
    """

    def __init__(self, n_places, bias, v_threshold=1.0, v_reset=0.0, rate=0.5, leak=1):
        self.bias = np.asarray(bias, np.float32)
        self.v_threshold, self.v_reset, self.rate, self.leak = map(np.float32, (v_threshold, v_reset, rate, leak))
        self.v = np.full((n_places, self.bias.size), self.v_reset)
        self.debt = np.zeros(self.v.shape, np.int64)

    def fires_alone(self):
        """Channels that would fire one day without any event."""
        if self.leak:
            return self.v_reset + self.bias >= self.v_threshold  # the membrane converges to v_reset + bias
        return self.bias > 0

    def step(self, x, touched):
        """x [n_places, n_channels] without bias, touched [n_places] -> spikes (bool), counts."""
        h = self.v + (x.astype(np.float32) + self.bias - self.leak * (self.v - self.v_reset)) * self.rate
        spikes = h >= self.v_threshold
        self.v = np.where(spikes, self.v_reset, h)
        return spikes, self._count(spikes, touched.astype(bool)[:, None])

    def _count(self, spikes, touched):
        awake = touched | self.fires_alone()
        assert not (spikes & ~awake).any(), "a neuron that may sleep fired"
        n_awake = int(awake.sum())
        paid = np.where(awake, self.debt, 0)
        updates = awake + paid
        self.debt = np.where(awake, 0, self.debt + 1)
        accumulators = int(touched.sum()) * self.bias.size
        return OpCounts(
            updates=int(updates.sum()),
            silent_updates=int((awake & ~touched).sum() + paid.sum()),
            bias_adds=int(updates[:, self.bias != 0].sum()),
            comparisons=n_awake,
            state_reads=n_awake + accumulators,
            state_writes=n_awake,
        )


# --- pooling ----------------------------------------------------------------------------------------------------------


def spike_max_pool(x, kernel, stride=1, padding=0, dilation=1, ceil=False):
    """x bool [height, width, c] -> bool [out_height, out_width, c], counts: one comparison a spike and window."""
    out = np.zeros((*_out_size(x.shape, kernel, stride, padding, dilation, ceil), x.shape[2]), bool)
    comparisons = 0
    for y, x_out, patch in _patches(x, kernel, stride, padding, False, dilation, ceil):
        out[y, x_out] = patch.any(axis=(0, 1))
        comparisons += int(patch.sum())
    return out, OpCounts(comparisons=comparisons)


def current_max_pool(value, touched, kernel, stride=1, padding=0, dilation=1, ceil=False):
    """value [height, width, c], touched [height, width] -> pooled value, pooled touched, counts.

    A window that nobody touched is left alone.
    """
    n_channels = value.shape[2]
    real = np.ones((*value.shape[:2], 1))
    size = _out_size(value.shape, kernel, stride, padding, dilation, ceil)
    out, out_touched = np.zeros((*size, n_channels)), np.zeros(size, bool)
    n_values = n_windows = 0
    patches = _patches(np.dstack([value, touched, real]), kernel, stride, padding, -np.inf, dilation, ceil)
    for y, x_out, patch in patches:
        if patch[:, :, n_channels].max() == 1:
            out[y, x_out] = patch[:, :, :n_channels].max(axis=(0, 1))
            out_touched[y, x_out] = True
            n_values += int((patch[:, :, n_channels + 1] == 1).sum())
            n_windows += 1
    counts = OpCounts(
        comparisons=(n_values - n_windows) * n_channels,
        state_reads=n_values * n_channels,
        state_writes=n_windows * n_channels,
    )
    return out, out_touched, counts


def plane_dilation(x):
    """x bool [n_tokens, n_heads, head_channels] -> its 3x3 maximum over (token, channel), counts."""
    n_tokens, n_heads, n_channels = x.shape
    out = np.zeros_like(x)
    comparisons = 0
    for head in range(n_heads):
        for token, channel in np.argwhere(x[:, head]):
            tokens = [n for n in (token - 1, token, token + 1) if 0 <= n < n_tokens]
            channels = [c for c in (channel - 1, channel, channel + 1) if 0 <= c < n_channels]
            out[np.ix_(tokens, [head], channels)] = True
            comparisons += len(tokens) * len(channels)
    return out, OpCounts(comparisons=comparisons)


# --- attention --------------------------------------------------------------------------------------------------------


def coincidence(k, v):
    """k AND v, counts: the smaller operand is tested against the larger; a silent operand costs nothing."""
    n_few, n_many = sorted((int(k.sum()), int(v.sum())))
    counts = OpCounts(masks=n_few, state_reads=n_few, state_writes=n_many) if n_few else OpCounts()
    return k & v, counts


def token_sum(x):
    """x bool [n_tokens, c] -> int [c], counts."""
    n = int(x.sum())
    return x.sum(axis=0), OpCounts(acs=n, event_acs=n, state_reads=n, state_writes=n)


def gate(q, g):
    """q bool [n_tokens, c], g bool [c] -> q AND g, counts: one mask a spike of q; a silent operand costs nothing."""
    n_query, n_gate = int(q.sum()), int(g.sum())
    busy = n_query > 0 and n_gate > 0
    return q & g, OpCounts(masks=n_query, state_reads=n_query, state_writes=n_gate) if busy else OpCounts()


# --- readout ----------------------------------------------------------------------------------------------------------


def token_mean(value, touched):
    """value [n_tokens, c], touched [n_tokens] -> float64 [c], counts: only touched tokens are added."""
    n_tokens, n_channels = value.shape
    n = int(touched.sum()) * n_channels
    memory = {"state_reads": n + n_channels, "state_writes": n_channels}
    counts = OpCounts(residual_adds=n, scalings=n_channels, **memory) if n else OpCounts()
    return value.sum(axis=0) / n_tokens, counts


def real_linear(value, weight):
    """value [c], weight [n_classes, c] -> float64 [n_classes], counts."""
    n_classes, n_channels = weight.shape
    memory = {"state_reads": n_channels + n_classes, "state_writes": n_classes}
    macs = n_classes * int((value != 0).sum())
    return weight @ value, OpCounts(macs=macs, weight_reads=macs, **memory)


def readout(value, bias):
    """value [n_classes] -> logits of one step, counts of one call."""
    n = bias.size
    counts = OpCounts(bias_adds=int((bias != 0).sum()), state_reads=n, state_writes=n)
    return value.astype(np.float32) + bias, counts


# --- windows ----------------------------------------------------------------------------------------------------------


def pair(value):
    """Of rows and columns."""
    return (value, value) if isinstance(value, int) else tuple(value)


def _out_size(shape, kernel, stride, padding, dilation=1, ceil=False):
    sizes = zip(shape[:2], *map(pair, (kernel, stride, padding, dilation)), strict=True)
    return tuple(len(list(_origins(*size, ceil))) for size in sizes)


def _origins(side, kernel, stride, padding, dilation, ceil):
    """Where windows along one axis begin: inside the padded map; with `ceil` the last may reach beyond it."""
    for origin in range(-padding, side + padding, stride):
        is_inside = origin + (kernel - 1) * dilation < side + padding
        may_reach_beyond = ceil and origin < side and origin - stride + (kernel - 1) * dilation < side + padding - 1
        if is_inside or may_reach_beyond:
            yield origin


def _patches(x, kernel, stride, padding, outside, dilation=1, ceil=False):
    """(row, col, the window of x there) for every output place; beyond the border x holds `outside`."""
    (ky, kx), (sy, sx), (py, px), (dy, dx) = map(pair, (kernel, stride, padding, dilation))
    beyond = ((py, py + ky * dy), (px, px + kx * dx), (0, 0))
    padded = np.pad(x, beyond, constant_values=outside)
    height, width = _out_size(x.shape, kernel, stride, padding, dilation, ceil)
    for y in range(height):
        for col in range(width):
            yield y, col, padded[y * sy :: dy, col * sx :: dx][:ky, :kx]


# --- spiking self-attention and sums of spike streams -----------------------------------------------------------------


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
    both = {"acs_kv_first": kv_pairs + row_adds, "acs_qk_first": qk_pairs + entry_adds, "order_ands": order_ands(q, k)}
    is_kv = both["acs_kv_first"] <= both["acs_qk_first"] if order is None else order == "kv"
    pairs, added, read = (kv_pairs, row_adds, row_adds) if is_kv else (qk_pairs, entry_adds, int(entries.sum()))
    return OpCounts(
        masks=n_tested + pairs, acs=pairs + added, event_acs=pairs + added, scalings=written,
        state_reads=pairs + read + written, state_writes=pairs + written, **both,
    )  # fmt: skip


def order_ands(q, k):
    """Every 64 channels of a query that hold an event meet the same channels of every key of the head."""
    n_ands = 0
    for query, key in zip(q, k, strict=True):
        words = sum(bool(token[i : i + 64].any()) for token in query for i in range(0, token.size, 64))
        n_ands += words * int(key.any(axis=1).sum())
    return n_ands


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
    sums = {"acs": int(abs(x).sum()), "event_acs": n, "graded_acs": graded}
    return x.mean(axis=0), OpCounts(**sums, scalings=x.shape[1], state_reads=n, state_writes=n)


def _heads(x, n_heads):
    return x.reshape(x.shape[0], n_heads, -1).transpose(1, 0, 2).astype(np.int64)


def _tokens(x):
    return x.transpose(1, 0, 2).reshape(x.shape[1], -1)
