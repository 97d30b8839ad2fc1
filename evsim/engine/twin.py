"""twin: a second network over the same weights, so that several recordings can run at once."""

from __future__ import annotations

import copy

from evsim.engine.network import Network

__all__ = ["twin"]


def twin(network: Network) -> Network:
    """A network with a state of its own that shares the arrays its handlers declare as `constants`.

    A handler without such a declaration is copied whole: right, only larger.

    Parameters
    ----------
    network : Network
        Not running at the moment.
    """
    network.reset()
    shared = {}
    for handler in network.handlers:
        for name in getattr(handler, "constants", ()):
            array = getattr(handler, name)
            shared[id(array)] = array
    return copy.deepcopy(network, shared)
