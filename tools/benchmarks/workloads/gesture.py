"""SDT-2-256 of the official gesture configuration, T=16, 128x128: the reference fixture and its own input."""

import numpy as np

from evsim.checkpoints.checkpoint import read_checkpoint
from evsim.checkpoints.choices import Choices
from evsim.checkpoints.fit import select_tensors
from evsim.networks import sdt
from tools.benchmarks.workload import Unavailable, Workload

FIXTURE = "full_sdt_gesture_2_256_T16"
TITLE = "SDT-2-256 gesture, T=16, 128x128"


def load(name, shared):
    tensors, hp = read_network(shared)
    with np.load(shared / "fixtures" / f"{FIXTURE}.npz") as fixture:
        inputs = fixture["input"].astype(np.float32)
    return Workload(name, f"{TITLE}, fixture's weights and input", sdt, tensors, hp, inputs)


def read_network(shared):
    """Tensors and hyper-parameters of the fixture."""
    if shared is None:
        raise Unavailable("the gesture workloads need the reference data: --shared or EVSIM_SHARED")
    checkpoint = read_checkpoint(shared / "fixtures" / f"{FIXTURE}.model_best.pth.tar")
    shapes = {key: tensor.shape for key, tensor in checkpoint.tensors.items()}
    hp = sdt.read_hyper_parameters(shapes, Choices(str(checkpoint.path), checkpoint.args, {}))
    return select_tensors(checkpoint.path, checkpoint.tensors, *sdt.tensor_shapes(hp))[0], hp
