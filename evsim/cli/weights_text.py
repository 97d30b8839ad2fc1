"""A weights file in a few lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from evsim.checkpoints.weights import Weights

__all__ = ["describe_weights"]


def describe_weights(weights: Weights) -> Iterator[str]:
    """What was recognised, one fact a line."""
    header = weights.header
    source = header.get("source") or {}
    yield f"{header.get('title', header['family'])}, family {header['family']}"
    yield "hyper-parameters: " + ", ".join(f"{name} {value}" for name, value in header["hyper_parameters"].items())
    n_values = sum(tensor.size for tensor in weights.tensors.values())
    n_bytes = sum(tensor.nbytes for tensor in weights.tensors.values())
    yield f"tensors: {len(weights.tensors)} with {n_values:,} values, {n_bytes / 1e6:.1f} MB"
    if header.get("precision"):
        yield f"precision: {header['precision']}, unless --precision says otherwise"
    prepared = {name: value for name, value in (header.get("input") or {}).items() if value}
    if prepared:
        yield "input: " + ", ".join(f"{name} {value}" for name, value in prepared.items())
    if header.get("read_as"):
        yield "read as: " + "; ".join(f"{name} {how}" for name, how in header["read_as"].items())
    if header.get("normalisation"):
        yield f"normalisation: mean {header['normalisation']['mean']}, std {header['normalisation']['std']}"
    if header.get("class_names"):
        yield "classes: " + ", ".join(header["class_names"])
    if header.get("assumed"):
        yield "told by neither file nor user: " + "; ".join(f"{name} {why}" for name, why in header["assumed"].items())
    if header.get("dropped"):
        yield f"dropped, never used by the network: {', '.join(_grouped(header['dropped']))}"
    if source.get("file") is None and source.get("wrapper"):
        yield f"source: recorded from {source.get('wrapper')}"
        return
    yield f"source: {source.get('file')} ({source.get('wrapper')}), SHA-256 {source.get('sha256')}"


def _grouped(names: list[str]) -> Iterator[str]:
    """The counters of BatchNorm as one entry, the others by name."""
    counters = [name for name in names if name.endswith(".num_batches_tracked")]
    yield from (name for name in names if name not in counters)
    if counters:
        yield f"{len(counters)} x num_batches_tracked"
