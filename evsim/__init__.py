"""evsim: trained spiking transformers, run event by event on a CPU, every operation counted where it happens.

What is public is what `__all__` lists, importable from ``evsim`` itself. These names, their parameters and the keys of
their tables keep their meaning within a major version; everything else may move between any two versions. Nothing is
imported before it is used.

>>> import evsim
>>> net = evsim.load("sdt-nmnist")
>>> run = net.run()
>>> run.prediction
7
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    "Asynchrony": "asynchronous.options",
    "AuditReport": "api.audit_report",
    "Counts": "api.counts",
    "EvsimError": "errors",
    "LayerSpikes": "api.layer_spikes",
    "Run": "api.run",
    "Spikes": "engine.spikes",
    "TrainedNetwork": "api.trained_network",
    "audit": "api.audit",
    "bundled": "loading.zoo",
    "evaluate": "api.evaluate",
    "lint": "api.audit",
    "load": "api.load",
    "read_recording": "recordings.read",
    "verify": "api.verify",
}
"""Public name: the module that holds it."""

__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'evsim' has no attribute {name!r}; public names: {', '.join(__all__)}")
    found = globals()[name] = getattr(import_module(f"evsim.{_HOME[name]}"), name)
    return found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
