"""The dense contestants are the networks that evsim runs."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from evsim.networks import sdt, spikformer, spikformer_spikingjelly, spikingresformer  # noqa: E402
from tests.test_rates import RESFORMER, SDT, SPIKFORMER, workload  # noqa: E402
from tools.benchmarks import torch_models as models  # noqa: E402
from tools.benchmarks.equality import _check  # noqa: E402
from tools.benchmarks.evsim_contestant import Evsim  # noqa: E402
from tools.benchmarks.torch_contestants import dense_contestants  # noqa: E402
from tools.benchmarks.workload import Unavailable, write_workload  # noqa: E402
from tools.benchmarks.workloads.spikformer_8_512_spikingjelly import renamed  # noqa: E402


def dyadic(tensors):
    """Few binary places, and BatchNorms that only shift: sums are exact in any order, folded or not."""
    rng = np.random.default_rng(0)
    out = {}
    for name, t in tensors.items():
        out[name] = t if t.ndim < 2 else (np.round(8 * t) / 8).astype(np.float32)
        if name.endswith("running_var"):
            out[name] = np.full_like(t, 1 - 1e-5)
        elif name.endswith("bn.bias") or ("_bn" in name and name.endswith(".bias")):
            out[name] = (np.round(8 * rng.uniform(-0.5, 1, t.shape)) / 8).astype(np.float32)
        elif "firing_rate" in name:
            out[name] = np.full_like(t, 0.25)
    return out


def small(kind):
    family, hp = {
        "sdt": (sdt, SDT), "spikformer": (spikformer, SPIKFORMER), "spikingresformer": (spikingresformer, RESFORMER),
        "spikingjelly": (spikformer, replace(SPIKFORMER, variant="cifar10dvs", pool="currents")),
    }[kind]  # fmt: skip
    made = workload(family, hp)
    made = replace(made, tensors=dyadic(made.tensors), inputs=np.round(4 * made.inputs).astype(np.float32) / 4)
    if kind == "spikingjelly":
        hp = replace(hp, variant="spikingjelly")
        made = replace(made, family=spikformer_spikingjelly, hp=hp, tensors=renamed(made.tensors, hp))
    return made


@pytest.mark.parametrize("kind", ["sdt", "spikformer", "spikingresformer", "spikingjelly"])
def test_every_form_has_the_logits_of_evsim(kind):
    pytest.importorskip("spikingjelly.activation_based")
    made = small(kind)
    expected, names = Evsim(made, 1).run(0), []
    for i, make in enumerate(dense_contestants(made, compiled=False)):
        if kind == "spikingjelly" and i % 2:
            with pytest.raises(Unavailable, match="no plain torch model"):
                make()
            continue
        dense = make()
        names.append(dense.name)
        np.testing.assert_allclose(dense.run(0), expected, atol=1e-4)
        np.testing.assert_allclose(dense.run(0), expected, atol=1e-4)  # reset between runs
    own = {"sdt": "SpikingJelly 2", "spikingjelly": "SpikingJelly 2"}.get(kind, "SpikingJelly 2 neurons")
    plain = [] if kind == "spikingjelly" else ["plain torch, folded"]
    assert names == [f"{name}{form}" for form in ("", " channels_last") for name in (own, *plain)]


@pytest.mark.parametrize("neurons", [models.FusedNeurons, models.LoopNeurons])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_neurons_are_those_of_the_plain_model_in_any_memory_format(neurons, memory_format):
    from tools.train.models.neurons import LIF

    x = 2 * torch.randn(4, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    x = x.to(memory_format=memory_format)[:, None]
    torch.testing.assert_close(neurons(LIF(0.5))(x), LIF(0.5)(x))


def test_folding_leaves_no_norm():
    model = models.fold_norms(models.plain_model(small("spikingresformer")))
    assert not [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]


def test_equality_is_checked_node_by_node(tmp_path):
    made = small("sdt")
    write_workload(tmp_path / "small.npz", made)
    found = _check(tmp_path / "small.npz")
    assert found.fed_compared == found.free_compared > 10_000
    assert (found.fed_differing, found.unexcused, found.free_differing) == (0, 0, 0)
