"""What ``evsim import --from-torch`` runs in a process of its own: the user's code, and the recorder."""

from __future__ import annotations

import json
import os
import sys


def main() -> int:
    """Take everything from one JSON argument; errors are one line, and exit code 2."""
    os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")  # models that compile their forward are recorded as they are
    from evsim.errors import EvsimError
    from evsim.torch.guard import guarded

    try:
        print(guarded("the recorder failed", lambda: _record(json.loads(sys.argv[1]))))
    except EvsimError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _record(told: dict) -> object:
    from evsim.torch.build import build_model, find_example, load_checkpoint
    from evsim.torch.trace import trace

    example = find_example(told["example"], told["shape"], told["axes"])
    model = build_model(told["model"], told["build_args"])
    if told["checkpoint"] is not None:
        load_checkpoint(model, told["checkpoint"])
    words = {name: told[name] for name in ("allow_dense", "as_written", "allow_silent")}
    return trace(model, example, told["axes"], told["output"], **words)


if __name__ == "__main__":
    sys.exit(main())
