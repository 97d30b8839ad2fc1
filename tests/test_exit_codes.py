"""What a shell is told, and what becomes of standard output and input that are full, closed or gone."""

import os
import subprocess
import sys

import pytest

from evsim.cli import main
from evsim.cli.exit_code import ExitCode

EVSIM = [sys.executable, "-m", "evsim"]
WITH_THIS_TREE = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def shell(line, *, timeout=120):
    done = subprocess.run(
        ["bash", "-c", line.replace("evsim ", f"{' '.join(EVSIM)} ")],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=WITH_THIS_TREE,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("words", ["run", "run --json", "zoo", "zoo --json", "audit --format csv"])
def test_a_full_standard_output_is_one_line(words):
    code, _, err = shell(f"evsim {words} > /dev/full")
    assert (code, err) == (2, "evsim: standard output cannot be written: No space left on device\n")


@pytest.mark.parametrize("words", ["run", "zoo --json"])
def test_a_closed_standard_output_is_one_line(words):
    assert shell(f"evsim {words} >&-")[::2] == (2, "evsim: standard output cannot be written: it is closed\n")


@pytest.mark.parametrize("words", ["run", "zoo", "run --json"])
def test_a_reader_that_has_gone_is_no_mistake(words):
    assert shell(f"evsim {words} | true; exit ${{PIPESTATUS[0]}}")[::2] == (0, "")


def test_a_closed_standard_error_changes_nothing():
    code, out, _ = shell("evsim run -w nothing.npz 2>&-; echo $?")
    assert (code, out) == (0, "2\n")


def test_a_closed_standard_input_is_one_line():
    code, _, err = shell("evsim run --follow - <&-")
    assert (code, err) == (2, "evsim: -: standard input is closed; expected events from a pipe\n")


@pytest.mark.parametrize("option", ["-i", "--trace", "--energy", "--reference", "-w"])
def test_a_named_pipe_is_refused_at_once(tmp_path, option):
    os.mkfifo(tmp_path / "f")
    verb = {"-i": "run", "--trace": "audit", "--energy": "audit", "--reference": "verify -w sdt-nmnist", "-w": "run"}[
        option
    ]
    code, _, err = shell(f"cd {tmp_path}; evsim {verb} {option} f")
    assert code == 2
    assert err.startswith("evsim: f: ")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "words", ["audit --energy /dev/zero", "audit --trace /dev/zero", "info /dev/zero", "export /dev/zero -o o",
              "verify -w sdt-nmnist -r /dev/zero", "raster -t /dev/zero -o r.png"],
)  # fmt: skip
def test_a_device_that_never_ends_is_refused_at_once(tmp_path, words):
    code, _, err = shell(f"cd {tmp_path}; evsim {words}")
    assert (code, err) == (2, "evsim: /dev/zero: is a device; expected a file\n")


def test_one_is_for_disagreement_alone(evsim, monkeypatch):
    """An error that nobody expected, and the end of a file where typer means a person who gives up."""
    from evsim.api import load

    for error in (ZeroDivisionError("x"), EOFError("x"), OSError(5, "x")):

        def broken(*_, error=error, **__):
            raise error

        monkeypatch.setattr(load, "load", broken)
        monkeypatch.setattr("evsim.load", broken, raising=False)
        code, _, err = evsim("run")
        assert code == ExitCode.FAULT == 70
        assert "Traceback" in err
        assert "fault of evsim" in err


@pytest.mark.parametrize("words", [("run", "--bogus"), ("nonsense",), ("export",)])
def test_words_that_mean_nothing_are_code_2(evsim, words):
    code, out, err = evsim(*words)
    assert (code, out) == (2, "")
    assert "Traceback" not in err


def test_leaving_always_goes_through_an_exit_code(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["evsim", "--version"])
    before = sys.stdout
    with pytest.raises(SystemExit) as leaving:
        main()
    assert leaving.value.code == 0
    assert sys.stdout is before
    assert capsys.readouterr().out.startswith("evsim ")
