"""The bundled networks and recordings as tables and as JSON; every figure is read from the files themselves."""

from __future__ import annotations

import json
from pathlib import Path

import typer
from rich.table import Table

from evsim.checkpoints.weights import read_weights
from evsim.cli.terminal import console as make_console
from evsim.loading.zoo import bundled, card_of, zoo_folder

__all__ = ["print_zoo", "print_zoo_json"]

_RECONSTRUCTED = "spikformer_v2"
_REMARK = """
spikformer_v2 is a reconstruction, not the authors' network: no code or weights of it are public, and of the 167 designs
that fit two of its published numbers of parameters (29.11 M, 51.55 M) none reaches the third, 172.70 M."""


def print_zoo() -> None:
    """Two tables, and how to use them."""
    console = make_console()
    networks = _table("network", "family", "test set", "evsim %", "95 % interval", "PyTorch %", "differ", "shown", "kB")
    for name in bundled():
        networks.add_row(*_network_cells(name))
    recordings = _table("recording", "kB")
    for path in _recordings():
        recordings.add_row(path.name, _kilobytes(path))
    console.print(networks)
    if any(_header(name)["family"] == _RECONSTRUCTED for name in bundled()):
        typer.echo(_REMARK)
    console.print()
    console.print(recordings)
    typer.echo(f"\nevsim run --weights NAME takes the recording under 'shown'; cards and recordings: {zoo_folder()}")


def print_zoo_json() -> None:
    """One JSON object: the card of every network, the size of every recording."""
    networks = {name: {"family": _header(name)["family"], "card": card_of(_header(name))} for name in bundled()}
    recordings = {path.name: path.stat().st_size for path in _recordings()}
    typer.echo(json.dumps({"networks": networks, "recordings": recordings}, indent=1, allow_nan=False))


def _header(name: str) -> dict:
    return read_weights(zoo_folder() / f"{name}.npz").header


def _network_cells(name: str) -> list[str]:
    header, size = _header(name), _kilobytes(zoo_folder() / f"{name}.npz")
    card = card_of(header)
    if card is None:
        return [name, header["family"], "", "", "", "", "", "", size]
    ours, theirs = card["accuracy"]["evsim"], card["accuracy"]["pytorch"]
    interval = " ... ".join(f"{100 * bound:.2f}" for bound in ours["interval"])
    tested = f"{card['dataset']}, {ours['n']:,}"
    shares = _percent(ours), interval, _percent(theirs), f"{card['predictions_differing']:,}"
    return [name, header["family"], tested, *shares, card["recording"], size]


def _recordings() -> list[Path]:
    """The files of the folder that are neither networks, cards nor code."""
    networks = set(bundled())
    return [path for path in sorted(zoo_folder().glob("*.*")) if _is_recording(path) and path.stem not in networks]


def _is_recording(path: Path) -> bool:
    return path.suffix in (".h5", ".npz")


def _percent(share: dict) -> str:
    return f"{100 * share['correct'] / share['n']:.2f}"


def _kilobytes(path: Path) -> str:
    return f"{path.stat().st_size / 1000:,.0f}"


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    table.add_column(first, no_wrap=True)
    for name in others:
        is_text = name in ("family", "test set", "shown")
        table.add_column(name, justify="left" if is_text else "right", no_wrap=True)
    return table
