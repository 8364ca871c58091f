"""What an estimator asks the loss that its parameter ``loss`` names."""

from __future__ import annotations

from sklearn_convexnn.core.problem.losses import LOSSES, Loss, get_loss, losses_for


def trait(estimator, name):
    """An attribute of the loss of an estimator; that of most losses where it has none, or no such.

    Tags are asked for before parameters are checked.
    """
    loss = getattr(estimator, "loss", None)
    known = isinstance(loss, str) and loss in LOSSES
    return getattr(get_loss(loss, 1) if known else Loss, name)


def loss_options(estimator):
    """The parameters of the estimator that belong to its loss."""
    return {name: getattr(estimator, name) for name in LOSSES[estimator.loss].options}


def data_loss(estimator, n_outputs):
    """The loss of a fitted estimator in the units of the data."""
    options = loss_options(estimator)
    if hasattr(estimator, "scale_"):
        options["spread"] = estimator.scale_
    return get_loss(estimator.loss, n_outputs, **options)


def regression_tags(estimator, tags):
    """The tags of a regressor of any number of outputs, with those of its loss."""
    tags.target_tags.multi_output = True
    tags.target_tags.positive_only = trait(estimator, "positive_targets")
    return tags


def estimator_for(loss, estimators):
    """The class among ``estimators``, by task, that takes this smooth loss."""
    smooth = [name for name in LOSSES if get_loss(name, 1).smooth]
    if loss not in smooth:
        raise ValueError(f"loss must be one of {smooth}, got {loss!r}.")
    return estimators[LOSSES[loss].task]


__all__ = [
    "LOSSES",
    "data_loss",
    "estimator_for",
    "loss_options",
    "losses_for",
    "regression_tags",
    "trait",
]
