"""RealConv: a convolution (or linear layer) of a real-valued current, where no spikes stand between two layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from evsim.arithmetic.whole import Claim, Fixing
from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.projections.conv import Conv2d
from evsim.handlers.window import Window

__all__ = ["RealConv"]


class RealConv(Conv2d):
    """target[y, x, :] += sum over the receptive field of source[...] * W: one MAC for each nonzero value and weight.

    What events made of the source is multiplied, at the places they touched. The constant part of the source (biases)
    goes through the layer once, at build time, and becomes the constant part of the target: by place where the kernel
    reaches over the border, as the padding has no bias.

    Parameters
    ----------
    name : str
        The model's module name.
    weight : float [c_out, c_in / groups, kernel rows, kernel columns], or [c_out, c_in] of a linear layer
    bias : float [c_out] or None
    window : Window
        Of kernel 1 on one row of tokens for a linear layer.
    source : Current
        [height * width, c_in], all its writers joined.
    target : Current
        [out_height * out_width, c_out].
    groups : int

    Raises
    ------
    NetworkError
        The sizes do not fit.

    Incs `target`, reads `source` and its weights.
    """

    def __init__(
        self,
        name: str,
        weight: np.ndarray,
        bias: np.ndarray | None,
        window: Window,
        source: Current,
        target: Current,
        groups: int = 1,
    ) -> None:
        n_axes = weight.ndim
        weight = np.asarray(weight, np.float64).reshape(*weight.shape[:2], *(weight.shape[2:] or (1, 1)))
        expected = (window.height * window.width, weight.shape[1] * groups)
        if (source.n_places, source.n_channels) != expected:
            found = (source.n_places, source.n_channels)
            raise NetworkError(f"{name}: reads {expected} (places, channels) from a current of {found}")
        super().__init__(name, weight, None, window, target, groups)
        self.source, self.n_weight_axes, self.has_bias = source, n_axes, bias is not None
        _, self.wakers = source.join_reader(name, by_place=True)
        target.add_bias(_through(source.bias, weight, window, groups))
        if bias is not None:
            target.add_bias(bias)

    def claim(self, fixing: Fixing) -> Claim:
        """Never in whole numbers: see `fix`."""
        return self.fix(fixing)

    def fix(self, fixing: Fixing) -> Claim:
        """Products of real values have no exact whole numbers.

        Raises
        ------
        NetworkError
            Always.
        """
        raise NetworkError(f"{self.name}: multiplies real values, not whole numbers; use --precision float32")

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Multiply what events made of the source at `step`."""
        value = self.source.rows(step).value.reshape(-1)
        address = np.flatnonzero(value).astype(np.int32)
        real = Spikes(address, value[address])
        self.source.release(step, self.name)
        return Spikes.none(), self._project(real, step) if len(real) else OpCounts()

    def handle_steps(self, turns: Sequence[tuple[int, Mapping[str, Spikes]]]) -> list[tuple[Spikes, OpCounts]]:
        """One by one: what it reads are currents, not spikes that could stand in one list."""
        return [self.handle(step, inbox) for step, inbox in turns]

    def asynchronous(self) -> None:
        """It reads values, not the events of the layer that it is made of, so it keeps its barrier."""

    def reset(self) -> None:
        """Forget the currents of unfinished steps."""
        self.source.reset()
        super().reset()


def _through(bias: np.ndarray, weight: np.ndarray, window: Window, groups: int) -> np.ndarray:
    """What the layer makes of a constant input, float64: [c_out] where all places agree, else [n_places, c_out]."""
    c_out, n_in, *_ = weight.shape
    total = np.zeros((window.out_height, window.out_width, c_out))
    if not bias.any():
        return total[0, 0]
    maps = np.broadcast_to(bias, (window.height * window.width, bias.shape[-1])).reshape(
        window.height, window.width, -1
    )
    for i in range(window.kernels[0]):
        for j in range(window.kernels[1]):
            rows, columns = _tap(window, 0, i), _tap(window, 1, j)
            for group in range(groups):
                out = slice(group * c_out // groups, (group + 1) * c_out // groups)
                seen = maps[np.ix_(rows[1], columns[1])][:, :, group * n_in : (group + 1) * n_in]
                total[np.ix_(rows[0], columns[0], np.arange(c_out)[out])] += seen @ weight[out, :, i, j].T
    total = total.reshape(-1, c_out)
    return total[0] if np.allclose(total, total[0], rtol=1e-12, atol=0) else total


def _tap(window: Window, axis: int, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Output rows (or columns) whose kernel row i lies inside the map, and the input rows it meets there."""
    size, n_out = ((window.height, window.out_height), (window.width, window.out_width))[axis]
    out = np.arange(n_out)
    place = out * window.strides[axis] - window.paddings[axis] + i * window.dilations[axis]
    is_inside = (place >= 0) & (place < size)
    return out[is_inside], place[is_inside]
