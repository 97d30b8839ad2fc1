"""Unfit: an operation that has no event-driven handler; whoever lowers the graph adds where it stands."""

from __future__ import annotations

__all__ = ["Unfit"]


class Unfit(Exception):
    """What it is, in a few words; it may still run densely, if the user allows that."""
