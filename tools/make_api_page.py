"""Write docs/api.md from the docstrings of the public names; ``--check`` says whether it is up to date.

python -m tools.make_api_page [--check]
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import evsim

PAGE = Path(__file__).parents[1] / "docs" / "api.md"

_HEAD = """# The Python face

What `import evsim` offers. These names, their parameters and the keys of their tables keep their meaning within a major
version; everything else in the package may move between any two versions. Importing evsim imports nothing else until a
name is used. This page is written by `python -m tools.make_api_page` from the docstrings.
"""


def main() -> None:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    text = page()
    if not parser.parse_args().check:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
        sys.exit("docs/api.md is not what the docstrings say: run python -m tools.make_api_page")


def page() -> str:
    """The whole page."""
    names = [name for name in evsim.__all__ if inspect.isfunction(getattr(evsim, name))]
    classes = [name for name in evsim.__all__ if inspect.isclass(getattr(evsim, name))]
    parts = [_HEAD, *(part for name in (*names, *classes) for part in _described(name))]
    return "\n".join(parts)


def _described(name: str) -> Iterator[str]:
    found = getattr(evsim, name)
    yield f"## {_called(f'evsim.{name}', found)}\n"
    yield _doc(found)
    if inspect.isclass(found):
        for member, value in sorted(vars(found).items()):
            if not member.startswith("_") and getattr(value, "__doc__", None) and _is_shown(value):
                yield f"### {_called(f'{name}.{member}', value)}\n"
                yield _doc(value)


def _is_shown(value: object) -> bool:
    return inspect.isfunction(value) or isinstance(value, (property, staticmethod)) or hasattr(value, "func")


def _called(name: str, found: object) -> str:
    """A function with its parameters and their defaults; anything else by its name."""
    if not inspect.isfunction(found):
        return f"`{name}`"
    parameters = [p.replace(annotation=p.empty) for p in inspect.signature(found).parameters.values()]
    shown = inspect.Signature([p for p in parameters if p.name != "self"])
    return f"`{name}{shown}`"


def _doc(found: object) -> str:
    return f"```text\n{inspect.cleandoc(found.__doc__ or '')}\n```\n"


if __name__ == "__main__":
    main()
