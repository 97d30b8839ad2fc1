"""The built-in families, recorded from their PyTorch models: the same spikes, logits and counts, bit for bit."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import evsim.torch  # noqa: E402
from evsim.checkpoints.fit import select_tensors  # noqa: E402
from evsim.engine.simulator import simulate  # noqa: E402
from evsim.handlers.neuron_forms.forms import Leaky  # noqa: E402
from evsim.loading.importing import load_network  # noqa: E402
from evsim.networks import qkformer, sdt, spikformer, spikingresformer  # noqa: E402
from evsim.recordings.recording import FrameRecording, ImageRecording  # noqa: E402
from evsim.recordings.steps import to_steps  # noqa: E402
from evsim.traces.trace import Probe  # noqa: E402
from tools.train.models.qkformer import QKFormer  # noqa: E402
from tools.train.models.sdt import SpikeDrivenTransformer  # noqa: E402
from tools.train.models.spikformer import Spikformer  # noqa: E402
from tools.train.models.spikingresformer import SpikingResformer  # noqa: E402


def known(module):
    """The neurons of tools/train: LIF with tau 2, or the learnt share of PLIF."""
    rate = float(module.gate().detach()) if hasattr(module, "w") else 0.5
    return evsim.torch.Known(Leaky(v_threshold=module.v_threshold, rate=rate), "all")


def busy(model, seed=0):
    """Statistics and biases that make every layer fire."""
    random = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            for tensor, low, high in (
                (module.weight, 0.5, 1.5), (module.bias, 0.4, 1.4), (module.running_mean, -0.1, 0.1),
                (module.running_var, 0.3, 1.0),
            ):  # fmt: skip
                nn.init.uniform_(tensor, low, high, generator=random)
    for name, buffer in model.named_buffers():
        if "firing_rate" in name:
            nn.init.uniform_(buffer, 0.05, 0.3, generator=random)
    return model.eval()


def image(side):
    return torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))


def frames(side, n_steps=4):
    return torch.poisson(torch.full((1, n_steps, 2, side, side), 0.4), generator=torch.Generator().manual_seed(1))


def an_sdt(spike_mode, dvs_mode, pooling_stat, x):
    n_in, side = x.shape[-3], x.shape[-1]
    words = {"spike_mode": spike_mode, "dvs_mode": dvs_mode, "pooling_stat": pooling_stat}
    model = SpikeDrivenTransformer(
        in_channels=n_in, num_classes=5, dim=32, num_heads=4, layer=1, mlp_ratio=2, time_steps=4, **words
    )
    return model, sdt, sdt.HyperParameters(1, 32, 4, 2, n_in, 5, spike_mode, 4, pooling_stat, dvs_mode, side, side)


def a_spikformer(variant, n_heads, x):
    n_in, side = x.shape[-3], x.shape[-1]
    model = Spikformer(
        variant, in_channels=n_in, num_classes=5, dim=64, num_heads=n_heads, layer=1, mlp_ratio=2, time_step=4
    )
    known = spikformer.VARIANTS[variant]
    told = (variant, 1, 64, n_heads, 2, n_in, 5, 4, side, side, known.attn_scale, known.pooling_stat)
    return model, spikformer, spikformer.HyperParameters(*told)


def a_qkformer(variant, depths, n_heads, x):
    n_in, side = x.shape[-3], x.shape[-1]
    model = QKFormer(
        variant, in_channels=n_in, num_classes=5, dim=64, num_heads=n_heads, layer=sum(depths), mlp_ratio=2, time_step=4
    )
    return model, qkformer, qkformer.HyperParameters(variant, depths, 64, n_heads, 2, n_in, 5, 4, side, side)


def a_resformer(prologue, spike_mode, x):
    side = x.shape[-1]
    model = SpikingResformer(
        layers=[["DSSA", "GWFFN"], ["DSSA", "GWFFN"]], planes=(16, 32), num_heads=(1, 2), patch_sizes=(2, 1),
        img_size=side, in_channels=3, num_classes=5, time_steps=4, group_size=16, prologue=prologue,
        spike_mode=spike_mode,
    )  # fmt: skip
    stem = "7x7" if prologue == "default" else "3x3"
    told = ((16, 32), (1, 2), (2, 1), (1, 1), 4, 16, 3, 5, stem, spike_mode, 4, side, side, side)
    return model, spikingresformer, spikingresformer.HyperParameters(*told)


CASES = {
    "sdt": (an_sdt, ("lif", False, "0011"), image(16)),
    "sdt plif": (an_sdt, ("plif", False, "1111"), frames(32)),
    "sdt dvs": (an_sdt, ("lif", True, "1111"), frames(32)),
    "spikformer cifar10": (a_spikformer, ("cifar10", 4), image(16)),
    "spikformer imagenet": (a_spikformer, ("imagenet", 8), image(32)),
    "spikformer cifar10dvs": (a_spikformer, ("cifar10dvs", 16), frames(64)),
    "qkformer cifar10": (a_qkformer, ("cifar10", (1, 1, 1), 8), image(16)),
    "qkformer imagenet": (a_qkformer, ("imagenet", (1, 2, 1), 4), image(32)),
    "qkformer cifar10dvs": (a_qkformer, ("cifar10dvs", (1, 1), 16), frames(32)),
    "spikingresformer": (a_resformer, ("default", "lif"), image(32)),
    "spikingresformer plif": (a_resformer, ("conv3x3", "plif"), image(16)),
}


@pytest.mark.parametrize("name", CASES)
def test_recorded_and_built_in_are_the_same(name, tmp_path):
    make, words, x = CASES[name]
    torch.manual_seed(0)
    model, family, hp = make(*words, x)
    axes = "B,C,H,W" if x.dim() == 4 else "B,T,C,H,W"
    report = evsim.torch.trace(busy(model), x, axes, tmp_path / "net.npz", {"LIF": known}, second=False)
    assert report.agrees
    tensors = {key: tensor.detach().numpy() for key, tensor in model.state_dict().items()}
    own = family.build(select_tensors("model", tensors, *family.tensor_shapes(hp))[0], hp)
    recorded, _ = load_network(str(tmp_path / "net.npz"))
    assert recorded.input_shape == own.input_shape
    assert len(recorded.handlers) == len(own.handlers)
    (mine, spikes), (theirs, expected) = run(recorded, x), run(own, x)
    assert np.array_equal(mine.logits, theirs.logits)
    assert mine.ledger.total() == theirs.ledger.total()
    counts = theirs.ledger.by_handler()
    shared = [handler.name for handler in recorded.handlers if handler.name in counts]
    assert len(shared) > len(own.handlers) / 2
    assert all(mine.ledger.by_handler()[name] == counts[name] for name in shared)
    n_events = 0
    for population in own.populations():
        for step in range(own.n_steps):
            sent = expected.spikes(population.name, step).address
            assert np.array_equal(np.sort(spikes.spikes(population.name, step).address), sent), population.name
            n_events += sent.size
    assert n_events > 1000


def run(network, x):
    """Result and spikes."""
    array = x.numpy()[0]
    recording = ImageRecording(array, "image") if array.ndim == 3 else FrameRecording(array, "frames")
    height, width, n_channels = network.input_shape
    steps = to_steps(recording, n_steps=network.n_steps, n_channels=n_channels, height=height, width=width)
    probe = Probe()
    return simulate(network, steps.spikes, [probe]), probe
