"""TrainedNetwork: a network with its weights, ready to run recordings."""

from __future__ import annotations

from collections.abc import Callable

from evsim.api.html import facts
from evsim.api.recordings import steps_of
from evsim.api.run import Run
from evsim.asynchronous.options import Asynchrony
from evsim.checkpoints.weights import Weights
from evsim.engine.network import Network
from evsim.errors import EvsimError
from evsim.recordings.duration import parse_microseconds
from evsim.recordings.options import ReadOptions
from evsim.runs.cutting import takes_any_steps
from evsim.runs.preparation import Preparation
from evsim.runs.run import run_steps

__all__ = ["TrainedNetwork"]


class TrainedNetwork:
    """What `evsim.load` returns.

    Parameters
    ----------
    network : Network
        The handlers and what connects them.
    weights : Weights
        Its header: family, hyper-parameters, how recordings were prepared in training.
    origin : dict
        `file` and `sha256` of the file it came from.
    notes : tuple of str
        What was assumed while a checkpoint was read.
    """

    def __init__(self, network: Network, weights: Weights, origin: dict, notes: tuple[str, ...] = ()) -> None:
        self.network, self.weights, self.origin, self.notes = network, weights, origin, notes

    @property
    def family(self) -> str:
        """The network's family, as ``evsim info`` names it."""
        return self.weights.header["family"]

    @property
    def title(self) -> str:
        """The family in words."""
        return self.weights.header.get("title", self.family)

    @property
    def hyper_parameters(self) -> dict:
        """Sizes and constants of the network."""
        return dict(self.weights.header["hyper_parameters"])

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one step's input, in the order of the reference's tensors."""
        height, width, n_channels = self.network.input_shape
        return n_channels, height, width

    @property
    def n_steps(self) -> int | None:
        """Steps the network was trained with; if it takes any number: default number of steps; None if open."""
        if not takes_any_steps(self.weights):
            return self.network.n_steps
        remembered = (self.weights.header.get("input") or {}).get("steps")
        return None if remembered is None else int(remembered)

    @property
    def _steps(self) -> str:
        return "any number of steps" if self.n_steps is None else f"{self.n_steps} steps"

    @property
    def precision(self) -> str:
        """float32, or int16 or int8 in fixed point."""
        return self.network.precision

    @property
    def class_names(self) -> list[str] | None:
        """By class index, where the weights file knows them."""
        return self.weights.header.get("class_names")

    def run(
        self,
        recording: object = None,
        *,
        axes: str | None = None,
        layout: str | None = None,
        sensor: tuple[int, int] | str | None = None,
        unit: str | None = None,
        index: int | str | None = None,
        normalise: str | tuple | None = None,
        drop_outside: bool = False,
        split_by: str | None = None,
        fit: str | None = None,
        crop_pct: float | None = None,
        dt: str | None = None,
        steps: int | None = None,
        preparation: Preparation | None = None,
        order: str = "stage",
        threads: int = 1,
        keep_spikes: bool = True,
        watch: Callable | None = None,
        asynchronous: Asynchrony | None = None,
    ) -> Run | list[Run]:
        """Run a recording event by event.

        Parameters
        ----------
        recording : path, array, mapping, Recording or None
            * a path of any file that ``evsim info`` can read; ``file.h5::12`` is recording 12 of it;
            * events: a structured array with fields t, x, y, p, an (N, 4) array, or a mapping of these columns;
            * frames [T, C, H, W], an image [C, H, W], or a batch [T, B, C, H, W]: an array, or any object that
              NumPy can read as one, a torch tensor included;
            * None for the recording that is bundled with the network.
        axes : str, optional
            The axes of an array in another order, like ``"T H W C"``.
        sensor : (int, int) or str, optional
            Height and width of the sensor in pixels, ``(260, 346)`` or ``"260x346"``, where the file does not say it.
        layout, unit, index, normalise, drop_outside
            What you know better than the file, see `evsim.recordings.options.ReadOptions`.
        split_by : {"number", "time"}, optional
            How events are cut into steps; None takes what the weights file remembers, else "number".
        fit : str, optional
            How a sensor is brought to the network's size, like ``"crop"`` or ``"average=2"``.
        crop_pct : float, optional
            For pictures: resize to the network's size / this, and crop, as timm does.
        dt : str, optional
            Cut events into steps of this length, like ``"1ms"``, in place of `split_by`.
        steps : int, optional
            How many steps, of a network that takes any number of them.
        preparation : Preparation, optional
            All of these at once, in their place.
        order : {"stage", "step"}
            Of the event queue; the result is the same.
        threads : int
            Steps of a large network that may run at once; the result is the same.
        keep_spikes : bool
            Without, the run has counts and logits only: the spikes of a large network take much memory.
        watch : callable, optional
            Makes an observer of the run, see `evsim.runs.run.run`.
        asynchronous : Asynchrony, optional
            Spike by spike, without layer barriers, in this order (docs/asynchronous.md).

        Returns
        -------
        Run, or list of Run for a batch

        Raises
        ------
        EvsimError
            The recording cannot be read, can be read in two ways, or does not fit the network.
        """
        if order not in ("step", "stage"):
            raise EvsimError(f"--order {order}: expected step or stage")
        if asynchronous is not None and (order != "stage" or threads != 1):
            raise EvsimError("asynchronous: order and threads mean nothing to such a run, leave them out")
        if preparation is None:
            reading = ReadOptions(layout, sensor, None, unit, normalise, axes=axes, drop_outside=drop_outside)
            length = None if dt is None else parse_microseconds(dt, "dt")
            preparation = Preparation(split_by, fit, index, crop_pct, reading, length, steps)
        runs = [
            self._run(steps, origin, keep_spikes, order=order, threads=threads, watch=watch, asynchronous=asynchronous)
            for steps, origin in steps_of(self.network, self.weights, recording, preparation)
        ]
        return runs[0] if len(runs) == 1 else runs

    def _run(self, steps, origin: dict, keep_spikes: bool, **how) -> Run:
        kept = None if keep_spikes else ()
        finished = run_steps(self.network, self.weights, steps, (self.origin, origin), kept, **how)
        return Run(self.network, finished, keep_spikes)

    def __repr__(self) -> str:
        size = "x".join(map(str, self.input_shape))
        return f"<{self.title}: {self.origin['file']}, input {size}, {self._steps}, {self.precision}>"

    def _repr_html_(self) -> str:
        populations = self.network.populations()
        told = {
            "network": f"{self.title} ({self.family})",
            "weights": f"{self.origin['file']}, SHA-256 {self.origin['sha256'][:16]}",
            "input": f"{' x '.join(map(str, self.input_shape))} (C, H, W), {self._steps}",
            "populations": f"{len(populations)} with {sum(p.n_neurons for p in populations):,} neurons",
            "precision": self.precision,
            **{str(name): value for name, value in self.hyper_parameters.items()},
        }
        return facts(told.items())

    def default_recording(self) -> str:
        """Path of the bundled recording that this network is shown when nobody names another."""
        from evsim.loading.zoo import recording_for

        return recording_for(self.weights.header)
