"""Fixtures used by several test files."""

import os
from pathlib import Path

import pytest


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
