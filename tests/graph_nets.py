"""Graphs made by hand, without PyTorch, and networks of them beside what the graph means."""

import numpy as np

from evsim.graph.evaluate import evaluate, steps_of_input
from evsim.graph.file import StoredReference
from evsim.graph.graph import Graph
from evsim.graph.lower.lower import lower
from evsim.graph.rolling.program import Program
from evsim.handlers.neuron_forms.forms import Leaky
from evsim.traces.stored import verify_recorded

LIF = Leaky(tau=2.0)


class Maker:
    """Builds a graph operation by operation; weights are random multiples of 1/64, so that float32 sums are exact."""

    def __init__(self, shape, seed=0, axes=None):
        self.program, self.tensors = Program(), {}
        self.random = np.random.default_rng(seed)
        self.axes = axes or ("BCHW" if len(shape) == 4 else "TBCL")
        self.shape = shape
        self.input = self.program.add("input", [], {"shape": list(shape)})

    def op(self, name, *inputs, path="", **attributes):
        return self.program.add(name, inputs, attributes, path)

    def tensor(self, array, name=None):
        name = name or f"w{len(self.tensors)}"
        self.tensors[name] = np.asarray(array, np.float32)
        return self.program.tensor(name, self.tensors[name].shape, "")

    def weight(self, *shape, scale=32):
        return self.tensor(np.round(self.random.normal(0, scale, shape)) / 64)

    def shape_of(self, x):
        return self.program.shape_of(x)

    def conv(self, x, n_out, kernel=3, stride=1, padding=1, dilation=1, groups=1, path="conv", bias=False):
        n = len(self.shape_of(x)) - 2
        w = self.weight(n_out, self.shape_of(x)[1] // groups, *[kernel] * n)
        words = {key: [v] * n for key, v in (("stride", stride), ("padding", padding), ("dilation", dilation))}
        inputs = [x, w, *([self.weight(n_out)] if bias else [])]
        return self.op("conv", *inputs, path=path, **words, groups=groups)

    def norm(self, x, path="bn"):
        n = self.shape_of(x)[1]
        statistics = [self.random.normal(0, 0.2, n), self.random.uniform(0.5, 1.5, n)]
        affine = [self.random.uniform(0.5, 1.5, n), self.random.normal(0.2, 0.3, n)]
        return self.op("batch_norm", x, *map(self.tensor, [*statistics, *affine]), path=path, eps=1e-5)

    def fire(self, x, path, form=LIF, unit=1.0, axis=0):
        told = {"path": path, "form": form.to_dict(), "unit": float(unit), "axis": axis}
        return self.program.add("neuron", [x], told, path)

    def add(self, x, y):
        return self.op("add", x, y)

    def mul(self, x, y):
        return self.op("mul", x, y)

    def number(self, value):
        return self.program.number(value)

    def reshape(self, x, *shape):
        return self.op("reshape", x, shape=list(shape))

    def permute(self, x, *dims):
        return self.op("permute", x, dims=list(dims))

    def matmul(self, x, y, path="attn"):
        return self.op("matmul", x, y, path=path)

    def graph(self, output, n_steps=4, readout="mean"):
        """`output` [1, n] is read out: its mean over the steps, each step, their sum, or the last."""
        late = Program(self.program)
        shape = list(self.shape_of(output))
        steps = late.add("steps", [output], {"axis": 0, "lead": 1, "shape": [n_steps, *shape[1:]]})
        made = {
            "mean": lambda: late.add("mean", [steps], {"dims": [0], "keepdim": False}),
            "sum": lambda: late.add("sum", [steps], {"dims": [0], "keepdim": False}),
            "max": lambda: late.add("max", [steps], {"dims": [0], "keepdim": False}),
            "last": lambda: late.add("at_step", [output], {"step": n_steps - 1, "shape": shape}),
            "steps": lambda: steps,
        }[readout]()
        return Graph(
            n_steps, "T" not in self.axes, self.axes, self.program.finished(), late.finished(), late.place_of(made),
            readout == "steps", dict(self.tensors),
        )  # fmt: skip

    def classify(self, x, n_classes=3, path="head"):
        """A linear layer on everything, [1, n_classes]."""
        n = int(np.prod(self.shape_of(x)))
        return self.op("matmul", self.reshape(x, 1, n), self.weight(n, n_classes, scale=8), path=path)


def example_of(graph, seed=1):
    """A still image of real values, or frames of event counts."""
    random = np.random.default_rng(seed)
    if graph.is_still:
        return (np.round(random.normal(0, 64, graph.input_shape)) / 64).astype(np.float32)
    axis = graph.axes.index("T")
    shape = list(graph.input_shape)
    shape[axis] = graph.n_steps
    return random.poisson(0.4, shape).astype(np.float32)


def reference_of(graph, example=None):
    """What the graph means: evaluated densely, running free."""
    example = example_of(graph) if example is None else example
    run = evaluate(graph, steps_of_input(graph, example))
    sent = {path: array.reshape(graph.n_steps, -1).astype(np.int32) for path, array in run.sent.items()}
    return StoredReference(example, sent, run.output)


def verified(graph, **options):
    """The network of a graph, its reference, and how they agree."""
    reference = reference_of(graph)
    lowered = lower(graph, "recorded", reference.rates(), **options)
    return lowered, reference, verify_recorded(lowered.network, graph, reference)
