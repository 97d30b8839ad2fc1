"""Every run of the suite sees the same examples; fewer of them without the compiler."""

import numpy as np
import pytest
from hypothesis import settings

from tests.contract import JIT

settings.register_profile("evsim", deadline=None, derandomize=True, database=None, max_examples=40 if JIT else 8)
settings.load_profile("evsim")


@pytest.fixture
def rng():
    """The same random numbers in every run."""
    return np.random.default_rng(20)
