"""How each of PyTorch's operations is written in nodes of a graph: a file a kind, each with its table `RULES`."""
