"""cut_of: how many steps a recording becomes, and by what; T is never another one than the network's in silence."""

from __future__ import annotations

from dataclasses import dataclass

from evsim.checkpoints.weights import Weights
from evsim.engine.network import Network
from evsim.errors import RecordingError
from evsim.recordings.binning import steps_filled
from evsim.recordings.duration import parse_microseconds, written
from evsim.recordings.recording import EventRecording, FrameRecording, Recording

__all__ = ["Cut", "cut_of", "takes_any_steps"]


@dataclass(frozen=True)
class Cut:
    """What a user says of it; None leaves it to what the weights file remembers.

    Parameters
    ----------
    split_by : {"number", "time"}, optional
    dt : int, optional
        Microseconds of a step.
    steps : int, optional
    """

    split_by: str | None = None
    dt: int | None = None
    steps: int | None = None


def cut_of(network: Network, weights: Weights, recording: Recording, told: Cut) -> tuple[int, str | int]:
    """The number of steps, and "number", "time" or the length of a step in microseconds.

    A network whose T is part of it keeps it: a length of a step that makes another T of a recording is refused, unless
    the user asks for the network's T in so many words. One that has no T of its own (it was read from a NIR graph)
    takes as many steps as the user or its file says, else as the recording fills.

    Raises
    ------
    RecordingError
        In one line with the option: the two lengths of a step, or the two numbers of steps, do not go together.
    """
    is_free = takes_any_steps(weights)
    asked = _completed(network, weights, told, is_free)
    if isinstance(recording, EventRecording):
        if asked.dt is None:
            return _asked_for(network, asked.steps, is_free), asked.split_by
        return _steps_of_events(network, recording, asked.dt, told.steps, asked.steps, is_free), asked.dt
    if told.dt is not None:
        raise RecordingError(f"--dt {written(told.dt)}: cuts events, and this recording has none: leave it out")
    if isinstance(recording, FrameRecording):
        return _steps_of_frames(network, recording, told.steps, is_free), asked.split_by
    return _asked_for(network, asked.steps, is_free), asked.split_by


def takes_any_steps(weights: Weights) -> bool:
    """Whether the network has no T of its own."""
    return weights.header["hyper_parameters"].get("any_steps") is True


def _completed(network: Network, weights: Weights, told: Cut, is_free: bool) -> Cut:
    """With what the weights file remembers."""
    remembered = weights.header.get("input") or {}
    kept = parse_microseconds(remembered["dt"], "dt") if remembered.get("dt") else None
    if told.dt is not None and told.split_by is not None:
        raise RecordingError(f"--split-by {told.split_by}: cuts in another way than --dt, leave one of them out")
    if None not in (told.dt, kept) and told.dt != kept:
        raise RecordingError(
            f"--dt {written(told.dt)}: the network was imported for steps of {written(kept)}, which its time constants "
            f"count: import it again with --dt {written(told.dt)}"
        )
    if told.steps is not None and not is_free and told.steps != network.n_steps:
        raise RecordingError(
            f"--steps {told.steps}: the number of steps ({network.n_steps}) is part of the model and cannot be changed"
        )
    steps = told.steps or (int(remembered["steps"]) if remembered.get("steps") else None)
    dt = told.dt or (None if told.split_by else kept)
    return Cut(told.split_by or remembered.get("split_by") or "number", dt, steps)


def _steps_of_events(
    network: Network, recording: EventRecording, dt: int, told: int | None, steps: int | None, is_free: bool
) -> int:
    """Of steps of one length."""
    n_filled = steps_filled(recording.t, dt)
    if is_free:
        return steps or n_filled
    if told is None and n_filled != network.n_steps:
        raise RecordingError(
            f"--dt {written(dt)}: makes {n_filled} steps of this recording, and the network takes {network.n_steps}: "
            f"--steps {network.n_steps} takes the first ones, or leave --dt out"
        )
    return network.n_steps


def _steps_of_frames(network: Network, recording: FrameRecording, told: int | None, is_free: bool) -> int:
    """The file has so many; a network that was recorded with another T does not run them."""
    found = len(recording.frames)
    expected = told if is_free else network.n_steps
    if expected not in (None, found) and (told is not None or network.recorded is not None):
        frames = "1 frame" if found == 1 else f"{found} frames"
        needs = f"--steps asks for {expected}" if is_free else f"the network needs {expected} steps"
        is_bare = any(note.startswith("its axes were read as") for note in recording.notes)
        hint = "; --axes says what its axes are" if is_bare else ""
        raise RecordingError(f"the file has {frames}, but {needs}{hint}")
    return found if is_free else network.n_steps


def _asked_for(network: Network, steps: int | None, is_free: bool) -> int:
    """T where nothing is cut by a length of time."""
    if is_free and steps is None:
        raise RecordingError("the network takes any number of steps, and nothing says how many: expected --steps N")
    return steps if is_free else network.n_steps
