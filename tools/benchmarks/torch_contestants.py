"""Dense PyTorch in every form that may be the fastest: three kinds of model, two memory formats, compiled or not.

SpikingJelly 2            its own model of this network, as it comes
SpikingJelly 2 neurons    where it has none: plain layers and BatchNorms around SpikingJelly 2's multi-step neurons
plain torch, folded       BatchNorm folded into the layers, and each population one fused loop
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from tools.benchmarks import torch_models as models
from tools.benchmarks.workload import Unavailable, Workload

__all__ = ["Dense", "dense_contestants"]

MakeDense = Callable[[], "Dense"]


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
        """Logits of one input, the mean over steps where the model leaves that to its caller."""
        self._reset()
        y = self._model(self._inputs[index])
        return (y.mean(0) if y.dim() == 3 else y)[0].numpy()


def dense_contestants(workload: Workload, compiled: bool) -> Iterator[MakeDense]:
    """One factory for each form, in the order of the table."""
    for memory_format in (torch.contiguous_format, torch.channels_last):
        yield lambda memory_format=memory_format: _spikingjelly(workload, memory_format)
        yield lambda memory_format=memory_format: _plain(workload, memory_format)
    if compiled:
        yield lambda: _spikingjelly(workload, torch.contiguous_format, compiled=True)
        yield lambda: _plain(workload, torch.channels_last, compiled=True)


def _spikingjelly(workload: Workload, memory_format: torch.memory_format, compiled: bool = False) -> Dense:
    """SpikingJelly 2's own model; where it has none, its neurons between plain layers."""
    models.spikingjelly()
    from spikingjelly.activation_based import functional

    try:
        name, model, inputs = "SpikingJelly 2", models.spikingjelly_model(workload), _steps_first(workload)
    except Unavailable:
        name, inputs = "SpikingJelly 2 neurons", _batch_first(workload)
        model = models.swap_neurons(models.plain_model(workload), models.spikingjelly_neurons)
    models.lay_out(model, memory_format)
    runner = torch.compile(model) if compiled else model
    return Dense(_form(name, memory_format, compiled), runner, inputs, lambda: functional.reset_net(model))


def _plain(workload: Workload, memory_format: torch.memory_format, compiled: bool = False) -> Dense:
    """Nobody publishes such code, but it is the fairest opponent: dense convolutions, and little else."""
    model = models.fold_norms(models.plain_model(workload))
    models.swap_neurons(model, models.LoopNeurons if compiled else models.FusedNeurons)
    models.lay_out(model, memory_format)
    runner = torch.compile(model) if compiled else model
    return Dense(_form("plain torch, folded", memory_format, compiled), runner, _batch_first(workload), lambda: None)


def _form(name: str, memory_format: torch.memory_format, compiled: bool) -> str:
    is_last = memory_format == torch.channels_last
    return " ".join([name, *["channels_last"] * is_last, *["torch.compile"] * compiled])


def _steps_first(workload: Workload) -> list[torch.Tensor]:
    """Frames [T, C, H, W] as [T, 1, C, H, W]; an image as [1, C, H, W]."""
    return [torch.from_numpy(x)[:, None] if x.ndim == 4 else torch.from_numpy(x)[None] for x in workload.inputs]


def _batch_first(workload: Workload) -> list[torch.Tensor]:
    """Frames [T, C, H, W] as [1, T, C, H, W]; an image as [1, C, H, W]."""
    return [torch.from_numpy(x)[None] for x in workload.inputs]
