"""Weights and their fan-out: spikes in, additions to a current."""
