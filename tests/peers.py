"""The counters of other projects, run as they are on the tensors of a test; each skips where it is not installed."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import sys
import types

import pytest

torch = pytest.importorskip("torch")


def syops_counts(model, x):
    """(ACs, MACs) of syops 0.0.5 for one sample x.

    syops asks for class names that no current SpikingJelly has; it is given empty ones, its own code is not touched.
    """
    _offer_neuron_names()
    get_model_complexity_info = pytest.importorskip("syops", exc_type=ImportError).get_model_complexity_info
    stderr, sys.stderr = sys.stderr, io.StringIO()  # its progress bar
    try:
        counts, _ = get_model_complexity_info(
            model, tuple(x.shape), [(x[None], None)], as_strings=False, print_per_layer_stat=False, verbose=False
        )
    finally:
        sys.stderr = stderr
    return counts[1], counts[2]


class Spiking(torch.nn.Module):
    """Stands for the LIF node that syops looks for: counts are of its input's size, whatever it computes.

    Parameters
    ----------
    neuron : callable, optional
        What it computes; a threshold at 1 when left out.
    """

    def __init__(self, neuron=None):
        super().__init__()
        self._neuron = [neuron]  # in a list, so that syops does not find it too

    def forward(self, x):
        neuron = self._neuron[0]
        return (x >= 1).float() if neuron is None else neuron(x)


def _offer_neuron_names():
    if "syops" in sys.modules or importlib.util.find_spec("syops") is None:
        return
    names = (
        "MultiStepIFNode",
        "MultiStepLIFNode",
        "IFNode",
        "LIFNode",
        "MultiStepParametricLIFNode",
        "ParametricLIFNode",
    )
    neuron = types.ModuleType("spikingjelly.clock_driven.neuron")
    for name in names:
        setattr(neuron, name, Spiking if name == "MultiStepLIFNode" else type(name, (torch.nn.Module,), {}))
    functional = types.ModuleType("spikingjelly.clock_driven.functional")
    functional.reset_net = lambda net: None
    package = types.ModuleType("spikingjelly.clock_driven")
    package.neuron, package.functional, package.surrogate = neuron, functional, types.ModuleType("surrogate")
    package.__path__ = []
    with contextlib.suppress(ImportError):
        import spikingjelly  # noqa: F401
    sys.modules.setdefault("spikingjelly", types.ModuleType("spikingjelly"))
    sys.modules["spikingjelly.clock_driven"] = package
    sys.modules["spikingjelly.clock_driven.neuron"] = neuron
    sys.modules["spikingjelly.clock_driven.functional"] = functional


def neurobench_counts(layer, x):
    """(ACs, MACs) of NeuroBench 2.3 for one layer and all of x."""
    macs = pytest.importorskip("neurobench.metrics.utils.layers.macs", exc_type=ImportError)
    with torch.no_grad():
        operations, is_spiking = macs.single_layer_MACs(x, layer)
    return (operations, 0) if is_spiking else (0, operations)


def neurobench_network_counts(model, x):
    """(ACs, MACs) of NeuroBench 2.3 for a whole network, by its own hooks and metric."""
    models = pytest.importorskip("neurobench.models", exc_type=ImportError)
    metrics = pytest.importorskip("neurobench.metrics.workload", exc_type=ImportError)
    hooked, metric = models.TorchModel(model), metrics.SynapticOperations()
    hooked.register_hooks()
    with torch.no_grad():
        found = metric(hooked, hooked(x), (x, None))
    hooked.cleanup_hooks()
    return found["Effective_ACs"], found["Effective_MACs"]


def spikingjelly_counts(function):
    """(SynOps, ACs, MACs) of SpikingJelly 2 while `function()` runs."""
    counter = pytest.importorskip("spikingjelly.activation_based.op_counter", exc_type=ImportError)
    counters = counter.SynOpCounter(), counter.ACCounter(), counter.MACCounter()
    with torch.no_grad(), counter.DispatchCounterMode(list(counters)):
        function()
    return tuple(one.get_total() for one in counters)
