"""Fixtures used by several test files; every run sees the same random examples, fewer without the compiler."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from evsim.cli import main
from tests.contract import JIT

settings.register_profile("evsim", deadline=None, derandomize=True, database=None, max_examples=40 if JIT else 15)
settings.load_profile("evsim")


@pytest.fixture
def rng():
    """The same random numbers for every test."""
    return np.random.default_rng(20)


@pytest.fixture(scope="session")
def shared():
    """The folder of large reference data, kept outside the repository; tests that need it are skipped without it."""
    folder = Path(os.environ.get("EVSIM_SHARED", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip("the shared reference data is not here (set EVSIM_SHARED)")
    return folder


@pytest.fixture(scope="session")
def data():
    """The small files kept with the tests."""
    return Path(__file__).parent / "data"


@pytest.fixture
def evsim(monkeypatch, capsys):
    """Run ``evsim ARGS`` in this process: exit code, standard output, standard error."""

    def call(*args):
        monkeypatch.setattr(sys, "argv", ["evsim", *map(str, args)])
        with pytest.raises(SystemExit) as leaving:
            main()
        captured = capsys.readouterr()
        return leaving.value.code or 0, captured.out, captured.err

    return call
