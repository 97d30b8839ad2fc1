"""The words around a table: what its abbreviations mean, what the plus-minus is, where the numbers come from."""

from __future__ import annotations

import re
from collections.abc import Sequence

from evsim.auditing.sheet import Report

__all__ = ["abbreviations_in", "comments_of", "name_of", "over_recordings", "sentence_of"]

ABBREVIATIONS = {
    r"\bACs?\b": "AC: accumulation, one weight added because of one event (a payload of n counts n)",
    r"\bMACs?\b": "MAC: multiplication and accumulation",
    r"\bmasks?\b": "mask: an AND or a selection in an attention",
    r"\bops/literal\b": "ops/literal: ACs and MACs of a convention over those that were counted",
    r"\bliteral\b": "literal: counted by the kernels, none estimated",
    r"\bdensity\b": "density: share of nonzero operands",
    r"\bevents in\b": "events in: spikes that a layer received",
    r"\bevents delivered\b": "events delivered: spikes that layers received",
    r"\bbreak-even density\b": "break-even density: the one at which spiking would cost as much",
    r"\bSDT\b": "SDT: Spike-driven Transformer",
    r"\bNeuroB\b": "NeuroB: NeuroBench 2.3",
    r"\bSpikf\b": "Spikf: Spikformer's paper",
    r"\bS\.tool\b": "S.tool: Spikingformer's tool",
    r"\bSJ 2\b": "SJ 2: SpikingJelly 2",
    r"\bS\.Res\b": "S.Res: SpikingResformer's monitor",
    r"\bANN\b": "ANN: artificial neural network with the same layers, run once",
}


def abbreviations_in(texts: Sequence[str]) -> list[str]:
    """The key to what `texts` use, as one sentence each."""
    whole = " \n ".join(texts)
    found = [words for pattern, words in ABBREVIATIONS.items() if re.search(pattern, whole)]
    return ["; ".join(found)] if found else []


def name_of(report: Report, names: Sequence[str] = ()) -> str:
    """What the paper calls the network: the name given, else that of its weights."""
    if names:
        return " and ".join(names)
    weights = report.provenance.get("weights", "")
    listed = weights if isinstance(weights, list) else [weights]
    found = [str(one).split(" SHA-256")[0].removesuffix(".npz") for one in listed if one]
    return " and ".join(dict.fromkeys(found)) or str(report.provenance.get("network", "a network"))


def over_recordings(report: Report, has_spread: bool) -> str:
    """How many recordings, and what the plus-minus is."""
    inputs = report.provenance.get("input", [])
    listed = inputs if isinstance(inputs, list) else [inputs]
    n = len(listed)
    if n <= 1:
        return f"; one recording ({str(listed[0]).split(' SHA-256')[0]})" if listed and listed[0] else "; one recording"
    words = f"; mean over n = {n} recordings"
    return words + (" \u00b1 half of the 95 % confidence interval (Student's t)" if has_spread else "")


def sentence_of(report: Report) -> str:
    """One sentence on where the numbers come from."""
    version = re.search(r"evsim \S+?(?=,|$)", str(report.provenance.get("versions", "")))
    weights = report.provenance.get("weights", "")
    listed = weights if isinstance(weights, list) else [weights]
    files = [re.sub(r" SHA-256 (\w{12})\w*", " (SHA-256 \\1\u2026)", str(one)) for one in listed if one]
    return f"Counted by {version[0] if version else 'evsim'}" + (f"; weights {', '.join(files)}" if files else "")


def comments_of(report: Report) -> list[str]:
    """The provenance, whole."""
    return [
        f"{key}: {one}"
        for key, value in report.provenance.items()
        for one in (value if isinstance(value, list) else [value])
    ]
