"""Pages that are written by a program are what it writes; pages are linked, and links lead somewhere."""

import re
from pathlib import Path

import nbformat
import pytest

from tools.make_api_page import PAGE, page

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
INSIDE = re.compile(r"\[[^\]]*\]\(([^)#:\s]+)(?:#[^)]*)?\)")


def test_the_page_of_the_public_names_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tools.make_api_page"


@pytest.mark.parametrize("path", [ROOT / "README.md", *PAGES], ids=lambda path: path.name)
def test_links_lead_to_files(path):
    for target in INSIDE.findall(path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_the_readme_links_every_page():
    linked = set(INSIDE.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    missing = [page.name for page in PAGES if f"docs/{page.name}" not in linked and page.name != "package.md"]
    assert missing == []


def test_the_tutorial_is_kept_with_its_outputs_and_is_small():
    path = ROOT / "docs" / "tutorial.ipynb"
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    assert not [out for cell in cells for out in cell.outputs if out.output_type == "error"]
    assert path.stat().st_size < 300_000
