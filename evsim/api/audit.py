"""audit and lint: what a network does on recordings, counted, priced and checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType

from evsim.api.audit_report import AuditReport
from evsim.api.load import load
from evsim.api.recordings import digest_of, is_path, recordings_of
from evsim.api.trained_network import TrainedNetwork
from evsim.arithmetic.precision import FLOAT
from evsim.auditing.audit_report import Found, claim_report, lint_report, report_of
from evsim.auditing.claims import find_claim
from evsim.auditing.collect import Prepared, audit_prepared, audit_traces, prepare_files
from evsim.auditing.conventions import choose_conventions
from evsim.auditing.energy_model import choose_models
from evsim.auditing.sheet import Report
from evsim.errors import EvsimError
from evsim.runs.preparation import Preparation, fit_recording, read_options

__all__ = ["audit", "lint"]

Network = TrainedNetwork | str | os.PathLike
Advance = Callable[[int, int], None]


def _unwatched(done: int, total: int) -> None:
    """Nobody wants to know."""


def audit(
    network: Network | Sequence[Network] | None = None,
    recordings: object = None,
    *,
    traces: Sequence[str] | None = None,
    conventions: Sequence[str] | None = None,
    energy: Sequence[str] | None = None,
    claim: str | None = None,
    preparation: Preparation | None = None,
    order: str = "stage",
    command: str = "evsim.audit",
    advance: Advance | None = None,
) -> AuditReport:
    """Count every operation of a network on recordings, beside the published ways to count, and price it.

    Parameters
    ----------
    network : TrainedNetwork, name or path; or two of them
        Two are compared, recording by recording.
    recordings : path, array, or sequence of these, optional
        Files (all recordings of each), folders, or arrays as `TrainedNetwork.run` takes them; the bundled recording
        of the network when left out.
    traces : sequence of path, optional
        Runs that were recorded, in place of a network and recordings.
    conventions : sequence of str, optional
        Published ways to count, by name; all when left out.
    energy : sequence of str, optional
        Energy models: names, TOML files, ``["all"]`` or ``["none"]``.
    claim : str, optional
        In place of an audit, what the counts of one network say of a paper's claim: "sdsa-87x".
    preparation : Preparation, optional
        How recordings become steps.
    order : {"stage", "step"}
    command : str
        What repeats this audit, for its footer.
    advance : callable, optional
        Told after each recording how many are done, of how many.

    Returns
    -------
    AuditReport
        `sheets`, ``to_pandas(sheet)``, ``to_latex(sheet)``, ``write(format)``.

    Raises
    ------
    EvsimError
        Something cannot be read, or does not fit.
    """
    checked = None if claim is None else find_claim(claim)
    asked = choose_conventions(conventions), choose_models(energy)
    if order not in ("step", "stage"):
        raise EvsimError(f"--order {order}: expected step or stage")
    if traces:
        if network is not None or recordings is not None:
            raise EvsimError("traces: a recorded run has its network and recording; leave those out")
        found = [audit_traces([os.fspath(path) for path in traces])]
        return AuditReport.of(_report(found, checked, asked, command))
    nets = [_loaded(one) for one in _several(network if network is not None else "sdt-nmnist")]
    shown = nets[0].default_recording() if recordings is None else recordings
    found = [_audited(net, shown, preparation or Preparation(), order, advance or _unwatched) for net in nets]
    return AuditReport.of(_report(found, checked, asked, command))


def _report(found: Sequence[Found], claim: ModuleType | None, asked: tuple, command: str) -> Report:
    if claim is None:
        return report_of(found, *asked, command)
    if len(found) != 1:
        raise EvsimError(f"--claim {claim.NAME}: is about one network, {len(found)} were given")
    return claim_report(found[0], claim, command)


def lint(
    network: Network,
    recordings: object = None,
    *,
    traces: Sequence[str] | None = None,
    preparation: Preparation | None = None,
    command: str = "evsim.lint",
    advance: Advance | None = None,
) -> AuditReport:
    """List each place where a network is not spike-driven, with its share, and check the paper's four claims.

    Parameters are those of `audit`. The sheet "claims" says of each claim whether it holds, the sheet "places" where
    not.
    """
    if traces:
        return AuditReport.of(lint_report(audit_traces([os.fspath(path) for path in traces]), command))
    net = _loaded(network)
    shown = net.default_recording() if recordings is None else recordings
    return AuditReport.of(
        lint_report(_audited(net, shown, preparation or Preparation(), "stage", advance or _unwatched), command)
    )


def _audited(net: TrainedNetwork, recordings: object, preparation: Preparation, order: str, advance: Advance) -> Found:
    prepared = [one for part in _several(recordings) for one in _prepared(net, part, preparation)]
    return audit_prepared(net.network, net.weights, net.origin, prepared, order, advance)


def _prepared(net: TrainedNetwork, recordings: object, preparation: Preparation) -> list[Prepared]:
    if is_path(recordings):
        return prepare_files(net.network, net.weights, [os.fspath(recordings)], preparation)
    found = recordings_of(recordings, read_options(net.network, net.weights, preparation))
    return [
        Prepared(
            one.path or one.layout,
            digest_of(one),
            partial(fit_recording, net.network, net.weights, one, preparation),
        )
        for one in found
    ]


def _loaded(network: Network) -> TrainedNetwork:
    return network if isinstance(network, TrainedNetwork) else load(network, precision=FLOAT)


def _several(given: object) -> Sequence:
    """A list or tuple as it is, one thing as a list of it."""
    return given if isinstance(given, (list, tuple)) else [given]
