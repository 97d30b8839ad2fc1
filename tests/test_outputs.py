"""Output files: whole or not at all, never through a link, never shared, never in the place of an input."""

import os
import resource
import signal
import subprocess
import sys
import threading

import h5py
import pytest

from evsim.errors import EvsimError
from evsim.loading.zoo import zoo_folder
from evsim.outputs import check_outputs, output_file, output_hdf5, output_text, write_output
from evsim.traces.trace import read_trace
from tests.command import start

DIGIT = str(zoo_folder() / "nmnist_digit_7.h5")
OLD = b"old\n" * 10


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_only_when_it_is_complete(tmp_path):
    target = tmp_path / "a"
    target.write_bytes(OLD)
    with output_file(target) as file:
        file.write(b"new")
        file.flush()
        assert target.read_bytes() == OLD
    assert (target.read_bytes(), names(tmp_path)) == (b"new", ["a"])


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, EvsimError])
def test_an_error_keeps_the_old_file_and_leaves_nothing(tmp_path, error):
    (tmp_path / "a").write_bytes(OLD)

    def stop():
        with output_file(tmp_path / "a") as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        stop()
    assert ((tmp_path / "a").read_bytes(), names(tmp_path)) == (OLD, ["a"])


def test_links_are_replaced_and_never_followed(tmp_path):
    victim, link = tmp_path / "victim", tmp_path / "out"
    victim.write_bytes(OLD)
    link.symlink_to(victim)
    (tmp_path / "out.part").symlink_to(victim)  # where a name that can be guessed would lead
    write_output(link, b"new")
    assert victim.read_bytes() == OLD
    assert not link.is_symlink()
    assert link.read_bytes() == b"new"


def test_a_file_of_the_user_that_looks_temporary_is_not_touched(tmp_path):
    (tmp_path / "a.part").write_bytes(OLD)
    write_output(tmp_path / "a", b"new")
    assert (tmp_path / "a.part").read_bytes() == OLD


def test_two_writers_never_mix(tmp_path):
    """Each writes many blocks while the other does; what stays is one of the two, whole."""
    contents = [bytes([letter]) * 500_000 for letter in b"ab"]
    gate = threading.Barrier(2)

    def write(content):
        gate.wait()
        for _ in range(20):
            with output_file(tmp_path / "o") as file:
                for begin in range(0, len(content), 10_000):
                    file.write(content[begin : begin + 10_000])

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "o").read_bytes() in contents
    assert names(tmp_path) == ["o"]


def test_permissions_are_those_of_the_old_file_or_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_output(tmp_path / "new", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640
    (tmp_path / "old").write_bytes(OLD)
    (tmp_path / "old").chmod(0o600)
    write_output(tmp_path / "old", b"")
    assert (tmp_path / "old").stat().st_mode & 0o777 == 0o600


def test_a_device_is_written_to_and_stays_a_device():
    write_output("/dev/null", b"gone")
    assert not os.path.isfile("/dev/null")


def test_text_that_cannot_be_encoded_is_escaped(tmp_path):
    with output_text(tmp_path / "a") as file:
        file.write("ü\ud800\r\n")
    assert (tmp_path / "a").read_bytes() == "ü\\ud800\r\n".encode()


def test_hdf5_is_made_in_memory_and_readable(tmp_path):
    with output_hdf5(tmp_path / "a.h5") as file:
        file["x"] = [1, 2, 3]
        assert names(tmp_path) == []
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["x"][()].tolist() == [1, 2, 3]


@pytest.mark.parametrize("place", ["absent/a", "file/a", "folder"])
def test_what_cannot_be_written_is_one_line(tmp_path, place):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(EvsimError, match="cannot be written") as refusal:
        write_output(tmp_path / place, b"x")
    assert "\n" not in str(refusal.value)
    assert names(tmp_path) == ["file", "folder"]


def test_outputs_that_are_inputs_are_refused_before_the_work(tmp_path):
    (tmp_path / "in").write_bytes(OLD)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "one").write_bytes(OLD)
    (tmp_path / "link").symlink_to(tmp_path / "in")
    os.link(tmp_path / "in", tmp_path / "hard")
    path = str(tmp_path / "in")
    for output, inputs in (
        (path, [path]),
        (str(tmp_path / "link"), [path]),
        (str(tmp_path / "hard"), [path]),
        (path, [f"{path}::3"]),
        (str(tmp_path / "folder" / "one"), [str(tmp_path / "folder")]),
    ):
        with pytest.raises(EvsimError, match=r"--output .* would replace an input"):
            check_outputs({"--output": output}, inputs)
    with pytest.raises(EvsimError, match="is the file of --json too"):
        check_outputs({"--json": str(tmp_path / "x"), "--csv": f"{tmp_path}/./x"})
    check_outputs({"--output": str(tmp_path / "folder" / "two")}, [str(tmp_path / "folder"), None, "sdt-nmnist"])
    check_outputs({"--output": None, "--trace": "/dev/null"}, [path])


@pytest.mark.parametrize(
    "words",
    [
        ("export", "t.h5", "-o", "t.h5"), ("audit", "--trace", "t.h5", "-o", "t.h5"),
        ("run", "-i", "d.h5", "--trace", "d.h5"),
        ("audit", "-i", "d.h5", "--energy", "e.toml", "-o", "e.toml"), ("report", "-i", "d.h5", "-o", "d.h5"),
        ("raster", "-t", "t.h5", "-o", "t.h5"), ("lint", "-w", "w.npz", "-i", "d.h5", "-o", "w.npz"),
        ("evaluate", "-d", "cls", "--csv", "cls/7/a.h5"), ("evaluate", "-d", "cls", "--json", "w.npz", "-w", "w.npz"),
        ("import", "w.npz", "-o", "w.npz"),
    ],
)  # fmt: skip
def test_no_verb_replaces_its_input(evsim, tmp_path, monkeypatch, words):
    import shutil

    monkeypatch.chdir(tmp_path)
    evsim("run", "--trace", "t.h5")
    (tmp_path / "cls" / "7").mkdir(parents=True)
    for name in ("d.h5", "cls/7/a.h5"):
        shutil.copy(DIGIT, name)
    shutil.copy(zoo_folder() / "sdt-nmnist.npz", "w.npz")
    (tmp_path / "e.toml").write_text("")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    code, _, err = evsim(*words)
    assert (code, len(err.strip().splitlines())) == (2, 1)
    assert "would replace an input" in err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def limited(n_bytes):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))


@pytest.mark.parametrize("words", [("run", "--trace"), *(("export", "t.h5", "--format", f, "-o") for f in
                                                         ("csv", "packed", "sonata", "nir", "neo"))])  # fmt: skip
def test_a_full_disk_is_one_line_and_keeps_the_old_file(evsim, tmp_path, monkeypatch, words):
    """Files may not grow beyond 4 kB, as on a disk with so much left."""
    if words[-2] in ("nir", "neo"):
        pytest.importorskip(words[-2])
    monkeypatch.chdir(tmp_path)
    evsim("run", "--trace", "t.h5")
    (tmp_path / "out").write_bytes(OLD)
    process = start(*words, "out", cwd=tmp_path, preexec_fn=limited(4096), env=with_this_tree())
    _, err = process.communicate(timeout=300)
    assert process.returncode == 2
    assert err.decode().strip().splitlines()[-1] == "evsim: out: cannot be written: File too large"
    assert b"Traceback" not in err
    assert (tmp_path / "out").read_bytes() == OLD
    assert names(tmp_path) == ["out", "t.h5"]


def test_killed_while_writing_the_old_file_stays(tmp_path):
    """The child writes without end; whatever moment it dies at, the name holds what it held."""
    (tmp_path / "out").write_bytes(OLD)
    script = (
        "from evsim.outputs import output_file\nimport sys\n"
        "with output_file('out') as file:\n    while True:\n        file.write(bytes(4096)); file.flush()\n"
        "        print('x', flush=True)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, env=with_this_tree()
    )
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    assert (tmp_path / "out").read_bytes() == OLD


def test_a_trace_is_the_same_through_memory(evsim, tmp_path):
    evsim("run", "--trace", tmp_path / "a.h5")
    evsim("run", "--trace", tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert read_trace(tmp_path / "a.h5").n_steps == 4


def with_this_tree():
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
