"""Many recordings: datasets, workers on this machine or a cluster, the journal of a run, and its report."""

from importlib import import_module

_HOME = {
    "Cluster": "cluster",
    "Dataset": "dataset",
    "EvaluationReport": "report",
    "Examiner": "examiner",
    "FindOptions": "dataset",
    "Item": "dataset",
    "Journal": "journal",
    "Outcome": "outcome",
    "Plan": "examiner",
    "Threads": "threads",
    "find_dataset": "dataset",
    "wilson_interval": "wilson",
}

__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
