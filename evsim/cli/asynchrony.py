"""The options of the asynchronous mode, one group for every verb that runs recordings."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated

import typer

from evsim.errors import EvsimError

__all__ = ["ASYNCHRONY", "takes_asynchrony"]

MODES = ("synchronous", "asynchronous")

Mode = Annotated[str, typer.Option(help="synchronous, or asynchronous: spike by spike, no layer waits for another.")]
Schedule = Annotated[
    str | None, typer.Option(help="Asynchronous: who goes first, fifo, depth, random, momentum or layer (the barrier).")
]
Group = Annotated[
    str | None, typer.Option(help="Asynchronous: F spikes are chosen before one of them is delivered, or all.")
]
Commit = Annotated[
    str | None, typer.Option(help="Asynchronous: a spike is certain at its crossing, or tested again at its delivery.")
]
Bias = Annotated[str | None, typer.Option(help="Asynchronous: positive biases act at the start, or late.")]
Seed = Annotated[int | None, typer.Option(help="Asynchronous: of --schedule random.")]
Refire = Annotated[
    bool, typer.Option("--refire", help="Asynchronous: a neuron may spike more than once within a step.")
]
AfterSpike = Annotated[
    str | None, typer.Option(help="Asynchronous: drop or keep what reaches a neuron after its spike.")
]
StopAtDecision = Annotated[
    int | None, typer.Option(metavar="N", help="Asynchronous: stop when the class has stood for N deliveries.")
]

ASYNCHRONY = {
    "schedule": Schedule,
    "group": Group,
    "commit": Commit,
    "bias": Bias,
    "seed": Seed,
    "refire": Refire,
    "after_spike": AfterSpike,
    "stop_at_decision": StopAtDecision,
}
"""Names and types of the options; none is set when left out."""


def takes_asynchrony(verb: Callable) -> Callable:
    """Give a verb --mode and the options of `ASYNCHRONY`; it gets an `Asynchrony` or None, its parameter `how`."""
    own = dict(inspect.signature(verb, eval_str=True).parameters)
    del own["how"]

    @wraps(verb)
    def with_asynchrony(**told):
        mine = {name: value for name, value in told.items() if name not in ("mode", *ASYNCHRONY)}
        return verb(**mine, how=_asynchrony(told["context"], told["mode"], {name: told[name] for name in ASYNCHRONY}))

    one = inspect.Parameter
    every = [p.replace(kind=one.KEYWORD_ONLY) for p in own.values()]
    every.append(one("mode", one.KEYWORD_ONLY, default="synchronous", annotation=Mode))
    defaults = dict.fromkeys(ASYNCHRONY) | {"refire": False}
    every += [one(name, one.KEYWORD_ONLY, default=defaults[name], annotation=kind) for name, kind in ASYNCHRONY.items()]
    with_asynchrony.__signature__ = inspect.Signature(every)
    with_asynchrony.__annotations__ = {p.name: p.annotation for p in every}
    return with_asynchrony


def _asynchrony(context: typer.Context, mode: str, told: dict):
    from evsim.cli.effect import refuse

    if mode not in MODES:
        raise EvsimError(f"--mode {mode}: expected {' or '.join(MODES)}")
    if mode == "synchronous":
        refuse(context, ASYNCHRONY, "goes with --mode asynchronous")
        return None
    refuse(context, ("order", "follow"), "means nothing to --mode asynchronous, leave it out")
    if context.params.get("threads", "1") != "1":
        raise EvsimError(f"--threads {context.params['threads']}: an asynchronous run has one thread, expected 1")
    from evsim.asynchronous.options import Asynchrony

    return Asynchrony.of(**told)
