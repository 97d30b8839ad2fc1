"""Measure a bundled network beside its PyTorch model, and write its card.

    evsim import CHECKPOINT -o networks/zoo/NAME.npz --set ...
    evsim evaluate --weights NAME --dataset ... --json EVALUATION
    python -m tools.zoo_card NAME CHECKPOINT --root DATA --evaluation EVALUATION

The figures go into the header of NAME.npz under "card", where `evsim zoo` finds them, and from there into NAME.md.
Beside CHECKPOINT stands the .json that the training wrote. PyTorch sees the test set as the training read it, not as
evsim does.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from evsim.auditing.energy_model import find_model
from evsim.auditing.panel import compute_pj
from evsim.checkpoints.weights import Weights, read_weights, write_weights
from evsim.evaluation import wilson_interval
from evsim.evaluation.dataset import find_dataset
from evsim.evaluation.examiner import Examiner, Plan
from evsim.loading.importing import build_network
from evsim.loading.zoo import card_of, zoo_folder
from evsim.traces.dense_model import verify_against_dense
from evsim.traces.verify import Verification
from tools.train.datasets import read_dataset
from tools.train.reference import all_logits, load_model
from tools.zoo_card_text import card_text

EXAMPLES = {"nmnist": "nmnist_digit_7.h5", "mnist": "mnist_digits.npz"}
COUNTS = (
    "acs", "event_acs", "macs", "masks", "bias_adds", "residual_adds",
    "updates", "comparisons", "weight_reads", "queue_ops",
)  # fmt: skip
ENERGY = "pair_4.6_0.9"


def main() -> None:
    """Command line."""
    p = argparse.ArgumentParser("python -m tools.zoo_card", description=__doc__.splitlines()[0])
    p.add_argument("name")
    p.add_argument("checkpoint", type=Path)
    p.add_argument("--root", type=Path, required=True)
    p.add_argument("--evaluation", type=Path, required=True)
    p.add_argument("--n-verified", type=int, default=100, help="recordings whose every spike is compared")
    p.add_argument("--counts-only", action="store_true", help="keep what PyTorch said: new counts and energy only")
    p.add_argument("--header-only", action="store_true", help="leave the .md as somebody wrote it")
    cli = p.parse_args()
    path = zoo_folder() / f"{cli.name}.npz"
    weights = read_weights(path)
    card = recounted(card_of(weights.header), cli) if cli.counts_only else make_card(cli)
    header = weights.header | {"card": card}
    write_weights(path, Weights(weights.tensors, header))
    if cli.header_only:
        print(json.dumps(card, indent=1))
        return
    text = card_text(cli.name, header, sum(tensor.size for tensor in weights.tensors.values()))
    path.with_suffix(".md").write_text(text)
    print(text)


def make_card(cli) -> dict:
    """All figures of a network."""
    trained = json.loads(cli.checkpoint.with_name(cli.checkpoint.name.split(".")[0] + ".json").read_text())
    evaluation = json.loads(cli.evaluation.read_text())
    dataset = trained["sizes"]["dataset"]
    predictions, labels = torch_predictions(cli)
    found = [outcome["top"][0] for outcome in evaluation["outcomes"]]
    assert [outcome["label"] for outcome in evaluation["outcomes"]] == labels, "not the same recordings"
    return {
        "dataset": dataset,
        "recording": EXAMPLES[dataset],
        "test_set": {"n": len(labels), "trained_on": trained["dataset"]},
        "accuracy": {"evsim": share(found, labels), "pytorch": share(predictions, labels)},
        "predictions_differing": sum(a != b for a, b in zip(found, predictions, strict=True)),
        "verification": agreement(verified(cli, dataset)),
        "firing_rates": trained["pytorch"]["rates"],
        **counted(evaluation["mean_counts"]),
        "parameters": trained["parameters"],
        "training": trained["training"] | {"selection": trained["selection"]},
        "torch": torch.__version__,
    }


def recounted(card: dict, cli) -> dict:
    """The card with counts and energy of another evaluation, which must find the same classes as the one before."""
    evaluation = json.loads(cli.evaluation.read_text())
    correct = sum(outcome["top"][0] == outcome["label"] for outcome in evaluation["outcomes"])
    before = card["accuracy"]["evsim"]
    assert (correct, len(evaluation["outcomes"])) == (before["correct"], before["n"]), "other predictions: measure anew"
    return card | counted(evaluation["mean_counts"])


def counted(mean_counts: dict) -> dict:
    """What a card says of operations and energy."""
    return {"mean_counts": {name: mean_counts[name] for name in COUNTS}, "energy": energy(mean_counts)}


def torch_predictions(cli) -> tuple[list[int], list[int]]:
    """Classes that PyTorch finds for the whole test set, and the right ones."""
    model, args = load_model(cli.checkpoint)
    data = read_dataset(args.dataset, cli.root, args.time_steps)
    return all_logits(model, data, args).argmax(1).tolist(), data.y_test.tolist()


def verified(cli, dataset: str) -> Verification:
    """Every spike of the first recordings."""
    packed = {"nmnist": (str(zoo_folder() / "nmnist_test_100.h5"),), "mnist": ("mnist", cli.root / "mnist_full.npz")}
    found = find_dataset(*packed[dataset])
    examiner = Examiner.load(Plan(cli.name, found.kind))
    samples = (examiner.steps(item) for item in found.items[: cli.n_verified])
    network = build_network(read_weights(zoo_folder() / f"{cli.name}.npz"))
    return verify_against_dense(network, str(cli.checkpoint), samples)


def share(found: list[int], labels: list[int]) -> dict:
    """Right answers with their 95 % Wilson interval."""
    correct = sum(a == b for a, b in zip(found, labels, strict=True))
    return {"correct": correct, "n": len(labels), "interval": list(wilson_interval(correct, len(labels)))}


def agreement(verification: Verification) -> dict:
    """The three levels as neuron-steps compared and spikes that differ."""
    levels = {name: getattr(verification, name) for name in ("exact", "local", "free")}
    counted = {name: {"compared": level.compared, "differing": level.differing} for name, level in levels.items()}
    return {
        "recordings": verification.samples,
        "unexcused": len(verification.unexcused),
        "logits_difference": verification.logits_difference,
        **counted,
    }


def energy(mean_counts: dict) -> dict:
    """Energy of a mean recording as the audit's panel has it, by the published pair: arithmetic, no memory."""
    return {"model": ENERGY, "nj": compute_pj(mean_counts, find_model(ENERGY)) / 1000}


if __name__ == "__main__":
    main()
