"""Any processor: the same bits whatever Numba compiles for, and no kernel that a processor without AVX could not have.

Numba's target is what counts (NUMBA_CPU_NAME), not the processor at hand: a cluster of mixed nodes compiles for the
least of them. Every process here compiles from nothing, so one process runs all that is compared.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from llvmlite import binding
from numba import config

pytestmark = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")
ROOT = Path(__file__).parents[1]
TARGETS = {"skylake-avx512": "avx512f", "haswell": "avx2", "generic": "sse2"}
"""x86 processors that Numba is asked to compile for, and what the host must have to run such code."""

RUNS = r"""
import json, re, sys
from hashlib import sha256
from llvmlite import binding
from numba.core import codegen
from evsim.engine.simulator import simulate
from evsim.loading.importing import load_network
from evsim.loading.zoo import find_weights, zoo_folder
from evsim.runs.preparation import Preparation, prepare_input

modules = []
if sys.argv[1] == "keep":
    finalize = codegen.JITCodeLibrary._finalize_specific

    def keep(library):
        modules.append(library.get_llvm_str())
        finalize(library)

    codegen.JITCodeLibrary._finalize_specific = keep

class Digest:
    def __init__(self):
        self.all = sha256()
    def show(self, name, step, spikes):
        payload = b"" if spikes.payload is None else spikes.payload.tobytes()
        self.all.update(f"{name} {step} {len(spikes)}".encode() + spikes.address.tobytes() + payload)

found = {}
for precision in ("float32", "int16", "int8"):
    network, weights = load_network(find_weights("sdt-nmnist"), precision)
    recording = prepare_input(network, weights, str(zoo_folder() / "nmnist_digit_7.h5"), Preparation()).spikes
    digest = Digest()
    result = simulate(network, recording, [digest])
    found[precision] = [digest.all.hexdigest(), result.logits.tobytes().hex(), repr(result.ledger.total())]

refused = []
if modules:
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    triple = "aarch64-unknown-linux-gnu"
    machine = binding.Target.from_triple(triple).create_target_machine(cpu="generic", opt=1)
    for text in modules:
        # Numba's own counting of references has been through the compiler for the processor at hand
        text = re.sub(r"(declare .*@llvm\.x86\.atomic\.sub.*) immarg", r"\1", text)
        text = text.replace("llvm.x86.atomic.sub", "count_down")
        text = re.sub("(?m)^target triple = .*", f'target triple = "{triple}"', text)
        text = re.sub("(?m)^target datalayout = .*", f'target datalayout = "{machine.target_data}"', text)
        if "llvm.x86" in text or not machine.emit_assembly(binding.parse_assembly(text)):
            refused.append(text[:200])
print(json.dumps({"found": found, "modules": len(modules), "refused": refused}))
"""


def has_arm():
    """Whether the compiler at hand can write code for an AArch64 processor."""
    binding.initialize_all_targets()
    try:
        return bool(binding.Target.from_triple("aarch64-unknown-linux-gnu"))
    except RuntimeError:
        return False


def start(folder, target, keeps):
    """A process that runs everything with kernels compiled for `target`."""
    env = os.environ | {"NUMBA_CPU_NAME": target, "NUMBA_CACHE_DIR": str(folder / target), "OMP_NUM_THREADS": "1"}
    env.pop("NUMBA_CPU_FEATURES", None)
    command = [sys.executable, "-c", RUNS, "keep" if keeps else ""]
    return subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """What each target that the host can run gave."""
    features = binding.get_host_cpu_features()
    targets = [target for target, feature in TARGETS.items() if target == "generic" or features.get(feature)]
    folder = tmp_path_factory.mktemp("kernels")
    running = {target: start(folder, target, target == "generic" and has_arm()) for target in targets}
    given = {}
    for target, process in running.items():
        out, err = process.communicate(timeout=900)
        assert process.returncode == 0, f"{target}: {err[-2000:]}"
        given[target] = json.loads(out)
    return given


def test_every_target_gives_the_same_bits(given):
    assert set(given) >= {"generic"}
    expected = given["generic"]["found"]
    assert all(int(logits, 16) for _, logits, _ in expected.values())
    for target, gave in given.items():
        assert gave["found"] == expected, target


@pytest.mark.skipif(not has_arm(), reason="this compiler writes no code for AArch64")
def test_what_is_compiled_is_legal_for_arm(given):
    assert given["generic"]["modules"] > 20
    assert given["generic"]["refused"] == []
