"""Spike-driven self-attention (SDSA): a column of coincidences opens a gate; only AND and addition.

    m = k AND v;   g = LIF(sum over tokens of m);   x = q AND g

Source: Yao et al., Spike-driven Transformer (NeurIPS 2023), eq. 9 and 10, as the official code computes it: the
code's k and v play the paper's Q and K, the code's q plays V. The gate population is an ordinary `LIF` between
`TokenSum` and `Gate`; the event-camera variant puts dilations between these handlers.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.arithmetic.kernel import kernel
from evsim.arithmetic.whole import FINEST, Claim, Fixing
from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.acts import Act, Kind
from evsim.handlers.geometry import Attention, Told, acs_by_head, masks_by_head

__all__ = ["Coincidence", "Gate", "TokenSum"]


class Coincidence:
    """m = k AND v, place by place.

    The larger operand is marked, the events of the smaller are tested: one mask a test.

    Parameters
    ----------
    name : str
    n_tokens, n_channels : int
    n_heads : int
        Contiguous groups of channels; nothing here depends on them, counts by head do.

    Ports "k" and "v". Sets nothing, reads nothing but its inbox.
    """

    def __init__(self, name: str, n_tokens: int, n_channels: int, n_heads: int = 1) -> None:
        self.name = name
        self.n_inputs = 2 * n_tokens * n_channels
        self.geometry = Attention("sdsa", "coincidence", n_tokens, n_heads, n_channels // n_heads)
        self._marks = np.zeros(n_tokens * n_channels, np.uint8)

    def asynchronous(self) -> Act:
        """Passes when the second operand arrives; what came first waits until the end of the step."""
        n = self.n_inputs // 2
        return Act(Kind.COINCIDE, (n,), ("k", "v"), n_outputs=n, n_marks=2 * n)

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """AND of the two operands; nothing is done unless both sent spikes."""
        if len(inbox) < 2:
            return Spikes.none(), OpCounts()
        few, many = sorted((inbox["k"].address, inbox["v"].address), key=len)
        both = np.empty(few.size, np.int32)
        n_both = _intersect(few, many, self._marks, both)
        return Spikes(both[:n_both]), OpCounts(masks=few.size, state_reads=few.size, state_writes=many.size)

    def split_by_head(self, told: Told) -> np.ndarray:
        """One mask for each event of the operand that sent fewer, at steps where both sent some."""
        n_k, n_v = told.events("k"), told.events("v")
        fewer = np.where((n_k <= n_v)[:, None], told.by_head("k"), told.by_head("v"))
        return masks_by_head(fewer[(n_k > 0) & (n_v > 0)].sum(axis=0))

    def reset(self) -> None:
        """Nothing is remembered between steps."""


class TokenSum:
    """X[channel] = number of tokens whose channel spiked: one addition of 1 for each event.

    Parameters
    ----------
    name : str
    n_tokens : int
    current : Current
        [1, n_channels], the input of the gate population.
    n_heads : int
        Contiguous groups of channels; nothing here depends on them, counts by head do.

    Incs `current`, reads nothing but its inbox.
    """

    def __init__(self, name: str, n_tokens: int, current: Current, n_heads: int = 1) -> None:
        if current.n_places != 1:
            raise NetworkError(f"{name}: sums tokens into one place, its current has {current.n_places}")
        self.name = name
        self.current = current
        self.n_inputs = n_tokens * current.n_channels
        self.geometry = Attention("sdsa", "sum", n_tokens, n_heads, current.n_channels // n_heads)
        self._one = 1
        current.join_writer(name, whole=True)

    def claim(self, fixing: Fixing) -> Claim:
        """At most every token; whole numbers at any scale, and a membrane likes a fine one."""
        return Claim(FINEST, FINEST, self.n_inputs // self.current.n_channels, 0)

    def fix(self, fixing: Fixing) -> None:
        """An event is one whole step of the current's scale.

        Raises
        ------
        NetworkError
            The current's scale is coarser than 1.
        """
        if self.current.exponent < 0:
            raise NetworkError(
                f"{self.name}: its current has the scale 2^{self.current.exponent}, expected 2^0 or finer"
            )
        self._one = 1 << self.current.exponent

    def asynchronous(self) -> Act:
        """Adds 1 at once: the gate may open early."""
        return Act(Kind.SUM_TOKENS, (self.current.n_channels, self._one), writes=self.current)

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Add the delivered events to their columns."""
        address = inbox["spikes"].address
        n = address.size
        rows = self.current.rows(step)
        _add_columns(address, self.current.n_channels, self._one, rows.value[0])
        rows.touched[0] |= n > 0
        return Spikes.none(), OpCounts(acs=n, unit_acs=n, state_reads=n, state_writes=n)

    def split_by_head(self, told: Told) -> np.ndarray:
        """One addition for each event."""
        return acs_by_head(told.by_head("spikes").sum(axis=0))

    def reset(self) -> None:
        """Forget the current of an unfinished step."""
        self.current.reset()


class Gate:
    """x[token, channel] = q[token, channel] AND g[channel]: one mask for each event of q at an open step.

    Parameters
    ----------
    name : str
    n_tokens, n_channels : int
    n_heads : int
        Contiguous groups of channels; nothing here depends on them, counts by head do.

    Ports "q" and "gate". Sets nothing, reads nothing but its inbox.
    """

    def __init__(self, name: str, n_tokens: int, n_channels: int, n_heads: int = 1) -> None:
        self.name = name
        self.n_channels = n_channels
        self.n_inputs = (n_tokens + 1) * n_channels
        self.geometry = Attention("sdsa", "gate", n_tokens, n_heads, n_channels // n_heads)
        self._open = np.zeros(n_channels, np.uint8)

    def asynchronous(self) -> Act:
        """q waits until its channel opens; when it does, what waited passes."""
        n = self.n_inputs - self.n_channels
        return Act(
            Kind.GATE, (n // self.n_channels, self.n_channels), ("q", "gate"), n_outputs=n, n_marks=self.n_inputs
        )

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """The events of q whose channel is open; nothing is done unless both operands sent spikes."""
        if len(inbox) < 2:
            return Spikes.none(), OpCounts()
        query, gate = inbox["q"].address, inbox["gate"].address
        passed = np.empty(query.size, np.int32)
        n_passed = _pass_gate(query, gate, self.n_channels, self._open, passed)
        counts = OpCounts(masks=query.size, state_reads=query.size, state_writes=gate.size)
        return Spikes(passed[:n_passed]), counts

    def split_by_head(self, told: Told) -> np.ndarray:
        """One mask for each event of q, at steps where some gate is open."""
        return masks_by_head(told.by_head("q")[told.events("gate") > 0].sum(axis=0))

    def reset(self) -> None:
        """Nothing is remembered between steps."""


@kernel
def _intersect(few, many, marks, both):
    for event in range(many.size):
        marks[many[event]] = 1
    n_both = 0
    for event in range(few.size):
        both[n_both] = few[event]
        n_both += marks[few[event]]
    for event in range(many.size):
        marks[many[event]] = 0
    return n_both


@kernel(error_model="numpy")
def _add_columns(address, n_channels, one, columns):
    for event in range(address.size):
        columns[address[event] % n_channels] += one


@kernel(error_model="numpy")
def _pass_gate(query, gate, n_channels, is_open, passed):
    for event in range(gate.size):
        is_open[gate[event]] = 1
    n_passed = 0
    for event in range(query.size):
        passed[n_passed] = query[event]
        n_passed += is_open[query[event] % n_channels]
    for event in range(gate.size):
        is_open[gate[event]] = 0
    return n_passed
