"""``evsim import --from-torch``: the user's model in a process of its own, since nothing here loads PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec

from evsim.errors import EvsimError
from evsim.recordings.discover import one_line

__all__ = ["record"]

RUNNER = "evsim.torch"


def record(told: dict) -> str:
    """What the recorder says; `told` is its one argument, see `evsim.torch.__main__`.

    Raises
    ------
    EvsimError
        There is no PyTorch, or the recorder refuses.
    """
    if find_spec("torch") is None:
        raise EvsimError("--from-torch needs PyTorch, and the packages of your model: pip install 'evsim[torch]'")
    command = [sys.executable, "-m", RUNNER, json.dumps(told)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise EvsimError(lines[-1] if done.returncode == 2 else f"{told['model']}: {one_line(lines[-1])}")
    return done.stdout.rstrip("\n")
