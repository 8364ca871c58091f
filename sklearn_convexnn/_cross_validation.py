"""Cross-validation of regularisation paths: the folds, the order of their solves, the choice.

Every fold follows its own path of descending alphas on its own training rows; nothing passes from
one fold to another, for a neuron that was trained on rows which another fold holds out would leak
them.  The folds go down together, so that the descent can end once the score has turned.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import numpy as np
from joblib import effective_n_jobs
from sklearn.metrics import r2_score
from sklearn.utils.parallel import Parallel, delayed

from sklearn_convexnn._losses import data_loss
from sklearn_convexnn.core.fit.cutting_plane import start_of_path
from sklearn_convexnn.core.fit.path import solve_path
from sklearn_convexnn.core.problem.solution import Start, Status
from sklearn_convexnn.core.problem.units import Problem

# What a class costs in log-likelihood that the training rows of a fold do not have.
_LOG_PROBABILITY_OF_MISSING_CLASS = np.log(np.finfo(float).eps)


# ---------------------------------------------------------------------- scores


def r2(estimator, X, y, sample_weight=None):
    """R2, averaged over outputs: the default of regression."""
    return r2_score(y, estimator.predict(X), sample_weight=sample_weight)


def log_likelihood(estimator, X, y, sample_weight=None):
    """Mean log-probability of the labels, the negative log-loss: the default of classification."""
    log_proba = estimator.predict_log_proba(X)
    column = np.searchsorted(estimator.classes_, y)
    column = np.minimum(column, len(estimator.classes_) - 1)
    scores = log_proba[np.arange(len(y)), column].astype(np.float64)
    scores[estimator.classes_[column] != y] = _LOG_PROBABILITY_OF_MISSING_CLASS
    return np.average(scores, weights=sample_weight)


def negative_loss(estimator, X, y, sample_weight=None):
    """Minus the loss of training, averaged over rows and outputs: the default of other losses.

    R2 would be decided by the very outliers, or the largest counts, that the loss was chosen for.
    Outliers count as in relative gaps, or the folds that hold them would make all alphas equal.
    """
    Y = y.reshape(len(y), -1)
    Z = estimator._outputs(X).astype(np.float64)
    loss, Y = data_loss(estimator, Y.shape[1]), Y.astype(np.float64)
    losses = loss.sizes(Y, loss.value(Y, Z))
    return -np.average(losses, weights=sample_weight) / Y.shape[1]


# By the name that a loss gives.
DEFAULT_SCORES = {"r2": r2, "log_likelihood": log_likelihood, "negative_loss": negative_loss}


# ---------------------------------------------------------------------- one fold


@dataclass(frozen=True)
class Fold:
    """The training problem of a fold and its held-out rows."""

    problem: Problem
    targets: object  # of the training rows, with what the estimator remembers of them
    estimator: object  # becomes a fitted one with the network of each alpha
    X: object
    y: np.ndarray
    score_params: dict
    rng: np.random.Generator


@dataclass(frozen=True)
class Point:
    """One alpha in one fold."""

    score: float
    n_neurons: int
    dual_gap: float
    coefs: list
    intercepts: list


@dataclass
class _Descent:
    """How far the path of a fold has come."""

    fold: Fold
    pricing: object = None
    start: Start | None = None
    points: list = field(default_factory=list)

    def go_on(self, point, pricing, start):
        self.points.append(point)
        self.pricing, self.start = pricing, start


def _advance(fold, pricing, start, alpha, last, options, scorer):
    """Solve for the next alpha of a fold; returns its point, the pricing and the next start."""
    if start is None:
        pricing, start, _ = start_of_path(fold.problem, fold.rng)
    (solution,) = solve_path(
        fold.problem.rows,
        [alpha / fold.problem.alpha_unit],
        pricing,
        options=options,
        start=start,
        last=last,
    )
    if solution.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    fitted = copy.copy(fold.estimator)
    fitted._store(fitted._attributes(fold.problem, fold.targets, solution, np.nan))
    point = Point(
        score=float(scorer(fitted, fold.X, fold.y, **fold.score_params)),
        n_neurons=fitted.n_neurons_,
        dual_gap=fitted.dual_gap_,
        coefs=fitted.coefs_,
        intercepts=fitted.intercepts_,
    )
    return point, pricing, solution.end


# ---------------------------------------------------------------------- all folds


def follow_paths(folds, alphas, *, options, scorer, patience, n_jobs, report):
    """Descend in all folds until the score has turned or the alphas are used up.

    Which folds go on is decided in waves that keep all workers busy: of five folds on two workers
    four advance at a time, those that are behind first.  What is returned does not depend on
    ``n_jobs``: points below the end of the path are thrown away.

    ``report(alpha, scores)`` is called for every alpha of the path, in order.

    Returns
    -------
    list of list of Point
        For every fold as many points as the path has alphas.
    """
    n_jobs = min(effective_n_jobs(n_jobs), len(folds))
    wave = n_jobs * (len(folds) // n_jobs)
    descents, reported = [_Descent(fold) for fold in folds], 0
    # One task at a time: a batch of them would leave the other workers without any.
    with Parallel(n_jobs=n_jobs, batch_size=1, pre_dispatch="all") as parallel:
        while True:
            complete = min(len(descent.points) for descent in descents)
            scores = scores_of([descent.points[:complete] for descent in descents])
            end = end_of_path(scores, patience)
            for k in range(reported, complete if end is None else end):
                report(alphas[k], scores[k])
            reported = complete
            if end is not None or complete == len(alphas):
                return [descent.points[:end] for descent in descents]
            behind = sorted(descents, key=lambda descent: len(descent.points))  # stable
            going = [one for one in behind[:wave] if len(one.points) < len(alphas)]
            calls = []
            for one in going:
                k = len(one.points)
                last = k == len(alphas) - 1
                calls.append(
                    delayed(_advance)(
                        one.fold, one.pricing, one.start, alphas[k], last, options, scorer
                    )
                )
            for one, result in zip(going, parallel(calls), strict=True):
                one.go_on(*result)


def scores_of(paths):
    """Scores as an array (n_alphas, n_folds)."""
    return np.array([[point.score for point in points] for points in paths]).T


# ---------------------------------------------------------------------- decisions


def end_of_path(scores, patience):
    """The number of alphas after which the path ends because its score has turned, or None.

    ``scores`` are (n_alphas, n_folds).  The score has turned when the last ``patience`` alphas are
    all worse than the best one before them by more than its standard error over the folds.
    """
    if patience is None:
        return None
    for end in range(patience + 1, len(scores) + 1):
        if not np.any(near_best(scores[:end])[end - patience :]):
            return end
    return None


def near_best(scores):
    """Which alphas have a mean score within one standard error of the best."""
    best = best_alpha(scores)
    return scores.mean(axis=1) >= scores[best].mean() - _standard_error(scores[best])


def best_alpha(scores):
    """The index of the best mean score; of equals the largest alpha."""
    means = scores.mean(axis=1)
    if np.isnan(means).all():
        raise ValueError(
            "Every cross-validated score is NaN: check `scoring`, and that each fold holds out "
            "rows enough for it (two for R2)."
        )
    return int(np.nanargmax(means))


def choose_alpha(scores, alphas, selection, scale):
    """The index of the chosen alpha.

    ``"best"``: the best mean score.  ``"one_standard_error"``: the largest alpha within a standard
    error of it.  ``"scale"``: of the same alphas the closest to ``scale``, in ratio.
    """
    if selection == "best":
        return best_alpha(scores)
    near = np.flatnonzero(near_best(scores))
    if selection == "one_standard_error" or scale == 0:
        return int(near[0])
    return int(near[np.argmin(np.abs(np.log(alphas[near] / scale)))])


def _standard_error(values):
    """Of the mean over folds; zero for a single fold."""
    return values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
