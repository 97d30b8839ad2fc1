"""Where the shared reference data is."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of fixtures and data (EVSIM_SHARED, or next to the project); skips where absent."""
    path = Path(os.environ.get("EVSIM_SHARED", Path(__file__).parents[2] / "shared"))
    if not path.is_dir():
        pytest.skip("no shared data here: set EVSIM_SHARED")
    return path
