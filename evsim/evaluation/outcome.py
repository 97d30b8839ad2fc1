"""Outcome: what became of one recording, as a line of the journal keeps it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

__all__ = ["TOP", "Outcome"]

TOP = 5


@dataclass(frozen=True)
class Outcome:
    """One recording, examined or found broken.

    Parameters
    ----------
    id : str
        The item's.
    label : int
    top : tuple of int
        Classes of the largest logits, largest first, at most five; empty for a broken recording.
    counts : dict of str to int
        `OpCounts` summed over the network.
    seconds : float
        To read, cut and simulate.
    error : str or None
        Why it could not be examined.
    content : str or None
        SHA-256 of the file that holds the recording, as it was examined; None where it could not be read at all.
    asynchronous : dict or None
        Without layer barriers: `deliveries`, `withdrawn` and the `decision` (`delivery`, `share`).
    """

    id: str
    label: int
    top: tuple[int, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    error: str | None = None
    content: str | None = None
    asynchronous: dict | None = None

    @property
    def prediction(self) -> int | None:
        """The class of the largest logit."""
        return self.top[0] if self.top else None

    @property
    def is_correct(self) -> bool:
        return self.prediction == self.label

    def as_dict(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(values: dict) -> Outcome:
        """The inverse of `as_dict`; raises TypeError, KeyError or ValueError on anything else."""
        top = tuple(int(place) for place in values["top"])
        if not (values["error"] is None) == bool(top):
            raise ValueError("neither classes nor an error")
        if type(values["id"]) is not str or type(values["label"]) is not int:
            raise TypeError("an id that is no text, or a label that is no whole number")
        return Outcome(**(values | {"top": top}))
