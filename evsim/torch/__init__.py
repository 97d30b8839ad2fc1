"""Recording a user's own PyTorch model; the only part of evsim that imports PyTorch, and imported by nothing else.

>>> import evsim.torch
>>> report = evsim.torch.trace(model.eval(), example, axes="T,B,C,H,W", out="net.npz")  # doctest: +SKIP
"""

from evsim.torch.neurons import Known, integer, integrate_and_fire, lif, quantiser
from evsim.torch.report import TraceReport
from evsim.torch.trace import trace

__all__ = ["Known", "TraceReport", "integer", "integrate_and_fire", "lif", "quantiser", "trace"]
