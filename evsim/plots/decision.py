"""plot_decision: the logits over the deliveries of a run without layer barriers, and when its class was settled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evsim.asynchronous.simulate import AsynchronousResult
from evsim.errors import EvsimError
from evsim.plots.theme import LIGHT, PALETTE, Theme

__all__ = ["plot_decision"]


def plot_decision(ax, result: AsynchronousResult, names: Sequence[str] | None = None, theme: Theme = LIGHT):
    """One line a class, the logits summed over the steps so far; a vertical line where the class changed last.

    Parameters
    ----------
    ax : matplotlib Axes
    result : AsynchronousResult
        Of a run with ``keeps_curve=True``.
    names : sequence of str, optional
        Of the classes; their numbers when left out.
    theme : Theme

    Returns
    -------
    Axes

    Raises
    ------
    EvsimError
        The run kept no curve.
    """
    if result.curve is None:
        raise EvsimError("the run kept no logits over its deliveries: run again with keeps_curve=True")
    deliveries, logits = result.curve[:, 0], result.curve[:, 1:]
    for index in np.argsort(-result.logits, kind="stable")[::-1]:
        is_predicted = index == result.prediction
        label = f"class {names[index] if names else index}" if is_predicted else None
        colour = theme.ink if is_predicted else PALETTE[index % len(PALETTE)]
        width = 1.6 if is_predicted else 0.7
        ax.step(deliveries, logits[:, index], where="post", color=colour, linewidth=width, label=label)
    share = f"after {result.decision.delivery:,} deliveries, {100 * result.decision.share:.0f} %"
    ax.axvline(result.decision.delivery, color=theme.off, linewidth=0.9, linestyle="--", label=f"decision {share}")
    ax.set(xlim=(0, max(1, result.deliveries)), xlabel="deliveries", ylabel="logits, summed over steps")
    ax.legend(frameon=False, loc="best")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return ax
