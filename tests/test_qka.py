"""The handlers of Q-K token attention, alone and as a chain."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.network import INPUT, Network
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.handlers.attention.qka import HeadSum, TokenGate
from evsim.handlers.neurons import LIF
from evsim.handlers.readout import Readout
from evsim.handlers.spike_sum import SpikeMean
from evsim.handlers.views.address_map import AddressMap
from evsim.handlers.views.route import Route
from tests.contract import check_handler, random_spikes

SEEDS, DENSITIES = st.integers(0, 2**32), st.sampled_from([0.05, 0.3, 0.9])


def spikes(*address):
    return Spikes(np.array(address, np.int32))


def test_head_sum_adds_one_for_each_event_to_its_token_and_head():
    sums = Current(2, 2)
    _, counts = HeadSum("sum", 6, sums).handle(0, {"spikes": spikes(0, 2, 3, 9, 10, 11)})
    assert sums.rows(0).value.tolist() == [[2, 1], [0, 3]]  # three channels a head, six a token
    assert counts == OpCounts(acs=6, event_acs=6, state_reads=6, state_writes=6)


def test_token_gate_passes_the_keys_of_open_heads_at_one_mask_a_key_spike():
    keys, open_heads = spikes(0, 2, 3, 7, 8, 10), spikes(0, 3)  # token 0: head 0; token 1: head 1
    out, counts = TokenGate("gate", 2, 6, 2).handle(0, {"k": keys, "gate": open_heads})
    assert out.address.tolist() == [0, 2, 10]
    assert counts == OpCounts(masks=6, state_reads=6, state_writes=2)


def test_token_gate_tests_the_keys_of_heads_of_one_channel_too():
    out, counts = TokenGate("gate", 2, 3, 3).handle(0, {"k": spikes(0, 1, 2, 5), "gate": spikes(5)})
    assert out.address.tolist() == [5]
    assert counts == OpCounts(masks=4, state_reads=4, state_writes=1)


def test_token_gate_does_nothing_with_one_operand():
    for inbox in ({"k": spikes(1)}, {"gate": spikes(1)}):
        out, counts = TokenGate("gate", 2, 6, 2).handle(0, inbox)
        assert (len(out), counts) == (0, OpCounts())


@given(SEEDS, DENSITIES, DENSITIES)
def test_token_gate_never_passes_a_closed_head_nor_holds_back_an_open_one(seed, k_density, gate_density):
    rng = np.random.default_rng(seed)
    k, gate = random_spikes(rng, 5 * 8, k_density), random_spikes(rng, 5 * 4, gate_density)
    out, _ = TokenGate("gate", 5, 8, 4).handle(0, {"k": k, "gate": gate} if len(k) and len(gate) else {})
    assert out.address.tolist() == [a for a in k.address if a // 2 in gate.address]


def test_both_obey_the_contract(rng):
    inboxes = [{"spikes": random_spikes(rng, 24, density)} for density in (0.3, 1.0)]
    check_handler(lambda: HeadSum("sum", 6, Current(4, 3)), [inboxes[0], None, inboxes[1]])
    both = {"k": random_spikes(rng, 24, 0.5), "gate": random_spikes(rng, 12, 0.3)}
    full = {"k": random_spikes(rng, 24, 1.0), "gate": random_spikes(rng, 12, 1.0)}
    check_handler(lambda: TokenGate("gate", 4, 6, 3), [both, {"k": both["k"]}, None, {"gate": both["gate"]}, full, {}])


def test_the_chain_is_the_paper_s_equations(rng):
    """a = LIF(sum over d of q), x = a * k, by dense arrays of the official shapes."""
    n_tokens, n_heads, d, n_steps = 5, 2, 3, 6
    q, k = rng.random((2, n_steps, n_heads, d, n_tokens)) < 0.12
    net = Network("chain", (n_tokens, 1, 2 * n_heads * d), n_steps)
    sums = Current(n_tokens, n_heads)
    channels = np.arange(n_tokens * 2 * n_heads * d).reshape(n_tokens, 2, n_heads * d)
    for role, name in enumerate("qk"):
        net.add(Route(name, AddressMap(channels[:, role].reshape(-1), channels.size)), INPUT)
    net.add(HeadSum("sum", n_heads * d, sums), "q")
    net.add(LIF("attn", sums, (n_tokens, n_heads), "token,head", 0.5))
    net.add(TokenGate("x", n_tokens, n_heads * d, n_heads), k="k", gate="attn")
    out = Current(1, n_heads * d)
    net.add(SpikeMean("mean", n_tokens, out), "x")
    net.add(Readout("readout", out))
    v, expected = np.zeros((n_heads, n_tokens)), []
    for step in range(n_steps):
        h = v + (q[step].sum(axis=1) - v) / 2
        fired = h >= 0.5
        v = np.where(fired, 0, h)
        expected.append((fired[:, None] & k[step]).reshape(n_heads * d, n_tokens))
    steps = [Spikes(np.flatnonzero(np.stack([q[s], k[s]]).reshape(-1, n_tokens).T).astype(np.int32)) for s in range(6)]
    seen = {}

    class Watch:
        def show(self, name, step, spikes):
            seen[name, step] = spikes.address

    simulate(net, steps, [Watch()])
    for step in range(n_steps):
        sent = seen.get(("x", step), np.zeros(0, int))
        assert sent.tolist() == np.flatnonzero(expected[step].T).tolist()
    assert sum(x.sum() for x in expected) > 5
