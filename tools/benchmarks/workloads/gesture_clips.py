"""The gesture network of `gesture`, on real DVS128 Gesture clips (its weights were not trained on them)."""

import numpy as np

from evsim.networks import sdt
from evsim.recordings.read import read_recording
from evsim.recordings.steps import to_steps
from tools.benchmarks.workload import Workload
from tools.benchmarks.workloads.gesture import TITLE, read_network

N_CLIPS = 3


def load(name, shared):
    tensors, hp = read_network(shared)
    paths = sorted((shared / "data" / "dvs_gesture").glob("clip_*.npz"))[:N_CLIPS]
    inputs = np.stack([frames(path, hp) for path in paths])
    return Workload(name, f"{TITLE}, fixture's weights, {len(paths)} real clips", sdt, tensors, hp, inputs)


def frames(path, hp):
    """One clip as float32 [n_steps, channels, height, width]."""
    size = {"height": hp.height, "width": hp.width, "n_channels": hp.in_channels}
    steps = to_steps(read_recording(path), n_steps=hp.n_steps, split_by="number", **size)
    dense = [s.to_dense(hp.height * hp.width * hp.in_channels).reshape(hp.height, hp.width, -1) for s in steps.spikes]
    return np.stack(dense).transpose(0, 3, 1, 2).astype(np.float32)
