"""inner_kernel: a kernel that only other kernels call, compiled once, inside them.

Numba compiles all that a kernel calls as if Python might call it, too: each function is optimised, turned into machine
code and wrapped for itself, then optimised and turned into machine code again in every kernel that contains it. For an
inner kernel the first is left out: a fifth to a half of all the time that compiling takes. Python cannot call one, but
with NUMBA_DISABLE_JIT=1, where it is an ordinary function as every kernel is.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

from numba import _dynfunc, config, njit, types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder, _LowerResult
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering

__all__ = ["INNER", "inner_kernel"]

_REFUSE = ctypes.cast(ctypes.pythonapi.PyObject_Call, ctypes.c_void_p).value
"""What Python finds behind an inner kernel: calls something that cannot be called, a TypeError."""


class _Linkable(JITCodeLibrary):
    """Code to be linked into kernels, of which no machine code is made."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


class _Rough(_Linkable):
    """The same as Numba wrote it: the kernels that contain it optimise all at once."""

    def _optimize_functions(self, ll_module) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        pass


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(NativeLowering):
    """Numba's own, into a library that is only linkable."""

    _name = "inner_kernel_lowering"
    library: type[_Linkable] = _Linkable

    def run_pass(self, state) -> bool:
        state.flags.no_compile = True
        state.library = library = self.library(state.targetctx.codegen(), state.func_id.func_qualname)
        super().run_pass(state)
        code, name = state["cr"], state.func_id.func_name
        refusal = _dynfunc.make_function(code.fndesc.lookup_module(), name, "", _REFUSE, code.env, (library,))
        state["cr"] = _LowerResult(code.fndesc, code.call_helper, cfunc=refusal, env=code.env)
        state.targetctx.insert_user_function(refusal, code.fndesc, [library])
        return True


@register_pass(mutates_CFG=True, analysis_only=False)
class _RoughLowering(_Lowering):
    _name = "rough_inner_kernel_lowering"
    library = _Rough


class _Compiler(CompilerBase):
    lowering: type[_Lowering] = _Lowering

    def define_pipelines(self) -> list:
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.passes = [(self.lowering if kind is NativeLowering else kind, text) for kind, text in passes.passes]
        passes._finalized = False  # it was finalised with the pass that has just gone
        passes.finalize()
        return [passes]


class _RoughCompiler(_Compiler):
    lowering = _RoughLowering


INNER = {"pipeline_class": _Compiler, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""The options of njit that make an inner kernel."""


def inner_kernel(function: Callable | None = None, is_rough: bool = False, **options) -> Callable:
    """A function compiled into kernels and into other inner kernels; the options are njit's.

    It is kept on disk only with the kernels that contain it: see `kernel` for what happens when its file changes.

    Parameters
    ----------
    function : callable
    is_rough : bool
        It is not optimised before it is linked. Many small functions that make up one large loop compile faster so; a
        hot loop that several kernels contain is faster if it was.
    """
    if function is None:
        return lambda function: inner_kernel(function, is_rough, **options)
    chosen = INNER | {"pipeline_class": _RoughCompiler} if is_rough else INNER
    inner = njit(nogil=True, **chosen, **options)(function)
    if not config.DISABLE_JIT:
        inner.__class__ = _of_plain_types(type(inner))
    return inner


@cache
def _of_plain_types(kind: type) -> type:
    """The class of a dispatcher to which a constant is a number as any other, and not a type of its own."""

    class OfPlainTypes(kind):
        def get_call_template(self, args, kws):
            return super().get_call_template([types.unliteral(arg) for arg in args], kws)

    return OfPlainTypes
