"""SDT-8-384 of the official ImageNet configuration, T=4, 224x224: random weights, one random image.

The firing rates are set to what was published of a trained SDT-8-768 (issue 25 of the official repository; the mean
of what was measured over four steps), limited to 4-22 %, and to 5 % where nothing was published.
"""

import numpy as np

from evsim.networks import sdt
from tools.benchmarks.random_weights import random_tensors
from tools.benchmarks.rates import check_rates, tune
from tools.benchmarks.workload import Workload

RATES = {
    "proj_lif": 12,
    "proj_lif1": 5,
    "proj_lif2": 4,
    "proj_lif3": 12,
    "shortcut_lif": 22,
    "q_lif": 21,
    "fc1_lif": 22,
}


def load(name, shared):
    hp = sdt.HyperParameters(8, 384, 8, 4, 3, 1000, "lif", 4, "1111", False, 224, 224)
    rng = np.random.default_rng(8384)
    tensors = random_tensors(sdt.tensor_shapes(hp)[0], rng)
    image = rng.standard_normal((1, 3, hp.height, hp.width)).astype(np.float32)
    workload = Workload(name, "SDT-8-384, T=4, 224x224, random weights, rates 4-22 %", sdt, tensors, hp, image)
    populations = [p.name for p in workload.network().populations() if "talking" not in p.name]
    return check_rates(tune(workload, {name: RATES.get(name.rpartition(".")[2], 5) for name in populations}))
