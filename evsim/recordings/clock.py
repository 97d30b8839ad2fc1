"""Clock: the time column of a file as whole microseconds, or a refusal where its digits do not say them."""

from __future__ import annotations

import numpy as np

from evsim.errors import RecordingError

__all__ = ["MAX_TIME", "UNITS", "Clock"]

UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6, "ns": 1e-3}
"""Microseconds in a unit."""

# Differences of time stamps must fit an int64 too.
MAX_TIME = 2**62
LATEST = 10**17
"""Microseconds: three thousand years. Whole numbers beyond are nanoseconds since 1970, or no times at all."""

COARSEST = 1000.0
"""Microseconds: a column that keeps its times no finer than this holds no recording."""

PERIODS = (2**31, 2**32)
"""Counters that wrap; those of fewer bits are unwrapped by the decoder of their format."""


class Clock:
    """Turns time stamps into int64 microseconds, piece by piece, and remembers how often their counter wrapped.

    Parameters
    ----------
    path
        For messages.
    unit : str, optional
        What the user says; else what the file says, else whole numbers are microseconds.
    """

    def __init__(self, path, unit: str | None = None) -> None:
        if unit is not None and unit not in UNITS:
            raise RecordingError(f"{path}: unknown time unit {unit!r}; expected one of {', '.join(UNITS)} (--unit)")
        self._path = path
        self._told = unit
        self._last: int | None = None
        self._lap = self._n_wraps = 0
        self._period = 0
        self._notes: set[str] = set()

    @property
    def notes(self) -> list[str]:
        """What was done to the times so far."""
        notes = sorted(self._notes)
        if self._n_wraps:
            bits, times = self._period.bit_length() - 1, "once" if self._n_wraps == 1 else f"{self._n_wraps} times"
            notes.append(f"the {bits}-bit counter of the time wrapped {times}; the time stamps were unwrapped")
        return notes

    def read(self, t: np.ndarray, unit: str | None = None) -> np.ndarray:
        """The times of some events; `unit` is the file's.

        Raises
        ------
        RecordingError
            Not a time, out of range, fractions of no known unit, digits that were lost.
        """
        t, known = np.asarray(t), self._told or unit
        scale = UNITS[known or "us"]
        if not t.size:
            return t.astype(np.int64)
        self._refuse_lost_digits(t, scale)
        if t.dtype.kind == "f":
            whole = self._unwrap(self._rounded(t.astype(np.float64) * scale, known))
        else:
            extreme = max(abs(int(t.min())), abs(int(t.max()))) * scale
            if extreme > MAX_TIME or int(t.max()) >= 2**63:
                raise RecordingError(f"{self._path}: a time stamp of {extreme:.0f} us is out of range")
            whole = self._unwrap(t.astype(np.int64))
            whole = whole // 1000 if known == "ns" else whole * int(scale) if scale > 1 else whole
        if known is None and int(np.abs(whole).max()) > LATEST:
            raise RecordingError(
                f"{self._path}: time stamps near {int(whole[0])} are no microseconds; nanoseconds since 1970? "
                "say --unit ns, or what they are"
            )
        if known not in (None, "us"):
            self._notes.add(f"time stamps were in {known}")
        return whole

    def _rounded(self, t: np.ndarray, known: str | None) -> np.ndarray:
        bad = np.flatnonzero(~(np.abs(t) <= MAX_TIME))
        if bad.size:
            raise RecordingError(f"{self._path}: time stamp number {bad[0]} is {t[bad[0]]}, not a time")
        if np.spacing(np.abs(t).max()) > 1:
            raise RecordingError(f"{self._path}: a time stamp of {np.abs(t).max():.6g} us is out of range")
        whole = np.rint(t)
        if known is None and not np.array_equal(whole, t):
            is_unsorted = np.count_nonzero(t[1:] < t[:-1]) > t.size // 20
            raise RecordingError(
                f"{self._path}: time stamps with fractions ({t[whole != t][0]:g}): say their unit with --unit s, ms, "
                "us or ns (unit='s', ...)"
                + (
                    "; they are in no order of time either: say what the columns are with --layout"
                    if is_unsorted
                    else ""
                )
            )
        return whole.astype(np.int64)

    def _refuse_lost_digits(self, t: np.ndarray, scale: float) -> None:
        """Floats of few bits, or numbers that went through such floats, keep no times since 1970."""
        kind = t.dtype if t.dtype.kind == "f" and t.dtype.itemsize < 8 else np.dtype(np.float32)
        finite = t[np.isfinite(t)] if t.dtype.kind == "f" else t
        if not finite.size:
            return
        low, high = float(finite.min()), float(finite.max())
        # Of other columns all must be coarse, not the largest one alone.
        size = max(abs(low), abs(high)) if t.dtype == kind else max(low, -high, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            spacing = float(np.spacing(kind.type(size))) * scale
            lost = t.dtype == kind or (spacing > COARSEST and t.size > 1 and np.array_equal(t, t.astype(kind)))
        if lost and spacing > COARSEST:
            raise RecordingError(
                f"{self._path}: the time stamps have lost their digits: near {size:.10g} a {kind} keeps "
                f"steps of {spacing / 1e6:g} s; store them as whole microseconds or float64"
            )
        if lost and spacing > 1:
            self._notes.add(f"the time stamps are {kind}, which keeps them to {spacing:.3g} us")

    def _unwrap(self, values: np.ndarray) -> np.ndarray:
        """Laps added where a counter of 31 or 32 bits starts anew; any other step back is left to the order check."""
        steps = np.diff(values, prepend=values[0] if self._last is None else self._last)
        self._last = int(values[-1])
        if not self._period:
            self._period = next((period for period in PERIODS if _wraps(values, steps, period)), 0)
        if not self._period:
            return values
        down, up = (sign * steps >= self._period // 16 * 15 for sign in (-1, 1))
        laps = self._lap + np.cumsum(down.astype(np.int64) - up)
        self._n_wraps += int(np.count_nonzero(down)) - int(np.count_nonzero(up))
        self._lap = int(laps[-1])
        return values + self._period * laps


def _wraps(values: np.ndarray, steps: np.ndarray, period: int) -> bool:
    """Whether a step back of nearly a whole period is a wrap: all values then are below it, or of a signed column."""
    if int(steps.min()) > -(period // 16 * 15):
        return False
    low, high = int(values.min()), int(values.max())
    return (0 <= low and high < period) or (-(period // 2) <= low and high < period // 2)
