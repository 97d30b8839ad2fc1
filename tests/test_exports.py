"""Exports, each read again by the library it is meant for."""

import csv
import json

import numpy as np
import pytest

from evsim.engine.ledger import Ledger
from evsim.errors import EvsimError
from evsim.exports import export_trace, format_names
from evsim.loading.zoo import DEFAULT_RECORDING, find_weights, zoo_folder
from evsim.runs.run import run
from evsim.traces.trace import Layer, Trace, write_trace


@pytest.fixture(scope="module")
def trace():
    return run(find_weights("sdt-nmnist"), str(zoo_folder() / DEFAULT_RECORDING))[1]


def hostile_trace():
    """Names a format may trip over, a layer without spikes, and graded events."""
    step, address = np.array([0, 0, 2], np.int32), np.array([1, 5, 3], np.int64)
    graded = Layer((2, 3), "token,channel", step, address, np.array([2, -1, 7], np.int32))
    silent = Layer((9,), "channel", np.empty(0, np.int32), np.empty(0, np.int64))
    layers = {"input": graded, 'a,"b"\n<i>': Layer((2, 3), "token,channel", step, address), "silent": silent}
    return Trace(layers, np.zeros(2, np.float32), 3, Ledger(), {})


@pytest.fixture(params=["bundled", "hostile"])
def case(request):
    return request.getfixturevalue("trace") if request.param == "bundled" else hostile_trace()


def test_csv_has_a_line_an_event(case, tmp_path):
    export_trace(case, "csv", str(tmp_path / "t.csv"))
    with open(tmp_path / "t.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for name, layer in case.layers.items():
        mine = [row for row in rows if row["layer"] == name]
        assert [int(row["step"]) for row in mine] == layer.step.tolist()
        axes = layer.axes.split(",")
        places = np.array([[int(row[axis]) for axis in axes] for row in mine], int).reshape(-1, len(axes))
        assert np.array_equal(np.ravel_multi_index(tuple(places.T), layer.shape), layer.address)
        if layer.payload is not None:
            assert [int(row["payload"]) for row in mine] == layer.payload.tolist()


def test_packed_bits_unpack_to_the_trace(case, tmp_path):
    export_trace(case, "packed", str(tmp_path / "t.npz"))
    with np.load(tmp_path / "t.npz") as file:
        header = json.loads(str(file["header"]))
        for name, layer in case.layers.items():
            known = header["layers"][name]
            size = int(np.prod(known["shape"]))
            bits = np.unpackbits(file[f"{name}.bits"], axis=1, bitorder="little")[:, :size]
            step, address = np.nonzero(bits)
            assert np.array_equal(step, layer.step)
            assert np.array_equal(address, layer.address)
            if layer.payload is not None:
                assert np.array_equal(file[f"{name}.payload"], layer.payload)


def test_sonata_is_read_by_libsonata(case, tmp_path):
    libsonata = pytest.importorskip("libsonata")
    notes = export_trace(case, "sonata", str(tmp_path / "t.h5"))
    assert "input" in notes[0]
    reader = libsonata.SpikeReader(str(tmp_path / "t.h5"))
    assert set(reader.get_population_names()) == set(case.layers)
    for name, layer in case.layers.items():
        population = reader[name]
        assert population.sorting == "by_time"
        found = population.get_dict()
        assert np.array_equal(found["timestamps"], layer.step)
        assert np.array_equal(found["node_ids"], layer.address)


def test_nir_is_read_by_nir(case, tmp_path):
    nir = pytest.importorskip("nir")
    export_trace(case, "nir", str(tmp_path / "t.nir"))
    read = nir.read_data(str(tmp_path / "t.nir"))
    for name, layer in case.layers.items():
        events = read.nodes[name].observables["spikes"]
        assert np.array_equal(events.idx[0], layer.address)
        assert np.array_equal(events.time[0], layer.step)
        dense = events.to_time_gridded(dt=1.0).data[0]
        assert np.array_equal(dense, layer.to_dense(case.n_steps).reshape(case.n_steps, -1))


def test_neo_is_read_by_neo(case, tmp_path):
    neo = pytest.importorskip("neo")
    pytest.importorskip("nixio")
    export_trace(case, "neo", str(tmp_path / "t.nix"))
    with neo.NixIO(str(tmp_path / "t.nix"), mode="ro") as file:
        trains = {train.name: train for train in file.read_block().segments[0].spiketrains}
    for name, layer in case.layers.items():
        assert np.array_equal(trains[name].times.rescale("ms").magnitude, layer.step)
        if layer.step.size:
            assert np.array_equal(np.asarray(trains[name].array_annotations["address"]), layer.address)
        if layer.payload is not None:
            assert np.array_equal(np.asarray(trains[name].array_annotations["payload"]), layer.payload)


def test_a_missing_library_is_named_with_its_extra(trace, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "nir", None)
    with pytest.raises(EvsimError, match=r"needs nir; pip install 'evsim\[export\]'"):
        export_trace(trace, "nir", str(tmp_path / "t.nir"))
    assert list(tmp_path.iterdir()) == []


def test_unknown_formats_and_unwritable_files_are_refused(trace, tmp_path):
    with pytest.raises(EvsimError, match="csv, neo, nir, packed, sonata"):
        export_trace(trace, "mat", str(tmp_path / "t"))
    for name in ("csv", "packed", "sonata"):
        with pytest.raises(EvsimError, match="cannot be written"):
            export_trace(trace, name, str(tmp_path / "absent" / "t"))
    assert len(format_names()) == 5


def test_a_lying_trace_does_not_fill_the_memory(tmp_path):
    none = np.empty(0, np.int32)
    layers = {"input": Layer((2**31,), "channel", none, none.astype(np.int64))}
    with pytest.raises(EvsimError, match="bytes of packed bits"):
        export_trace(Trace(layers, np.zeros(1), 1_000_000, Ledger(), {}), "packed", str(tmp_path / "t.npz"))


def test_export_verb(trace, tmp_path, evsim):
    write_trace(tmp_path / "t.h5", trace)
    code, out, _ = evsim("export", tmp_path / "t.h5", "--format", "sonata", "-o", tmp_path / "o.h5")
    assert code == 0
    assert "note: SONATA" in out
    code, _, err = evsim("export", tmp_path / "t.h5", "--format", "mat", "-o", tmp_path / "o.h5")
    assert (code, len(err.splitlines())) == (2, 1)
    assert evsim("export", zoo_folder() / DEFAULT_RECORDING, "-o", tmp_path / "o.csv")[0] == 2
