import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The directory of large reference material next to the repository, or where EVSIM_SHARED says."""
    path = Path(os.environ.get("EVSIM_SHARED", Path(__file__).parents[2] / "shared"))
    if not path.is_dir():
        pytest.skip("the shared reference material is not here")
    return path
