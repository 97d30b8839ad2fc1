"""GraphAssembly: adds a checkpoint's layers to a graph under the checkpoint's own names."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from evsim.engine.current import check_room
from evsim.errors import CheckpointError
from evsim.graph.graph import Graph
from evsim.graph.rolling.axes import Unrolled
from evsim.graph.rolling.program import Program, Source
from evsim.handlers.neuron_forms.forms import Form

__all__ = ["GraphAssembly"]

_EPS = 1e-5


class GraphAssembly:
    """What `Assembly` is for handlers, for networks whose handlers follow from a graph (fused layers, payloads).

    Maps are [1, channels, rows, columns], as in the official code; a BatchNorm has PyTorch's epsilon.

    Parameters
    ----------
    tensors : mapping
        The checkpoint's tensors by name.
    n_steps : int
    input_shape : (int, int, int)
        Channels, rows and columns of a still image.
    """

    def __init__(self, tensors: Mapping[str, np.ndarray], n_steps: int, input_shape: tuple[int, int, int]) -> None:
        self.tensors, self.n_steps = tensors, n_steps
        self._program, self._n_values = Program(), 0
        check_room(math.prod(input_shape))
        self.input = self._program.add("input", [], {"shape": (1, *input_shape)})

    def shape(self, x: Source) -> tuple[int, ...]:
        """Of one step, with a batch of one."""
        return self._program.shape_of(x)

    def op(self, name: str, *inputs: Source, path: str = "", **attributes) -> Source:
        """Any operation of `evsim.graph.ops`.

        Raises
        ------
        CheckpointError
            The shapes do not fit.
        """
        return self._add(name, inputs, attributes, path)

    def tensor(self, name: str) -> Source:
        """One of the checkpoint's tensors."""
        return self._program.tensor(name, self.tensors[name].shape, name.rpartition(".")[0])

    def conv(
        self, layer: str, norm: str | None, x: Source, stride: int = 1, padding: int = 0, groups: int = 1
    ) -> Source:
        """A convolution, of one axis (on tokens) or two as its weight has it, and its BatchNorm."""
        n = self.tensors[f"{layer}.weight"].ndim - 2
        rows = self.shape(x)
        if n == 1:
            x = self.reshape(x, 1, rows[1], math.prod(rows[2:]))
        parts = [self.tensor(f"{layer}.{part}") for part in ("weight", "bias") if f"{layer}.{part}" in self.tensors]
        words = {"stride": (stride,) * n, "padding": (padding,) * n, "dilation": (1,) * n, "groups": groups}
        x = self.op("conv", x, *parts, path=layer, **words)
        x = x if norm is None else self.norm(norm, x)
        return x if n == 2 else self.reshape(x, 1, self.shape(x)[1], *rows[2:])

    def norm(self, name: str, x: Source) -> Source:
        """A BatchNorm by itself."""
        parts = (self.tensor(f"{name}.{part}") for part in ("running_mean", "running_var", "weight", "bias"))
        return self.op("batch_norm", x, *parts, path=name, eps=_EPS)

    def neurons(self, path: str, x: Source, form: Form, unit: float = 1.0) -> Source:
        """A population; `unit` is what a payload of one is worth.

        Raises
        ------
        NetworkError
            More neurons than a file of so few weights may claim.
        """
        self._n_values += math.prod(self.shape(x))
        check_room(self._n_values)  # each reads a current: better said before there are maps of addresses
        told = {"path": path, "form": form.to_dict(), "unit": float(unit), "axis": 0}
        return self._add("neuron", (x,), told, path)

    def add(self, x: Source, y: Source, path: str = "") -> Source:
        """A shortcut."""
        return self.op("add", x, y, path=path)

    def reshape(self, x: Source, *shape: int) -> Source:
        """The same values in another shape."""
        return self.op("reshape", x, shape=shape)

    def by_head(self, x: Source, n_heads: int) -> Source:
        """A map as [1, heads, tokens, channels of a head]."""
        _, n_channels, height, width = self.shape(x)
        x = self.reshape(x, 1, n_heads, n_channels // n_heads, height * width)
        return self.op("permute", x, dims=(0, 1, 3, 2))

    def attention(
        self, path: str, q: Source, k: Source, v: Source, n_heads: int, scale: float, starts_with: str = "kv"
    ) -> Source:
        """scale * Q (K^T V), or scale * (Q K^T) V where it starts with "qk"; head by head, of maps and as a map."""
        _, _, height, width = self.shape(q)
        q, k, v = (self.by_head(x, n_heads) for x in (q, k, v))
        k = self.op("permute", k, dims=(0, 1, 3, 2))
        if starts_with == "kv":
            x = self.op("matmul", q, self.op("matmul", k, v, path=path), path=path)
        else:
            x = self.op("matmul", self.op("matmul", q, k, path=path), v, path=path)
        x = self.op("mul", x, self.number(scale), path=path)
        d = self.shape(x)[3]
        return self.reshape(self.op("permute", x, dims=(0, 1, 3, 2)), 1, n_heads * d, height, width)

    def number(self, value: float) -> Source:
        """A constant."""
        return self._program.number(value)

    def mean(self, x: Source, path: str = "") -> Source:
        """The mean over rows and columns, [1, channels]."""
        return self.op("mean", x, path=path, dims=(2, 3), keepdim=False)

    def classify(self, layer: str, x: Source) -> Source:
        """A linear layer, [1, classes]."""
        weight = self.op("permute", self.tensor(f"{layer}.weight"), dims=(1, 0))
        return self.op("add", self.op("matmul", x, weight, path=layer), self.tensor(f"{layer}.bias"), path=layer)

    def graph(self, logits: Source) -> Graph:
        """The whole: the mean of the logits over the steps."""
        late = Program(self._program)
        n_classes = self.shape(logits)[1]
        steps = late.add("steps", [logits], {"axis": 0, "lead": 1, "shape": (self.n_steps, n_classes)})
        made = late.add("mean", [steps], {"dims": (0,), "keepdim": True})
        nodes = self._program.finished()
        names = sorted({node.attributes["name"] for node in nodes if node.op == "tensor"})
        tensors = {name: np.asarray(self.tensors[name], np.float32) for name in names}
        return Graph(self.n_steps, True, "BCHW", nodes, late.finished(), late.place_of(made), False, tensors)

    def _add(self, name: str, inputs: tuple[Source, ...], attributes: Mapping[str, object], path: str) -> Source:
        try:
            return self._program.add(name, inputs, attributes, path)
        except Unrolled as error:
            raise CheckpointError(f"{path or 'the network'}: {error}") from None
