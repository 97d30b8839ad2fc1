"""Without the barrier: individual spikes, in an order of your choice, through the whole network."""

import importlib

_WHERE = {
    "AsynchronousResult": "simulate",
    "Asynchrony": "options",
    "simulate_asynchronously": "simulate",
}
__all__ = list(_WHERE)


def __getattr__(name: str):
    """The kernels are imported when a run is asked for, not with the options."""
    if name in _WHERE:
        return getattr(importlib.import_module(f"evsim.asynchronous.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'evsim.asynchronous' has no attribute {name!r}")
