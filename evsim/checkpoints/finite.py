"""check_finite: no network computes anything sensible with a weight that is not a number."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.checkpoints.refusal import Refused, shown

__all__ = ["check_finite"]

_MOST_NAMED = 3


def check_finite(tensors: Mapping[str, np.ndarray]) -> None:
    """Pass when every value of every tensor is finite.

    Raises
    ------
    Refused
        Naming the first tensors that hold NaN or an infinity.
    """
    broken = [name for name, tensor in tensors.items() if not np.all(np.isfinite(tensor))]
    if broken:
        names = ", ".join(shown(name) for name in broken[:_MOST_NAMED])
        more = f" and {len(broken) - _MOST_NAMED} more" if len(broken) > _MOST_NAMED else ""
        raise Refused(f"NaN or infinite values in the tensors {names}{more}")
