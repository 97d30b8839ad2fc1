"""Traces, references and energy models of strangers: read soundly, or refused in one line and at once."""

import io
import json
import time
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest

from evsim.auditing.collect import audit_traces
from evsim.auditing.energy_model import bundled_models, read_model
from evsim.engine.ledger import Ledger
from evsim.errors import EvsimError, TraceError
from evsim.loading.importing import load_network
from evsim.loading.zoo import DEFAULT_RECORDING, find_weights, zoo_folder
from evsim.runs.run import run
from evsim.traces.reference import read_reference
from evsim.traces.trace import Layer, Trace, read_trace, write_trace
from evsim.traces.verify import verify


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The bytes of a trace of the bundled network."""
    path = tmp_path_factory.mktemp("sound") / "t.h5"
    write_trace(path, run(find_weights("sdt-nmnist"), str(zoo_folder() / DEFAULT_RECORDING))[1])
    return path.read_bytes()


@pytest.fixture
def path(sound, tmp_path):
    (tmp_path / "t.h5").write_bytes(sound)
    return tmp_path / "t.h5"


def refused(path, words, read=read_trace):
    """One line that names the file, without much time or memory."""
    tracemalloc.start()
    begin = time.perf_counter()
    try:
        with pytest.raises(EvsimError, match=words or None) as refusal:
            read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(path) in str(refusal.value)
    assert str(refusal.value).isprintable()
    assert peak < 300e6
    assert time.perf_counter() - begin < 20


def replace_array(file, place, values, **options):
    del file[place]
    file.create_dataset(place, data=values, **options)


def test_a_sound_trace_is_read_as_it_was_written(path):
    trace = read_trace(path)
    assert next(iter(trace.layers)) == "input"
    assert audit_traces([str(path)])[0][0].totals.acs == trace.ledger.total().acs


@pytest.mark.parametrize(
    ("place", "change", "words"),
    [
        ("spikes/input/step", lambda a: a.astype(np.float32), "type float32"),
        ("spikes/input/step", lambda a: a[::-1], "out of order"),
        ("spikes/input/address", lambda a: a[:-1], "expected as many"),
        ("spikes/input/address", lambda a: np.concatenate([a[:1], a[:-1]]), "out of order"),
        ("spikes/input/address", lambda a: a + 10**6, "outside its 2048 places"),
        ("spikes/input/address", lambda a: a - 10**9, "outside its 2048 places"),
        ("spikes/input/payload", lambda a: np.full(a.shape, np.nan), "not finite"),
        ("logits", lambda a: a[0], "shape \\(\\)"),
        ("logits", lambda a: a[None], "expected one axis"),
        ("logits", lambda a: np.full(a.shape, b"x"), "type \\|S1"),
        ("logits", lambda a: a * np.nan, "not finite"),
        ("ledger/acs", lambda a: a.astype(float), "type float64"),
        ("ledger/acs", lambda a: -a - 1, "negative"),
        ("ledger/acs", lambda a: a[:-1], "differ in length"),
        ("ledger/step", lambda a: np.zeros_like(a), "two rows of"),
    ],
)
def test_arrays_that_no_trace_has_are_refused(path, place, change, words):
    with h5py.File(path, "a") as file:
        replace_array(file, place, change(file[place][()]))
    refused(path, words)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("n_steps", 10**6, "n_steps is"), ("n_steps", 10**18, "n_steps is"), ("n_steps", 50_000, "only .* rows"),
        ("n_steps", 2.5, "n_steps is"), ("n_steps", [4, 4], "n_steps is"),
        ("provenance", "[" * 10_000, "not JSON"), ("provenance", '{"weights": [1]}', "'weights' is \\[1\\]"),
        ("provenance", '{"input": {"file": 3}}', "'file' of 'input' is 3"), ("provenance", '{"a": NaN}', "not JSON"),
        ("provenance", '{"hyper_parameters": 7}', "'hyper_parameters' is 7"), ("provenance", 5, "of text"),
        ("format", [1, 2], "not an evsim trace"), ("format_version", [1, 1], "format version"),
    ],
)  # fmt: skip
def test_attributes_that_no_trace_has_are_refused(path, name, value, words):
    with h5py.File(path, "a") as file:
        file.attrs[name] = value
    refused(path, words)


@pytest.mark.parametrize(
    ("name", "value"),
    [("shape", [0, 0, 0]), ("shape", [32.0, 32.0, 2.0]), ("shape", "x"), ("shape", [2**40, 1, 1]), ("axes", 7),
     ("axes", "row,row,col")],
)  # fmt: skip
def test_shapes_that_no_layer_has_are_refused(path, name, value):
    with h5py.File(path, "a") as file:
        file["spikes/input"].attrs[name] = value
    refused(path, "spikes/input")


def test_a_heap_that_leads_in_a_circle_is_refused(path):
    """An object of no length in the heap of texts keeps the HDF5 library walking for ever."""
    data = bytearray(path.read_bytes())
    heap = data.index(b"GCOL")
    data[heap + 24 : heap + 32] = bytes(8)
    path.write_bytes(data)
    refused(path, "heap")


@pytest.mark.parametrize("packed", [{}, {"compression": "gzip"}])
def test_claims_that_the_file_cannot_hold_are_refused(path, packed):
    """Chunks that were never written: 2.4 GB of events in a file of 200 kB."""
    with h5py.File(path, "a") as file:
        for name, kind in (("step", np.int32), ("address", np.int64)):
            del file[f"spikes/input/{name}"]
            file.create_dataset(f"spikes/input/{name}", (300_000_000,), kind, chunks=(1000,), **packed)
    refused(path, "300,000,000 values, more than a file of this size can hold")


def test_events_that_deflate_a_thousandfold_are_refused(path):
    with h5py.File(path, "a") as file:
        for name, kind in (("step", np.int32), ("address", np.int64)):
            zeros = np.zeros(20_000_000, kind)
            replace_array(file, f"spikes/input/{name}", zeros, compression="gzip", compression_opts=9)
    refused(path, "more than a file of this size can hold")


def test_filters_that_leave_chance_in_memory_are_refused(path):
    with h5py.File(path, "a") as file:
        replace_array(file, "spikes/input/step", file["spikes/input/step"][()], compression="lzf")
    refused(path, "packed with the filters")


@pytest.mark.parametrize("link", [h5py.SoftLink("/ledger"), h5py.ExternalLink("/dev/zero", "/x")])
def test_links_are_not_followed(path, link):
    with h5py.File(path, "a") as file:
        del file["spikes/input"]
        file["spikes/input"] = link
    refused(path, "")


@pytest.mark.parametrize(
    ("name", "value"),
    [("height", 40_000), ("n_channels", 90_000), ("n_channels", 16_000), ("depth", 90_000), ("depth", "x"),
     ("n_channels", -3), ("n_heads", 0), ("pooling_stat", "9")],
)  # fmt: skip
def test_a_network_larger_than_any_is_not_built_for_an_audit(path, name, value):
    with h5py.File(path, "a") as file:
        known = json.loads(file.attrs["provenance"])
        known["hyper_parameters"][name] = value
        file.attrs["provenance"] = json.dumps(known)
    refused(path, "provenance", lambda path: audit_traces([str(path)]))


def test_a_trace_of_another_origin_may_say_nothing_of_its_run(tmp_path, evsim):
    layer = Layer((2,), "channel", np.array([0], np.int32), np.array([1]))
    write_trace(tmp_path / "t.h5", Trace({"a": layer}, np.zeros(2, np.float32), 2, Ledger(), {}))
    code, out, _ = evsim("info", tmp_path / "t.h5")
    assert (code, "unknown" in out) == (0, True)
    code, _, err = evsim("audit", "--trace", tmp_path / "t.h5")
    assert (code, len(err.splitlines())) == (2, 1)


# --- references ---------------------------------------------------------------------------------------------------


def archive(path, **entries):
    np.savez(path, **entries)
    return path


GOOD = {"frames": np.ones((1, 4, 2, 32, 32), np.float32), "logits_f32": np.zeros((1, 10), np.float32)}
BITS = {"spk/block.0.attn.q_lif": np.zeros(2048, np.uint8), "shape/block.0.attn.q_lif": np.array([4, 1, 64, 8, 8])}


def verified(path):
    known = read_reference(path)
    network, weights = load_network(find_weights("sdt-nmnist"))
    from evsim.runs.preparation import Preparation, fit_recording

    samples = [fit_recording(network, weights, sample, Preparation()).spikes for sample in known.recordings()]
    try:
        return verify(network, samples, known)
    except TraceError as error:
        raise TraceError(f"{path}: {error}") from None


def test_a_sound_reference_is_compared(tmp_path):
    assert verified(archive(tmp_path / "r.npz", **GOOD, **BITS)).free.compared == 4 * 64 * 8 * 8


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"frames": np.float32(1)}, "input of shape \\(\\)"),
        ({"frames": np.ones((3, 4))}, "input of shape \\(3, 4\\)"),
        ({"frames": np.ones((0, 4, 2, 32, 32))}, "input of shape"),
        ({"frames": np.full((1, 4, 2, 32, 32), "x")}, "input of shape"),
        ({"frames": np.full((1, 4, 2, 32, 32), np.nan)}, "not finite"),
        ({"logits_f32": np.zeros((2, 10))}, "logits of shape"),
        ({"logits_f32": np.zeros(10)}, "logits of shape"), ({"logits_f32": np.zeros((1, 0))}, "logits of shape"),
        ({"logits_f32": np.zeros((1, 7))}, "logits of 7 classes, this sdt network has 10"),
        ({"logits_f32": np.full((1, 10), np.inf)}, "not finite"),
        ({"meta_json": np.array("[" * 9999)}, "shapes cannot be"),
        ({"meta_json": np.array('{"lif": 3}')}, "shapes cannot be"),
        ({"meta_json": np.array("[1]")}, "shapes cannot be"),
        ({"shape/block.0.attn.q_lif": np.array([4, 1, 64])}, "do not fit shape"),
        ({"shape/block.0.attn.q_lif": np.array([-4, -1, 64, 8, 8])}, "shapes cannot be"),
        ({"shape/block.0.attn.q_lif": np.array([4, 1, 2**40, 8, 8])}, "shapes cannot be"),
        ({"shape/block.0.attn.q_lif": np.array(5)}, "shapes cannot be"),
        ({"shape/block.0.attn.q_lif": np.array([2, 2, 64, 8, 8])}, "have shape"),
        ({"shape/block.0.attn.q_lif": np.array([8, 1, 32, 8, 8])}, "reference of shape"),
        ({"spk/nobody": np.zeros(1, np.uint8), "shape/nobody": np.array([1, 1, 8])}, "no population"),
    ],
)  # fmt: skip
def test_references_that_do_not_fit_are_refused(tmp_path, change, words):
    refused(archive(tmp_path / "r.npz", **(GOOD | BITS | change)), words, verified)


def test_a_reference_that_is_a_zip_bomb_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "r.npz", "w", zipfile.ZIP_DEFLATED) as file:
        inside = io.BytesIO()
        np.save(inside, np.zeros((1, 400, 2, 500, 500), np.float32))
        file.writestr("frames.npy", inside.getvalue())
    refused(tmp_path / "r.npz", "zip bomb", read_reference)


# --- energy models ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 5000, "[a" * 5000, "x", "\x00", "title = 3", "a.b.c.d = 1\n" * 3, "a = 1" + "0" * 5000, ""],
)
def test_models_that_are_none_are_refused(tmp_path, text):
    (tmp_path / "e.toml").write_text(text)
    refused(tmp_path / "e.toml", "", read_model)


def test_a_model_of_gigabytes_is_not_read(tmp_path):
    with open(tmp_path / "e.toml", "wb") as file:
        file.truncate(10**10)
    refused(tmp_path / "e.toml", "more than the 1,048,576 bytes", read_model)


def test_the_bundled_models_are_sound():
    for path in bundled_models().values():
        assert read_model(path).constants
