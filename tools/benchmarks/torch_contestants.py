"""Dense PyTorch in every form that may be the fastest: two models, two memory formats, with and without a compiler."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tools.benchmarks.workload import Unavailable, Workload

__all__ = ["Dense", "dense_contestants"]

# The official names in SpikingJelly 2's words, first match wins.
_SPIKINGJELLY_NAMES = (
    ("patch_embed.proj_conv.", "patch_embed.stages.0.0."),
    ("patch_embed.proj_bn.", "patch_embed.stages.0.1."),
    ("patch_embed.proj_conv1.", "patch_embed.stages.1.0."),
    ("patch_embed.proj_bn1.", "patch_embed.stages.1.1."),
    ("patch_embed.proj_conv2.", "patch_embed.stages.2.0."),
    ("patch_embed.proj_bn2.", "patch_embed.stages.2.1."),
    ("patch_embed.proj_conv3.", "patch_embed.final_stage.0."),
    ("patch_embed.proj_bn3.", "patch_embed.final_stage.1."),
    ("block.", "blocks."),
    ("mlp.fc1_conv.", "mlp.fc1."),
    ("mlp.fc2_conv.", "mlp.fc2."),
    ("mlp.fc1_bn.", "mlp.bn1."),
    ("mlp.fc2_bn.", "mlp.bn2."),
)


class Dense:
    """One dense model in one form, in evaluation mode and without gradients.

    Parameters
    ----------
    name : str
    model : module
    inputs : list of tensor
        As the model takes them, batch size 1.
    reset : callable
        Forgets the membrane potentials; counted as part of a run.
    """

    def __init__(self, name: str, model: nn.Module, inputs: list[torch.Tensor], reset: Callable[[], None]) -> None:
        self.name = name
        self._model, self._inputs, self._reset = model, inputs, reset

    @torch.inference_mode()
    def run(self, index: int) -> np.ndarray:
        """Logits of one input."""
        self._reset()
        return self._model(self._inputs[index])[0].numpy()


def dense_contestants(workload: Workload, compiled: bool) -> Iterator[Callable[[], Dense]]:
    """One factory for each form, in the order of the table."""
    for memory_format in (torch.contiguous_format, torch.channels_last):
        yield lambda memory_format=memory_format: _spikingjelly(workload, memory_format, False)
        yield lambda memory_format=memory_format: _plain(workload, memory_format)
    if compiled:
        yield lambda: _spikingjelly(workload, torch.contiguous_format, True)


def _spikingjelly(workload: Workload, memory_format: torch.memory_format, compiled: bool) -> Dense:
    """SpikingJelly 2's own Spike-driven Transformer, carrying the official weights; its additional biases are zero."""
    try:
        from spikingjelly.activation_based import functional
        from spikingjelly.activation_based.model.spike_driven_transformer import SpikeDrivenTransformer
    except ImportError as error:
        raise Unavailable(f"SpikingJelly 2 is not installed ({error})") from None
    hp = workload.hp
    if workload.family.FAMILY != "sdt" or hp.dvs_mode or hp.spike_mode != "lif":
        raise Unavailable("SpikingJelly 2 has no such model")
    model = SpikeDrivenTransformer(
        T=hp.n_steps,
        in_channels=hp.in_channels,
        num_classes=hp.n_classes,
        embed_dims=hp.n_channels,
        num_heads=hp.n_heads,
        depths=hp.depth,
        mlp_ratio=hp.mlp_ratio,
        pooling_stat=hp.pooling_stat,
    )
    tensors = {_spikingjelly_name(name): torch.from_numpy(np.array(t)) for name, t in workload.tensors.items()}
    missing = model.load_state_dict(tensors, strict=False)
    surprising = [name for name in missing.missing_keys if not name.endswith(("num_batches_tracked", ".0.bias"))]
    if surprising or missing.unexpected_keys:
        raise Unavailable(
            f"SpikingJelly 2's model does not carry these weights: {surprising}, {missing.unexpected_keys}"
        )
    with torch.no_grad():
        for name in missing.missing_keys:
            model.state_dict()[name].zero_()
    model.eval().to(memory_format=memory_format)
    forms = ["channels_last"] * (memory_format == torch.channels_last) + ["torch.compile"] * compiled
    inputs = [_steps_first(x) for x in workload.inputs]
    runner = torch.compile(model) if compiled else model
    return Dense(" ".join(["SpikingJelly 2", *forms]), runner, inputs, lambda: functional.reset_net(model))


def _spikingjelly_name(name: str) -> str:
    for official, theirs in _SPIKINGJELLY_NAMES:
        name = name.replace(official, theirs)
    return name


def _plain(workload: Workload, memory_format: torch.memory_format) -> Dense:
    """The plain torch model of tools/train, its BatchNorm folded and its neurons one fused loop."""
    from tools.train.models.sdt import SpikeDrivenTransformer

    hp = workload.hp
    if workload.family.FAMILY != "sdt":
        raise Unavailable("no plain torch model for this family yet")
    model = SpikeDrivenTransformer(
        in_channels=hp.in_channels,
        num_classes=hp.n_classes,
        dim=hp.n_channels,
        num_heads=hp.n_heads,
        layer=hp.depth,
        mlp_ratio=hp.mlp_ratio,
        time_steps=hp.n_steps,
        pooling_stat=hp.pooling_stat,
        spike_mode=hp.spike_mode,
        dvs_mode=hp.dvs_mode,
    )
    tensors = {name: torch.from_numpy(np.array(tensor)) for name, tensor in workload.tensors.items()}
    model.load_state_dict(tensors, strict=False)
    model.eval()
    _fold_norms(model)
    model.to(memory_format=memory_format)
    form = " channels_last" * (memory_format == torch.channels_last)
    inputs = [torch.from_numpy(x)[None] for x in workload.inputs]
    return Dense(f"plain torch, folded{form}", model, inputs, lambda: None)


def _fold_norms(model: nn.Module) -> None:
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            norm = name.replace("conv", "bn")
            if isinstance(child, nn.Conv2d) and isinstance(getattr(module, norm, None), nn.BatchNorm2d):
                setattr(module, name, fuse_conv_bn_eval(child, getattr(module, norm)))
                setattr(module, norm, nn.Identity())


def _steps_first(x: np.ndarray) -> torch.Tensor:
    """Frames [T, C, H, W] as [T, 1, C, H, W]; an image as [1, C, H, W]."""
    return torch.from_numpy(x)[:, None] if x.ndim == 4 else torch.from_numpy(x)[None]
