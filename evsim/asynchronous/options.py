"""Asynchrony: how a run without layer barriers is ordered, and what becomes of spikes that wait."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from evsim.errors import EvsimError

__all__ = ["AFTER_SPIKE", "BIASES", "COMMITS", "SCHEDULES", "Asynchrony"]

SCHEDULES = ("layer", "depth", "fifo", "random", "momentum")
COMMITS = ("crossing", "delivery")
BIASES = ("start", "late")
AFTER_SPIKE = ("drop", "keep")
_MOST = 2**62


@dataclass(frozen=True)
class Asynchrony:
    """Who goes next when nobody waits for a layer.

    Parameters
    ----------
    schedule : {"layer", "depth", "fifo", "random", "momentum"}
        layer: the barrier, stage by stage, everything at once. depth: the shallowest stage first. fifo: in the order
        of becoming ready. random: any of those that wait. momentum: the largest membrane potential at the moment of
        crossing first; input has none and goes before all.
    group : int or "all"
        F: so many spikes are chosen before any of them is delivered. None and "all": everything that waits.
    commit : {"crossing", "delivery"}
        Whether a spike that waits is sent in any case, or only if its neuron is still at threshold when its turn comes.
    bias : {"start", "late"}
        late: positive biases act when the network is quiescent, the shallowest stage first, which takes a signal that
        every neuron sees.
    refire : bool
        Whether a neuron may spike again within a step.
    after_spike : {"drop", "keep"}
        Whether what arrives after a neuron's spike in the same step is lost with the reset, or stays.
    stop_at_decision : int, optional
        Stop when the readout, once it has received anything, has kept its class for so many deliveries.
    seed : int
        Of the schedule "random".

    Raises
    ------
    EvsimError
        An unknown word, a number out of range, or an option that the schedule has no use for.
    """

    schedule: str = "fifo"
    group: int | str | None = 1
    commit: str = "delivery"
    bias: str = "start"
    refire: bool = False
    after_spike: str = "drop"
    stop_at_decision: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.group == "all":
            object.__setattr__(self, "group", None)
        for option, known in _WORDS.items():
            if getattr(self, option) not in known:
                raise EvsimError(f"--{option.replace('_', '-')} {getattr(self, option)}: expected {_either(known)}")
        _check_number("--group", self.group, "a whole number of spikes from 1, or all")
        _check_number("--stop-at-decision", self.stop_at_decision, "a whole number of deliveries from 1")
        if not 0 <= self.seed < _MOST:
            raise EvsimError(f"--seed {self.seed}: expected a whole number from 0 to 2^62")
        if self.seed and self.schedule != "random":
            raise EvsimError(f"--seed {self.seed}: nothing is random with --schedule {self.schedule}, expected random")
        if self.schedule == "layer" and (self.bias != "start" or self.refire or self.after_spike != "drop"):
            raise EvsimError(
                "--schedule layer is the barrier: --bias late, --refire and --after-spike keep mean nothing"
            )

    @staticmethod
    def of(**told: object) -> Asynchrony:
        """From what a user said: None leaves an option as it is by default, and a seed must have a use."""
        if told.get("seed") is not None and told.get("schedule", "fifo") != "random":
            raise EvsimError(
                f"--seed {told['seed']}: nothing is random with --schedule {told.get('schedule') or 'fifo'}, "
                "expected --schedule random"
            )
        if told.get("schedule") == "layer" and not (told.get("group") is None and told.get("commit") is None):
            raise EvsimError("--schedule layer sends a stage at once: --group and --commit mean nothing there")
        told = {name: value for name, value in told.items() if value is not None}
        if "group" in told:
            told["group"] = parse_group(told["group"])
        return Asynchrony(**told)

    @property
    def group_size(self) -> int:
        """F as a number; everything that waits is fewer than this."""
        return _MOST if self.group is None or self.schedule == "layer" else self.group

    @property
    def remembers(self) -> bool:
        """Whether what reaches a neuron after its spike matters."""
        return self.refire or self.after_spike == "keep"

    def as_dict(self) -> dict:
        """Plain values for a report."""
        return asdict(self)


def parse_group(text: object) -> int | None:
    """A number of spikes, or None for the word "all".

    Raises
    ------
    EvsimError
        Neither.
    """
    if text == "all":
        return None
    if not str(text).isdecimal() or len(str(text)) > 18 or int(str(text)) < 1:
        raise EvsimError(f"--group {text}: expected a whole number of spikes from 1, or all")
    return int(str(text))


_WORDS = {"schedule": SCHEDULES, "commit": COMMITS, "bias": BIASES, "after_spike": AFTER_SPIKE}


def _either(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _check_number(option: str, number: int | None, expected: str) -> None:
    if number is not None and (isinstance(number, bool) or not isinstance(number, int) or not 1 <= number < _MOST):
        raise EvsimError(f"{option} {number}: expected {expected}")
