"""Every number of docs/counting.md that a reader can check with a pencil."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from evsim.auditing.conventions import conventions
from evsim.auditing.conventions.spikingformer_tool import ssa_additions
from evsim.auditing.lint import check_claims
from evsim.engine.current import Current
from evsim.engine.ledger import OpCounts
from evsim.engine.spikes import Spikes
from evsim.handlers.attention.ssa import SSA
from tests import audit_runs

LAYERS = ("conv1", "lif1", "pool", "conv2", "lif2", "head")
PAGE = Path(__file__).parents[1] / "docs" / "counting.md"


@pytest.fixture(scope="module", name="run")
def _run():
    return audit_runs.pencil_run()


def _table():
    """Convention title -> cells of its line."""
    lines = PAGE.read_text(encoding="utf-8").split("| convention | conv1 |")[1].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[: len(conventions())]]
    return {row[0]: row[1:] for row in rows}


@pytest.mark.parametrize("name", conventions())
def test_the_table_of_the_page(run, name):
    convention = conventions()[name]
    title = re.sub(r" (\(evsim\)|0\.0\.5|2\.3)$", "", convention.TITLE)
    *cells, acs, macs = _table()[title]
    tally = convention.count(run)
    assert tally.acs == pytest.approx(float(acs))
    assert tally.macs == pytest.approx(float(macs))
    for layer, cell in zip(LAYERS, cells, strict=True):
        number = float(re.match(r"[\d.]*", cell).group() or 0)
        charge = tally.charges[layer]
        assert (charge.macs if "MACs" in cell else charge.acs) == pytest.approx(number), layer


def test_the_literal_counts(run):
    counts = {name: audit_runs.layer(run, name).counts for name in ("conv1", "conv2", "head")}
    assert [c.acs for c in counts.values()] == [80, 8, 4]
    assert counts["conv1"].event_acs == 44
    assert audit_runs.layer(run, "conv2").geometry.inner_macs == 32


def test_the_differences_of_the_sdt_paper(run):
    parts = conventions()["sdt-paper"].count(run).by_cause()
    assert {cause: part.acs for cause, part in parts.items()} == pytest.approx(
        {"literal": 92, "first layer": -80, "borders": 10, "pool position": -11.25}
    )


def test_the_attention_of_the_page():
    x = np.zeros((1, 2, 6), np.float32)  # token x (q, k, v)
    for part, events in enumerate(([(0, 0), (1, 0), (1, 1)], [(0, 0), (1, 0)], [(0, 0), (0, 1)])):
        for token, channel in events:
            x[0, token, 2 * part + channel] = 1
    run = audit_runs.sdsa_run(x, n_heads=1)
    layers = [audit_runs.layer(run, name) for name in ("kv", "kv_sum", "qkv")]
    assert [layer.counts.masks for layer in layers] == [2, 0, 3]
    assert [layer.counts.acs for layer in layers] == [0, 1, 0]
    assert conventions()["sdt-paper"].count(run).charges["kv_sum"].acs == pytest.approx(1)
    assert conventions()["spikingjelly"].count(run).charges["kv_sum"].acs == 2


def test_the_ways_to_count_one_attention():
    """The second table: 4 steps, 8 heads, 196 tokens of 64 channels, independent spikes at rates .17, .036, .07."""
    n_steps, n_heads, n_tokens, d = 4, 8, 196, 64
    rng = np.random.default_rng(0)
    n_channels = n_heads * d
    ssa = SSA("ssa", n_heads, 0.125, Current(n_tokens, n_channels))
    total, pairs, events = OpCounts(), 0, np.zeros(3)
    for step in range(n_steps):
        q, k, v = (rng.random((n_tokens, n_channels)) < rate for rate in (0.17, 0.036, 0.07))
        inbox = {port: Spikes.from_dense(x) for port, x in zip("qkv", (q, k, v), strict=True)}
        total += ssa.handle(step, inbox)[1]
        pairs += int(q.sum(axis=0) @ k.sum(axis=0))
        events += [x.sum() for x in (q, k, v)]
    rates = events / (n_steps * n_tokens * n_channels)
    one_product = n_steps * n_tokens**2 * n_channels
    dense_kv = n_steps * n_tokens * n_channels * d
    measured = [
        2 * one_product,
        2 * dense_kv,
        one_product * (rates[0] + rates[2]),
        pairs + events[2] * n_tokens,
        ssa_additions(n_steps, n_heads, n_tokens, d, tuple(rates)),
        total.acs_kv_first,
        total.acs_qk_first,
        0,
    ]
    assert total.acs == total.acs_qk_first
    lines = PAGE.read_text(encoding="utf-8").split("| way to count |")[1].splitlines()[2:]
    printed = [float(line.strip("|").split("|")[1]) for line in lines[: len(measured)]]
    assert [n / 1e6 for n in measured] == pytest.approx(printed, rel=0.005)


def test_token_attention():
    q, k = np.zeros((2, 2)), np.zeros((2, 2))
    q[0, 0] = q[0, 1] = k[0, 0] = k[1, 0] = k[1, 1] = 1
    run = audit_runs.qka_run(np.concatenate([q, k], axis=1)[None], n_heads=1)
    sums, gate = audit_runs.layer(run, "q_sum"), audit_runs.layer(run, "qk")
    assert (sums.counts.acs, gate.counts.masks) == (2, 3)
    assert [(head.acs, head.masks) for layer in (sums, gate) for head in layer.heads] == [(2, 0), (0, 3)]
    charged = {name: convention.count(run).charges for name, convention in conventions().items()}
    assert (charged["spikingjelly"]["q_sum"].acs, charged["spikingjelly"]["qk"].acs) == (2, 0)
    for name in ("syops", "neurobench", "sdt-paper", "spikformer-paper", "spikingformer-tool"):
        assert (charged[name]["q_sum"].acs, charged[name]["qk"].acs) == (0, 0), name


def test_token_attention_is_linear_in_tokens_and_channels():
    claims = {claim.words: claim for claim in check_claims(audit_runs.qka_run(np.ones((2, 3, 8)), n_heads=2))}
    linear = claims["attention is linear in tokens and channels"]
    assert linear.holds
    assert "QKA costs at most of the order 2 N D" in linear.evidence
