"""The dense models: SpikingJelly 2's own, and the plain ones of tools/train, folded or with other neurons."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from evsim.checkpoints.key_map import their_name
from tools.benchmarks.workload import Unavailable, Workload
from tools.train.models.neurons import LIF, PLIF

__all__ = [
    "FusedNeurons",
    "LoopNeurons",
    "fold_norms",
    "lay_out",
    "plain_model",
    "spikingjelly",
    "spikingjelly_model",
    "spikingjelly_neurons",
    "swap_neurons",
]

# The official names in SpikingJelly 2's words.
_SDT_NAMES = {
    "patch_embed.proj_conv": "patch_embed.stages.0.0",
    "patch_embed.proj_bn": "patch_embed.stages.0.1",
    "patch_embed.proj_conv1": "patch_embed.stages.1.0",
    "patch_embed.proj_bn1": "patch_embed.stages.1.1",
    "patch_embed.proj_conv2": "patch_embed.stages.2.0",
    "patch_embed.proj_bn2": "patch_embed.stages.2.1",
    "patch_embed.proj_conv3": "patch_embed.final_stage.0",
    "patch_embed.proj_bn3": "patch_embed.final_stage.1",
    "block": "blocks",
    "mlp.fc1_conv": "mlp.fc1",
    "mlp.fc2_conv": "mlp.fc2",
    "mlp.fc1_bn": "mlp.bn1",
    "mlp.fc2_bn": "mlp.bn2",
}


def spikingjelly_model(workload: Workload) -> nn.Module:
    """SpikingJelly 2's own model, carrying the workload's weights; biases that it has in addition are zero.

    Raises
    ------
    Unavailable
        SpikingJelly is not installed, or has no such model.
    """
    spikingjelly()
    hp, family = workload.hp, workload.family.FAMILY
    sizes = {
        "T": hp.n_steps,
        "in_channels": hp.in_channels,
        "num_classes": hp.n_classes,
    }
    if family == "sdt" and not hp.dvs_mode and hp.spike_mode == "lif":
        from spikingjelly.activation_based.model.spike_driven_transformer import SpikeDrivenTransformer as Model

        sizes |= {"pooling_stat": hp.pooling_stat}
    elif family == "spikformer_spikingjelly" and hp.pooling_stat in ("0011", "1111"):
        from spikingjelly.activation_based.model.spikformer import Spikformer as Model

        patch_size = 4 if hp.pooling_stat == "0011" else 16
        sizes |= {"img_size_h": hp.height, "img_size_w": hp.width, "patch_size": patch_size}
    else:
        raise Unavailable("SpikingJelly 2 has no such model")
    sizes |= {"embed_dims": hp.n_channels, "num_heads": hp.n_heads, "mlp_ratio": hp.mlp_ratio, "depths": hp.depth}
    names = _SDT_NAMES if family == "sdt" else {}
    model = Model(**sizes)
    return _carrying(model, {_renamed(name, names): t for name, t in workload.tensors.items()}, (".0.bias",))


def plain_model(workload: Workload) -> nn.Module:
    """The plain torch model of tools/train, carrying the workload's weights.

    Raises
    ------
    Unavailable
        There is none for this family or layout.
    """
    makers = {"sdt": _sdt, "spikformer": _spikformer, "spikingresformer": _spikingresformer}
    if workload.family.FAMILY not in makers:
        raise Unavailable(f"no plain torch model of {workload.family.TITLE}")
    return _carrying(makers[workload.family.FAMILY](workload.hp), workload.tensors)


def spikingjelly() -> None:
    """Check that SpikingJelly 2 is there.

    Raises
    ------
    Unavailable
        It is not.
    """
    try:
        import spikingjelly.activation_based  # noqa: F401
    except ImportError as error:
        raise Unavailable(f"SpikingJelly 2 is not installed ({error})") from None


def fold_norms(model: nn.Module) -> nn.Module:
    """Fold each BatchNorm into the layer before it, in place."""
    for module in list(model.modules()):
        children = dict(module.named_children())
        for name, child in children.items():
            layer = _layer_before(module, children, name)
            if layer is not None:
                norm = getattr(child, "bn", child)
                fuse = fuse_linear_bn_eval if isinstance(children[layer], nn.Linear) else fuse_conv_bn_eval
                setattr(module, layer, fuse(children[layer], norm))
                setattr(module, name, nn.Identity())
    return model


def lay_out(model: nn.Module, memory_format: torch.memory_format) -> nn.Module:
    """Convolution weights in a memory format, in place; what has no four axes stays as it is."""
    for parameter in model.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=memory_format)
    return model.eval()


def swap_neurons(model: nn.Module, neurons: Callable[[LIF], nn.Module]) -> nn.Module:
    """Put other neurons in place of each population, in place."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, LIF):
                setattr(module, name, neurons(child))
    return model


def spikingjelly_neurons(population: LIF) -> nn.Module:
    """SpikingJelly 2's multi-step node for one of our populations."""
    from spikingjelly.activation_based.neuron import LIFNode, ParametricLIFNode

    options = {"v_threshold": population.v_threshold, "detach_reset": True, "step_mode": "m"}
    if not isinstance(population, PLIF):
        return LIFNode(tau=2.0, **options)
    node = ParametricLIFNode(init_tau=2.0, **options)
    node.w.data.copy_(population.w.data)
    return node


class FusedNeurons(nn.Module):
    """Charge, fire and reset in one compiled loop over the currents as they lie in memory: nothing is copied."""

    def __init__(self, population: LIF) -> None:
        super().__init__()
        self._rate, self._v_threshold = np.float32(population.gate()), np.float32(population.v_threshold)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Currents [T, ...] to spikes [T, ...]."""
        axes = sorted(range(1, x.dim()), key=lambda axis: (-x.stride(axis), axis))
        current = x.permute(0, *axes).contiguous()
        spikes = torch.empty_like(current)
        _fire(current.view(len(x), -1).numpy(), self._rate, self._v_threshold, spikes.view(len(x), -1).numpy())
        return spikes.permute(0, *(1 + axes.index(axis) for axis in range(1, x.dim())))


class LoopNeurons(nn.Module):
    """The same as plain torch operations, step by step, for a compiler to fuse."""

    def __init__(self, population: LIF) -> None:
        super().__init__()
        self._rate, self._v_threshold = float(population.gate()), population.v_threshold

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Currents [T, ...] to spikes [T, ...]."""
        v, steps = torch.zeros_like(x[0]), []
        for current in x:
            h = v + (current - v) * self._rate
            steps.append((h >= self._v_threshold).to(x.dtype))
            v = torch.where(h >= self._v_threshold, 0.0, h)
        return torch.stack(steps)


@numba.njit(cache=True, nogil=True)
def _fire(current, rate, v_threshold, spikes):
    zero, one = np.float32(0), np.float32(1)
    v = np.zeros(current.shape[1], np.float32)
    for step in range(current.shape[0]):
        for i in range(v.size):
            h = v[i] + (current[step, i] - v[i]) * rate
            spikes[step, i] = one if h >= v_threshold else zero
            v[i] = zero if h >= v_threshold else h


def _layer_before(module: nn.Module, children: dict[str, nn.Module], name: str) -> str | None:
    """The layer whose output the BatchNorm `name` normalises; None where `name` is no BatchNorm."""
    norm = getattr(children[name], "bn", children[name])
    if not isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d) or name == "bn":  # the inside of a SpikingResformer's norm
        return None
    if isinstance(module, nn.Sequential):
        return str(int(name) - 1)
    named = {"norm": "W" if "W" in children else "conv", "norm_proj": "Wproj"}  # SpikingResformer
    for layer in (named.get(name), name.replace("bn", "conv"), name.replace("bn", "linear")):
        if isinstance(children.get(layer), nn.Conv1d | nn.Conv2d | nn.Linear):
            return layer
    raise Unavailable(f"no layer is known to stand before the BatchNorm {name}")


def _sdt(hp) -> nn.Module:
    from tools.train.models.sdt import SpikeDrivenTransformer

    return SpikeDrivenTransformer(
        in_channels=hp.in_channels, num_classes=hp.n_classes, dim=hp.n_channels, num_heads=hp.n_heads, layer=hp.depth,
        mlp_ratio=hp.mlp_ratio, time_steps=hp.n_steps, pooling_stat=hp.pooling_stat, spike_mode=hp.spike_mode,
        dvs_mode=hp.dvs_mode,
    )  # fmt: skip


def _spikformer(hp) -> nn.Module:
    from tools.train.models.spikformer import Spikformer

    return Spikformer(
        hp.variant, in_channels=hp.in_channels, num_classes=hp.n_classes, dim=hp.n_channels, num_heads=hp.n_heads,
        layer=hp.depth, mlp_ratio=hp.mlp_ratio, time_step=hp.n_steps,
    )  # fmt: skip


def _spikingresformer(hp) -> nn.Module:
    from tools.train.models.spikingresformer import SpikingResformer

    if hp.mlp_ratio != 4 or hp.neuron == "if":
        raise Unavailable(f"no plain torch SpikingResformer of mlp_ratio {hp.mlp_ratio} and {hp.neuron} neurons")
    return SpikingResformer(
        layers=[["DSSA", "GWFFN"] * depth for depth in hp.depths], planes=hp.n_channels, num_heads=hp.n_heads,
        patch_sizes=hp.patches, img_size=hp.scale_size, in_channels=hp.in_channels, num_classes=hp.n_classes,
        time_steps=hp.n_steps, group_size=hp.group_size or 1, prologue="default" if hp.stem == "7x7" else "conv3x3",
        spike_mode=hp.neuron, n_convs=1 if hp.group_size else 0,
    )  # fmt: skip


def _carrying(model: nn.Module, tensors, may_be_zero: tuple[str, ...] = ()) -> nn.Module:
    """The model in evaluation mode with these tensors; none may be left over, and none missing but dead ones."""
    given = {name: torch.from_numpy(np.asarray(tensor, np.float32)) for name, tensor in tensors.items()}
    found = model.load_state_dict(given, strict=False)
    own = model.state_dict()
    zero = [name for name in found.missing_keys if name.endswith(may_be_zero)] if may_be_zero else []
    dead = ("num_batches_tracked", "pos_embed", "talking_heads.weight", ".w")
    missing = [n for n in found.missing_keys if n not in zero and not n.endswith(dead) and "norm" not in n]
    if missing or found.unexpected_keys:
        raise Unavailable(f"{type(model).__name__} does not carry these weights: {missing}, {found.unexpected_keys}")
    with torch.no_grad():
        for name in zero:
            own[name].zero_()
    return model.eval()


def _renamed(name: str, names: dict[str, str]) -> str:
    module, _, part = name.rpartition(".")
    return f"{their_name(module, names)}.{part}"
