"""Neurons beyond leaky ones with a hard reset: one population, whose kernel is compiled for its form."""
