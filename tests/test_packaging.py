"""What is installed is what is here."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_every_folder_with_code_is_a_package():
    folders = {path.parent for path in (ROOT / "evsim").rglob("*.py")}
    assert {folder for folder in folders if not (folder / "__init__.py").is_file()} == set()
    assert (ROOT / "networks").resolve() == ROOT / "evsim" / "networks", "the link for readers of the tree"


@pytest.mark.parametrize("suffix", [".toml", ".npz", ".h5", ".html", ".js", ".css"])
def test_every_data_file_is_installed(suffix):
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    for folder, package in (("evsim", "evsim"),):
        for path in (ROOT / folder).rglob(f"*{suffix}"):
            inside = path.relative_to(ROOT / folder)
            covering = [
                pattern
                for name, patterns in settings["package-data"].items()
                for pattern in patterns
                if _path_of(name, package) is not None and inside.match(str(_path_of(name, package) / pattern))
            ]
            assert covering, f"{path} is not installed"


def _path_of(name, package):
    if name == package:
        return Path()
    return Path(*name.removeprefix(f"{package}.").split(".")) if name.startswith(f"{package}.") else None
