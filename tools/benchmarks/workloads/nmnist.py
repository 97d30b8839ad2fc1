"""The bundled network, trained on N-MNIST, on the ten bundled recordings: what a bare clone can run."""

import numpy as np

from evsim.checkpoints.weights import read_weights
from evsim.loading.importing import build_network
from evsim.loading.zoo import DEFAULT_WEIGHTS, find_weights, zoo_folder
from evsim.networks import sdt
from evsim.runs.preparation import Preparation, prepare_input
from tools.benchmarks.workload import Workload


def load(name, shared):
    weights = read_weights(find_weights(DEFAULT_WEIGHTS))
    network = build_network(weights)
    height, width, n_channels = network.input_shape
    inputs = []
    for path in sorted(zoo_folder().glob("nmnist_digit_*.h5")):
        spikes = prepare_input(network, weights, str(path), Preparation()).spikes
        frames = [events.to_dense(height * width * n_channels).reshape(network.input_shape) for events in spikes]
        inputs.append(np.stack(frames).transpose(0, 3, 1, 2).astype(np.float32))
    hp = sdt.HyperParameters(**weights.header["hyper_parameters"])
    title = f"SDT-{hp.depth}-{hp.n_channels} N-MNIST, trained, T={hp.n_steps}, {height}x{width}"
    return Workload(name, title, sdt, weights.tensors, hp, np.stack(inputs))
