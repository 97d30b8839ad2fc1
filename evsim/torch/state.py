"""What a model must be before it is recorded: at rest, in evaluation mode, on the CPU, on plain PyTorch kernels."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch

__all__ = ["plain_kernels", "reset", "reset_module"]

_VERBS = ("n_reset", "reset_mem", "reset_hidden", "reset")
_LIBRARIES = {"spikingjelly", "snntorch", "braincog"}
_FAST_BACKENDS = ("cupy", "triton", "inductor", "lava", "lava_exchange")


def reset(model: torch.nn.Module, neurons: Iterable[str] = ()) -> None:
    """Every neuron back to the state before the first step: those of known libraries, and the modules named."""
    named = set(neurons)
    for path, module in model.named_modules():
        packages = {kind.__module__.partition(".")[0] for kind in type(module).__mro__}
        if path in named or packages & _LIBRARIES:
            reset_module(module)


def reset_module(module: torch.nn.Module) -> None:
    """Call whatever resets this neuron, if it has a verb for that."""
    for verb in _VERBS:
        if callable(getattr(module, verb, None)):
            getattr(module, verb)()
            return


@contextmanager
def plain_kernels(model: torch.nn.Module) -> Iterator[None]:
    """While entered, modules that name another backend run on PyTorch's own, and nothing is compiled."""
    changed = []
    for module in model.modules():
        for name in ("backend", "_backend"):
            if vars(module).get(name) in _FAST_BACKENDS:
                changed.append((module, name, vars(module)[name]))
                vars(module)[name] = "torch"
    dynamo = sys.modules.get("torch._dynamo")
    was_disabled = getattr(dynamo.config, "disable", None) if dynamo else None
    if was_disabled is False:
        dynamo.config.disable = True
    try:
        yield
    finally:
        for module, name, value in changed:
            vars(module)[name] = value
        if was_disabled is False:
            dynamo.config.disable = False
