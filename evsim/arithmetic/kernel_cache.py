"""What Numba keeps on disk, with a check sum: damaged files are removed and compiled again, and said so in a line.

Numba trusts its files. A cut one ends every later run in a traceback or an abort, and one whose machine code has a
changed byte runs. Where nothing can be kept, kernels are compiled anew in each run, and one line says how to change
that.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from hashlib import sha256

from numba import njit
from numba.core.caching import IndexDataCacheFile

from evsim.arithmetic.claims import Claims

__all__ = ["compiled", "kept_in", "repeat_damage", "sharing", "why_not_kept"]

_DIGEST_BYTES = 32
_NOT_KEPT, _DAMAGED = "not kept", "damaged"
_said: dict[str, str] = {}
_folders: set[str] = set()
_sharing: Callable[[], Claims | None] | None = None


@contextmanager
def sharing(claims: Callable[[], Claims | None]) -> Iterator[None]:
    """While it is entered, other processes may compile some of what this one needs.

    Parameters
    ----------
    claims : callable
        Called whenever a kernel is not kept yet; None where there is nobody to share with.
    """
    global _sharing
    before, _sharing = _sharing, claims
    try:
        yield
    finally:
        _sharing = before


def compiled(function: Callable, stamp: object, **options) -> Callable:
    """`njit(function)`, kept on disk where that is possible.

    Parameters
    ----------
    function : callable
    stamp : object
        What is kept counts only as long as this is the same.
    options
        Of njit.
    """
    try:
        kernel = njit(cache=True, **options)(function)
    except (RuntimeError, OSError) as error:  # no folder that can be written to
        _say_not_kept(error)
        return njit(**options)(function)
    cache = getattr(kernel, "_cache", None)
    files = getattr(cache, "_cache_file", None)
    if files is not None:  # not with NUMBA_DISABLE_JIT=1
        _folders.add(os.path.abspath(cache.cache_path))
        cache.__class__ = _forgiving(type(cache))
        cache._cache_file = CheckedFiles(cache._cache_path, f"{cache._impl.filename_base}.sum", (files, stamp))
    return kernel


def why_not_kept() -> str | None:
    """The line that was said because compiled kernels could not be kept, if it had to be said."""
    return _said.get(_NOT_KEPT)


def repeat_damage(said: str) -> None:
    """Say what another process has said of damaged files."""
    for line in said.splitlines():
        if line.startswith("evsim: compiled kernels in "):
            _say(_DAMAGED, line.removeprefix("evsim: "))


def kept_in() -> str:
    """The folder in or below which all compiled kernels are kept; Numba takes another where the wanted one fails."""
    within = os.path.commonpath(sorted(_folders))
    beside = all(folder.endswith("__pycache__") for folder in _folders)
    return f"__pycache__ beside the sources in {within}" if beside else within


class CheckedFiles(IndexDataCacheFile):
    """Numba's index and data files, each behind a SHA-256 of its bytes.

    Parameters
    ----------
    cache_path, filename_base : str
        As in Numba.
    stamps : (IndexDataCacheFile, object)
        Numba's own files for the same function, whose stamp counts too, and a further stamp.
    """

    def __init__(self, cache_path: str, filename_base: str, stamps: tuple[IndexDataCacheFile, object]) -> None:
        super().__init__(cache_path, filename_base, None)
        self._numbas, self._stamp = stamps

    @property
    def name(self) -> str:
        """Of the function, unlike that of any other."""
        return self._index_path

    def save(self, key, data) -> None:
        """Two processes may have given one name to the code for two signatures: the key goes along."""
        super().save(key, (key, data))

    def load(self, key):
        """The code for a signature; None where there is none that is sound."""
        found = super().load(key)
        return found[1] if found is not None and found[0] == key else None

    def discard(self) -> None:
        """Remove the index, and with it all that is kept of a function."""
        with suppress(OSError):
            os.remove(self._index_path)
        self._say_damaged()

    def _load_index(self) -> dict:
        found = self._read(self._index_path)
        return found[1] if found is not None and found[0] == self._state() else {}

    def _save_index(self, overloads: dict) -> None:
        self._write(self._index_path, (self._state(), overloads))

    def _load_data(self, name: str):
        found = self._read(self._data_path(name))
        if found is None:
            raise FileNotFoundError(name)  # Numba then compiles
        return found

    def _save_data(self, name: str, data) -> None:
        self._write(self._data_path(name), data)

    def _state(self) -> tuple:
        return self._version, self._numbas._source_stamp, self._stamp

    def _read(self, path: str):
        """What was written there; None where there is nothing, or nothing sound."""
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError:
            return None
        if sha256(data[_DIGEST_BYTES:]).digest() == data[:_DIGEST_BYTES]:
            return pickle.loads(data[_DIGEST_BYTES:])
        with suppress(OSError):
            os.remove(path)
        self._say_damaged()
        return None

    def _write(self, path: str, values) -> None:
        data = self._dump(values)
        with self._open_for_write(path) as file:
            file.write(sha256(data).digest() + data)

    def _say_damaged(self) -> None:
        _say(_DAMAGED, f"compiled kernels in {self._cache_path} were damaged; they are removed and compiled again")


def _forgiving(kind: type) -> type:
    """The class of a function's cache, but for what happens when it cannot write or make sense of a file."""

    class Forgiving(kind):
        def _load_overload(self, sig, target_context):
            found = self._load_kept(sig, target_context)
            if found is None and self._enabled and _sharing is not None:
                claims = _sharing()
                if claims is not None and claims.take_or_wait(self._cache_file.name, sig):
                    found = self._load_kept(sig, target_context)
            return found

        def _load_kept(self, sig, target_context):
            try:
                return super()._load_overload(sig, target_context)
            except Exception:  # sound, but nothing this interpreter can load
                self._cache_file.discard()
                return None

        def _save_overload(self, sig, data):
            claims = None if _sharing is None else _sharing()
            try:
                with nullcontext() if claims is None else claims.saving():
                    super()._save_overload(sig, data)
            except OSError as error:
                self.disable()
                _say_not_kept(error)
            finally:
                if claims is not None:
                    claims.finish(self._cache_file.name, sig)

    return Forgiving


def _say_not_kept(error: BaseException) -> None:
    why = getattr(error, "strerror", None) or "no folder for them can be written"
    _say(
        _NOT_KEPT,
        f"compiled kernels are not kept ({why}), so each run compiles them again; "
        "set NUMBA_CACHE_DIR to a folder that can be written",
    )


def _say(kind: str, line: str) -> None:
    """On standard error, once a process."""
    if kind in _said:
        return
    _said[kind] = line
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            print(f"evsim: {line}", file=sys.stderr)
