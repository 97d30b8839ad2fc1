"""Compiled kernels on disk: damaged files are noticed and replaced, and where nothing can be kept a line says so."""

import os
import subprocess
import sys

import pytest
from numba import config

pytestmark = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")

RUN = """
from evsim.handlers.projections.pixel_index import _index_by_pixel, index_by_pixel
import numpy as np
start, channel = index_by_pixel(np.array([1, 5], np.int32), 2, 4)
assert start.tolist() == [0, 1, 2] and channel.tolist() == [1, 1]
print(sum(_index_by_pixel.stats.cache_hits.values()), sum(_index_by_pixel.stats.cache_misses.values()))
"""
UNWRITABLE = """
import numba.core.caching as caching
def refuse(self):
    raise PermissionError(13, "Permission denied")
caching._CacheLocator.ensure_cache_path = refuse
"""
FULL = """
import numba.core.caching as caching, contextlib
@contextlib.contextmanager
def refuse(self, path):
    raise OSError(28, "No space left on device")
    yield
caching.IndexDataCacheFile._open_for_write = refuse
"""


def outcome(folder, script=RUN):
    """Hits and misses of a new process, and what it said."""
    env = os.environ | {"NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return tuple(map(int, done.stdout.split()[-2:])), done.stderr


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", ["empty", "cut", "random", "one bit"])
def test_damaged_files_are_removed_and_compiled_again_with_a_line(tmp_path, suffix, damage):
    assert outcome(tmp_path) == ((0, 1), "")
    files = [path for path in tmp_path.rglob(f"*.{suffix}") if "_index_by_pixel" in path.name]
    assert files
    for path in files:
        whole = path.read_bytes()
        middle = len(whole) // 2
        path.write_bytes({
            "empty": b"", "cut": whole[:middle], "random": bytes(range(256)) * 2,
            "one bit": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        }[damage])  # fmt: skip
    found, err = outcome(tmp_path)
    assert found == (0, 1)
    assert err.startswith("evsim: compiled kernels in ")
    assert err.endswith("were damaged; they are removed and compiled again\n")
    assert len(err.splitlines()) == 1
    assert outcome(tmp_path) == ((1, 0), "")


@pytest.mark.parametrize(("how", "why"), [(UNWRITABLE, "no folder for them can be written"), (FULL, "No space left")])
def test_where_nothing_can_be_kept_a_line_names_the_variable(tmp_path, how, why):
    found, err = outcome(tmp_path, how + RUN)
    assert found[0] == 0
    assert len(err.splitlines()) == 1
    assert why in err
    assert "NUMBA_CACHE_DIR" in err


@pytest.mark.parametrize("how", [UNWRITABLE, FULL])
def test_warmup_does_not_claim_what_is_not_so(tmp_path, how):
    script = (
        "from evsim.cli import warmup_text\nwarmup_text.warm_up_families = lambda: iter(())\n"
        "from evsim.handlers.projections.pixel_index import index_by_pixel\nimport numpy as np\n"
        "index_by_pixel(np.array([1], np.int32), 2, 4)\nwarmup_text.print_warm_up()\nprint(0, 0)"
    )
    env = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for before, words in ((how, "NOT KEPT: compiled kernels are not kept"), ("", f"kept in {tmp_path}")):
        done = subprocess.run([sys.executable, "-c", before + script], env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert words in done.stdout
