"""Lowering: whatever a graph computes in NumPy, its event-driven network does spike for spike."""

import numpy as np
import pytest

from evsim.errors import CheckpointError
from evsim.graph.lower.lower import lower
from evsim.handlers.neuron_forms.forms import IntegerLeak, LateReset, Leaky, Quantiser, Signed
from tests.graph_nets import Maker, verified

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def stem(m, n=8, path="stem"):
    return m.fire(m.norm(m.conv(m.input, n, path=path), path=f"{path}.bn"), f"{path}.lif")


@case
def membrane_shortcut():
    m = Maker((1, 3, 6, 6))
    u = m.norm(m.conv(m.input, 8, path="conv0"))
    for i in range(3):
        u = m.add(u, m.norm(m.conv(m.fire(u, f"lif{i}"), 8, path=f"conv{i + 1}")))
    return m.graph(m.classify(m.fire(u, "last")))


@case
def shortcut_read_again_later():
    m = Maker((1, 3, 6, 6))
    first = m.norm(m.conv(m.input, 8, path="conv0"))
    second = m.add(first, m.conv(m.fire(first, "lif0"), 8, path="conv1"))
    third = m.add(second, m.conv(m.fire(second, "lif1"), 8, path="conv2"))
    skipped = m.add(m.conv(m.fire(third, "lif2"), 8, path="conv3"), first)
    return m.graph(m.classify(m.fire(skipped, "last")))


@case
def one_layer_for_two_sums():
    m = Maker((1, 3, 6, 6))
    s = stem(m)
    shared = m.conv(s, 8, path="shared")
    a = m.fire(m.add(shared, m.conv(s, 8, path="left")), "a")
    b = m.fire(m.add(shared, m.conv(s, 8, path="right")), "b")
    return m.graph(m.classify(m.fire(m.add(m.conv(a, 8, path="c1"), m.conv(b, 8, path="c2")), "last")))


@case
def sew_add():
    m = Maker((1, 3, 6, 6))
    s = stem(m)
    for i in range(2):
        s = m.add(s, m.fire(m.norm(m.conv(s, 8, path=f"conv{i}")), f"lif{i}"))
    return m.graph(m.classify(s))


@case
def sew_and_pools_of_payloads():
    m = Maker((1, 3, 8, 8))
    s = stem(m)
    s = m.add(s, m.fire(m.conv(s, 8, path="conv0"), "lif0"))
    s = m.op("max_pool", s, path="pool", kernel=[2, 2], stride=[2, 2], padding=[0, 0], dilation=[1, 1], ceil=False)
    return m.graph(m.classify(m.fire(m.conv(s, 8, path="conv1"), "last")))


@case
def iand():
    m = Maker((1, 3, 6, 6))
    s = stem(m)
    branch = m.fire(m.conv(s, 8, path="conv0"), "lif0")
    return m.graph(m.classify(m.mul(m.op("sub", m.number(1), branch), s)))


@case
def mask_by_token_sum():
    m = Maker((1, 3, 4, 4))
    s = m.reshape(stem(m), 1, 2, 4, 16)
    gate = m.fire(m.op("sum", s, path="attn", dims=[2], keepdim=True), "gate")
    return m.graph(m.classify(m.mul(gate, s)))


@case
def mask_by_channel_sum():
    m = Maker((1, 3, 4, 4))
    s = m.reshape(stem(m), 1, 2, 4, 16)
    gate = m.fire(m.op("sum", s, path="attn", dims=[3], keepdim=True), "gate", Leaky(tau=2.0, v_threshold=3.0))
    return m.graph(m.classify(m.mul(s, gate)))


def heads(m, s, path):
    """[1, 8, 4, 4] -> [2 heads, 16 tokens, 4]."""
    x = m.fire(m.norm(m.conv(s, 8, 1, padding=0, path=path)), f"{path}.lif", Leaky(tau=2.0, v_threshold=0.125))
    return m.permute(m.reshape(x, 2, 4, 16), 0, 2, 1)


@case
def attention_queries_first():
    m = Maker((1, 3, 4, 4))
    s = stem(m)
    q, k, v = (heads(m, s, role) for role in "qkv")
    x = m.matmul(m.mul(m.matmul(q, m.permute(k, 0, 2, 1)), m.number(0.125)), v)
    x = m.fire(m.reshape(m.permute(x, 0, 2, 1), 1, 8, 16), "attn.lif", Leaky(tau=2.0, v_threshold=0.5))
    return m.graph(m.classify(x))


@case
def attention_keys_first():
    m = Maker((1, 3, 4, 4))
    s = stem(m)
    q, k, v = (heads(m, s, role) for role in "qkv")
    x = m.mul(m.matmul(q, m.matmul(m.permute(k, 0, 2, 1), v)), m.number(0.25))
    return m.graph(m.classify(m.fire(x, "attn.lif", Leaky(tau=2.0, v_threshold=0.5))))


@case
def product_of_spikes_alone():
    m = Maker((1, 3, 4, 4))
    s = stem(m)
    x = m.mul(m.matmul(heads(m, s, "q"), m.permute(heads(m, s, "k"), 0, 2, 1)), m.number(0.25))
    return m.graph(m.classify(m.fire(x, "map", Leaky(tau=2.0, v_threshold=0.25))))


@case
def several_maps_at_once():
    m = Maker((1, 3, 6, 6))
    windows = m.permute(m.reshape(stem(m), 1, 8, 2, 3, 2, 3), 2, 4, 0, 1, 3, 5)
    x = m.conv(m.reshape(windows, 4, 8, 3, 3), 8, 1, padding=0, path="conv0", bias=True)
    return m.graph(m.classify(m.fire(x, "last")))


@case
def product_whose_scale_is_no_power_of_two():
    m = Maker((1, 3, 4, 4))
    s = stem(m)
    q, k, v = (heads(m, s, role) for role in "qkv")
    x = m.mul(m.matmul(m.matmul(q, m.permute(k, 0, 2, 1)), v), m.number(0.3))
    return m.graph(m.classify(m.fire(x, "attn.lif")))


@case
def spikes_times_current():
    m = Maker((1, 3, 4, 4))
    s = stem(m)
    y = m.reshape(m.norm(m.conv(s, 8, 2, 2, 0, path="patch")), 2, 4, 4)  # [heads, d, patches]
    x = m.reshape(s, 2, 4, 16)
    scale = m.tensor(np.array([0.25, 0.5]).reshape(2, 1, 1))
    a = m.fire(m.mul(m.matmul(m.permute(y, 0, 2, 1), x), scale), "map")  # [heads, patches, tokens]
    return m.graph(m.classify(m.fire(m.matmul(y, a), "out")))


@case
def the_same_kernel_on_several_maps():
    m = Maker((1, 3, 6, 6))
    maps = m.reshape(stem(m), 2, 4, 6, 6)
    x = m.conv(maps, 3, 3, 2, 1, path="conv0", bias=True)
    return m.graph(m.classify(m.fire(m.conv(m.conv(x, 3, 3, path="a"), 2, 1, padding=0, path="b"), "last")))


@case
def two_streams_side_by_side():
    m = Maker((1, 3, 6, 6))
    s = stem(m)
    a, b = (m.fire(m.conv(s, n, path=path), f"{path}.lif") for n, path in ((4, "a"), (6, "b")))
    return m.graph(m.classify(m.fire(m.conv(m.op("cat", a, b, dim=1), 8, path="c"), "last")))


@case
def two_currents_side_by_side():
    m = Maker((1, 3, 6, 6))
    s = stem(m)
    both = m.op("cat", m.conv(s, 4, path="a"), m.norm(m.conv(s, 4, path="b")), dim=1)
    return m.graph(m.classify(m.fire(both, "last")))


@case
def split_channels():
    m = Maker((1, 3, 6, 6))
    s = stem(m)
    parts = [m.op("slice", s, dim=1, start=i, stop=i + 4, step=1) for i in (0, 4)]
    currents = [m.conv(part, 8, path=f"conv{i}") for i, part in enumerate(parts)]
    return m.graph(m.classify(m.fire(m.add(*currents), "last")))


@case
def upsampled():
    m = Maker((1, 3, 4, 4))
    s = m.op("nearest", stem(m), size=[8, 8])
    return m.graph(m.classify(m.fire(m.conv(s, 4, path="conv0"), "last")))


@case
def average_pool_between_layers():
    m = Maker((1, 3, 8, 8))
    pool = {"kernel": [2, 2], "stride": [2, 2], "padding": [0, 0], "dilation": [1, 1], "ceil": False}
    s = m.op("avg_pool", stem(m), path="pool", **pool, count_padding=True, divisor=0)
    return m.graph(m.classify(m.fire(m.conv(s, 8, path="conv0"), "last")))


@case
def max_pool_of_currents():
    m = Maker((1, 3, 8, 8))
    u = m.norm(m.conv(m.input, 8, path="conv0"))
    pool = {"kernel": [3, 3], "stride": [2, 2], "padding": [1, 1], "dilation": [1, 1], "ceil": False}
    return m.graph(m.classify(m.fire(m.op("max_pool", u, path="pool", **pool), "last")))


def repconv(m, s, path):
    """1x1, a BatchNorm, padding with what that makes of nothing, a depthwise 3x3, 1x1."""
    x = m.conv(s, 8, 1, padding=0, path=f"{path}.0")
    mean, var, gain, shift = (m.random.uniform(0.5, 1.5, 8).astype(np.float32) for _ in range(4))
    x = m.op("batch_norm", x, *map(m.tensor, (mean, var, gain, shift)), path=f"{path}.bn", eps=1e-5)
    around = m.tensor((shift - mean * gain / np.sqrt(var + np.float32(1e-5))).reshape(1, 8, 1, 1))
    height, width = m.shape_of(x)[2:]
    padded = m.op("pad", x, before=[0, 0, 1, 1], after=[0, 0, 1, 1], value=0.0)
    for starts, counts in (
        ([0, 0, 0, 0], [1, 8, 1, width + 2]), ([0, 0, height + 1, 0], [1, 8, 1, width + 2]),
        ([0, 0, 0, 0], [1, 8, height + 2, 1]), ([0, 0, 0, width + 1], [1, 8, height + 2, 1]),
    ):  # fmt: skip
        value = m.op("expand", around, shape=counts)
        padded = m.op("scatter", padded, value, starts=starts, counts=counts, steps=[1, 1, 1, 1])
    x = m.conv(padded, 8, 3, padding=0, groups=8, path=f"{path}.1")
    return m.norm(m.conv(x, 8, 1, padding=0, path=f"{path}.2"))


@case
def padded_with_what_nothing_makes():
    m = Maker((1, 3, 6, 6))
    return m.graph(m.classify(m.fire(repconv(m, stem(m), "rep"), "last")))


@case
def separable():
    m = Maker((1, 3, 6, 6))
    x = m.conv(stem(m), 8, 5, padding=2, groups=8, path="depth")
    return m.graph(m.classify(m.fire(m.norm(m.conv(x, 6, 1, padding=0, path="point")), "last")))


@case
def two_layers_without_neurons():
    m = Maker((1, 3, 6, 6))
    x = m.conv(m.norm(m.conv(stem(m), 6, path="a")), 8, path="b", bias=True)
    return m.graph(m.classify(m.fire(x, "last")))


@case
def norm_of_spikes():
    m = Maker((1, 3, 6, 6))
    return m.graph(m.classify(m.fire(m.conv(m.norm(stem(m)), 8, path="conv0"), "last")))


@case
def positions_added():
    m = Maker((1, 3, 4, 4))
    u = m.add(m.conv(stem(m), 8, path="conv0"), m.weight(1, 8, 4, 4, scale=16))
    return m.graph(m.classify(m.fire(u, "last")))


@case
def spikes_into_a_membrane():
    m = Maker((1, 3, 6, 6))
    s = stem(m)
    return m.graph(m.classify(m.fire(m.add(m.conv(s, 8, path="conv0"), s), "last")))


@case
def groups_strides_and_holes():
    m = Maker((1, 3, 9, 9))
    x = m.fire(m.conv(stem(m), 8, 3, 2, 1, groups=4, path="grouped"), "a")
    return m.graph(m.classify(m.fire(m.conv(x, 8, 3, 1, 2, 2, path="dilated"), "last")))


@case
def one_dimensional():
    m = Maker((1, 1, 2, 20), axes="TBCL")
    x = m.reshape(m.input, 1, 2, 20)
    x = m.fire(m.conv(x, 6, 3, path="conv0"), "a", Leaky(tau=2.0, v_threshold=0.25))
    return m.graph(m.classify(m.fire(m.conv(x, 6, 1, padding=0, path="point"), "b", Leaky(tau=2.0, v_threshold=0.25))))


@case
def linear_on_tokens():
    m = Maker((1, 3, 4, 4))
    tokens = m.permute(m.reshape(stem(m), 1, 8, 16), 0, 2, 1)
    hidden = m.fire(m.add(m.matmul(tokens, m.weight(8, 12), path="fc"), m.weight(12)), "lif")
    return m.graph(m.classify(m.op("mean", hidden, dims=[1], keepdim=False)))


@case
def matrix_on_the_left():
    m = Maker((1, 3, 4, 4))
    tokens = m.permute(m.reshape(stem(m), 1, 8, 16), 0, 2, 1)
    half = np.kron(np.eye(8), [[1.0, 1.0], [1.0, -1.0]]) * 0.5
    mixed = m.matmul(m.op("reshape", m.tensor(half), shape=[1, 16, 16]), tokens, path="haar")
    return m.graph(m.classify(m.fire(mixed, "last", Signed(v_reset=None))))


@case
def a_matrix_for_each_head():
    m = Maker((1, 3, 4, 4))
    x = m.reshape(stem(m), 2, 4, 16)
    mixed = m.matmul(m.matmul(m.weight(2, 4, 4), x, path="left"), m.weight(2, 16, 8), path="right")
    return m.graph(m.classify(m.fire(mixed, "last")))


@case
def payloads_with_a_unit():
    m = Maker((1, 3, 6, 6))
    s = m.fire(m.norm(m.conv(m.input, 8, path="conv0")), "q0", Quantiser(low=0, high=4), unit=0.25)
    s = m.op("mul", s, m.number(0.25))
    return m.graph(m.classify(m.fire(m.conv(s, 8, path="conv1"), "q1", Quantiser(low=0, high=4))))


@case
def integers():
    m = Maker((1, 3, 6, 6))
    s = m.fire(m.conv(m.input, 8, path="conv0"), "a", IntegerLeak(decay=0.25, high=4))
    return m.graph(m.classify(m.fire(m.conv(s, 8, path="conv1"), "b", IntegerLeak(decay=0.25, high=4))))


@case
def late_reset_by_channel():
    m = Maker((1, 3, 6, 6))
    beta = np.array([0.5, 0.75, 0.25, 0.5], np.float32)
    s = m.fire(m.conv(m.input, 4, path="conv0"), "a", LateReset(beta=beta), axis=-3)
    return m.graph(m.classify(m.fire(m.conv(s, 4, path="conv1"), "b", LateReset(beta=0.5, reset="zero"))))


@case
def soft_reset_and_strict():
    m = Maker((1, 3, 6, 6))
    s = m.fire(m.conv(m.input, 8, path="conv0"), "a", Leaky(tau=2.0, v_reset=None))
    strict = Leaky(tau=2.0, strict=True, input="whole")
    return m.graph(m.classify(m.fire(m.conv(s, 8, path="conv1"), "b", strict)))


@pytest.mark.parametrize("written", [False, True], ids=["fused", "as written"])
@pytest.mark.parametrize("name", CASES)
def test_the_network_of_a_graph_does_what_the_graph_means(name, written):
    graph = CASES[name]()
    lowered, reference, found = verified(graph, as_written=written)
    assert found.free.differing == 0
    assert found.flips == []
    assert found.logits_difference <= 1e-4 * max(1.0, np.abs(reference.output).max())
    assert not found.silent, "a test of zeros"
    assert not lowered.dense


@pytest.mark.parametrize("readout", ["mean", "steps", "sum", "max", "last"])
def test_every_readout(readout):
    m = Maker((1, 3, 6, 6))
    graph = m.graph(m.classify(stem(m)), readout=readout)
    _, reference, found = verified(graph)
    assert found.logits_difference <= 1e-5
    assert np.any(reference.output)


def test_fused_and_as_written_count_differently_and_say_so():
    graph = CASES["padded_with_what_nothing_makes"]()
    sparse = dict.fromkeys(graph.neurons(), 0.01)
    fused, written = (lower(graph, rates=sparse, as_written=told) for told in (False, True))
    kinds = [{type(handler).__name__ for handler in net.network.handlers} for net in (fused, written)]
    assert "RealConv" not in kinds[0]
    assert "RealConv" in kinds[1]
    assert any("fused" in note for note in fused.notes)
    assert any("multiplies real values" in note for note in written.notes)


def softmax_graph():
    m = Maker((1, 3, 4, 4))
    u = m.reshape(m.conv(stem(m), 8, path="conv0"), 1, 8, 16)
    soft = m.op("softmax", u, path="soft", dim=1)
    return m.graph(m.classify(m.fire(m.mul(soft, m.number(8)), "last")))


def test_an_operation_without_an_event_driven_form_is_refused_with_the_option_that_runs_it():
    with pytest.raises(
        CheckpointError, match=r"^soft: operation softmax has no event-driven form .*--allow-dense"
    ) as e:
        verified(softmax_graph())
    assert "\n" not in str(e.value)


def test_dense_nodes_run_are_named_and_counted_apart():
    lowered, _, found = verified(softmax_graph(), allow_dense=True)
    assert found.free.differing == 0
    assert list(lowered.dense.values()) == ["softmax"]


def test_weights_that_are_not_finite_are_refused_by_name():
    m = Maker((1, 3, 4, 4))
    rate = m.tensor(np.zeros((1, 1, 1, 1)), "attn.firing_rate")
    scaled = m.mul(m.conv(stem(m), 4, path="conv0"), m.op("rsqrt", rate, path="attn"))
    with pytest.raises(CheckpointError, match=r"^attn: rsqrt of attn\.firing_rate is not finite"):
        verified(m.graph(m.classify(m.fire(scaled, "last"))))
