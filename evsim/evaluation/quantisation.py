"""What fixed point changes: a network in float32 and in whole numbers, side by side on the same recordings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from evsim.arithmetic.precision import FLOAT
from evsim.auditing.inputs import Source, expand
from evsim.checkpoints.class_names import find_class
from evsim.checkpoints.weights import Weights
from evsim.engine.network import Network
from evsim.engine.simulator import Result, simulate
from evsim.errors import EvsimError
from evsim.evaluation.dataset import align_classes, find_dataset
from evsim.loading.importing import build_network
from evsim.loading.zoo import zoo_folder
from evsim.recordings.steps import Steps
from evsim.runs.preparation import Preparation, prepare_input

__all__ = ["PopulationChange", "QuantisationReport", "bundled_recordings", "compare_precisions", "find_recordings"]

BUNDLED = {"nmnist_test_100.h5": None, "mnist_digits.npz": 10, "gesture_clip_01.h5": None}
"""And how many images they hold, where the file's reader takes one."""


@dataclass
class PopulationChange:
    """One population in both precisions, over all recordings.

    Parameters
    ----------
    name : str
    neuron_steps : int
    spikes : int
        In float32.
    only_float, only_fixed : int
        Spikes of one precision that the other does not have at that neuron and step.
    """

    name: str
    neuron_steps: int = 0
    spikes: int = 0
    only_float: int = 0
    only_fixed: int = 0

    @property
    def changed(self) -> int:
        return self.only_float + self.only_fixed

    @property
    def per_thousand_spikes(self) -> float:
        return 1000 * self.changed / max(1, self.spikes)

    @property
    def per_neuron_step(self) -> float:
        return self.changed / max(1, self.neuron_steps)


@dataclass
class QuantisationReport:
    """Both precisions over some recordings.

    Parameters
    ----------
    precision : str
        Of the network that is not in float32.
    n_recordings, n_labelled : int
    right_float, right_fixed : int
        Right predictions among the labelled recordings.
    n_other_predictions : int
        Recordings that the two predict differently.
    populations : dict of str to PopulationChange
    """

    precision: str
    n_recordings: int = 0
    n_labelled: int = 0
    right_float: int = 0
    right_fixed: int = 0
    n_other_predictions: int = 0
    populations: dict[str, PopulationChange] = field(default_factory=dict)

    @property
    def total(self) -> PopulationChange:
        """The sum over the populations."""
        total = PopulationChange("total")
        for row in self.populations.values():
            for name in ("neuron_steps", "spikes", "only_float", "only_fixed"):
                setattr(total, name, getattr(total, name) + getattr(row, name))
        return total

    def lines(self) -> Iterator[str]:
        """For a person to read."""
        yield f"{self.precision} against float32 on {self.n_recordings:,} recordings"
        if self.n_labelled:
            n = self.n_labelled
            right = f"{self.right_fixed:,} of {n:,} right, float32 {self.right_float:,} of {n:,}"
            yield f"accuracy: {right}"
        yield f"other predictions: {self.n_other_predictions:,}"
        yield "spikes only in one of the two, by population:"
        for row in (*self.populations.values(), self.total):
            changed = f"{row.changed:,} of {row.spikes:,} spikes ({row.only_float:,} lost, {row.only_fixed:,} new)"
            share = f"{row.per_thousand_spikes:.2f} per thousand, {row.per_neuron_step:.2e} per neuron-step"
            yield f"  {row.name}: {changed}, {share}"


def compare_precisions(weights: Weights, precision: str, recordings: Iterable[tuple[Source, int | None]]):
    """Run each recording in float32 and in `precision`.

    Parameters
    ----------
    weights : Weights
    precision : {"int16", "int8"}
    recordings : iterable of (Source, label or None)
        None takes the label that the recording carries.

    Returns
    -------
    QuantisationReport

    Raises
    ------
    EvsimError
        A recording cannot be read or does not fit, or the network cannot run in that precision.
    """
    networks = build_network(weights, precision=FLOAT), build_network(weights, precision=precision)
    report = QuantisationReport(
        precision, populations={p.name: PopulationChange(p.name) for p in networks[0].populations()}
    )
    for source, label in recordings:
        steps = _steps(networks[0], weights, source)
        own = find_class(steps.label, weights.header.get("class_names"))
        _compare(report, networks, steps, own if label is None else label)
    return report


def find_recordings(
    inputs: str | None, dataset: str | None, names: Sequence[str] | None = None
) -> list[tuple[Source, int | None]]:
    """The recordings of a file or a folder, or of a labelled dataset whose classes have the network's `names`."""
    if inputs is not None and dataset is not None:
        raise EvsimError("--input and --dataset both name recordings: say one of them")
    if inputs is not None:
        return [(source, None) for source in expand([inputs])]
    found = align_classes(find_dataset(dataset), names)
    return [(Source(item.path, item.index), item.label) for item in found.items]


def bundled_recordings(weights: Weights) -> tuple[str | None, list[tuple[Source, int | None]]]:
    """The first of the bundled files whose recordings fit the network, and they; (None, []) where none does."""
    network = build_network(weights)
    for name, n_images in BUNDLED.items():
        path = str(zoo_folder() / name)
        images = [(Source(path, str(i)), None) for i in range(n_images or 0)]
        found = images or find_recordings(path, None)
        try:
            _steps(network, weights, found[0][0])
        except EvsimError:
            continue
        return name, found
    return None, []


def _steps(network: Network, weights: Weights, source: Source) -> Steps:
    return prepare_input(network, weights, source.path, Preparation(index=source.index))


def _compare(report: QuantisationReport, networks: tuple[Network, Network], steps: Steps, label: int | None) -> None:
    (first, spikes), (second, other_spikes) = (_run(network, steps) for network in networks)
    report.n_recordings += 1
    if first.logits.size:
        report.n_other_predictions += first.prediction != second.prediction
        if label is not None:
            report.n_labelled += 1
            report.right_float += first.prediction == label
            report.right_fixed += second.prediction == label
    for population in networks[0].populations():
        row = report.populations[population.name]
        row.neuron_steps += population.n_neurons * len(steps)
        for step in range(len(steps)):
            ours, theirs = (sent[population.name].get(step, _NOTHING) for sent in (spikes, other_spikes))
            both = np.intersect1d(ours, theirs, assume_unique=True).size
            row.spikes += ours.size
            row.only_float += ours.size - both
            row.only_fixed += theirs.size - both


def _run(network: Network, steps: Steps) -> tuple[Result, dict[str, dict[int, np.ndarray]]]:
    recorder = _Recorder({population.name: {} for population in network.populations()})
    return simulate(network, steps.spikes, [recorder]), recorder.sent


@dataclass
class _Recorder:
    """The addresses that each population sent, by step."""

    sent: dict[str, dict[int, np.ndarray]]

    def show(self, name: str, step: int, spikes) -> None:
        if name in self.sent:
            self.sent[name][step] = spikes.address


_NOTHING = np.empty(0, np.int32)
