"""Small sound checkpoints and weights files of every wrapper and family, for the fuzzer."""

import json
from dataclasses import asdict

import numpy as np
import safetensors.numpy

from evsim import networks
from evsim.checkpoints.weights import Weights, write_weights
from tests.checkpoint_files import (
    call,
    integer,
    mapping,
    name,
    namespace,
    storage,
    tensor,
    text,
    torch_legacy,
    torch_zip,
)

ARGUMENTS = {"T": 2, "time_steps": 2, "time_step": 2, "img_size": 32, "num_heads": 2}


def small_networks():
    """(family, hyper-parameters, tensors by name) of the smallest networks of each family."""
    rng = np.random.default_rng(0)
    for module in networks.families():
        for hp in getattr(module, "SMALLEST", ()):
            live, dead = module.tensor_shapes(hp)
            shapes = live | {name: shape for name, shape in dead.items() if not name.endswith("*")}
            tensors = {name: rng.uniform(0.1, 1, shape).astype(np.float32) for name, shape in shapes.items()}
            yield module.FAMILY, hp, tensors


def write_weights_seeds(folder):
    """Weights files by name."""
    paths = {}
    for number, (family, hp, tensors) in enumerate(small_networks()):
        header = {
            "family": family,
            "title": "a title",
            "hyper_parameters": json.loads(json.dumps(asdict(hp))),
            "class_names": [f"class {i}" for i in range(hp.n_classes)] or None,
            "normalisation": {"mean": [0.5] * hp.in_channels, "std": [0.25] * hp.in_channels},
            "input": {"split_by": "number", "fit": "crop", "sensor": "34x34"},
            "assumed": {"tau": "2.0"},
            "source": {"file": "net.pth", "sha256": "00", "wrapper": "bare state dict"},
        }
        paths[f"{family}_{number}"] = folder / f"{family}_{number}.npz"
        write_weights(paths[f"{family}_{number}"], Weights(tensors, header))
    return paths


def write_checkpoint_seeds(folder):
    """Checkpoints by name: each family in another wrapper, and what people keep beside the weights."""
    wrap = (_timm, _lightning, _net, _bare, _compiled, _beside)
    files = {"safetensors.safetensors": b""}
    for number, (family, hp, tensors) in enumerate(small_networks()):
        value, storages = wrap[number % len(wrap)](tensors, _arguments(family, hp))
        files[f"{family}_{number}.pth"] = torch_zip(value, storages)
        if number == 0:
            files["legacy.pth"] = torch_legacy(value, list(storages), _legacy_storages(storages))
            files["safetensors.safetensors"] = safetensors.numpy.save(tensors)
    paths = {}
    for file, data in files.items():
        paths[file] = folder / file
        paths[file].write_bytes(data)
    return paths


def pickled_state(tensors, prefix=""):
    """Opcodes of a state dict, and its storages."""
    items, storages = {}, {}
    for key, (name_, array) in enumerate(tensors.items()):
        strides = np.array(array.strides) // 4
        items[prefix + name_] = tensor(storage(str(key), numel=array.size), 0, array.shape, map(int, strides))
        storages[str(key)] = array.tobytes()
    return mapping(**items), storages


def _legacy_storages(storages):
    return b"".join(np.int64(len(raw) // 4).tobytes() + raw for raw in storages.values())


def _arguments(family, hp):
    """Opcodes of the arguments that a training script would have stored."""
    words = {"pooling_stat": "1111", "shortcut": "sew", "dvs_mode": "true", "model": family}
    words |= {name: getattr(hp, name) for name in ("attention", "variant") if hasattr(hp, name)}
    numbers = ARGUMENTS | ({"num_heads": hp.n_heads} if isinstance(hp.n_heads, int) else {})
    return mapping(
        **{key: integer(value) for key, value in numbers.items()}, **{key: text(word) for key, word in words.items()}
    )


def _timm(tensors, arguments):
    state, storages = pickled_state(tensors, "module.")
    return mapping(state_dict=state, arch=text("sdt"), epoch=integer(3), args=namespace(arguments)), storages


def _lightning(tensors, arguments):
    state, storages = pickled_state(tensors, "model._orig_mod.")
    return mapping(state_dict=state, hyper_parameters=arguments, callbacks=b"}"), storages


def _net(tensors, arguments):
    state, storages = pickled_state(tensors)
    return mapping(net=state, config=name("my.module", "Config") + b")\x81" + arguments + b"b"), storages


def _bare(tensors, arguments):
    """The arguments lie among the tensors."""
    state, storages = pickled_state(tensors)
    return state[:-1] + text("args") + arguments + b"u", storages


def _compiled(tensors, arguments):
    state, storages = pickled_state(tensors, "_orig_mod.backbone.")
    return mapping(model_state_dict=state, args=arguments), storages


def _beside(tensors, arguments):
    state, storages = pickled_state(tensors)
    path = call("pathlib", "PosixPath", text("out"))
    array = call("numpy.core.multiarray", "_reconstruct", name("numpy", "ndarray"), integer(0)) + b"(K\x01tb"
    return mapping(model=state, args=arguments, out=path, dtype=name("torch", "float16"), best=array), storages


def write_graph_seeds(folder):
    """Weights files of small recorded networks: convolutions, attention, pools of payloads, forms of neurons."""
    from evsim.graph.file import to_weights
    from evsim.networks.recorded import describe
    from tests.graph_nets import reference_of

    paths = {}
    for kind, graph in _graphs():
        paths[kind] = folder / f"{kind}.npz"
        header = {"title": kind, "hyper_parameters": asdict(describe(graph)), "class_names": None}
        write_weights(paths[kind], to_weights(graph, reference_of(graph), header))
    return paths


def _graphs():
    from evsim.handlers.neuron_forms.forms import IntegerLeak, Leaky, Signed
    from tests.graph_nets import Maker

    m = Maker((1, 3, 6, 6))
    s = m.fire(m.norm(m.conv(m.input, 8, path="conv0")), "lif0")
    yield "plain", m.graph(m.classify(m.fire(m.conv(s, 8, path="conv1", bias=True), "lif1", Leaky(tau=2.0))))
    m = Maker((1, 2, 6, 6), axes="BCHW")
    s = m.fire(m.norm(m.conv(m.input, 8, path="conv0")), "lif0")
    q, k, v = (
        m.fire(m.reshape(m.conv(s, 8, kernel=1, padding=0, path=p), 1, 2, 4, 36), f"{p}_lif") for p in ("q", "k", "v")
    )
    scores = m.mul(m.matmul(m.permute(q, 0, 1, 3, 2), k), m.number(0.25))
    x = m.add(m.reshape(m.permute(m.matmul(scores, m.permute(v, 0, 1, 3, 2)), 0, 1, 3, 2), 1, 8, 6, 6), s)
    yield "attention", m.graph(m.classify(m.fire(x, "attn_lif")), readout="steps")
    m = Maker((1, 2, 6, 6))
    s = m.fire(m.conv(m.input, 8, path="conv0"), "a", IntegerLeak(decay=0.25))
    u = m.fire(m.conv(s, 8, path="conv1"), "b", Signed())
    words = {"kernel": [2, 2], "stride": [2, 2], "padding": [0, 0], "dilation": [1, 1], "ceil": False}
    pooled = m.op("max_pool", m.add(s, s), path="pool", **words)
    mean = m.op("avg_pool", u, path="avg", **words, count_padding=True, divisor=0)
    yield "payloads", m.graph(m.classify(m.fire(m.add(pooled, mean), "c")), readout="sum")
