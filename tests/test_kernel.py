"""Compiled code kept on disk is not used when any file it came from has changed."""

import os
import subprocess
import sys

import pytest
from numba import config

from evsim import kernel

pytestmark = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")

SCRIPT = """
from evsim import kernel
kernel._shared_sources = lambda: {sources!r}
from evsim.projections.pixel_index import _index_by_pixel, index_by_pixel
import numpy as np
start, channel = index_by_pixel(np.array([1, 5], np.int32), 2, 4)
assert start.tolist() == [0, 1, 2] and channel.tolist() == [1, 1]
print(sum(_index_by_pixel.stats.cache_hits.values()), sum(_index_by_pixel.stats.cache_misses.values()))
"""


def hits_and_misses(folder, sources):
    """What the cache in `folder` gave to a process in which the shared files are `sources`."""
    env = os.environ | {"NUMBA_CACHE_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(sources=sources)], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return tuple(map(int, done.stdout.split()))


def test_a_change_in_a_shared_file_compiles_again(tmp_path):
    assert hits_and_misses(tmp_path, "old") == (0, 1)
    assert hits_and_misses(tmp_path, "old") == (1, 0)
    assert hits_and_misses(tmp_path, "new") == (0, 1)


def test_the_shared_files_exist_and_tell_one_from_another(monkeypatch):
    whole = kernel._shared_sources()
    monkeypatch.setattr(kernel, "_SHARED", kernel._SHARED[:-1])
    assert kernel._shared_sources() != whole
