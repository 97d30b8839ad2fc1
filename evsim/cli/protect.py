"""What a verb writes must not take the place of what it reads."""

from __future__ import annotations

from collections.abc import Iterable

from evsim.errors import EvsimError
from evsim.loading.zoo import default_recording, find_weights
from evsim.outputs import check_outputs

__all__ = ["protect_inputs"]


def protect_inputs(
    outputs: dict[str, str | None], networks: Iterable[str] = (), inputs: Iterable[str | None] | None = None
) -> None:
    """Check outputs before the work; see `check_outputs`.

    Parameters
    ----------
    outputs : dict of str to str or None
        Paths by option; nothing is checked where all are None.
    networks : iterable of str
        Weights files, or names of bundled networks, whose bundled recordings are read where `inputs` is None.
    inputs : iterable of str or None, optional
    """
    if not any(outputs.values()):
        return
    read = list(inputs or ())
    for name in networks:
        try:
            path = find_weights(name)
            read += [path] if read else [path, default_recording(path)]
        except EvsimError:  # said by whoever loads it
            continue
    check_outputs(outputs, read)
