"""Firing rates of every population, watched from outside the model."""

from contextlib import contextmanager

from torch import nn

from tools.train.models.neurons import LIF

__all__ = ["watch_rates"]


@contextmanager
def watch_rates(model: nn.Module):
    """Yield a dict that holds, after each forward pass, the mean spikes of each population by module name."""
    rates, handles = {}, []
    for name, module in model.named_modules():
        if isinstance(module, LIF):
            hook = lambda m, i, spikes, name=name: rates.__setitem__(name, spikes.mean())  # noqa: E731
            handles.append(module.register_forward_hook(hook))
    try:
        yield rates
    finally:
        for handle in handles:
            handle.remove()
