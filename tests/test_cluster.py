"""A dataset on a Dask cluster of separate processes, one of which is killed on the way."""

import os
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("distributed")

from evsim.errors import EvsimError
from evsim.evaluation import Cluster, Journal, Threads
from evsim.evaluation.evaluate import Choice
from tests.command import call
from tests.evaluations import DIGITS, digits_evaluation, without_time

SCHEDULER = "from distributed.cli.dask_scheduler import main; main()"
WORKER = "from distributed.cli.dask_worker import main; main()"


class LocalCluster:
    """A scheduler and workers as processes of their own, as an administrator would start them."""

    def __init__(self, folder):
        self.file = folder / "scheduler.json"
        self.log = open(folder / "log.txt", "wb")
        self.processes = []
        self._start(SCHEDULER, "--port", "0", "--host", "127.0.0.1", "--scheduler-file", str(self.file))
        self._wait_for(self.file.exists)

    @property
    def address(self):
        import json

        return json.loads(self.file.read_text())["address"]

    def add_worker(self):
        """One more worker of one thread, without a nanny that would restart it."""
        return self._start(WORKER, self.address, "--nthreads", "1", "--no-nanny")

    def close(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait()
        self.log.close()

    def _start(self, script, *arguments):
        command = [sys.executable, "-c", script, *arguments, "--no-dashboard"]
        process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=os.environ | {"OMP_NUM_THREADS": "1"})
        self.processes.append(process)
        return process

    @staticmethod
    def _wait_for(happened, seconds=60):
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, "the cluster did not start"
            time.sleep(0.05)


@pytest.fixture
def cluster(tmp_path):
    made = LocalCluster(tmp_path)
    yield made
    made.close()


def test_a_killed_worker_changes_nothing(cluster, tmp_path):
    expected = without_time(digits_evaluation().run(Threads(1)))
    victim = cluster.add_worker()
    seen = []

    def kill_after_ten(outcome):
        """The second worker joins in the middle, the first is killed while it has chunks in hand."""
        seen.append(outcome)
        if len(seen) == 10:
            cluster.add_worker()
            victim.send_signal(signal.SIGKILL)

    evaluation = digits_evaluation()
    journal = Journal(tmp_path / "j.jsonl", evaluation.identity)
    report = evaluation.run(Cluster(cluster.address), journal, kill_after_ten)
    journal.close()
    assert victim.wait() == -signal.SIGKILL
    assert without_time(report) == expected
    assert len(seen) == 100
    resumed = Journal(tmp_path / "j.jsonl", evaluation.identity, resume=True)
    assert len(resumed.outcomes) == 100
    resumed.close()


def test_two_workers_of_which_one_is_killed(cluster):
    expected = without_time(digits_evaluation(Choice(limit=60)).run(Threads(2)))
    workers = [cluster.add_worker(), cluster.add_worker()]
    seen = []

    def kill_one(outcome):
        seen.append(outcome)
        if len(seen) == 5:
            workers[0].send_signal(signal.SIGKILL)

    report = digits_evaluation(Choice(limit=60)).run(Cluster(cluster.address), watch=kill_one)
    assert without_time(report) == expected


def test_the_command_runs_on_a_cluster(cluster, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    cluster.add_worker()
    options = ["evaluate", "-d", DIGITS, "--limit", 10, "--scheduler", cluster.address]
    code, out, _ = call(monkeypatch, capsys, *options)
    assert code == 0
    assert "(10 of 10)" in out


def test_errors_of_the_workers_arrive_as_one_line(cluster):
    cluster.add_worker()
    evaluation = digits_evaluation(Choice(limit=3))
    evaluation.examiner.sha256 = "0" * 64
    with pytest.raises(EvsimError, match="a worker sees another file") as refusal:
        evaluation.run(Cluster(cluster.address))
    assert "\n" not in str(refusal.value)


def test_a_scheduler_that_is_not_there(monkeypatch):
    monkeypatch.setattr("evsim.evaluation.cluster.CONNECT_SECONDS", 1)
    with pytest.raises(EvsimError, match=r"^tcp://127.0.0.1:9: ") as refusal:
        digits_evaluation(Choice(limit=1)).run(Cluster("tcp://127.0.0.1:9"))
    assert "\n" not in str(refusal.value)


def test_a_cluster_without_workers(cluster, monkeypatch):
    monkeypatch.setattr("evsim.evaluation.cluster.CONNECT_SECONDS", 1)
    with pytest.raises(EvsimError, match="TimeoutError"):
        digits_evaluation(Choice(limit=1)).run(Cluster(cluster.address))
