"""Without the barrier: individual spikes, in an order of your choice, through the whole network."""

from evsim.asynchronous.options import Asynchrony
from evsim.asynchronous.simulate import AsynchronousResult, simulate_asynchronously

__all__ = ["AsynchronousResult", "Asynchrony", "simulate_asynchronously"]
