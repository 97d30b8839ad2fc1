"""The instructions that evsim and PyTorch are both held to, so that a fast processor can stand for a common one.

Read by Numba, oneDNN, ATen and MKL when they are loaded: they are set in the environment of the processes that
measure, and each of these checks that it was heard.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

__all__ = ["HOST", "TARGETS", "Target", "TargetError", "check_held", "hold"]

HOST = "host"
"""Nothing is held: everybody takes what the processor has."""
_CHOSEN = "EVSIM_BENCHMARK_TARGET"


class TargetError(Exception):
    """The host cannot run a target, or somebody does not keep to it: the message says which."""


@dataclass(frozen=True)
class Target:
    """What is asked of each side.

    Parameters
    ----------
    needs : tuple of str
        Features that the host must have.
    numba : str
        The processor that Numba compiles for, with its own features and no others.
    onednn, aten, mkl : str
        The most that each may use.
    """

    needs: tuple[str, ...]
    numba: str
    onednn: str
    aten: str
    mkl: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            "NUMBA_CPU_NAME": self.numba,
            "NUMBA_CPU_FEATURES": "",
            "ONEDNN_MAX_CPU_ISA": self.onednn,
            "ATEN_CPU_CAPABILITY": self.aten,
            "MKL_ENABLE_INSTRUCTIONS": self.mkl,
        }

    def __str__(self) -> str:
        return f"Numba {self.numba}, oneDNN {self.onednn}, ATen {self.aten}"


_AVX2 = ("avx2", "fma", "bmi2")
_AVX512 = (*_AVX2, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")
TARGETS: Mapping[str, Target] = {
    "avx512": Target(_AVX512, "skylake-avx512", "AVX512_CORE", "avx512", "AVX512"),
    "avx2": Target(_AVX2, "haswell", "AVX2", "avx2", "AVX2"),
    "generic": Target((), "generic", "SSE41", "default", "SSE4_2"),
}


def hold(name: str, environment: MutableMapping[str, str] = os.environ, features: Mapping[str, bool] | None = None):
    """Hold every process started from here on to a target.

    Parameters
    ----------
    name : str
        One of `TARGETS`, or `HOST`.
    environment : mutable mapping, optional
        Of these processes.
    features : mapping, optional
        What the host has; asked of the compiler if not given.

    Raises
    ------
    TargetError
        The host lacks what the target needs.
    """
    environment[_CHOSEN] = name
    if name == HOST:
        return
    if features is None:
        from llvmlite import binding

        features = binding.get_host_cpu_features()
    lacking = [feature for feature in TARGETS[name].needs if not features.get(feature)]
    if lacking:
        able = [other for other, target in TARGETS.items() if all(map(features.get, target.needs))]
        raise TargetError(f"--target {name}: this processor has no {', '.join(lacking)}; it can do {', '.join(able)}")
    environment.update(TARGETS[name].environment)


def check_held() -> None:
    """In a process that has loaded both sides: do they keep to the target?

    Raises
    ------
    TargetError
        One of them does not.
    """
    import torch
    from numba import config

    name = os.environ.get(_CHOSEN, HOST)
    if name == HOST:
        return
    target, found = TARGETS[name], torch.backends.cpu.get_cpu_capability().lower()
    if (config.CPU_NAME, config.CPU_FEATURES) != (target.numba, ""):
        raise TargetError(f"--target {name}: Numba compiles for {config.CPU_NAME} {config.CPU_FEATURES}")
    if found != target.aten:
        raise TargetError(f"--target {name}: ATen uses {found}, expected {target.aten}")
