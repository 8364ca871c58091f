"""The losses: all that the package knows about them, one class each, and the registry of names.

Nothing else asks a loss for its name: what sets one apart, it says itself (see
:class:`~sklearn_convexnn.core.problem.losses.loss.Loss`).  A new loss is one subclass, one line
here, and its name among the options of an estimator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sklearn_convexnn.core.problem.losses.hinge import Hinge, SquaredHinge
from sklearn_convexnn.core.problem.losses.huber import Huber
from sklearn_convexnn.core.problem.losses.log_loss import BinaryLogLoss, MultinomialLogLoss
from sklearn_convexnn.core.problem.losses.loss import Loss, Standardised
from sklearn_convexnn.core.problem.losses.poisson import Poisson
from sklearn_convexnn.core.problem.losses.squared_error import SquaredError


def _log_loss(n_outputs):
    return BinaryLogLoss() if n_outputs == 1 else MultinomialLogLoss()


class Entry(NamedTuple):
    """A registered loss: its task, what makes it for so many outputs, and its own options."""

    task: str
    make: Callable
    options: tuple = ()


LOSSES = {
    "squared_error": Entry("regression", lambda n_outputs: SquaredError()),
    "huber": Entry("regression", Huber.of_spread, ("epsilon",)),
    "poisson": Entry("regression", lambda n_outputs: Poisson()),
    "log_loss": Entry("classification", _log_loss),
    "squared_hinge": Entry("classification", lambda n_outputs: SquaredHinge()),
    "hinge": Entry("classification", lambda n_outputs: Hinge()),
}


def get_loss(name, n_outputs, **options):
    """The loss registered under ``name``, in the units of the data, for so many outputs."""
    return LOSSES[name].make(n_outputs, **options)


def losses_for(task):
    """The names of the losses of a task, "regression" or "classification"."""
    return [name for name, entry in LOSSES.items() if entry.task == task]


__all__ = [
    "LOSSES",
    "BinaryLogLoss",
    "Hinge",
    "Huber",
    "Loss",
    "MultinomialLogLoss",
    "Poisson",
    "SquaredError",
    "SquaredHinge",
    "Standardised",
    "get_loss",
    "losses_for",
]
