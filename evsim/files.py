"""What may be opened to be read: a plain file, no device and no pipe, which may give bytes for ever or never."""

from __future__ import annotations

import os
import stat

from evsim.errors import EvsimError

__all__ = ["check_readable", "read_bounded"]


def check_readable(path: str | os.PathLike, error: type[EvsimError] = EvsimError, hint: str = "") -> None:
    """Refuse what is no plain file.

    Parameters
    ----------
    path : str or path
    error : subclass of EvsimError
        What is raised.
    hint : str
        What else the user may do, put behind the refusal of a pipe.
    """
    where = os.fspath(path)
    try:
        mode = os.stat(where).st_mode
    except FileNotFoundError:
        raise error(f"{where}: no such file") from None
    except (OSError, ValueError) as reason:
        raise error(f"{where}: cannot be opened ({getattr(reason, 'strerror', None) or reason})") from None
    if stat.S_ISDIR(mode):
        raise error(f"{where}: is a folder; expected a file")
    if not stat.S_ISREG(mode):
        kind = "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
        raise error(f"{where}: is {kind}; expected a file" + (f" ({hint})" if hint and kind == "a pipe" else ""))


def read_bounded(path: str | os.PathLike, n_bytes: int, error: type[EvsimError] = EvsimError) -> bytes:
    """A small file whole.

    Raises
    ------
    EvsimError
        Of the type `error`: it is no plain file, cannot be read, or holds more than `n_bytes`.
    """
    check_readable(path, error)
    try:
        with open(path, "rb") as file:
            data = file.read(n_bytes + 1)
    except OSError as reason:
        raise error(f"{os.fspath(path)}: cannot be opened ({reason.strerror})") from None
    if len(data) > n_bytes:
        raise error(f"{os.fspath(path)}: holds more than the {n_bytes:,} bytes that such a file may have")
    return data
