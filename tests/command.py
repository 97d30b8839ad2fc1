"""Calling the command line from a test."""

import subprocess
import sys

from evsim.cli import main


def call(monkeypatch, capsys, *args):
    """``evsim ARGS`` in this process: exit code, standard output, standard error."""
    monkeypatch.setattr(sys, "argv", ["evsim", *map(str, args)])
    try:
        main()
        code = 0
    except SystemExit as leaving:
        code = leaving.code or 0
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def start(*args, **options):
    """``evsim ARGS`` as a process of its own, not waited for."""
    command = [sys.executable, "-m", "evsim", *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
