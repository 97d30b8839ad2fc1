"""An option that would have no effect is refused by name, for every verb; nothing is ignored in silence."""

import pytest

STREAM = ("run", "--follow", "-")
TRACE_VERBS = ("audit", "lint", "raster", "report")
READING = {
    "--split-by": "time",
    "--dt": "1ms",
    "--steps": "4",
    "--fit": "crop",
    "--index": "0",
    "--crop-pct": "0.9",
    "--axes": "T C H W",
    "--layout": "txyp",
    "--sensor": "34x34",
    "--unit": "us",
    "--normalise": "none",
}


def refused(result, option):
    code, _, err = result
    assert code == 2, err
    assert err.startswith(f"evsim: {option}: "), err
    assert err.count("\n") == 1


@pytest.mark.parametrize("option", ["--window", "--hop", "--idle"])
def test_options_of_a_stream_go_with_follow(evsim, option):
    refused(evsim("run", option, "5ms"), option)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--input", "a.h5"),
        ("--trace", "t.h5"),
        ("--order", "step"),
        ("--threads", "2"),
        ("--index", "1"),
        ("--crop-pct", "0.9"),
        ("--axes", "T C H W"),
        ("--normalise", "none"),
        ("--dt", "1ms"),
        ("--steps", "4"),
    ],
)
def test_options_of_a_recording_mean_nothing_to_a_stream(evsim, option, value):
    refused(evsim(*STREAM, option, value), option)


@pytest.mark.parametrize("verb", TRACE_VERBS)
@pytest.mark.parametrize(("option", "value"), [*READING.items(), ("--weights", "sdt-mnist"), ("--input", "a.h5")])
def test_a_trace_has_its_own_network_and_recording(evsim, verb, option, value):
    refused(evsim(verb, "--trace", "t.h5", option, value), option)


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("audit", "--trace", "t.h5", "--order", "step"), "--order"),
        (("audit", "--compare", "sdt-nmnist", "sdt-mnist", "--weights", "sdt-mnist"), "--weights"),
        (("evaluate", "-d", "x", "--scheduler", "tcp://a:1", "--workers", "2"), "--workers"),
        (("evaluate", "-d", "x.h5", "--root", "folder"), "--root"),
        (("evaluate", "-d", "x.h5", "--download"), "--download"),
        (("verify", "-w", "sdt-nmnist", "-r", "r.npz", "--dataset", "nmnist"), "--dataset"),
        (("verify", "-w", "sdt-nmnist", "-r", "r.npz", "--input", "x.h5"), "--input"),
        (("verify", "-w", "sdt-nmnist", "-r", "r.npz", "--axes", "T C H W"), "--axes"),
        (("verify", "-w", "sdt-nmnist", "--against-torch", "x.pth", "--input", "a", "--limit", "3"), "--limit"),
        (("verify", "-w", "sdt-nmnist", "--against-torch", "x.pth", "--dataset", "nmnist", "--unit", "s"), "--unit"),
        (("import", "a.pth", "-o", "b.npz", "--input", "x"), "--input"),
        (("info", "sdt-nmnist", "--sensor", "34x34"), "--sensor"),
    ],
)
def test_other_verbs(evsim, words, option):
    refused(evsim(*words), option)


@pytest.mark.parametrize(("option", "value"), list(READING.items()))
def test_every_verb_that_reads_recordings_offers_the_same_options(evsim, option, value):
    """Heeded or refused for what they say, never unknown."""
    for verb in ("run", "audit", "lint", "raster", "report"):
        code, _, err = evsim(verb, "--input", "nowhere.h5", option, value)
        assert code == 2
        assert "No such option" not in err
        assert "nowhere.h5" in err, err


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--sensor", "34"),
        ("--sensor", "0x34"),
        ("--sensor", "axb"),
        ("--unit", "h"),
        ("--split-by", "mood"),
        ("--dt", "1"),
        ("--dt", "0ms"),
    ],
)
def test_values_that_mean_nothing(evsim, option, value):
    code, _, err = evsim("run", option, value)
    assert code == 2
    assert option.lstrip("-").split("-")[0] in err
