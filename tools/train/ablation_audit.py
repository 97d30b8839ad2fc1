"""A trained checkpoint on the bundled test recordings: evsim's predictions beside PyTorch's, and evsim's audit."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from evsim.auditing.energy_model import find_model
from evsim.auditing.layers import audit_run
from evsim.auditing.panel import energy_panel
from evsim.checkpoints.weights import write_weights
from evsim.engine.ledger import with_present_names
from evsim.evaluation.dataset import find_dataset
from evsim.evaluation.examiner import Examiner, Plan
from evsim.loading.importing import import_checkpoint
from evsim.loading.zoo import zoo_folder
from evsim.runs.measures import file_sha256
from tools.train.datasets import read_dataset
from tools.train.reference import all_logits, load_model

__all__ = ["MODELS", "audited"]

MODELS = ("pair_4.6_0.9", "step_simple")
COUNTS = ("acs", "macs", "masks", "bias_adds", "residual_adds", "scalings", "updates", "comparisons")
_TOLD = {"split_by": "time", "fit": "crop", "sensor": "34x34"}


def audited(checkpoint: Path, root: Path, cache: Path) -> dict:
    """Means over the recordings; from `cache` where it is of this checkpoint.

    Returns
    -------
    dict
        ``counts`` (by name), ``energy`` (µJ by model and part of the panel), ``accuracy`` and ``differing`` (how many
        of evsim's predictions are not PyTorch's), and ``sha256`` of the checkpoint.
    """
    sha256 = file_sha256(str(checkpoint))
    if cache.exists() and (known := json.loads(cache.read_text()))["sha256"] == sha256:
        return known | {"counts": with_present_names(known["counts"])}
    runs, predictions, labels = _run(checkpoint)
    torch_predictions = _torch_predictions(checkpoint, root, labels)
    panels = {name: [energy_panel(run, find_model(name)).rows[0].parts for run in runs] for name in MODELS}
    found = {
        "sha256": sha256,
        "n": len(labels),
        "accuracy": float(np.mean(np.equal(predictions, labels))),
        "differing": int(np.sum(np.not_equal(predictions, torch_predictions))),
        "counts": {name: float(np.mean([getattr(run.totals, name) for run in runs])) for name in COUNTS},
        "energy": {name: _mean_parts(panels[name]) for name in MODELS},
    }
    cache.parent.mkdir(parents=True, exist_ok=True)
    cache.write_text(json.dumps(found, indent=1) + "\n")
    return found


def _run(checkpoint: Path) -> tuple[list, list[int], list[int]]:
    weights, _ = import_checkpoint(str(checkpoint), _TOLD)
    if weights.header["hyper_parameters"]["in_channels"] == 3:  # two polarities and their sum
        weights, _ = import_checkpoint(str(checkpoint), _TOLD | {"fit": "crop,on_off_sum"})
    with TemporaryDirectory() as folder:
        path = f"{folder}/network.npz"
        write_weights(path, weights)
        dataset = find_dataset(str(zoo_folder() / "nmnist_test_100.h5"))
        examiner = Examiner.load(Plan(path, dataset.kind))
        audits = [audit_run(examiner.network, examiner.steps(item).spikes) for item in dataset.items]
    return [run for run, _ in audits], [r.prediction for _, r in audits], [item.label for item in dataset.items]


def _torch_predictions(checkpoint: Path, root: Path, labels: list[int]) -> list[int]:
    """PyTorch's classes, on the recordings as the training read them."""
    model, args = load_model(checkpoint)
    data = read_dataset(args.dataset, root, args.time_steps)
    assert data.y_test.tolist() == labels, "not the same recordings"
    return all_logits(model, data, args).argmax(1).tolist()


def _mean_parts(parts: list[dict]) -> dict[str, float]:
    """µJ a recording; what the model has no price for is left out."""
    return {key: float(np.mean([p[key] for p in parts])) / 1e6 for key in parts[0] if parts[0][key] is not None}
