"""Inner kernels: compiled into others as any, and for nobody else."""

import numpy as np
import pytest
from numba import config, njit

from evsim.arithmetic.inner_kernel import inner_kernel
from evsim.arithmetic.kernel import kernel

needs_jit = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")


@inner_kernel(error_model="numpy", is_rough=True)
def _double(x, times):
    for _ in range(times):
        x = x * 2
    return x


@inner_kernel(error_model="numpy", forceinline=True)
def _sum_doubles(values, times):
    total = values[0] * 0
    for value in values:
        total += _double(value, times)
    return total


@kernel(error_model="numpy")
def _add_doubles(values):
    return _sum_doubles(values, 0) + _sum_doubles(values, 1) + _sum_doubles(values, values.size)


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_inner_kernels_do_what_kernels_do(dtype):
    assert _add_doubles(np.array([1, 2, 4], dtype)) == 7 + 14 + 56


@needs_jit
def test_a_constant_has_no_code_of_its_own():
    assert njit(_add_doubles.py_func)(np.array([1.0])) == 1 + 2 + 2  # out of no cache
    assert len([types for types in _sum_doubles.signatures if types[0].dtype.name == "float64"]) == 1


@needs_jit
def test_no_machine_code_is_made_of_an_inner_kernel_and_python_is_refused():
    assert njit(_add_doubles.py_func)(np.ones(3, np.float32)) == 3 + 6 + 24
    with pytest.raises(TypeError):
        _sum_doubles(np.ones(3, np.float32), 2)
    with pytest.raises(TypeError):  # types that nobody has asked for yet
        _double(1j, 2)
