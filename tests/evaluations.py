"""What several tests of the evaluation share."""

from dataclasses import replace

from evsim.evaluation import FindOptions, Plan, find_dataset
from evsim.evaluation.evaluate import Evaluation
from evsim.loading.zoo import zoo_folder

DIGITS = str(zoo_folder() / "nmnist_test_100.h5")


def digits_evaluation(choice=None):
    """The bundled network before the bundled test recordings."""
    dataset = find_dataset(DIGITS)
    return Evaluation(Plan("sdt-nmnist", dataset.kind), dataset, choice)


def found(name, root=None, **options):
    return find_dataset(str(name), None if root is None else str(root), FindOptions(**options))


def without_time(report):
    """Everything in a report that must not depend on how it was made."""
    outcomes = [replace(outcome, seconds=0.0) for outcome in report.outcomes]
    return {**replace(report, outcomes=outcomes).as_dict(), "timing": None}
