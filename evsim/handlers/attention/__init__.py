"""Spiking attention: one mechanism a file."""
