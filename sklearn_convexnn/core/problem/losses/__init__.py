"""The losses: all that the package knows about them, one class each, and the registry of names.

Nothing else asks a loss for its name: what sets one apart, it says itself (see
:class:`~sklearn_convexnn.core.problem.losses.loss.Loss`).  A new loss is one subclass, one line
here, and its name among the options of an estimator.
"""

from __future__ import annotations

from sklearn_convexnn.core.problem.losses.hinge import Hinge, SquaredHinge
from sklearn_convexnn.core.problem.losses.huber import Huber
from sklearn_convexnn.core.problem.losses.log_loss import BinaryLogLoss, MultinomialLogLoss
from sklearn_convexnn.core.problem.losses.loss import Loss, Standardised
from sklearn_convexnn.core.problem.losses.poisson import Poisson
from sklearn_convexnn.core.problem.losses.squared_error import SquaredError


def _log_loss(n_outputs):
    return BinaryLogLoss() if n_outputs == 1 else MultinomialLogLoss()


# Name of the option: (task, what makes the loss from the number of outputs and its own options).
LOSSES = {
    "squared_error": ("regression", lambda n_outputs: SquaredError()),
    "huber": ("regression", Huber.of_scale),
    "poisson": ("regression", lambda n_outputs: Poisson()),
    "log_loss": ("classification", _log_loss),
    "squared_hinge": ("classification", lambda n_outputs: SquaredHinge()),
    "hinge": ("classification", lambda n_outputs: Hinge()),
}


def get_loss(name, n_outputs, **options):
    """The loss registered under ``name``, in the units of the data, for so many outputs."""
    return LOSSES[name][1](n_outputs, **options)


def losses_for(task):
    """The names of the losses of a task, "regression" or "classification"."""
    return [name for name, (of, _) in LOSSES.items() if of == task]


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
