"""Spiking self-attention (SSA): O = scale * Q K^T V on spikes, without softmax, exact integers in either order.

    Q (K^T V) = (Q K^T) V

Source: Zhou et al., Spikformer (ICLR 2023), eq. 6 and 7, as the official code computes it: `scale` is a constant of
the model file (1/8 or 1/4), and the population behind it has threshold 1/2. Products and sums are whole numbers
below 2^24 and the scale is a power of two, so float32 holds the current exactly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from evsim.arithmetic.whole import FINEST, Claim, Fixing
from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.errors import NetworkError
from evsim.handlers.acts import Act, Kind
from evsim.handlers.attention.ssa_order import plan_order
from evsim.handlers.attention.ssa_products import multiply_keys_and_values_first, multiply_queries_and_keys_first
from evsim.handlers.attention.ssa_scratch import Scratch
from evsim.handlers.geometry import Attention, Told
from evsim.handlers.views.address_map import AddressMap

__all__ = ["SSA"]


class SSA:
    """X[n, j] += scale * sum over m, i of q[n, i] k[m, i] v[m, j], head by head, in the cheaper order.

    A key event matters only if its token holds a value event and its channel a query event of the same head; the
    others are set aside first. With the rest, counted exactly before anything is multiplied:

    * keys and values first: each (key, value) pair of a token adds 1 to an entry of K^T V (head_channels squared);
      each query event then adds one whole row of it, unless that row is empty;
    * queries and keys first: each (query, key) pair of a channel adds 1 to an entry of Q K^T (n_tokens squared);
      each nonzero entry is then added once for each value event of its key token.

    Parameters
    ----------
    name : str
    n_heads : int
        Heads are contiguous groups of channels.
    scale : float
    current : Current
        [n_tokens, n_channels], the input of the attention's population.
    order : {"kv", "qk"} or None
        Which product comes first; None takes the one with fewer additions at each step.
    official_order : {"qk", "kv"}
        Which comes first in the official code; nothing here depends on it, other people's ways of counting do.
    maps : dict of str to AddressMap, optional
        By port, from the places of a stream to (token * n_heads + head) * head_channels + channel, where it has
        another layout. Without fan-out.

    Raises
    ------
    NetworkError
        The channels do not divide by the heads, or the scale is no power of two.

    A mask is a key event tested for a partner, or a pair of spikes that met (an AND that came out 1). An addition
    (`acs`) is one integer added to an entry of the first product or to an output. `acs_kv_first` and
    `acs_qk_first` say what each order would have added, `order_ands` what it took to know. Each output that was
    added to is scaled once.
    Ports "q", "k" and "v", binary. Incs `current`, reads nothing but its inbox.
    """

    def __init__(
        self,
        name: str,
        n_heads: int,
        scale: float,
        current: Current,
        order: str | None = None,
        official_order: str = "qk",
        maps: Mapping[str, AddressMap] | None = None,
    ) -> None:
        if current.n_channels % n_heads:
            raise NetworkError(f"{name}: {current.n_channels} channels do not divide by {n_heads} heads")
        if math.frexp(scale)[0] != 0.5:
            raise NetworkError(f"{name}: scale {scale} is no power of two, so its products would be rounded")
        self.name = name
        self.n_heads = n_heads
        self.head_channels = current.n_channels // n_heads
        self.scale = np.float32(scale)
        self.current = current
        self.order = order
        self.official_order = official_order
        self.maps = dict(maps or {})
        for port, map in self.maps.items():
            if map.n_targets != current.n_places * current.n_channels or map.fan_out > 1:
                raise NetworkError(f"{name}: the map of {port} has {map.n_targets} places, {map.fan_out} of one event")
        self._shape = (current.n_places, n_heads, self.head_channels)
        self.scratch = Scratch(current.n_places, n_heads, self.head_channels)
        self.n_inputs = 3 * current.n_places * current.n_channels
        current.join_writer(name, whole=True)

    def claim(self, fixing: Fixing) -> Claim:
        """At most every channel of every token; multiples of the scale, and a membrane likes a finer one."""
        reach = float(self.scale) * self.current.n_places * self.head_channels
        return Claim(FINEST, FINEST, reach, 0)

    def fix(self, fixing: Fixing) -> None:
        """The scale, a power of two, in whole steps of the current: products stay exact.

        Raises
        ------
        NetworkError
            The current's scale is coarser than the attention's.
        """
        exponent = self.current.exponent
        if exponent < self._least_exponent():
            raise NetworkError(
                f"{self.name}: scale {self.scale:g} in a current of scale 2^{exponent}, expected a finer one"
            )
        self.scale = np.int64(math.ldexp(float(self.scale), exponent))

    def _least_exponent(self) -> int:
        return 1 - math.frexp(self.scale)[1]

    @property
    def geometry(self) -> Attention:
        """What it says of itself to conventions."""
        told = {"starts_with": self.official_order, "keeps_spikes": True, "scales_by_shift": True}
        return Attention("ssa", "product", *self._shape, **told)

    def split_by_head(self, told: Told) -> np.ndarray:
        """Each head multiplied again by itself, in the order that was taken for all heads together."""
        split = np.zeros((self.n_heads, 2), np.int64)
        for step, counts in enumerate(told.steps):
            if not counts.masks:
                continue  # an operand was silent: nothing was done
            inbox = {port: self._moved(port, told.spikes(port, step)) for port in "qkv"}
            order = "kv" if counts.acs_kv_first <= counts.acs_qk_first else "qk"
            for head in range(self.n_heads):
                split[head] += self._multiply_head({p: self._of_head(s, head) for p, s in inbox.items()}, order)
        return split

    def pairs(self, told: Told) -> dict[str, int]:
        """What others count of the products, over all steps.

        "qk" and "kv" are coincidences of q and k (sum over channels) and of k and v (sum over tokens and heads),
        "kv_largest" the largest entry of K^T V, and "output" the sum of Q K^T V before it is scaled.
        """
        found = {"qk": 0, "kv": 0, "kv_largest": 0, "output": 0}
        size = math.prod(self._shape)
        for step in range(len(told.steps)):
            q, k, v = (self._moved(port, told.spikes(port, step)).to_dense(size).reshape(self._shape) for port in "qkv")
            product = np.einsum("nhi,nhj->hij", k.astype(np.float32), v.astype(np.float32), optimize=True)
            found["qk"] += int((q.sum(axis=0) * k.sum(axis=0)).sum())
            found["kv"] += int(product.sum(dtype=np.float64))
            found["kv_largest"] = max(found["kv_largest"], int(product.max()))
            found["output"] += int((q.sum(axis=0) * product.sum(axis=2, dtype=np.float64)).sum())
        return found

    def _multiply_head(self, inbox: Mapping[str, Spikes], order: str) -> tuple[int, int]:
        """Additions and masks of one head; where it lacks an operand its keys were tested in vain."""
        if not all(map(len, inbox.values())):
            return 0, len(inbox["k"])
        alone = SSA("head", 1, 1.0, Current(self.current.n_places, self.head_channels), order)
        counts = alone.handle(0, inbox)[1]
        return counts.acs, counts.masks

    def _of_head(self, spikes: Spikes, head: int) -> Spikes:
        """The spikes of one head, addressed as if it were the only one."""
        token, channel = np.divmod(spikes.address, self.current.n_channels)
        here = channel // self.head_channels == head
        return Spikes((token * self.head_channels + channel % self.head_channels)[here].astype(np.int32))

    def asynchronous(self) -> Act | None:
        """Bilinear in what is there: an event adds what it forms with the events before it; in its own layout only."""
        if self.maps:
            return None
        n_tokens, n_places = self.current.n_places, self.current.n_places * self.current.n_channels
        sizes = {"n_marks": 3 * n_places, "n_sums": self.n_heads * n_tokens**2}
        numbers = (n_tokens, self.n_heads, self.head_channels)
        return Act(Kind.MULTIPLY, numbers, ("q", "k", "v"), writes=self.current, scales=np.array([self.scale]), **sizes)

    def handle(self, step: int, inbox: Mapping[str, Spikes]) -> tuple[Spikes, OpCounts]:
        """Multiply the three operands; nothing is done unless each sent spikes."""
        if len(inbox) < 3 or not all(map(len, inbox.values())):
            return Spikes.none(), OpCounts()
        q, k, v = (self._moved(port, inbox[port]).address for port in "qkv")
        own, tests = self.scratch, k.size
        kv_first, qk_first, ands, n_kept = plan_order(self._shape, q, k, v, *own.index)
        if n_kept == 0:
            return Spikes.none(), OpCounts(masks=tests)
        rows = self.current.rows(step)
        operands = (self._shape, q, own.q_start, own.kept[:n_kept], v, own.v_start, own.v_marks, own.n_keys)
        if self._starts_with_kv(kv_first, qk_first):
            pairs, added, read, written = multiply_keys_and_values_first(
                *operands, own.product, own.sums, self.scale, rows.value, rows.touched
            )
        else:
            pairs, added, read, written = multiply_queries_and_keys_first(
                *operands, own.keys, own.row, own.sums, own.most_by_pair, self.scale, rows.value, rows.touched
            )
        return Spikes.none(), OpCounts(
            masks=tests + pairs,
            acs=pairs + added,
            event_acs=pairs + added,
            scalings=written,
            state_reads=pairs + read + written,
            state_writes=pairs + written,
            acs_kv_first=kv_first,
            acs_qk_first=qk_first,
            order_ands=ands,
        )

    def reset(self) -> None:
        """Forget the current of an unfinished step."""
        self.current.reset()

    def _moved(self, port: str, spikes: Spikes) -> Spikes:
        return self.maps[port].move(spikes) if port in self.maps else spikes

    def _starts_with_kv(self, kv_first: int, qk_first: int) -> bool:
        return kv_first <= qk_first if self.order is None else self.order == "kv"
