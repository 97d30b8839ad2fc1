"""The gesture network on a real clip, its biases shifted so that each layer fires like a trained one."""

from evsim.networks import sdt
from tools.benchmarks.rates import check_rates, tune
from tools.benchmarks.workload import Workload
from tools.benchmarks.workloads.gesture import TITLE, read_network
from tools.benchmarks.workloads.gesture_clips import frames

# Mean firing rates in percent of the network trained on N-MNIST, the only trained one at hand; a gate's rate follows
# from those of k and v.
RATES = {
    "patch_embed": {"proj_lif": 3.3, "proj_lif1": 3.3, "proj_lif2": 1.3, "proj_lif3": 12.2},
    "block.0": {
        "attn.shortcut_lif": 21.2, "attn.q_lif": 6.6, "attn.k_lif": 4.0, "attn.v_lif": 4.0,
        "mlp.fc1_lif": 26.7, "mlp.fc2_lif": 4.7,
    },
    "block.1": {
        "attn.shortcut_lif": 32.3, "attn.q_lif": 7.0, "attn.k_lif": 4.1, "attn.v_lif": 4.2,
        "mlp.fc1_lif": 36.0, "mlp.fc2_lif": 6.1,
    },
}  # fmt: skip


def load(name, shared):
    tensors, hp = read_network(shared)
    clip = frames(shared / "data" / "dvs_gesture" / "clip_01.npz", hp)[None]
    rates = {f"{module}.{part}": rate for module, parts in RATES.items() for part, rate in parts.items()}
    rates["head_lif"] = 37.9
    workload = Workload(name, f"{TITLE}, a real clip, a trained network's rates", sdt, tensors, hp, clip)
    return check_rates(tune(workload, rates))
