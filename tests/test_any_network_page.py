"""The code and the commands of docs/any-network.md run as they stand there, in order, in one folder."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from evsim.loading.importing import load_network
from evsim.traces.stored import verify_stored

torch = pytest.importorskip("torch")
pytest.importorskip("spikingjelly")
pytest.importorskip("snntorch")

PAGE = (Path(__file__).parents[1] / "docs/any-network.md").read_text(encoding="utf-8")


def blocks(language):
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return [text for word, text in found if word == language]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The page's folder, with the file that the page begins with."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mymodel", raising=False)
    (tmp_path / "mymodel.py").write_text(next(b for b in blocks("python") if "# mymodel.py" in b), encoding="utf-8")
    return tmp_path


def execute(source):
    names = {"__name__": "page"}
    exec(compile(source, "docs/any-network.md", "exec"), names)
    return names


def test_from_a_model_to_its_audit_table(folder, evsim):
    execute(next(b for b in blocks("python") if "best.pth" in b))
    commands = [line for line in next(b for b in blocks("") if "--checkpoint best.pth" in b).splitlines() if line]
    assert [line.split()[1] for line in commands] == ["import", "verify", "run", "audit"]
    for line in commands:
        code, out, error = evsim(*shlex.split(line)[1:])
        assert code == 0, error
    table = next(b for b in blocks("") if b.startswith("Literal counts by layer"))
    rows = [row.rstrip() for row in table.splitlines()]
    assert rows[0] in out
    assert [row for row in rows if row not in out] == []


@pytest.mark.parametrize(("word", "file"), [("snntorch.Leaky", "csnn.npz"), ("TokenAttention", "variant.npz")])
def test_an_example_records_itself(folder, word, file, capsys):
    report = execute(next(b for b in blocks("python") if word in b and "out=" in b))["report"]
    assert report.agrees
    assert report.verification.free.differing == 0
    assert not report.silent
    assert "runs densely: nothing" in capsys.readouterr().out
    assert verify_stored(load_network(file)[0]).agrees
