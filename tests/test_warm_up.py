"""Kernels that are ready: nothing compiles for another size, another input, another kind of event."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evsim.engine.simulator import simulate
from evsim.loading.warm_up import _firing_tensors, warm_up, warm_up_families
from evsim.networks import families
from tests.contract import JIT

ROOT = Path(__file__).parents[1]

# In a process of its own: what other tests have compiled would hide what a run must compile.
COMPILES_NOTHING = """
import gc
from numba.core.registry import CPUDispatcher
from evsim.loading.importing import load_network
from evsim.runs.preparation import Preparation, prepare_input
from evsim.engine.simulator import simulate
from evsim.engine.spikes import Spikes
from evsim.loading.warm_up import warm_up, warm_up_families
from evsim.loading.zoo import find_weights, zoo_folder
from tests.test_warm_up import grown

for _ in warm_up_families():
    pass
signatures = lambda: {
    d.py_func.__module__ + "." + d.py_func.__name__: tuple(map(str, d.signatures))
    for d in gc.get_objects() if isinstance(d, CPUDispatcher) and d.py_func.__module__.startswith("evsim")
    and "recordings" not in d.py_func.__module__
}
before = signatures()
for path in sorted(zoo_folder().glob("*-nmnist.npz")):
    network, weights = load_network(find_weights(path.stem))
    for recording in sorted(zoo_folder().glob("nmnist_digit_[12].h5")):
        for order in ("step", "stage"):
            simulate(network, prepare_input(network, weights, str(recording), Preparation()).spikes, order=order)
    simulate(network, [Spikes.none()] * 4)
    warm_up(network)
for network in grown():
    warm_up(network)
new = {name: set(found) - set(before.get(name, ())) for name, found in signatures().items()}
print({name: found for name, found in new.items() if found})
"""


def grown():
    """Networks of other sizes than those of the warm-up."""
    for family in families():
        for hp in getattr(family, "SMALLEST", ()):
            larger = replace(hp, height=2 * hp.height, width=2 * hp.width, n_classes=7)
            if hasattr(larger, "scale_size"):
                larger = replace(larger, scale_size=2 * hp.scale_size)
            yield family.build(_firing_tensors(family, larger), larger)


@pytest.mark.skipif(not JIT, reason="nothing is compiled")
def test_after_the_warm_up_nothing_compiles():
    command = [sys.executable, "-c", COMPILES_NOTHING]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("{}", 0), done.stdout + done.stderr[-2000:]


def test_every_family_is_warmed_up_or_shares_its_kernels():
    found = list(warm_up_families())
    assert [family.title for family in found] == [family.TITLE for family in families() if family.FAMILY != "recorded"]
    assert all(family.n_networks or "SpikingJelly" in family.title for family in found)


def test_every_neuron_of_a_made_up_network_fires():
    for family in families():
        for hp in getattr(family, "SMALLEST", ()):
            network, sent = family.build(_firing_tensors(family, hp), hp), {}

            class Log:
                def show(self, name, step, spikes, sent=sent):
                    sent[name] = sent.get(name, 0) + len(spikes)

            from evsim.engine.spikes import Spikes

            address = np.arange(np.prod(network.input_shape), dtype=np.int32)
            simulate(network, [Spikes(address)] * 2, [Log()])
            silent = [p.name for p in network.populations() if not sent.get(p.name)]
            assert not silent, (family.FAMILY, silent)


def test_the_verb_says_what_it_did(evsim):
    code, out, err = evsim("warmup")
    assert (code, err) == (0, "")
    if JIT:
        assert "Spikformer (official layout)" in out
        assert "all ready after" in out.splitlines()[-2]
    else:
        assert "nothing to compile" in out


def test_a_network_is_as_it_was_after_its_warm_up():
    from tests.nets import random_network, random_recording

    warm, cold, recording = random_network(4), random_network(4), random_recording(4)
    warm_up(warm)
    np.testing.assert_array_equal(simulate(warm, recording).logits, simulate(cold, recording).logits)
