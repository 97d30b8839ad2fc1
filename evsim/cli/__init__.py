"""The command line: each verb parses, calls one function, and maps errors to exit codes."""

from __future__ import annotations

import sys

from evsim.cli.exit_code import ExitCode

__all__ = ["main"]


def main() -> None:
    """Run ``evsim VERB`` and leave with an exit code of `ExitCode`."""
    from evsim.cli.verbs import app
    from evsim.errors import EvsimError

    try:
        app()
    except EvsimError as error:
        print(f"evsim: {error}", file=sys.stderr)
        sys.exit(ExitCode.BAD_INPUT)
    except MemoryError as error:
        print(f"evsim: not enough memory: {error or 'the network or recording is too large'}", file=sys.stderr)
        sys.exit(ExitCode.BAD_INPUT)
    except KeyboardInterrupt:
        print("evsim: interrupted", file=sys.stderr)
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:  # the reader of our output, `head` for one, has gone
        sys.stderr.close()
        sys.exit(ExitCode.OK)
