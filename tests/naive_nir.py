"""A NIR graph as the standard has it, slow and obvious: dense NumPy in float64, the library's own nodes, Euler steps.

Nothing of evsim is used: what this makes of a file is what evsim must make of it.
"""

from __future__ import annotations

from math import ceil, floor

import nir
import numpy as np


def run(graph, frames, dt, reset="v_reset", spikes="one"):
    """What each node sends at each step: {path: [n_steps, ...]}; `frames` is [n_steps, ...], `dt` in seconds."""
    nodes, reads = flat(graph)
    state = {name: {} for name in nodes}
    sent = {name: [] for name in nodes}
    in_order = order(nodes, reads)
    for frame in frames:
        for name in in_order:
            node = nodes[name]
            x = np.asarray(frame, float) if not reads[name] else sum(sent[source][-1] for source in reads[name])
            sent[name].append(step(node, x, state[name], dt, reset, spikes))
    return {name: np.stack(values) for name, values in sent.items()}


def flat(graph, prefix=""):
    """Nodes by path, and what each reads; a subgraph's Input and Output stand for it."""
    nodes, links = {}, []
    first, last = {}, {}
    for key, node in graph.nodes.items():
        name = prefix + key
        first[key] = last[key] = name
        if isinstance(node, nir.NIRGraph):
            inner, reads = flat(node, name + ".")
            nodes |= inner
            links += [(source, target) for target, sources in reads.items() for source in sources]
            first[key] = f"{name}.{next(iter(node.inputs))}"
            last[key] = f"{name}.{next(iter(node.outputs))}"
        else:
            nodes[name] = node
    links += [(last[a], first[b]) for a, b in graph.edges]
    return nodes, {name: [a for a, b in links if b == name] for name in nodes}


def order(nodes, reads):
    done = []
    while len(done) < len(nodes):
        done += [name for name in nodes if name not in done and set(reads[name]) <= set(done)]
    return done


def step(node, x, state, dt, reset, spikes):
    kind = type(node).__name__
    if kind in ("Input", "Output"):
        return x
    if kind in ("IF", "LIF", "CubaLIF", "LI", "CubaLI", "I", "Threshold"):
        return neurons(node, x, state, dt, reset, spikes)
    if kind in ("Linear", "Affine"):
        return node.weight.astype(float) @ x + getattr(node, "bias", 0)
    if kind == "Scale":
        return x * node.scale
    if kind == "Flatten":
        shape, end = x.shape, int(node.end_dim) % x.ndim
        start = int(node.start_dim) % x.ndim
        return x.reshape(*shape[:start], -1, *shape[end + 1 :])
    if kind in ("SumPool2d", "AvgPool2d"):
        kernel, stride, padding = (pair(getattr(node, key), 2) for key in ("kernel_size", "stride", "padding"))
        total = np.stack([windows(c, kernel, stride, padding, (1, 1)).sum(axis=(-1, -2)) for c in x])
        return total / np.prod(kernel) if kind == "AvgPool2d" else total
    return convolution(node, x)


def convolution(node, x):
    n = x.ndim - 1
    weight = node.weight.astype(float)
    stride, dilation = pair(node.stride, n), pair(node.dilation, n)
    if isinstance(node.padding, str):
        room = [d * (k - 1) if node.padding == "same" else 0 for d, k in zip(dilation, weight.shape[2:], strict=True)]
        x = np.pad(x, [(0, 0)] + [(floor(r / 2), ceil(r / 2)) for r in room])
        padding = (0,) * n
    else:
        padding = pair(node.padding, n)
    groups = int(node.groups)
    seen = np.stack([windows(channel, weight.shape[2:], stride, padding, dilation) for channel in x])
    axes = [0, *range(1 + n, 1 + 2 * n)], [1, *range(2, 2 + n)]
    parts = zip(np.split(seen, groups), np.split(weight, groups), strict=True)
    out = np.concatenate([np.moveaxis(np.tensordot(view, kernel, axes), -1, 0) for view, kernel in parts])
    return out + node.bias.reshape(-1, *[1] * n)


def windows(channel, kernel, stride, padding, dilation):
    """[out places, kernel] of one channel."""
    channel = np.pad(channel, [(p, p) for p in padding])
    extent = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    seen = np.lib.stride_tricks.sliding_window_view(channel, extent)
    return seen[tuple(slice(None, None, s) for s in stride) + tuple(slice(None, None, d) for d in dilation)]


def pair(value, n):
    numbers = [int(v) for v in np.ravel(value)]
    return tuple(numbers * n if len(numbers) == 1 else numbers)


def neurons(node, x, state, dt, reset, spikes):
    """One step of the differential equations of the standard, then its threshold and reset."""
    kind = type(node).__name__
    if kind == "Threshold":
        return (x > node.threshold).astype(float)
    rest = node.v_leak if hasattr(node, "v_leak") else getattr(node, "v_reset", 0) if reset == "v_reset" else 0
    v = state.setdefault("v", np.zeros(x.shape) + rest)
    if kind.startswith("Cuba"):
        i = state.setdefault("i", np.zeros(x.shape))
        state["i"] = x = i + dt / node.tau_syn.astype(float) * (-i + node.w_in * x)
        v = v + dt / node.tau_mem.astype(float) * (node.v_leak - v + node.r * x)
    elif kind in ("LIF", "LI"):
        v = v + dt / node.tau.astype(float) * (node.v_leak - v + node.r * x)
    else:
        v = v + node.r * x  # time in steps: v' = R I
    state["v"] = v
    if not hasattr(node, "v_threshold"):
        return v
    n = (v > node.v_threshold).astype(float)
    if spikes == "many":
        n = np.maximum(0, np.ceil(v / node.v_threshold) - 1)
    state["v"] = np.where(n > 0, v - n * node.v_threshold if reset == "subtract" else node.v_reset, v)
    return n
