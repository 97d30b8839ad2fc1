"""Energy models are data: what is in the bundled files, and what a user's own file may not be."""

from __future__ import annotations

import math

import pytest

from evsim.auditing.energy_model import OPERATIONS, bundled_models, find_model
from evsim.errors import EvsimError


def test_the_bundled_models():
    assert {"horowitz45_fp32", "horowitz45_fp16", "horowitz45_int32", "horowitz45_int8", "pair_4.6_0.9"} <= set(
        bundled_models()
    )
    assert {"lemaire2022", "step_simple", "yan2024", "loihi", "spinnaker2"} <= set(bundled_models())


@pytest.mark.parametrize("name", bundled_models())
def test_every_constant_has_a_source(name):
    model = find_model(name)
    assert model.name == name
    assert model.title
    for operation, constant in model.constants.items():
        assert operation in OPERATIONS
        assert constant.source.strip()


@pytest.mark.parametrize(
    ("name", "add", "mac"),
    [
        ("horowitz45_fp32", 0.9, 4.6),
        ("horowitz45_fp16", 0.4, 1.5),
        ("horowitz45_int32", 0.1, 3.2),
        ("horowitz45_int8", 0.03, 0.23),
        ("pair_4.6_0.9", 0.9, 4.6),
    ],
)
def test_horowitz(name, add, mac):
    model = find_model(name)
    assert (model.price("add"), model.price("mac")) == (add, mac)
    assert model.price("weight_read") is None
    assert not model.unverified


def test_memory_by_size():
    model = find_model("lemaire2022")
    prices = [model.price("weight_read", kib * 1024) for kib in (1, 8, 20, 32, 1024, 5000)]
    assert prices == pytest.approx([10, 10, 15, 20, 100, 100])
    assert "weight_read" in model.unverified


def test_step_is_marked_unverified():
    assert find_model("step_simple").price("weight_read") == pytest.approx(3.12 * 32)
    assert find_model("step_simple").unverified == ["weight_read", "state_read", "state_write"]
    assert len(find_model("yan2024").unverified) == len(find_model("yan2024").constants)


def test_a_user_s_own_model(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('title = "my chip"\n[add]\npj = 2\nsource = "measured"\nverified = true\n')
    model = find_model(str(path))
    assert (model.name, model.title, model.price("add")) == ("mine", "my chip", 2.0)
    assert math.isfinite(model.price("add"))


SOURCE = 'source = "s"\n'
BAD = {
    "not toml": ("add = = 1", "not a readable TOML"),
    "no addition": ('title = "x"', r"no table \[add\]"),
    "unknown table": (f"[add]\npj = 1\n{SOURCE}[adds]\npj = 1\n{SOURCE}", "adds"),
    "unknown key": (f"[add]\npj = 1\nwatts = 2\n{SOURCE}", "watts is unknown"),
    "no source": ("[add]\npj = 1\n", "without a source"),
    "no number": (f'[add]\npj = "much"\n{SOURCE}', "expected numbers"),
    "negative": (f"[add]\npj = -1\n{SOURCE}", "expected numbers"),
    "not finite": (f"[add]\npj = nan\n{SOURCE}", "expected numbers"),
    "infinite": (f"[add]\npj = inf\n{SOURCE}", "expected numbers"),
    "true": (f"[add]\npj = true\n{SOURCE}", "expected numbers"),
    "both": (f"[add]\npj = 1\nby_bytes = [[1, 2]]\n{SOURCE}", "either pj"),
    "neither": (f"[add]\n{SOURCE}", "either pj"),
    "not rising": (f"[add]\nby_bytes = [[2, 1], [1, 2]]\n{SOURCE}", "sizes rising"),
    "empty points": (f"[add]\nby_bytes = []\n{SOURCE}", "sizes rising"),
    "not a table": ("add = 3\n", "expected a table"),
    "verified in words": (f'[add]\npj = 1\nverified = "yes"\n{SOURCE}', "expected true or false"),
    "bits": (f"word_bits = 0\n[add]\npj = 1\n{SOURCE}", "word_bits = 0"),
    "title": (f"title = 3\n[add]\npj = 1\n{SOURCE}", "title = 3"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_model_is_refused_in_one_line(tmp_path, case):
    text, words = BAD[case]
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(EvsimError, match=words) as caught:
        find_model(str(path))
    assert "\n" not in str(caught.value)
    assert "bad.toml" in str(caught.value)


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EvsimError, match="not a readable TOML"):
        find_model(str(path))


def test_no_such_model():
    with pytest.raises(EvsimError, match="no bundled model"):
        find_model("perpetual-motion")
