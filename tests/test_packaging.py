"""What is installed is what is here."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_every_package_folder_is_installed():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "evsim").rglob("__init__.py")}
    folders |= {"evsim.networks", "evsim.networks.zoo"}
    assert set(settings["packages"]) == folders


@pytest.mark.parametrize("suffix", [".toml", ".npz", ".h5", ".html", ".js", ".css"])
def test_every_data_file_is_installed(suffix):
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    for folder, package in (("evsim", "evsim"), ("networks", "evsim.networks")):
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
