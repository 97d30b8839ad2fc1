"""From arguments, in the words of the official scripts, to a model; and small presets of every family."""

from argparse import Namespace

from torch import nn

from tools.train.models.ablated import AblatedTransformer
from tools.train.models.qkformer import QKFormer
from tools.train.models.sdt import SpikeDrivenTransformer
from tools.train.models.spikformer import Spikformer
from tools.train.models.spikformer_v2 import SpikformerV2
from tools.train.models.spikingresformer import SpikingResformer

__all__ = ["NETWORKS", "build", "preset"]

# What each family takes from the arguments: the keyword of the class is the official argument name.
_COMMON = ("in_channels", "num_classes", "num_heads")
_STACK = (*_COMMON, "dim", "layer", "mlp_ratio")
NETWORKS = {
    "sdt": (SpikeDrivenTransformer, (*_STACK, "time_steps", "pooling_stat", "spike_mode", "dvs_mode", "TET")),
    "spikformer": (Spikformer, (*_STACK, "time_step", "variant")),
    "qkformer": (QKFormer, (*_STACK, "time_step", "variant")),
    "spikformer_v2": (SpikformerV2, (*_STACK, "time_step", "shortcut")),
    "spikingresformer": (
        SpikingResformer,
        (
            *_COMMON,
            "layers",
            "planes",
            "patch_sizes",
            "img_size",
            "time_steps",
            "group_size",
            "prologue",
            "spike_mode",
            "n_convs",
        ),
    ),
    "ablated": (AblatedTransformer, (*_STACK, "time_steps", "pooling_stat", "attention")),
}

_ONE_PAIR = [["DSSA", "GWFFN"]] * 3
_PRESETS = {
    "sdt": {
        "events": {"dim": 64, "layer": 2, "num_heads": 4, "pooling_stat": "0011"},
        "images": {"dim": 64, "layer": 1, "num_heads": 4, "pooling_stat": "1110"},
    },
    "spikformer": {
        "events": {"dim": 64, "layer": 1, "num_heads": 4, "variant": "cifar10", "patch_size": 4},
        "images": {"dim": 48, "layer": 1, "num_heads": 4, "variant": "cifar10", "patch_size": 4},
    },
    "qkformer": {
        "events": {"dim": 64, "layer": 3, "num_heads": 8, "variant": "cifar10", "patch_size": 4},
        "images": {"dim": 64, "layer": 3, "num_heads": 8, "variant": "cifar10", "patch_size": 4},
    },
    "spikformer_v2": {
        "events": {"dim": 48, "layer": 2, "num_heads": 4, "shortcut": "ms"},
        "images": {"dim": 48, "layer": 2, "num_heads": 4, "shortcut": "sew"},
    },
    "spikingresformer": {
        "events": {"planes": [16, 32, 64], "num_heads": [1, 2, 4], "group_size": 16, "prologue": "conv3x3"},
        "images": {"planes": [32, 48, 64], "num_heads": [1, 2, 4], "group_size": 16, "prologue": "default"},
    },
}
_PRESETS["ablated"] = {
    "events": {**_PRESETS["sdt"]["events"], "dim": 48, "layer": 1, "pooling_stat": "1100", "attention": "sdsa"}
}
_ALWAYS = {"mlp_ratio": 4, "spike_mode": "lif", "dvs_mode": False, "img_size": 32}


def preset(network: str, kind: str) -> dict:
    """Sizes of a network small enough for an hour on one core; `kind` is 'events' or 'images'."""
    sizes = {**_ALWAYS, **_PRESETS[network][kind]}
    fixed = {"layers": _ONE_PAIR, "patch_sizes": [4, 2, 1], "n_convs": 1} if network == "spikingresformer" else {}
    return sizes | fixed


def build(args: Namespace) -> nn.Module:
    """The model that `args` (of the command line or of a checkpoint) describe."""
    network, names = NETWORKS[args.model]
    return network(**{name: getattr(args, name) for name in names})
