"""Examiner: a network and the way recordings are prepared for it; one recording in, one outcome out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np

from evsim.asynchronous.options import Asynchrony
from evsim.checkpoints.weights import Weights, read_weights
from evsim.engine.network import Network
from evsim.engine.simulator import Result, simulate
from evsim.engine.twin import twin
from evsim.errors import EvsimError
from evsim.evaluation.dataset import Item, Reader, kind_module
from evsim.evaluation.outcome import TOP, Outcome
from evsim.evaluation.resumed import content_of
from evsim.loading.importing import build_network
from evsim.loading.zoo import find_weights
from evsim.recordings.options import ReadOptions
from evsim.recordings.read import read_recording, refused
from evsim.recordings.recording import Recording
from evsim.recordings.steps import Steps
from evsim.runs.measures import file_sha256
from evsim.runs.preparation import Preparation, fit_recording, read_options
from evsim.runs.run import run_asynchronously

__all__ = ["Examiner", "Plan"]


@dataclass(frozen=True)
class Plan:
    """How every recording of an evaluation is treated; enough to repeat it on another machine.

    Parameters
    ----------
    weights : str
        A weights file or a bundled network's name.
    kind : str
        Kind of the dataset.
    preparation : Preparation
    normalise : str, optional
        How raw pixels become input; None leaves it to the weights file, then to the kind of dataset.
    order : {"step", "stage"}
        Of the event queue.
    crop_pct : float, optional
        Share of an image's side that is seen, see `ReadOptions`; None leaves it to the kind of dataset, most of which
        take images only as large as the network's input.
    precision : {"float32", "int16", "int8"}, optional
        None takes what the weights file says.
    asynchronous : Asynchrony, optional
        Without layer barriers, in this order.
    """

    weights: str
    kind: str
    preparation: Preparation = field(default_factory=Preparation)
    normalise: str | None = None
    order: str = "stage"
    crop_pct: float | None = None
    precision: str | None = None
    asynchronous: Asynchrony | None = None


@dataclass(eq=False)
class Examiner:
    """Runs one recording at a time; a thread takes a `twin`.

    Parameters
    ----------
    plan : Plan
    network : Network
    weights : Weights
    sha256 : str
        Of the weights file.
    reader : Reader, optional
        Of a dataset in memory.
    """

    plan: Plan
    network: Network
    weights: Weights
    sha256: str
    reader: Reader | None = None

    @staticmethod
    def load(plan: Plan) -> Examiner:
        """Read the weights and build the network."""
        path = find_weights(plan.weights)
        weights = read_weights(path)
        network = build_network(weights, path, precision=plan.precision)
        # The network holds its own copy of the tensors, and only the header is needed from here on.
        return Examiner(plan, network, Weights({}, weights.header), file_sha256(path))

    @property
    def n_classes(self) -> int:
        return self.network.readout.n_classes

    def twin(self) -> Examiner:
        """One that can run beside this one; the weights exist once."""
        return replace(self, network=twin(self.network))

    def examine(self, item: Item) -> Outcome:
        """Read, cut, simulate; what cannot be read, or ends in no logits, becomes an outcome with an error."""
        content, begin = content_of(item.path), time.perf_counter()
        try:
            steps = self.steps(item)
            result = self._simulate(steps)
        except (EvsimError, OSError) as error:
            seconds = time.perf_counter() - begin
            return Outcome(item.id, item.label, seconds=seconds, error=str(error), content=content)
        top = np.argsort(-result.logits, kind="stable")[:TOP].tolist()
        counts, seconds = result.ledger.total().as_dict(), time.perf_counter() - begin
        without = result.as_dict() if self.plan.asynchronous else {}
        told = {name: without.get(name) for name in ("deliveries", "withdrawn", "decision")}
        told = {"content": content, "asynchronous": told if without else None}
        return Outcome(item.id, item.label, tuple(top), counts, seconds, **told)

    def _simulate(self, steps: Steps) -> Result:
        if self.plan.asynchronous is None:
            return simulate(self.network, steps.spikes, order=self.plan.order)
        return run_asynchronously(self.network, steps, self.plan.asynchronous)

    def steps(self, item: Item) -> Steps:
        """Read a recording and cut it into the network's input."""
        return fit_recording(self.network, self.weights, self._read(item), self.plan.preparation)

    def _read(self, item: Item) -> Recording:
        options = self._options(item)
        if self.reader is not None:
            return self.reader.read(item, options)
        module = kind_module(self.plan.kind)
        if hasattr(module, "read"):
            with refused(Path(item.path)):
                return module.read(item, options)
        return read_recording(item.path, **{entry.name: getattr(options, entry.name) for entry in fields(options)})

    def _options(self, item: Item) -> ReadOptions:
        """What the user says, and for raw pixels what the weights file or else the kind of dataset knows."""
        told = self.plan.preparation
        known = None if self.reader is not None else getattr(kind_module(self.plan.kind), "NORMALISE", None)
        normalise = self.plan.normalise or told.reading.normalise
        reading = replace(told.reading, normalise=normalise, trained_with=known)
        asked = replace(told, index=item.index, crop_pct=self.crop_pct, reading=reading)
        return read_options(self.network, self.weights, asked)

    @property
    def crop_pct(self) -> float | None:
        """How images are cropped, as the user says or the kind of dataset knows of the network's family."""
        if self.reader is not None:
            return self.plan.crop_pct
        known = getattr(kind_module(self.plan.kind), "crop_pct", lambda family: None)
        return self.plan.crop_pct or known(self.weights.header["family"])
