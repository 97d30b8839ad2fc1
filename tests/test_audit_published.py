"""Published numbers, reproduced: the energy table of Spikingformer-8-512, and hand-made cases with known counts."""

from __future__ import annotations

import csv
import re

import numpy as np
import pytest

from evsim.auditing.conventions import (
    literal,
    neurobench,
    sdt_paper,
    spikformer_paper,
    spikingformer_tool,
    spikingjelly,
    spikingresformer_monitor,
    syops,
)
from evsim.auditing.layers import AuditedRun, Layer
from evsim.auditing.source_log import Operand
from evsim.engine.ledger import OpCounts
from evsim.handlers.geometry import Attention, Synapses
from evsim.handlers.projections.conv import Window
from tests import audit_runs

N_STEPS, N_HEADS, N_TOKENS = 4, 8, 196

# --- the table that the authors of Spikingformer print for 8-512 on ImageNet (their energy log), row by row ----------


def _operand(size, rate, values=(1.0,)):
    """An operand of a given mean value."""
    events = np.full(N_STEPS, round(rate * size))
    return Operand("somewhere", size, events, np.full(N_STEPS, rate * size), values)


def _table(path):
    """Layers [(row, ...)] and rates of q, k, v by block."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    split = lines.index("block,q_rate,k_rate,v_rate")
    rates = {int(row["block"]): row for row in csv.DictReader(lines[split:])}
    return list(csv.DictReader(lines[:split])), rates


def _sizes(row):
    """Height of the (square) map, kernel, channels: the table does not print maps, the architecture gives them."""
    maps = {"proj_conv": 224, "proj_conv1": 112, "proj_conv2": 56, "proj_conv3": 28}
    stem, _, name = row["layer"].partition(".")
    n_in, n_out = (
        int(n) for n in re.findall(r"\d+", row["module"].split("d(" if "Conv" in row["module"] else "r(")[1])[:2]
    )
    if row["layer"] == "head":
        return 1, 1, n_in, n_out
    return maps.get(name, 14) if stem == "patch_embed" else 14, 3 if stem == "patch_embed" else 1, n_in, n_out


def _layer(row):
    side, kernel, n_in, n_out = _sizes(row)
    window = Window(side, side, kernel, 1, kernel // 2)
    has_bias = "bias=False" not in row["module"]
    is_head = row["layer"] == "head"
    geometry = Synapses(window, n_in, n_out, 1, has_bias, is_head, is_once=is_head)
    rate = float(row["input_rate_percent"]) / 100
    is_real = rate == 1
    operand = _operand(geometry.n_inputs, rate, (0.1, 0.2, 0.3) if is_real else (1.0,))
    steps = (OpCounts(),) * N_STEPS
    first = row["layer"] == "patch_embed.proj_conv"
    return Layer(row["layer"], "Conv2d", geometry, {"spikes": operand}, steps, None, None, first, is_head)


def _attention(block, rates):
    geometry = Attention("ssa", "product", N_TOKENS, N_HEADS, 64)
    operands = {port: _operand(geometry.n_places, float(rates[f"{port}_rate"])) for port in "qkv"}
    return Layer(f"block[{block}].attn.qkv", "SSA", geometry, operands, (OpCounts(),) * N_STEPS)


@pytest.fixture(name="published")
def _published(data):
    rows, rates = _table(data / "spikingformer_8_512_energy.csv")
    layers = [_layer(row) for row in rows] + [_attention(block, row) for block, row in rates.items()]
    return rows, AuditedRun("spikformer", N_STEPS, tuple(layers))


def test_every_row_of_spikingformer_8_512(published):
    rows, run = published
    charges = spikingformer_tool.count(run).charges
    assert len(rows) == 54
    for row, layer in zip(rows, run.layers, strict=False):
        assert spikingformer_tool.dense_operations(layer) == pytest.approx(
            float(row["dense_ops"]), rel=5e-9
        )  # nine printed digits
        assert charges[layer.name].acs == pytest.approx(float(row["acs"]), rel=1e-8), layer.name
        assert charges[layer.name].macs == pytest.approx(float(row["macs"]), rel=1e-12), layer.name


def test_totals_of_spikingformer_8_512(published):
    tally = spikingformer_tool.count(published[1])
    assert tally.macs == 347_329_512
    assert tally.acs / 1e9 == pytest.approx(6.51754094076244, rel=1e-8)
    assert tally.energy_pj / 1e9 == pytest.approx(7.463502601886196, rel=1e-8)


# --- one convolution 8 -> 16 on 16x16, rate 0.2, counted by hand and by the peers (run, 2026-11) ----------------------


def _spikes(value=1.0):
    """406 spikes, 2 in corners (4 taps of 9), 75 on edges (6 taps), 329 inside: 3,419 taps."""
    x = np.zeros((16, 16, 8), np.float32)
    x[0, 0, :2] = 1
    edge = [(0, col) for col in range(1, 15)]
    for i in range(75):
        x[(*edge[i // 8], i % 8)] = 1
    inside = [(row, col) for row in range(1, 15) for col in range(1, 15)]
    for i in range(329):
        x[(*inside[i // 8], i % 8)] = 1
    return value * x[None]


def test_a_convolution_and_its_borders():
    run = audit_runs.conv_run(_spikes(), 16)
    assert literal.count(run).charges["conv"].acs == 54_704
    assert neurobench.count(run).charges["conv"].acs == 54_704
    assert spikingjelly.count(run).charges["conv"].acs == 54_704
    assert syops.count(run).charges["conv"].acs == pytest.approx(58_464)


def test_groups():
    run = audit_runs.conv_run(_spikes(), 16, groups=4)
    assert literal.count(run).charges["conv"].acs == 13_676
    assert syops.count(run).charges["conv"].acs == pytest.approx(14_616)


def test_spikes_in_a_corner():
    x = np.zeros((1, 16, 16, 8), np.float32)
    x[0, 0, 0] = 1
    run = audit_runs.conv_run(x, 16)
    assert literal.count(run).charges["conv"].acs == 512
    assert syops.count(run).charges["conv"].acs == pytest.approx(1_152)


def test_spikes_of_value_three():
    run = audit_runs.conv_run(_spikes(3.0), 16)
    counts = {c.NAME: c.count(run).charges["conv"] for c in (literal, syops, neurobench, spikingjelly)}
    assert counts["literal"].acs == 3 * 54_704
    assert (counts["syops"].acs, counts["syops"].macs) == (0, 294_912)
    assert (counts["neurobench"].acs, counts["neurobench"].macs) == (0, 54_704)
    assert (counts["spikingjelly"].acs, counts["spikingjelly"].macs) == (0, 294_912)


def test_spikes_of_value_one_half():
    run = audit_runs.conv_run(_spikes(0.5), 16)
    counts = {c.NAME: c.count(run).charges["conv"] for c in (syops, neurobench, spikingjelly)}
    assert (counts["syops"].acs, counts["syops"].macs) == pytest.approx((29_232, 0))
    assert (counts["neurobench"].acs, counts["neurobench"].macs) == (0, 54_704)
    assert (counts["spikingjelly"].acs, counts["spikingjelly"].macs) == (0, 294_912)


def test_a_linear_layer_with_bias():
    x = np.zeros((1, 640), np.float32)
    x[0, :165] = 1
    run = audit_runs.linear_run(x.reshape(1, 10, 64), 32, bias=True)
    assert literal.count(run).charges["linear"].acs == 5_280
    assert syops.count(run).charges["linear"].acs == pytest.approx(5_288.25)
    assert neurobench.count(run).charges["linear"].acs == 5_280


def test_an_unfused_batch_norm():
    run = audit_runs.conv_run(np.zeros((1, 16, 16, 8), np.float32), 8, norm="bn")
    assert syops.count(run).charges["conv"].macs == 4_096
    assert spikingjelly.count(run).charges["conv"].acs == 2_056


def test_a_column_sum_of_43():
    x = np.zeros((1, 10, 3 * 64), bool)
    x[:, :, 64:] = False
    x.reshape(10, 3, 64)[:, 1].reshape(-1)[:] = False
    k = np.zeros((10, 64), bool)
    k.reshape(-1)[:43] = True
    x[0, :, 64:128] = x[0, :, 128:] = k
    x[0, :, :64] = True
    run = audit_runs.sdsa_run(x, n_heads=4)
    assert audit_runs.layer(run, "kv_sum").counts.acs == 43
    assert sdt_paper.count(run).charges["kv_sum"].acs == pytest.approx(43)
    assert spikingjelly.count(run).charges["kv_sum"].acs == 576
    assert syops.count(run).charges["kv_sum"].acs == neurobench.count(run).charges["kv_sum"].acs == 0


# --- one attention head stack, T = 4, 8 heads, 196 tokens of 64 channels, rates of block 0 of Spikingformer-8-512 -----


def test_attention_by_rate(published):
    run = published[1]
    charge = spikformer_paper.count(run).charges["block[0].attn.qkv"]
    assert charge.acs / 1e6 == pytest.approx(18.89, abs=0.2)  # 157.4 M dense products x 0.12
    assert sdt_paper.count(run).charges["block[0].attn.qkv"].acs == 0
    assert spikingresformer_monitor.count(run).charges["block[0].attn.qkv"].acs == 0
    assert syops.count(run).charges["block[0].attn.qkv"].acs == 0
