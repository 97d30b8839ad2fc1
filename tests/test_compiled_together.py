"""Several processes compile for one run: the same results, one cache, and nobody waits for a process that is gone."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from evsim.arithmetic import kernel_cache
from evsim.arithmetic.claims import Claims, CompiledElsewhere
from evsim.loading import compiled_together as together
from evsim.loading.compile_helper import calls_of
from evsim.loading.compiled_together import LIMIT, compiled_together
from evsim.loading.warm_up import small_networks
from evsim.networks import families
from tests.contract import needs_jit

RUN = """
import json
from numba.core import event
import evsim
from evsim.loading import compiled_together as together

compiled, helpers = [], []

class Listener(event.Listener):
    def on_start(self, compilation):
        compiled.append(compilation.data["dispatcher"].py_func.__name__)
    def on_end(self, compilation):
        pass

class Seen(together.Helpers):
    def end(self):
        helpers.append(self.n_begun)
        super().end()

together.Helpers = Seen
event.register("numba:compile", Listener())
run = evsim.load("sdt-nmnist").run(keep_spikes=False)
print(json.dumps({
    "compiled": compiled, "helpers": helpers, "logits": run.logits.tobytes().hex(), "counts": run.counts.total.as_dict()
}))
"""


def run_with(folder, n_processes):
    """What a run in a new process compiled and found, with the cache in a folder."""
    path = os.pathsep.join(filter(None, sys.path))
    env = os.environ | {"NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": path, LIMIT: str(n_processes)}
    done = subprocess.run([sys.executable, "-c", RUN], env=env, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@needs_jit
def test_two_processes_compile_what_one_would_and_leave_nothing_to_compile(tmp_path):
    import evsim

    cold, warm = run_with(tmp_path, 2), run_with(tmp_path, 2)
    alone = evsim.load("sdt-nmnist").run(keep_spikes=False)
    assert cold["helpers"] == [1]
    assert "gather_and_fire" in cold["compiled"]
    assert (warm["compiled"], warm["helpers"]) == ([], [0])
    assert {**cold, "compiled": [], "helpers": [0]} == warm
    assert (cold["logits"], cold["counts"]) == (alone.logits.tobytes().hex(), alone.counts.total.as_dict())
    assert not list(tmp_path.rglob("*.tmp.*"))


@needs_jit
@pytest.mark.parametrize("family", [family.FAMILY for family in families() if hasattr(family, "SMALLEST")])
@pytest.mark.parametrize("mode", ["synchronous", "asynchronous"])
def test_a_helper_can_call_every_handler_on_its_own(family, mode):
    for network in list(small_networks([family]))[:1]:
        assert sum(1 for call in calls_of(network, mode) if call() is not NotImplemented) >= 2 * len(network.handlers)


# --- claims -----------------------------------------------------------------------------------------------------------


def test_one_takes_a_kernel_and_a_helper_does_something_else(tmp_path):
    first, helper = Claims(str(tmp_path), 0), Claims(str(tmp_path), 1)
    assert not first.take_or_wait("f", "(int64,)")
    assert not helper.take_or_wait("f", "(float64,)"), "another signature is another kernel"
    helper.finish("f", "(float64,)")
    with pytest.raises(CompiledElsewhere):
        helper.take_or_wait("f", "(int64,)")
    first.finish("f", "(int64,)")
    assert helper.take_or_wait("f", "(int64,)")
    assert first.take_or_wait("f", "(float64,)")


def test_who_needs_a_kernel_inside_another_waits_for_it(tmp_path):
    first, helper = Claims(str(tmp_path), 0), Claims(str(tmp_path), 1)
    assert not first.take_or_wait("inside", 1)
    assert not helper.take_or_wait("around", 1)
    timer = threading.Timer(0.05, first.finish, ["inside", 1])
    timer.start()
    assert helper.take_or_wait("inside", 1)
    timer.join()


def test_nobody_waits_for_a_process_that_was_killed(tmp_path):
    script = "import sys\nfrom evsim.arithmetic.claims import Claims\nclaims = Claims(sys.argv[1], 1)\n"
    script += "claims.take_or_wait('f', 1)\nwith claims.saving():\n    print('taken', flush=True)\n    sys.stdin.read()"
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout.readline() == b"taken\n"
        first = Claims(str(tmp_path), 0, lambda number: process.poll() is None)
        threading.Timer(0.2, process.kill).start()
        assert not first.take_or_wait("f", 1), "it was never finished, so it is compiled here"
    with first.saving():
        assert (tmp_path / "saving").read_text() == "0"
    assert not (tmp_path / "saving").exists()


def test_a_process_that_is_stuck_is_not_waited_for_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr("evsim.arithmetic.claims._MOST_SECONDS", 0.05)
    assert not Claims(str(tmp_path), 1).take_or_wait("f", 1)
    assert not Claims(str(tmp_path), 0).take_or_wait("f", 1)


def test_without_a_folder_each_process_is_on_its_own(tmp_path):
    claims = Claims(str(tmp_path / "none"), 0)
    assert not claims.take_or_wait("f", 1)
    with claims.saving():
        claims.finish("f", 1)
    assert not claims.take_or_wait("f", 1)


# --- helpers ----------------------------------------------------------------------------------------------------------


def test_helpers_begin_at_the_first_missing_kernel_and_end_with_the_run(monkeypatch):
    monkeypatch.setenv(LIMIT, "3")
    with compiled_together(["sdt"]) as helpers:
        assert helpers.n_begun == 0
        assert helpers.claims() is helpers.claims() is not None
        assert helpers.n_begun == 2
        folder, processes = helpers._folder, helpers._processes
        assert os.path.isdir(folder)
    assert all(process.returncode is not None for process in processes)
    assert not os.path.exists(folder)
    assert helpers.claims() is None


@pytest.mark.parametrize("limit", ["0", "1"])
def test_none_begins_with_one_core(monkeypatch, limit):
    monkeypatch.setenv(LIMIT, limit)
    with compiled_together(["sdt"]) as helpers:
        assert (helpers.claims(), helpers.n_begun) == (None, 0)


@pytest.mark.parametrize("why", ["nothing is kept", "frozen", "a family that names no network"])
def test_none_begins_where_it_could_not_help(monkeypatch, why):
    monkeypatch.setenv(LIMIT, "2")
    if why == "nothing is kept":
        monkeypatch.setitem(kernel_cache._said, "not kept", "no room")
    if why == "frozen":
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    with compiled_together(["recorded"] if why.startswith("a family") else ["sdt"]) as helpers:
        assert (helpers.claims(), helpers.n_begun) == (None, 0)


def test_a_helper_leaves_when_whoever_asked_for_it_is_gone(tmp_path):
    script = together._SCRIPT.format(path=sys.path)
    command = [sys.executable, "-c", script, str(tmp_path), "1", "sdt", "float32", "synchronous"]
    env = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, env=env)
    time.sleep(0.1)
    process.stdin.close()
    assert process.wait(60) == 0


def test_what_a_helper_says_of_damage_is_said_and_nothing_else(monkeypatch, capsys):
    monkeypatch.setattr(kernel_cache, "_said", {})
    kernel_cache.repeat_damage("Warning: x\nevsim: compiled kernels in /a were damaged; they are removed\n")
    kernel_cache.repeat_damage("evsim: compiled kernels in /b were damaged; they are removed\n")
    assert capsys.readouterr().err == "evsim: compiled kernels in /a were damaged; they are removed\n"


def test_cores_are_those_a_container_may_use(monkeypatch, tmp_path):
    from evsim.loading import cores

    monkeypatch.setattr(cores, "_QUOTA", tmp_path / "cpu.max")
    free = cores.available_cores()
    for text, expected in (("max 100000", free), ("50000 100000", 1), ("100000 100000", 1), ("nonsense", free)):
        (tmp_path / "cpu.max").write_text(text)
        assert cores.available_cores() == expected
    assert free >= 1
