"""Our PyTorch models against the reference fixtures, and against the published parameter and key counts."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.official_models import official_model  # noqa: E402
from tools.train.models.neurons import LIF, PLIF  # noqa: E402
from tools.train.models.qkformer import QKFormer  # noqa: E402
from tools.train.models.sdt import SpikeDrivenTransformer  # noqa: E402
from tools.train.models.spikformer import Spikformer  # noqa: E402
from tools.train.models.spikformer_v2 import SpikformerV2  # noqa: E402
from tools.train.models.spikingresformer import CONFIGS, SpikingResformer  # noqa: E402

# --- the reference fixtures -------------------------------------------------------------------------------------


def sdt(card, state):
    c = card["config"]
    return SpikeDrivenTransformer(
        in_channels=c["in_ch"], num_classes=c["classes"], dim=c["dim"], num_heads=c["heads"], layer=c["depth"],
        mlp_ratio=c["mlp_ratio"], time_steps=c["T"], pooling_stat=c["pooling_stat"], spike_mode=c["spike_mode"],
        dvs_mode=c["dvs_mode"],
    )  # fmt: skip


def spikformer(card, state):
    c = card["config"]
    return Spikformer(
        c["family"].split("_")[1], in_channels=c["in_ch"], num_classes=c["classes"], dim=c["dim"],
        num_heads=c["heads"], layer=c["depth"], mlp_ratio=c["mlp_ratio"], time_step=c["T"],
    )  # fmt: skip


def spikformer_v2(card, state):
    return SpikformerV2(
        in_channels=card["in_channels"], num_classes=card["num_classes"], dim=card["embed_dims"],
        num_heads=card["num_heads"], layer=card["depths"], mlp_ratio=card["mlp_ratio"], time_step=card["T"],
        shortcut=card["shortcut"],
    )  # fmt: skip


def spikingresformer(card, state):
    return SpikingResformer(
        layers=card["layers"], planes=card["planes"], num_heads=card["num_heads"], patch_sizes=card["patch_sizes"],
        img_size=card["img_size"], in_channels=state["prologue.0.weight"].shape[1], num_classes=card["num_classes"],
        time_steps=card["T"], group_size=card["group_size"], prologue=card["prologue"], spike_mode=card["neuron"],
    )  # fmt: skip


FIXTURES = {
    "sdt_cifar_lif": (sdt, ".model_best.pth.tar"),
    "sdt_gesture_0111": (sdt, ".model_best.pth.tar"),
    "sdt_mlp1": (sdt, ".model_best.pth.tar"),
    "sdt_cifar10dvs_erode_tet": (sdt, ".model_best.pth.tar"),
    "full_sdt_gesture_2_256_T16": (sdt, ".model_best.pth.tar"),
    "spikformer_cifar10": (spikformer, ".model_best.pth.tar"),
    "spikformer_cifar10dvs": (spikformer, ".checkpoint_max_test_acc1.pth"),
    "v2_static_sew": (spikformer_v2, ".pth"),
    "v2_dvs2ch_ms": (spikformer_v2, ".pth"),
    "resf_static_imagenetstem": (spikingresformer, ".pth"),
    "resf_cifar_style": (spikingresformer, ".pth"),
    "resf_dvsg_style_plif": (spikingresformer, ".pth"),
}


def read_state(path):
    wrapper = torch.load(path, map_location="cpu", weights_only=False)
    return wrapper.get("state_dict", wrapper.get("model"))


def run(model, x):
    """Logits over all steps and the spikes of every population by module name."""
    spikes = {}
    for name, module in model.named_modules():
        if isinstance(module, LIF):
            module.register_forward_hook(lambda m, i, s, name=name: spikes.__setitem__(name, s.numpy()))
    with torch.no_grad():
        logits = model.eval()(x)
    return (logits.mean(0) if logits.dim() == 3 else logits).numpy(), spikes


def references(archive):
    """Module name and packed reference spikes of every recorded population."""
    for key in archive.files:
        kind, _, name = key.partition("/")
        if kind in ("spk", "spk64"):
            yield name, archive[key]


@pytest.mark.parametrize("name", FIXTURES)
def test_reproduces_the_fixture(shared, name):
    build, suffix = FIXTURES[name]
    folder = shared / "fixtures"
    card, archive = json.loads((folder / f"{name}.json").read_text()), np.load(folder / f"{name}.npz")
    state = read_state(folder / f"{name}{suffix}")
    model = build(card, state)
    model.load_state_dict(state, strict=True)
    x = archive["input"]
    if name == "resf_dvsg_style_plif":
        x = np.concatenate([x, x.sum(2, keepdims=True)], 2)  # the third channel is the sum of the polarities
    logits, spikes = run(model, torch.from_numpy(x))
    names = dict(references(archive))
    differing = sum(
        int((np.unpackbits(packed, count=spikes[key].size) != spikes[key].reshape(-1)).sum())
        for key, packed in names.items()
    )
    assert set(names) == set(spikes)
    if name.startswith("full_"):  # a free run of a network this size is not a stable target
        assert differing <= 0.02 * sum(s.size for s in spikes.values())
        return
    assert differing == 0
    expected = archive["logits_f32"]  # of each step under TET
    np.testing.assert_allclose(logits, expected.mean(0) if expected.ndim == 3 else expected, atol=1e-4)


def test_reproduces_the_trained_network(shared):
    archive = np.load(shared / "fixtures/trained/sdt_nmnist_T4.npz")
    model = SpikeDrivenTransformer(in_channels=2, dim=64, num_heads=4)
    model.load_state_dict(read_state(shared / "fixtures/trained/sdt_nmnist_T4.pth.tar"), strict=True)
    frames = torch.from_numpy(archive["frames"][..., 1:33, 1:33]).float()
    logits, spikes = run(model, frames[:12])
    np.testing.assert_allclose(logits, archive["logits_f32"][:12], atol=1e-4)
    for name, packed in references(archive):
        ours = spikes[name].swapaxes(0, 1)
        np.testing.assert_array_equal(np.unpackbits(packed, count=ours.size), ours.reshape(-1), err_msg=name)


# --- published counts -------------------------------------------------------------------------------------------

IMAGENET = {"num_classes": 1000}
SDT = {
    "8-384": ({"dim": 384, "layer": 8, **IMAGENET}, 16_816_536),
    "6-512": ({"dim": 512, "layer": 6, **IMAGENET}, 23_373_736),
    "8-512": ({"dim": 512, "layer": 8, **IMAGENET}, 29_689_896),
    "10-512": ({"dim": 512, "layer": 10, **IMAGENET}, 36_006_056),
    "8-768": ({"dim": 768, "layer": 8, **IMAGENET}, 66_339_144),
    "cifar10 2-256": ({}, 2_567_082),
    "cifar10 2-512": ({"dim": 512}, 10_233_546),
    "cifar100 2-256": ({"num_classes": 100}, 2_590_212),
    "cifar100 2-512": ({"dim": 512, "num_classes": 100}, 10_279_716),
    "cifar10-dvs 2-256": ({"in_channels": 2}, 2_566_794),
    "gesture 2-256": ({"in_channels": 2, "num_classes": 11}, 2_567_051),
    "plif 8-384": ({"dim": 384, "layer": 8, "spike_mode": "plif", **IMAGENET}, 16_816_536 + 70),
}
SPIKFORMER = {
    "8-384": ("imagenet", {"dim": 384, "layer": 8, **IMAGENET}, 16_828_312),
    "6-512": ("imagenet", {"dim": 512, "layer": 6, **IMAGENET}, 23_385_640),
    "8-512": ("imagenet", {"dim": 512, "layer": 8, **IMAGENET}, 29_705_768),
    "10-512": ("imagenet", {"dim": 512, "layer": 10, **IMAGENET}, 36_025_896),
    "8-768": ("imagenet", {"dim": 768, "layer": 8, **IMAGENET}, 66_363_208),
    "cifar10 4-384": ("cifar10", {"dim": 384, "layer": 4}, 9_330_874),
    "cifar10 2-384": ("cifar10", {"dim": 384, "layer": 2}, 5_768_122),
    "cifar10 4-256": ("cifar10", {"dim": 256, "layer": 4}, 4_159_274),
    "cifar10dvs 2-256": ("cifar10dvs", {"dim": 256, "layer": 2, "in_channels": 2}, 2_585_610),
}
KEYS = {"imagenet": (32, 43), "cifar10": (32, 46), "cifar10dvs": (35, 43)}
RESFORMER = {
    "ti": 11_180_992, "s": 17_813_824, "m": 35_601_472, "l": 60_375_680, "cifar": 10_793_152, "dvsg": 2_709_830,
}  # fmt: skip


def n_parameters(model):
    return sum(p.numel() for p in model.parameters())


@pytest.fixture(autouse=True)
def _on_meta(request):
    """Count without allocating."""
    if "counts" not in request.node.name:
        yield
        return
    with torch.device("meta"):
        yield


@pytest.mark.parametrize("name", SDT)
def test_sdt_counts(name):
    sizes, expected = SDT[name]
    model = SpikeDrivenTransformer(**sizes)
    layer, plif = sizes.get("layer", 2), sizes.get("spike_mode") == "plif"
    assert n_parameters(model) == expected
    assert len(model.state_dict()) == 32 + 40 * layer + (6 + 8 * layer) * plif


@pytest.mark.parametrize("name", SPIKFORMER)
def test_spikformer_counts(name):
    variant, sizes, expected = SPIKFORMER[name]
    model = Spikformer(variant, num_heads=8, **sizes)
    assert n_parameters(model) == expected
    fixed, a_block = KEYS[variant]
    assert len(model.state_dict()) == fixed + a_block * sizes["layer"]


@pytest.mark.parametrize("name", RESFORMER)
def test_spikingresformer_counts(name):
    model = SpikingResformer(**CONFIGS[name])
    assert n_parameters(model) == RESFORMER[name]
    assert len(model.state_dict()) == (249 if name == "dvsg" else 211)


@pytest.mark.parametrize(("num_classes", "expected"), [(10, 17_306_944), (100, 17_353_024), (11, 17_307_456)])
def test_spikingresformer_transfer_counts(num_classes, expected):
    assert n_parameters(SpikingResformer(**{**CONFIGS["s"], "num_classes": num_classes})) == expected


@pytest.mark.parametrize(
    ("dim", "layer", "expected"), [(384, 8, 29_111_272), (512, 8, 51_545_064), (768, 8, 115_508_200)]
)
def test_spikformer_v2_counts(dim, layer, expected):
    assert n_parameters(SpikformerV2(dim=dim, layer=layer, num_classes=1000)) == expected


# --- the neuron -------------------------------------------------------------------------------------------------


def autograd_neuron(x, k, v_threshold):
    """The same neuron one step at a time, leaving the gradient to autograd."""
    v, spikes = torch.zeros_like(x[0]), []
    for x_t in x:
        h = v + (x_t - v) * k
        soft = torch.sigmoid(4.0 * (h - v_threshold))
        s = (h >= v_threshold).to(x.dtype) + soft - soft.detach()
        v = h * (1 - s.detach())
        spikes.append(s)
    return torch.stack(spikes)


@pytest.mark.parametrize("kind", [LIF, PLIF])
def test_gradient_equals_autograd(kind):
    torch.manual_seed(0)
    node = kind(0.5).double()
    if kind is PLIF:
        torch.nn.init.constant_(node.w, 0.3)
    x = (torch.randn(6, 3, 5, dtype=torch.float64) + 0.5).requires_grad_()
    weights = torch.randn(6, 3, 5, dtype=torch.float64)
    inputs = [x, *node.parameters()]
    ours = torch.autograd.grad((node(x) * weights).sum(), inputs)
    gate = torch.sigmoid(node.w) if kind is PLIF else 0.5
    slow = torch.autograd.grad((autograd_neuron(x, gate, 0.5) * weights).sum(), inputs)
    for a, b in zip(ours, slow, strict=True):
        torch.testing.assert_close(a, b)


def test_a_tie_fires_and_resets():
    x = torch.full((3, 1), 2.0)  # H = 1 exactly at every step
    assert LIF()(x).tolist() == [[1.0]] * 3


def test_the_rate_averages_copy_the_first_batch_then_follow():
    torch.manual_seed(0)
    model = SpikingResformer(
        layers=[["DSSA", "GWFFN"]] * 3, planes=(8, 16, 16), num_heads=(1, 2, 2), img_size=16,
        group_size=8, prologue="conv3x3",
    )  # fmt: skip
    rate = model.layers[0][0].firing_rate_x
    model.train()(torch.rand(2, 3, 16, 16) * 3)
    first = rate.clone()
    assert 0 < float(first) < 1
    model(torch.zeros(2, 3, 16, 16))
    assert 0.998 * float(first) < float(rate) <= float(first) * 1.001 + 0.001
    model.eval()(torch.rand(2, 3, 16, 16))
    after = rate.clone()
    model(torch.rand(2, 3, 16, 16))
    assert torch.equal(rate, after)


def test_reproduces_the_official_qkformer(data):
    tensors, reference = official_model(data, "qkformer")
    model = QKFormer("cifar10", dim=64, layer=4)
    found = model.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()}, strict=False)
    assert found.unexpected_keys == []
    assert all(name.endswith("num_batches_tracked") for name in found.missing_keys)
    logits, spikes = run(model, torch.from_numpy(reference.inputs))
    assert set(spikes) == set(reference.spikes)
    for name, sent in spikes.items():
        assert np.array_equal(sent.reshape(4, -1), reference.spikes[name].reshape(4, -1)), name
    np.testing.assert_allclose(logits, reference.logits, atol=1e-6)
