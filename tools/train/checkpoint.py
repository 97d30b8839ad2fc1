"""Checkpoint files in the wrapper of the official training scripts."""

from argparse import Namespace
from pathlib import Path

import torch
from torch import nn

# Where files were on one machine is nobody's business.
_PRIVATE = ("root", "output", "resume", "initial_checkpoint")

__all__ = ["load_checkpoint", "load_encoder", "public_args", "save_checkpoint"]


def public_args(args: Namespace) -> Namespace:
    """The arguments worth keeping: no places on this machine, nothing that was never set."""
    kept = {k: v for k, v in vars(args).items() if k not in _PRIVATE and (v is not None or k in ("mean", "std"))}
    return Namespace(**kept)


def save_checkpoint(path: Path, model: nn.Module, optimizer, args: Namespace, epoch: int, metric: float) -> None:
    """Write epoch, arch, state_dict, optimizer, version, args and metric (top-1 in per cent); never half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    wrapper = {
        "epoch": epoch,
        "arch": args.model,
        "state_dict": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "version": 2,
        "args": public_args(args),
        "metric": metric,
    }
    torch.save(wrapper, partial)
    partial.replace(path)


def load_checkpoint(path: Path) -> dict:
    """A checkpoint of ours (the Namespace makes it more than weights)."""
    with torch.serialization.safe_globals([Namespace]):
        return torch.load(path, map_location="cpu", weights_only=True)


def load_encoder(model: nn.Module, path: Path) -> list[str]:
    """Take every tensor of the same name and shape but the head's; return the names that started fresh."""
    wrapper = load_checkpoint(path)
    state = wrapper.get("state_dict", wrapper.get("model"))
    own = model.state_dict()
    heads = ("head.", "classifier.")
    taken = {k: v for k, v in state.items() if k in own and v.shape == own[k].shape and not k.startswith(heads)}
    model.load_state_dict(taken, strict=False)
    return sorted(set(own) - set(taken))
