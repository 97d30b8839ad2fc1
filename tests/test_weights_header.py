"""The header of a weights file is a stranger's: checked whole when it is read, and its text harms no terminal."""

import json
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

from evsim.checkpoints import read_weights
from evsim.errors import CheckpointError
from evsim.loading.importing import load_network
from evsim.loading.zoo import zoo_folder

ZOO = zoo_folder() / "sdt-nmnist.npz"
DIGIT = zoo_folder() / "nmnist_digit_7.h5"


@pytest.fixture
def changed(tmp_path):
    """The bundled network with a header of one's own, which no writer would write; returns the path."""

    def changed(**entries):
        path = tmp_path / "w.npz"
        with zipfile.ZipFile(ZOO) as old, zipfile.ZipFile(path, "w") as new:
            for name in old.namelist():
                data = old.read(name)
                if name.endswith(".json"):
                    header = json.loads(data)
                    for key, value in entries.items():
                        kept = header["hyper_parameters"] if key in header["hyper_parameters"] else header
                        kept[key] = value
                    data = json.dumps(header).encode()
                new.writestr(name, data)
        return path

    return changed


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"class_names": ["a"]}, "'class_names' has 1 names, and the network 10 classes"),
        ({"class_names": []}, "'class_names' has 0 names"),
        ({"class_names": ["a"] * 11}, "'class_names' has 11 names"),
        ({"class_names": [1] * 10}, "holds something that is not text"),
        ({"class_names": "abcdefghij"}, "'class_names' of the type list or NoneType"),
        ({"title": 3}, "'title' is 3, expected a line of text"),
        ({"title": ["x"]}, "'title' is ['x'], expected a line of text"),
        ({"title": "x" * 10**5}, "expected a line of text"),
        ({"input": ["x"]}, "'input' is ['x'], expected texts by name"),
        ({"input": "x"}, "'input' is 'x'"),
        ({"input": 3}, "'input' is 3"),
        ({"input": {"fit": 3}}, "'input' is {'fit': 3}"),
        ({"source": {"file": [1]}}, "'source' is {'file': [1]}"),
        ({"source": []}, "'source' of the type dict"),
        ({"assumed": ["tau"]}, "'assumed' is ['tau']"),
        ({"assumed": {"tau": 2}}, "'assumed' is {'tau': 2}"),
        ({"precision": ["int16"]}, "'precision' is ['int16']"),
        ({"card": 3}, "'card' is 3"),
        ({"normalisation": {"mean": [0.5], "std": [0]}}, "expected as many numbers in 'mean' as above 0 in 'std'"),
        ({"normalisation": {"mean": [0.5], "std": [1, 2]}}, "normalisation"),
        ({"normalisation": {"mean": "0.5", "std": "1"}}, "normalisation"),
        ({"normalisation": {"mean": [True], "std": [1]}}, "normalisation"),
        ({"normalisation": {}}, "normalisation"),
        ({"hyper_parameters": []}, "'hyper_parameters' of the type dict"),
        ({"hyper_parameters": {"depth": {}}}, "hyper-parameter 'depth' is {}"),
        ({"hyper_parameters": {f"x{i}": 1 for i in range(101)}}, "has 101 hyper-parameters"),
        ({"hyper_parameters": {"depths": [1] * 101}}, "hyper-parameter 'depths'"),
    ],
)
def test_entries_of_the_wrong_kind_are_refused_by_every_verb(evsim, changed, entries, words):
    path = changed(**entries)
    for verb in (
        ["info", path],
        ["run", "-w", path],
        ["evaluate", "-w", path, "-d", zoo_folder() / "nmnist_test_100.h5"],
    ):
        code, out, err = evsim(*verb)
        assert code == 2
        assert out == ""
        assert words in err
        assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"tau": 0.5}, "tau 0.5: expected a finite number above 1"),
        ({"tau": 1e300}, "tau 1e+300"),
        ({"tau": "2"}, "tau is '2', expected float"),
        ({"v_threshold": -1.0}, "v_threshold -1.0: expected more than v_reset"),
        ({"v_reset": 0.75}, "expected more than v_reset, which is 0.75"),
        ({"depth": 99_999}, "hyper-parameters of 99999 blocks"),
    ],
)
def test_constants_and_depths_of_no_network_are_refused(changed, entries, words):
    path = changed(hyper_parameters=json.loads(_header(ZOO))["hyper_parameters"] | entries)
    with pytest.raises(CheckpointError, match=r"w\.npz: ") as caught:
        load_network(str(path))
    assert words in str(caught.value)


def _header(path):
    with zipfile.ZipFile(path) as archive:
        return archive.read("evsim_header.json")


def test_whole_numbers_serve_as_real_ones(changed):
    values = json.loads(_header(ZOO))["hyper_parameters"] | {"tau": 4, "v_threshold": 1}
    network, _ = load_network(str(changed(hyper_parameters=values)))
    assert {float(population.rate) for population in network.populations()} == {0.25}


ESCAPES = ["\x1b]0;PWNED\x07", "\ud800", "a\nb", "\u202eabc", "\x9b31m", "\r", "\udcff"]


@pytest.mark.parametrize("text", ESCAPES)
def test_text_that_would_harm_a_terminal_is_shown_as_it_is(evsim, changed, text):
    names = [text] * 10
    path = changed(class_names=names, title=text, dropped=[text], assumed={text: text}, source={"file": text})
    header = read_weights(path).header
    shown = header["class_names"][0]
    assert shown.isprintable()
    assert shown.encode() == text.encode("unicode_escape")
    assert header["title"] == shown
    assert header["assumed"] == {shown: shown}
    code, out, _ = evsim("info", path)
    assert code == 0
    assert all(line.isprintable() for line in out.splitlines())
    code, out, _ = evsim("run", "-w", path, "-i", DIGIT)
    assert code == 0
    assert f"class 7 ({shown})" in out


def test_a_member_that_could_not_be_printed_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("evsim_header.json", _header(ZOO))
        archive.writestr("\x1b[31m.npy", b"")
    with pytest.raises(CheckpointError, match="neither an array nor the header") as caught:
        read_weights(tmp_path / "w.npz")
    assert str(caught.value).isprintable()


# ------------------------------------------------------------------------------------------ sizes

LARGE = [
    {"height": 4000, "width": 4000}, {"height": 100_000}, {"height": 99_984, "width": 99_984},
    {"n_steps": 100_000}, {"n_steps": 9999}, {"height": 1024, "width": 1024, "n_steps": 4},
]  # fmt: skip


@pytest.mark.parametrize("sizes", LARGE, ids=str)
def test_what_a_header_asks_for_is_bounded_by_what_the_file_holds(changed, sizes):
    path = changed(**sizes)
    started = time.monotonic()
    with pytest.raises(CheckpointError, match=r"height, width or n_steps are too large|divide|expected 0 to"):
        load_network(str(path))
    assert time.monotonic() - started < 10


def test_what_is_allowed_stays_below_a_gigabyte(changed):
    """The largest square input that the file of the bundled network may claim."""
    path = changed(height=672, width=672)
    code = "import sys, resource; from evsim.loading.importing import load_network; load_network(sys.argv[1]); "
    code += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1024


def test_published_sizes_are_within_the_bounds():
    """SDT-8-768 on 288x288 in 4 steps, and SDT-2-256 on gestures in 16, as they are published."""
    from evsim.engine.current import bounded
    from evsim.loading.importing import values_allowed
    from evsim.networks import sdt

    for sizes in (
        {"depth": 8, "n_channels": 768, "height": 288, "width": 288, "n_steps": 4, "pooling_stat": "1111"},
        {"depth": 2, "n_channels": 256, "height": 128, "width": 128, "n_steps": 16, "pooling_stat": "0111"},
    ):
        kind = {"n_heads": 8, "mlp_ratio": 4, "in_channels": 3, "n_classes": 1000, "spike_mode": "lif"}
        hp = sdt.HyperParameters(**kind, dvs_mode=False, **sizes)
        tensors = {name: np.broadcast_to(np.float32(0.5), shape) for name, shape in sdt.tensor_shapes(hp)[0].items()}
        with bounded(values_allowed(tensors), hp.n_steps) as values:
            if hp.n_channels == 256:
                sdt.build(tensors, hp)
                assert 0 < values.declared < values.most / 2
        assert values.most >= 2**28
