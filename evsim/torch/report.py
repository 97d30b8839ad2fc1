"""TraceReport: what was recorded, what became of it, and what was verified."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from evsim.traces.verify import Verification

__all__ = ["TraceReport"]


@dataclass(frozen=True, eq=False)
class TraceReport:
    """What `evsim.torch.trace` returns; prints as a few lines of text.

    Parameters
    ----------
    out : str
        The weights file that was written.
    n_steps : int
    n_recorded, n_nodes : int
        Operations of the forward pass, and nodes of the program of one step.
    populations : dict of str to (int, float)
        Neurons, and events per neuron and step on the example, by module path.
    handlers : dict of str to int
        How many there are of each kind.
    notes : tuple of str
        What was fused, what multiplies real values.
    dense : dict of str to str
        Handlers that run densely, and their operation.
    spikes_checked : dict of str to int
        Classes of neuron modules, and spikes compared with their twin under random currents.
    forced : (int, int)
        Spikes of the graph, densely in NumPy, that differ from the model's, and how many were compared: every
        population fed with the model's spikes.
    verification : Verification
        The event-driven handlers against the model.
    second : str
        What was recorded a second time, and what came of it.
    n_bytes : int
        Of the file.
    choices : tuple of str
        What was taken of the example and of what the model returns, where there was more.
    """

    out: str
    n_steps: int
    n_recorded: int
    n_nodes: int
    populations: dict[str, tuple[int, float]]
    handlers: dict[str, int]
    notes: tuple[str, ...]
    dense: dict[str, str]
    spikes_checked: dict[str, int]
    forced: tuple[int, int]
    verification: Verification
    second: str
    n_bytes: int = 0
    choices: tuple[str, ...] = ()
    seconds: float = field(default=0.0, repr=False)

    @property
    def silent(self) -> list[str]:
        """Populations that never fire on the example."""
        return [path for path, (_, rate) in self.populations.items() if rate == 0]

    @property
    def agrees(self) -> bool:
        """Whether the event-driven network is the model, as far as the example shows."""
        return self.verification.agrees

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """One fact a line."""
        n_neurons = sum(n for n, _ in self.populations.values())
        events = sum(n * rate for n, rate in self.populations.values())
        yield (
            f"recorded {self.n_recorded:,} operations of {self.n_steps} steps -> {self.n_nodes:,} of one step, in "
            f"{self.seconds:.1f} s"
        )
        yield (
            f"populations: {len(self.populations)} with {n_neurons:,} neurons, "
            f"{100 * events / max(n_neurons, 1):.2f} % fire in a step"
        )
        kinds = Counter(self.handlers)
        yield "handlers: " + ", ".join(f"{n} {kind}" for kind, n in kinds.most_common())
        yield from self.choices
        yield from self._told()
        checked = ", ".join(f"{name} {n:,}" for name, n in self.spikes_checked.items())
        yield f"neurons against their twins under random currents, 0 spikes differ of: {checked}"
        yield f"graph in NumPy, fed with the model's spikes: {self.forced[0]:,} of {self.forced[1]:,} spikes differ"
        v = self.verification
        fed = (v.exact.differing + v.local.differing, v.exact.compared + v.local.compared)
        yield f"event by event, fed with the model's spikes: {fed[0]:,} of {fed[1]:,} spikes differ"
        yield f"event by event, running free: {v.free.differing:,} of {v.free.compared:,} spikes differ"
        yield f"logits: largest difference {v.logits_difference:.3g}"
        if self.silent:
            names = ", ".join(self.silent[:5]) + (", ..." if len(self.silent) > 5 else "")
            yield f"silent on this example, so that nothing was verified there: {len(self.silent)} ({names})"
        yield self.second
        yield f"wrote {self.out}, {self.n_bytes / 1e6:.1f} MB" + (
            "" if self.agrees else ": it DISAGREES with the model"
        )

    def _told(self) -> Iterator[str]:
        fused = sum("fused" in note for note in self.notes)
        real = sum("multiplies real values" in note for note in self.notes)
        if fused or real:
            told = f"{fused} fused into convolutions of spikes, {real} multiply real values"
            yield f"layers without neurons between them: {told}"
        if self.dense:
            names = ", ".join(f"{name} ({op})" for name, op in list(self.dense.items())[:8])
            yield f"runs densely, counted apart: {len(self.dense)} ({names})"
        else:
            yield "runs densely: nothing"
