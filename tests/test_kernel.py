"""Compiled code kept on disk is not used when any file it came from has changed."""

import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from numba import config

import evsim
from evsim.arithmetic import kernel

pytestmark = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")

SCRIPT = """
from evsim.arithmetic import kernel
kernel._shared_sources = lambda: {sources!r}
from evsim.handlers.projections.pixel_index import _index_by_pixel, index_by_pixel
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


def compiled_from_elsewhere(module):
    """Files of evsim, other than its own, whose functions the kernels of a module call by name."""
    for value in list(vars(module).values()):
        function = getattr(value, "py_func", None)
        if getattr(function, "__module__", None) != module.__name__:
            continue
        for name in function.__code__.co_names:
            found = function.__globals__.get(name)
            other = found.__name__ if isinstance(found, ModuleType) else getattr(found, "__module__", None) or ""
            if other.startswith("evsim.") and other != module.__name__ and other in sys.modules:
                yield Path(sys.modules[other].__file__).relative_to(Path(evsim.__file__).parent).as_posix()


def test_every_file_that_kernels_of_another_call_is_watched():
    names = [m.name for m in pkgutil.walk_packages(evsim.__path__, "evsim.") if "networks" not in m.name]
    modules = [importlib.import_module(name) for name in names if not name.endswith("__main__")]
    called = {file for module in modules for file in compiled_from_elsewhere(module)}
    assert {"arithmetic/lanes.py", "handlers/projections/gather.py"} <= called, "the search finds nothing"
    assert called <= set(kernel._SHARED)
