"""Output files appear whole or not at all."""

from __future__ import annotations

import os

from evsim.errors import EvsimError

__all__ = ["write_output"]


def write_output(path: str, content: bytes) -> None:
    """Write under a temporary name and rename.

    Raises
    ------
    EvsimError
        The file cannot be written.
    """
    temporary = f"{path}.part"
    try:
        with open(temporary, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError as error:
        raise EvsimError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)
