"""The page of the recorder's coverage says what its rows say: silent, refused and differing models by name."""

from tools.coverage_table import page

DONE = {
    "name": "a", "source": "x/model.py", "n_steps": 4, "populations": 3, "rate": 0.1, "silent": [], "forced": 0,
    "free": 0, "compared": 1000, "dense": {}, "fused": 1, "real": 2, "cpu_seconds": 1.25, "bytes": 2_000_000,
    "checkpoint_bytes": 1_900_000, "counts": {"event_acs": 750, "macs": 250, "dense_macs": 0},
}  # fmt: skip


def test_every_row_is_told():
    silent = DONE | {"name": "b", "silent": ["lif3"], "forced": 1, "free": 20, "dense": {"softmax": "softmax"}}
    refused = {"name": "c", "source": "y.py", "refused": "lif: neurons behind mean over the axis of time"}
    text = page([DONE, silent, refused], "On one machine.")
    assert "3 models built by their authors' own code" in text
    assert "2 are recorded, 1 of them with an operation" in text
    assert "1 of 2,000 neuron-steps differ when forced (models: 1; only" in text
    assert "1 of the 2 run free without a single difference" in text
    assert "\n\nOn one machine.\n\n" in text
    assert (
        "| a | x/model.py | 4 | 3 | 10.0 | 1,000 | 0 | 0 | 0.00 | 75.0 | 25.0 | 0.0 | 1 + 2 | 1.2 | 2.00 | 1.90 |"
        in text
    )
    assert "| b | x/model.py | 4 | 3 (1) |" in text
    assert "* b: 1 of 3 (lif3)" in text
    assert "* b: 1 forced, 20 free of 1,000" in text
    assert "* c (y.py): lif: neurons behind mean over the axis of time" in text
