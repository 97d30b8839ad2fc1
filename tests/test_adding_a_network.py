"""The code of docs/adding-a-network.md runs as it stands there."""

import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from evsim.checkpoints.choices import Choices
from evsim.checkpoints.fit import select_tensors
from evsim.checkpoints.weights import Weights
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.loading.importing import build_network
from tests import contract, twins

PAGE = Path(__file__).parents[1] / "docs/adding-a-network.md"


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    """The Python blocks of the page, in files (Numba wants to see a file)."""
    folder = tmp_path_factory.mktemp("page")
    sources = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    files = [folder / f"block_{i}.py" for i in range(len(sources))]
    for file, source in zip(files, sources, strict=True):
        file.write_text(source, encoding="utf-8")
    return files


def execute(file, **names):
    module = ModuleType(file.stem)
    module.__file__ = str(file)
    vars(module).update(names)
    sys.modules[file.stem] = module  # dataclasses look their module up
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), vars(module))
    return module


def test_the_network_is_recognised_built_and_run(blocks, monkeypatch):
    toy = execute(blocks[0])
    monkeypatch.setattr("evsim.networks.families", lambda: [toy])
    rng = np.random.default_rng(0)
    live, dead = toy.tensor_shapes(toy.HyperParameters(2, 8, 3, 4, 6))
    tensors = {name: rng.uniform(0.5, 1, shape).astype(np.float32) for name, shape in (live | dead).items()}
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    assert toy.recognises(shapes)
    hp = toy.read_hyper_parameters(shapes, Choices("toy.pth", {"n_steps": 4}, {"img_size": "6"}))
    kept, dropped = select_tensors("toy.pth", tensors, *toy.tensor_shapes(hp))
    assert dropped == ["toy.unused.weight"]
    network = build_network(Weights(kept, {"family": "toy", "hyper_parameters": vars(hp)}))
    result = simulate(network, [Spikes.from_dense(rng.random((6, 6, 2)) < 0.3)] * 4)
    assert result.logits.shape == (3,)
    assert result.ledger.total("toy.lif").events_out > 0


def test_the_attention_obeys_the_contract(blocks):
    attention = execute(blocks[1])
    execute(blocks[2], HeadSum=attention.HeadSum, **vars(twins))
    test = execute(blocks[3], HeadSum=attention.HeadSum, **vars(contract))
    try:
        test.test_head_sum_obeys_the_contract(np.random.default_rng(0))
    finally:
        del twins.TWINS[attention.HeadSum]
