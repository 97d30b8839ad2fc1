"""evsim audit --claim: the published figures derived again by hand, the counts against the audit's own."""

import json
from pathlib import Path

import pytest

import evsim as public
from evsim.auditing.claims import claims, find_claim
from evsim.auditing.claims.sdsa_87x import effective_rate, rate_energy
from evsim.auditing.vanilla import attention_macs
from evsim.errors import EvsimError
from evsim.loading.zoo import bundled, zoo_folder


@pytest.fixture(scope="module", name="report")
def _report():
    return public.audit("sdt-nmnist", claim="sdsa-87x")


def rows_of(report, sheet, key):
    return {row[key]: row for row in report[sheet].rows}


def mean(value):
    return getattr(value, "mean", value)


def test_the_energy_of_vanilla_self_attention_by_hand(report):
    rows = rows_of(report, "published", "size")
    by_hand = 4.6 * (4 * 196 * 384**2 + 2 * 196**2 * 384) / 1e6
    assert rows["8-384"]["vanilla_uj"] == pytest.approx(by_hand)
    assert round(by_hand, 1) == 667.5  # published as 6.7e8 pJ
    assert rows["6-512"]["published"] is None


def test_the_rate_that_87x_needs_gives_87x(report):
    row = rows_of(report, "published", "size")["8-768"]
    rate = row["rate"]
    vanilla = 4.6 * (4 * 196 * 768**2 + 2 * 196**2 * 768)
    spiking = 0.9 * 4 * rate * (4 * 196 * 768**2 + 196 * 768)
    assert vanilla / spiking == pytest.approx(87.2)
    assert 0.016 < rate < 0.017
    assert row["low"] < row["high"] < 8


def test_formula_is_linear_in_each_rate():
    zero = rate_energy(10, 8, 4, 0, 0, 0)
    assert zero == 0
    assert rate_energy(10, 8, 4, 1, 0, 0) == pytest.approx(0.9 * 4 * 3 * 10 * 64)
    assert rate_energy(10, 8, 4, 0, 1, 0) == pytest.approx(0.9 * 4 * 10 * 8)
    assert rate_energy(10, 8, 4, 0, 0, 1) == pytest.approx(0.9 * 4 * 10 * 64)
    assert effective_rate(1e9, 10, 8, 4) < 1e-6


def test_counts_are_those_of_the_audit(report):
    layers = rows_of(public.audit("sdt-nmnist", energy=["none"]), "layers", "layer")
    for block, row in rows_of(report, "blocks", "block").items():
        inside = [found for name, found in layers.items() if name.startswith(f"{block}.")]
        assert mean(row["acs"]) == sum(mean(one["acs"]) for one in inside)
        assert mean(row["masks"]) == sum(mean(one["masks"]) for one in inside)
        assert mean(row["qkv"]) == pytest.approx(mean(layers[f"{block}.q_conv"]["density"]))
        assert mean(row["projection"]) == pytest.approx(mean(layers[f"{block}.proj_conv"]["density"]))
        assert row["vanilla_macs"] == sum(attention_macs(64, 64).values())


def test_ratios_by_hand(report):
    measured = rows_of(report, "measured", "scope")
    blocks = report["blocks"].rows
    free = measured["operators alone, masks free"]
    assert mean(free["vanilla_uj"]) == pytest.approx(4.6 * len(blocks) * 2 * 64 * 64 * 64 / 1e6)
    priced = measured["operators alone, a mask as an addition"]
    masks = sum(mean(row["masks"]) for row in blocks)
    assert mean(priced["spiking_uj"]) - mean(free["spiking_uj"]) == pytest.approx(0.9 * masks / 1e6)
    for row in measured.values():
        assert mean(row["ratio"]) == pytest.approx(mean(row["vanilla_uj"]) / mean(row["spiking_uj"]))
        assert row["assumptions"]
    whole = measured["whole self-attention, counted"]
    assert mean(whole["spiking_uj"]) > 0.9 * sum(mean(row["acs"]) for row in blocks) / 1e6
    assert mean(measured["whole self-attention, with memory"]["ratio"]) < mean(whole["ratio"])


def test_ratios_over_recordings_have_an_interval():
    report = public.audit("sdt-nmnist", [str(zoo_folder() / f"nmnist_digit_{n}.h5") for n in (1, 7)], claim="sdsa-87x")
    ratio = report["measured"].rows[3]["ratio"]
    assert ratio.n == 2
    assert ratio.low < ratio.mean < ratio.high


@pytest.mark.parametrize("name", [name for name in bundled() if not name.startswith("sdt")])
def test_networks_without_sdsa_are_refused(name):
    with pytest.raises(EvsimError, match="no spike-driven self-attention"):
        public.audit(name, claim="sdsa-87x")


def test_every_claim_has_a_name_and_a_title():
    for name, claim in claims().items():
        assert find_claim(name) is claim
        assert claim.TITLE
        assert claim.__doc__.startswith(f"{name}: ")


@pytest.mark.parametrize(
    "words",
    [("--claim", "nothing"), ("--claim", "sdsa-87x", "--energy", "all"), ("--claim", "sdsa-87x", "--table", "layers"),
     ("--claim", "sdsa-87x", "--weights", "spikformer-nmnist"), ("--claim", "sdsa-87x", "--compare", "a", "b")],
)  # fmt: skip
def test_mistakes_are_refused_in_one_line(evsim, words):
    code, out, err = evsim("audit", *words)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1


def test_the_verb_writes_json(evsim):
    code, out, _ = evsim("audit", "--claim", "sdsa-87x", "--format", "json")
    assert code == 0
    assert set(json.loads(out)["sheets"]) == {"published", "measured", "blocks"}


def test_the_page_of_claims_says_what_is_counted():
    page = (Path(__file__).parents[1] / "docs" / "claims.md").read_text(encoding="utf-8")
    report = public.audit("sdt-nmnist", str(zoo_folder() / "nmnist_test_100.h5"), claim="sdsa-87x")
    ratios = [row["ratio"] for row in report["measured"].rows]
    for ratio, said in zip(ratios[2:], ("9.34 ± 0.12", "8.68 ± 0.10", "0.990 ± 0.010", "0.927 ± 0.010"), strict=True):
        n_decimals = len(said.partition(".")[2].split()[0])
        assert f"{ratio.mean:.{n_decimals}f} ± {ratio.half_width:.{n_decimals}f}" == said
        assert said in page
    assert f"{ratios[1].mean:,.0f} ± {ratios[1].half_width:.0f}" in page
    assert f"{round(ratios[0].mean, -2):,.0f} ± {round(ratios[0].half_width, -2):,.0f}" in page
