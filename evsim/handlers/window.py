"""Window: where a kernel looks on a map, of a convolution or of a pool."""

from __future__ import annotations

from dataclasses import dataclass

from evsim.errors import NetworkError

__all__ = ["Window"]

Pair = int | tuple[int, int]
"""Of rows and of columns, or one number for both."""


@dataclass(frozen=True, slots=True)
class Window:
    """out[y, x] sees in[y * stride - padding + i * dilation, ...] for each kernel row i, and so for columns.

    A sequence (conv1d) is a map of one row.

    Parameters
    ----------
    height, width : int
        Of the input map, in pixels.
    kernel, stride, padding, dilation : int or (int, int)
        Of rows and columns.
    ceil : bool
        Whether a last window that is partly outside is kept (PyTorch's `ceil_mode` of pools); one that begins
        outside never is.

    Raises
    ------
    NetworkError
        A size below 1, a negative padding, or no output at all.
    """

    height: int
    width: int
    kernel: Pair = 1
    stride: Pair = 1
    padding: Pair = 0
    dilation: Pair = 1
    ceil: bool = False

    def __post_init__(self) -> None:
        least = min(self.height, self.width, *self.kernels, *self.strides, *self.dilations)
        if least < 1 or min(self.paddings) < 0 or min(self.out_height, self.out_width) < 1:
            raise NetworkError(f"{self}: sizes must be at least 1, paddings at least 0, and an output must remain")

    @property
    def kernels(self) -> tuple[int, int]:
        return _pair(self.kernel)

    @property
    def strides(self) -> tuple[int, int]:
        return _pair(self.stride)

    @property
    def paddings(self) -> tuple[int, int]:
        return _pair(self.padding)

    @property
    def dilations(self) -> tuple[int, int]:
        return _pair(self.dilation)

    @property
    def is_dilated(self) -> bool:
        """Whether the columns of the kernel are not neighbours."""
        return self.dilations[1] > 1

    @property
    def out_height(self) -> int:
        return self._out_size(self.height, 0)

    @property
    def out_width(self) -> int:
        return self._out_size(self.width, 1)

    def taps(self, axis: int) -> list[list[int]]:
        """For each output row (axis 0) or column (axis 1) the input rows that its kernel meets inside the map."""
        size, n_out = ((self.height, self.out_height), (self.width, self.out_width))[axis]
        kernel, stride, padding, dilation = (self.kernels, self.strides, self.paddings, self.dilations)
        origins = (out * stride[axis] - padding[axis] for out in range(n_out))
        seen = ([origin + i * dilation[axis] for i in range(kernel[axis])] for origin in origins)
        return [[place for place in places if 0 <= place < size] for places in seen]

    def square(self) -> tuple[int, int, int, int, int, int, int] | None:
        """Input size, output size, kernel, stride, padding, where both axes have the same and nothing is dilated."""
        pairs = (self.kernels, self.strides, self.paddings, self.dilations)
        if any(rows != cols for rows, cols in pairs) or self.dilations != (1, 1):
            return None
        sizes = (self.height, self.width, self.out_height, self.out_width)
        return (*sizes, *(rows for rows, _ in pairs[:3]))

    def as_tuple(self) -> tuple[int, ...]:
        """What the kernels take: input size, output size; kernel, stride, padding and dilation by rows, columns."""
        sizes = (self.height, self.width, self.out_height, self.out_width)
        return (*sizes, *self.kernels, *self.strides, *self.paddings, *self.dilations)

    def _out_size(self, size: int, axis: int) -> int:
        stride, padding = self.strides[axis], self.paddings[axis]
        room = size + 2 * padding - self.dilations[axis] * (self.kernels[axis] - 1) - 1
        if not self.ceil:
            return room // stride + 1
        n = -(-room // stride) + 1
        return n - ((n - 1) * stride >= size + padding)


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)
