"""The report page: what it says, that nothing from a file becomes markup, and how it behaves in a real browser."""

import json
import re
from html.parser import HTMLParser

import pytest

from evsim.checkpoints import Weights, read_weights, write_weights
from evsim.loading.zoo import DEFAULT_RECORDING, zoo_folder
from evsim.reports.element import Markup, element, text
from tests.browser import open_page

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&"


class Elements(HTMLParser):
    """Every start tag with its attributes."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The bundled example's report, through the command line."""
    import sys
    from unittest.mock import patch

    from evsim.cli import main

    path = tmp_path_factory.mktemp("report") / "report.html"
    with patch.object(sys, "argv", ["evsim", "report", "-o", str(path)]), pytest.raises(SystemExit) as leaving:
        main()
    assert not leaving.value.code
    assert path.stat().st_size < 5_000_000
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory):
    """A report of files that try to be markup."""
    import sys
    from unittest.mock import patch

    from evsim.cli import main

    folder = tmp_path_factory.mktemp("hostile")
    weights = read_weights(zoo_folder() / "sdt-nmnist.npz")
    header = weights.header | {"class_names": [HOSTILE] * 10, "title": HOSTILE, "source": {HOSTILE: HOSTILE}}
    paths = [folder / f"<script>alert(1)<!-- {suffix}" for suffix in ("w.npz", "r.h5")]
    write_weights(paths[0], Weights(weights.tensors, header))
    paths[1].write_bytes((zoo_folder() / DEFAULT_RECORDING).read_bytes())
    words = ["evsim", "report", "-w", str(paths[0]), "-i", str(paths[1]), "-o", str(folder / "out.html")]
    with patch.object(sys, "argv", words), pytest.raises(SystemExit) as leaving:
        main()
    assert not leaving.value.code
    return (folder / "out.html").read_text(encoding="utf-8")


def test_text_and_attributes_are_escaped():
    assert element("td", HOSTILE, title=HOSTILE).count("<") == 2
    assert text("a\x00\x1b\udcffb") == r"a\x00\x1b\udcffb"
    assert text(Markup("<b>")) == "<b>"
    assert element("img", alt="x", width=None) == '<img alt="x">'


def test_the_page_tells_everything(page):
    for heading in ("Summary", "Prediction", "Layers", "Operations", "Energy", "spike-driven?", "Spikes", "Provenance"):
        assert re.search(f"<h2[^>]*>[^<]*{re.escape(heading)}</h2>", page)
    for word in ("class 7 (7); labelled 7: right", "block.1.mlp.fc2_conv", "7,466,779", "SHA-256", "evsim report -o"):
        assert word in page


def test_the_page_needs_nothing_else(page):
    elements = Elements(page)
    assert len(elements.all("script")) == 1
    assert not [name for name in ("link", "iframe", "object", "base", "form") if elements.all(name)]
    assert all(image["src"].startswith("data:image/png;base64,") for image in elements.all("img"))
    assert all(anchor["href"].startswith("#") for anchor in elements.all("a"))
    assert "http://" not in page
    assert "https://" not in page
    assert "default-src" in elements.all("meta")[2]["content"]


def test_the_page_is_accessible(page):
    elements = Elements(page)
    assert elements.all("html") == [{"lang": "en"}]
    assert all(len(image["alt"]) > 20 for image in elements.all("img"))
    assert all("scope" in heading for heading in elements.all("th"))
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {anchor["href"][1:] for anchor in elements.all("a")} <= set(ids)
    assert all("aria-label" in a for _, a in elements.found if a.get("tabindex") == "0")
    assert len(elements.all("table")) == len(elements.all("caption"))


@pytest.mark.parametrize(("ink", "paper"), [("#1a1a1a", "#fff"), ("#555", "#f3f6f8"), ("#00558a", "#fff")])
def test_colours_have_contrast(page, ink, paper):
    assert ink in page
    assert paper in page

    def luminance(colour):
        digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
        parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(ink), luminance(paper)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_nothing_from_files_is_markup(hostile_page):
    elements = Elements(hostile_page)
    assert len(elements.all("script")) == 1
    assert not [a for _, a in elements.found if any(name.startswith("on") for name in a)]
    assert "&lt;script&gt;document.title" in hostile_page


def test_a_browser_runs_nothing_from_files(hostile_page, tmp_path):
    document, console = open_page(hostile_page, tmp_path, "document.body.dataset.title = document.title;")
    assert re.search(r'data-title="evsim report: &lt;script&gt;|data-title="evsim report: <script>', document)
    assert console == []


DRIVE = """
const table = document.querySelector("#table-layers"), found = {};
const head = [...table.tHead.rows[0].cells], body = table.tBodies[0];
const column = (name) => head.findIndex((cell) => cell.textContent === name);
const values = (i) => [...body.rows].map((row) => row.cells[i].dataset.value ?? row.cells[i].textContent);
const press = (i) => { const b = head[i].querySelector("button"); b.focus(); b.click();
  return [document.activeElement === b, head[i].getAttribute("aria-sort"), values(i)]; };
found.before = values(0);
found.many = press(column("ACs"));
found.few = press(column("ACs"));
found.names = press(0);
found.others = head.filter((cell) => cell.getAttribute("aria-sort") !== "none").length;
found.rates = press(column("rate %"));
found.footer = table.tFoot.rows[0].cells[0].textContent;
const figure = document.querySelector(".raster"), image = figure.querySelector("img"), width = image.clientWidth;
const [zoomIn, zoomOut] = figure.querySelectorAll("button");
found.zoom = [zoomOut.disabled, width];
zoomIn.click(); zoomIn.click();
found.zoom.push(zoomOut.disabled, image.clientWidth);
zoomOut.click(); zoomOut.click();
found.zoom.push(zoomOut.disabled, image.clientWidth);
found.overflow = document.documentElement.scrollWidth - window.innerWidth;
document.documentElement.dataset.found = JSON.stringify(found);
"""


@pytest.mark.parametrize("width", [500, 1280])
def test_a_browser_sorts_and_zooms(page, tmp_path, width):
    from html import unescape

    document, console = open_page(page, tmp_path, DRIVE, width)
    assert console == []
    found = json.loads(unescape(re.search(r'data-found="([^"]*)"', document)[1]))
    focused, order, acs = found["many"]
    assert (focused, order) == (True, "descending")
    assert [float(x) for x in acs] == sorted((float(x) for x in acs), reverse=True)
    assert found["few"][1] == "ascending"
    assert [float(x) for x in found["few"][2]] == sorted(float(x) for x in acs)
    assert found["names"][1] == "ascending"
    assert sorted(found["names"][2]) == sorted(found["before"])
    assert found["names"][2][0].startswith("block.0")
    assert found["others"] == 1
    rates = found["rates"][2]
    assert rates[19:] == [""] * (len(rates) - 19)  # those without a rate stay last
    assert found["footer"] == "total"
    before, narrow, after, wide, again, back = found["zoom"]
    assert (before, after, again) == (True, False, True)
    assert wide > 2 * narrow
    assert back == narrow
    assert found["overflow"] <= 0


def test_a_report_that_cannot_be_written_is_refused(evsim, tmp_path):
    code, _, err = evsim("report", "-o", tmp_path / "absent" / "r.html")
    assert (code, len(err.splitlines())) == (2, 1)
    code, _, err = evsim("report", "-i", tmp_path / "absent.h5", "-o", tmp_path / "r.html")
    assert (code, len(err.splitlines())) == (2, 1)
