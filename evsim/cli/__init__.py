"""The command line: each verb parses, calls one function, and maps errors to exit codes."""

from __future__ import annotations

import sys

from evsim.cli.exit_code import ExitCode

__all__ = ["main"]


def main() -> None:
    """Run ``evsim VERB`` and leave with an exit code of `ExitCode`."""
    from evsim.cli.terminal import guarded

    with guarded():
        code = _run()
    sys.exit(code)


def _run() -> int:
    """One verb, from its words to its exit code."""
    import typer

    from evsim.cli.terminal import OutputLost
    from evsim.cli.verbs import app
    from evsim.errors import EvsimError

    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
        if code == ExitCode.INTERRUPTED:  # typer has caught the KeyboardInterrupt
            raise KeyboardInterrupt
        return code if isinstance(code, int) else ExitCode.OK
    except OutputLost as lost:
        return ExitCode.OK if lost.is_pipe else _refuse(lost)  # the reader of our output, `head` for one, has gone
    except EvsimError as error:
        return _refuse(error)
    except MemoryError as error:
        return _refuse(f"not enough memory: {error or 'the network or recording is too large'}")
    except KeyboardInterrupt:
        print("evsim: interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except typer.Abort as abort:
        return _report(abort.__cause__ or abort)
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # a ClickException: the words of the command line
            error.show()
            return error.exit_code
        return _report(error)


def _refuse(error: object) -> int:
    from evsim.plain_text import plain

    print(f"evsim: {plain(error)}", file=sys.stderr)
    return ExitCode.BAD_INPUT


def _report(error: BaseException) -> int:
    """What should not have happened, in full."""
    import traceback

    traceback.print_exception(error)
    print("evsim: this is a fault of evsim; please report it with the lines above", file=sys.stderr)
    return ExitCode.FAULT
