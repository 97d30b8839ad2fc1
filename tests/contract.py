"""What every handler must obey. `check_handler(make_handler, inboxes)` is the five-line test of a new handler:

def test_my_handler_obeys_the_contract():
    check_handler(lambda: MyHandler("mine", 4, Current(4, 8)), [{"spikes": random_spikes(rng, 32, 0.3)}, None, {...}])

One inbox a step; None is a step at which nobody calls the handler. A handler that reads a `Current` finds under the
port "current" what earlier writers left there, as dense (value, touched). Its twin comes from `twins.TWINS`.
"""

from __future__ import annotations

import math
import os
import sys
from contextlib import contextmanager

import numpy as np
import pytest

from evsim.engine.current import Current
from evsim.engine.ledger import COUNTS, OpCounts
from evsim.engine.spikes import Spikes
from tests.twins import TWINS, DenseCurrents

JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")
needs_jit = pytest.mark.skipif(not JIT, reason="too slow without the compiler")


def check_handler(make_handler, inboxes, twin=None):
    """Run `inboxes` through a fresh handler in every way that must not matter, and against its dense twin.

    Returns what the handler gave at each step: (spikes, counts), or None where it was not called.
    """
    handler = make_handler()
    first = _play(handler, inboxes)
    for given in first:
        _check_output(handler, given)
    _check_same(first, _play(make_handler(), inboxes), "a second handler of the same kind")
    handler.reset()
    _check_same(first, _play(handler, inboxes), "the same handler after reset")
    with interpreted():
        _check_same(first, _play(make_handler(), inboxes), "the kernels without the compiler")
    _check_twin(make_handler(), inboxes, twin or TWINS[type(handler)])
    _check_silence(make_handler(), {port for inbox in inboxes for port in inbox or {}} - {"current"})
    return [given and given[:2] for given in first]


def _play(handler, inboxes):
    """(spikes, counts, [(value, touched) of each written current]) a step."""
    given = []
    for step, inbox in enumerate(inboxes):
        if inbox is None and not getattr(handler, "wakes_itself", False):
            given.append(None)
            continue
        inbox = dict(inbox or {})
        _fill(handler, step, inbox.pop("current", None))
        kept = {port: _copy(spikes) for port, spikes in inbox.items()}
        spikes, counts = handler.handle(step, inbox)
        for port, before in kept.items():
            assert same_spikes(inbox[port], before), f"{handler.name} changed the spikes at its port {port!r}"
        written = [current.rows(step) for current in _currents(handler, "writers")]
        given.append((spikes, counts, [(rows.value.copy(), rows.touched.copy()) for rows in written]))
    return given


def _fill(handler, step, content):
    """Put what earlier writers left into the current that the handler reads."""
    if content is not None:
        for current in _currents(handler, "readers"):
            rows = current.rows(step)
            rows.value[:], rows.touched[:] = content


def _currents(handler, side):
    """The currents that the handler has joined as one of the `side`: writers or readers."""
    return [c for c in vars(handler).values() if isinstance(c, Current) and handler.name in getattr(c, side)]


def _check_output(handler, given):
    if given is None:
        return
    spikes, counts, written = given
    check_spikes(spikes, math.prod(getattr(handler, "shape", (2**31,))))  # the twin bounds those without a shape
    for name, value in counts.as_dict().items():
        assert isinstance(getattr(counts, name), int | np.integer), f"{name} is no integer"
        assert value >= 0, f"{name} is negative"
    assert (counts.events_in, counts.events_out, counts.queue_ops) == (0, 0, 0), "the simulator counts the traffic"
    for value, touched in written:
        assert value.dtype == np.float32
        assert not value[touched == 0].any(), "an untouched place holds something"


def check_spikes(spikes, size):
    """Addresses sorted, unique, int32 and in range; no payload of zero."""
    assert spikes.address.dtype == np.int32
    assert (np.diff(spikes.address) > 0).all(), "addresses are not sorted and unique"
    if len(spikes):
        assert spikes.address[0] >= 0
        assert spikes.address[-1] < size, "an address lies outside"
    if spikes.payload is not None:
        assert spikes.payload.dtype in (np.int32, np.float32)
        assert spikes.payload.shape == spikes.address.shape
        assert (spikes.payload != 0).all(), "an event of value zero"


def _check_same(first, second, what):
    for step, (a, b) in enumerate(zip(first, second, strict=True)):
        if a is not None:
            assert same_spikes(a[0], b[0]), f"{what} sends other spikes at step {step}"
            assert a[1] == b[1], f"{what} counts otherwise at step {step}"
            for (value, touched), (value_b, touched_b) in zip(a[2], b[2], strict=True):
                np.testing.assert_array_equal(value, value_b)
                np.testing.assert_array_equal(touched, touched_b)


def _check_twin(handler, inboxes, twin):
    """Spikes and counts equal the twin's; currents up to the order of float32 sums."""
    currents, memory = DenseCurrents(), {}
    for step, (inbox, given) in enumerate(zip(inboxes, _play(handler, inboxes), strict=True)):
        inbox = dict(inbox or {})
        content = inbox.pop("current", None)
        for current in _currents(handler, "readers") if content is not None else []:
            rows = currents.at(current, step)
            rows.value[:], rows.touched[:] = content
        ports = {port: spikes for port, spikes in inbox.items() if len(spikes)}
        out, counts = twin(handler, step, ports, currents, memory)
        out = Spikes.none() if out is None else Spikes.from_dense(out)
        if given is None:
            assert len(out) == 0, f"the twin has something to send at step {step}, which sleeps"
            continue
        assert same_spikes(given[0], out), f"the twin sends other spikes at step {step}"
        assert given[1] == counts, f"step {step}: {_difference(given[1], counts)}"
        for current, (value, touched) in zip(_currents(handler, "writers"), given[2], strict=True):
            rows = currents.at(current, step)
            np.testing.assert_array_equal(touched != 0, rows.touched)
            np.testing.assert_allclose(value, rows.value, rtol=1e-5, atol=1e-5)


def _difference(found, expected):
    """The counts that differ, in words."""
    names = [name for name in COUNTS if getattr(found, name) != getattr(expected, name)]
    return ", ".join(f"{name} is {getattr(found, name)}, the twin counts {getattr(expected, name)}" for name in names)


def _check_silence(handler, ports):
    """A call without an event sends nothing and costs nothing, unless a bias alone acts (populations, readout)."""
    spikes, counts = handler.handle(0, dict.fromkeys(ports, Spikes.none()))
    if not getattr(handler, "wakes_itself", False):
        assert len(spikes) == 0, "spikes out of nothing"
        if not hasattr(handler, "logits"):
            assert counts == OpCounts(), f"silence costs {_difference(counts, OpCounts())}"
    for current in _currents(handler, "writers") if not getattr(handler, "wakes_itself", False) else []:
        assert not current.rows(0).touched.any(), "silence touched a current"


@contextmanager
def interpreted():
    """Every kernel of evsim as plain Python."""
    kernels = [
        (module, name, kernel)
        for module in list(sys.modules.values())
        if getattr(module, "__name__", "").startswith("evsim")
        for name, kernel in vars(module).items()
        if hasattr(kernel, "py_func")
    ]
    for module, name, kernel in kernels:
        setattr(module, name, kernel.py_func)
    try:
        yield
    finally:
        for module, name, kernel in kernels:
            setattr(module, name, kernel)


def same_spikes(a, b):
    """Equal addresses, and equal payloads (a binary spike has payload 1)."""
    return np.array_equal(a.address, b.address) and np.array_equal(_values(a), _values(b))


def _values(spikes):
    return np.ones(len(spikes), np.int32) if spikes.payload is None else spikes.payload


def _copy(spikes):
    return Spikes(spikes.address.copy(), None if spikes.payload is None else spikes.payload.copy())


# --- operands for the tests -------------------------------------------------------------------------------------------


def random_spikes(rng, size, density, kind="binary"):
    """Spikes over `size` places; kind: binary, integer (counts, some negative) or real (multiples of 1/16)."""
    active = rng.random(size) < density
    if kind == "binary":
        return Spikes.from_dense(active)
    address = np.flatnonzero(active).astype(np.int32)
    payload = rng.choice([-2, -1, 1, 2, 3, 7], address.size).astype(np.int32)
    if kind == "integer":
        return Spikes(address, payload)
    return Spikes(address, (payload / 16).astype(np.float32))


def dyadic(rng, *shape, scale=1.0, unit=64):
    """Random multiples of 1/unit: float32 sums of them are exact in any order."""
    return np.round(rng.normal(0, scale, shape) * unit) / unit
