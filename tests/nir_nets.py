"""Small NIR graphs, and networks of them beside what the standard says they are.

Weights are multiples of 1/16 and time constants powers of two of a step, so that float32 and float64 agree exactly.
"""

from itertools import pairwise

import nir
import numpy as np

import evsim
from tests import naive_nir

DT = 1e-3


class Maker:
    """Nodes one after the other, with random weights."""

    def __init__(self, seed=0):
        self.random = np.random.default_rng(seed)

    def weight(self, *shape, scale=12):
        return (np.round(self.random.normal(0, scale, shape)) / 16).astype(np.float32)

    def conv2d(self, n_in, n_out, kernel=(3, 3), stride=1, padding=1, dilation=1, groups=1):
        weight = self.weight(n_out, n_in // groups, *kernel)
        return nir.Conv2d(None, weight, stride, padding, dilation, groups, self.weight(n_out, scale=2))

    def conv1d(self, n_in, n_out, kernel=3, stride=1, padding=1, dilation=1, groups=1):
        weight = self.weight(n_out, n_in // groups, kernel)
        return nir.Conv1d(None, weight, stride, padding, dilation, groups, self.weight(n_out, scale=2))

    def affine(self, n_in, n_out):
        """More that excites than inhibits, so that few populations are silent."""
        return nir.Affine(self.weight(n_out, n_in) + np.float32(0.125), self.weight(n_out, scale=2))

    def linear(self, n_in, n_out):
        return nir.Linear(self.weight(n_out, n_in))

    def neurons(self, kind, *shape, v_threshold=1.0, v_reset=0.0, r=1.0, v_leak=0.0, by_channel=False):
        """A population; with `by_channel` its thresholds and time constants differ along the first axis."""

        def array(value):
            return np.full(shape, value, np.float64)

        def spread(value):
            factors = np.resize([1.0, 2.0, 0.5], shape[0]) if by_channel else np.ones(shape[0])
            return array(value) * factors.reshape(-1, *[1] * (len(shape) - 1))

        leak = {"r": array(r), "v_leak": array(v_leak)}
        fire = {"v_threshold": spread(v_threshold), "v_reset": array(v_reset)}
        if kind == "Threshold":
            return nir.Threshold(spread(v_threshold))
        if kind in ("IF", "I"):
            return nir.IF(r=array(r), **fire) if kind == "IF" else nir.I(array(r))
        if kind in ("LIF", "LI"):
            tau = spread(4 * DT)
            return nir.LIF(tau=tau, **leak, **fire) if kind == "LIF" else nir.LI(tau=tau, **leak)
        taus = {"tau_mem": array(2 * DT), "tau_syn": spread(4 * DT), "w_in": array(2.0)}
        return nir.CubaLIF(**taus, **leak, **fire) if kind == "CubaLIF" else nir.CubaLI(**taus, **leak)


def flatten(*shape):
    return nir.Flatten(input_type={"input": np.array(shape)}, start_dim=0, end_dim=-1)


def chain(shape, *nodes, out=None):
    """Input, nodes called a, b, c, ..., Output."""
    names = [chr(ord("a") + i) for i in range(len(nodes))]
    all_nodes = {"input": nir.Input({"input": np.array(shape)}), **dict(zip(names, nodes, strict=True))}
    all_nodes["output"] = nir.Output({"output": None if out is None else np.array(out)})
    every = list(all_nodes)
    return nir.NIRGraph(all_nodes, list(pairwise(every)), type_check=False)


def small(kind="IF", seed=0, **constants):
    """Two layers of convolutions with a pool between, and a classifier, on [2, 6, 6]."""
    m = Maker(seed)
    pool = nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    return chain(
        (2, 6, 6), m.conv2d(2, 4), m.neurons(kind, 4, 6, 6, **constants), pool,
        m.conv2d(4, 5), m.neurons(kind, 5, 3, 3, **constants), flatten(5, 3, 3), m.affine(45, 3),
        m.neurons(kind, 3, **constants),
    )  # fmt: skip


def frames(shape, n_steps=8, seed=1, rate=0.3):
    return np.random.default_rng(seed).poisson(rate, (n_steps, *shape)).astype(np.float32)


def written(graph, path):
    """Its file; shapes that the library wants and nobody gave are those that the slow twin finds."""
    start = next(node for node in graph.nodes.values() if isinstance(node, nir.Input))
    values = naive_nir.run(graph, np.zeros((1, *start.input_type["input"])), DT)
    nodes, reads = naive_nir.flat(graph)
    for name, node in nodes.items():
        if isinstance(node, nir.Output) and node.output_type["output"] is None:
            node.output_type = node.input_type = {"output": np.array(values[name].shape[1:])}
        if isinstance(node, nir.Conv1d | nir.Conv2d):
            size = values[reads[name][0]].shape[2:]
            node.input_shape = size[0] if len(size) == 1 else size
    nir.write(path, graph)
    return str(path)


def spikes_of(network, given, n_steps):
    """{population: [n_steps, ...] in the order of the reference's tensor}, and the run's logits."""
    run = network.run(given)
    found = {}
    for population in network.network.populations():
        rows = np.stack(
            [run._finished.probe.spikes(population.name, t).to_dense(population.n_neurons) for t in range(n_steps)]
        )
        places = population.reference_places
        found[population.name] = np.empty_like(rows)
        found[population.name][:, places] = rows
    return found, run


def check_same_spikes(path, given, reset="v_reset", spikes="one", quiet=()):
    """evsim's spikes of a file are those of the slow twin; returns the run. No population is silent but `quiet`."""
    n_steps = len(given)
    network = evsim.load(path, dt="1ms", reset=reset, spikes=spikes)
    ours, run = spikes_of(network, as_input(given), n_steps)
    expected = naive_nir.run(nir.read(path, type_check=False), given, DT, reset, spikes)
    assert run.n_steps == n_steps
    for name, rows in ours.items():
        np.testing.assert_array_equal(rows, expected[name].reshape(n_steps, -1), err_msg=name)
        assert rows.any() or name in quiet, f"{name} is silent: nothing was compared"
    logits = expected["output"].reshape(n_steps, -1).mean(axis=0)
    np.testing.assert_allclose(run.logits, logits, rtol=1e-5, atol=1e-6)
    return run


def as_input(given):
    """Frames [n_steps, channels, rows, columns]; fewer axes are channels, then columns."""
    shape = given.shape[1:]
    return given.reshape(len(given), shape[0], *([1] * (3 - len(shape))), *shape[1:])
