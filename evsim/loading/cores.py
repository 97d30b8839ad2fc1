"""How many cores this process may use."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["available_cores"]

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Of a container: microseconds of processor time, or "max", and the period in which it may use them."""


def available_cores() -> int:
    """Cores of this machine, or as many of them as the process or its container is held to."""
    try:
        n_cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        n_cores = os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = map(int, _QUOTA.read_text(encoding="ascii").split())
        n_cores = min(n_cores, max(1, round(quota / period)))
    return n_cores
