"""The decisions of the cross-validation: where the path ends, which alpha, which fold goes on."""

import numpy as np
import pytest
from sklearn.metrics import log_loss, r2_score

from sklearn_convexnn import ConvexReLUClassifier, ConvexReLURegressor
from sklearn_convexnn._cross_validation import (
    best_alpha,
    choose_alpha,
    end_of_path,
    log_likelihood,
    r2,
)


def scores(means, spread=0.0, n_folds=4):
    """Scores with these means; ``spread`` is common to all alphas, as folds differ."""
    offsets = spread * np.linspace(-1, 1, n_folds)
    return np.array(means, dtype=float)[:, None] + offsets


# ---------------------------------------------------------------------------------- end of the path


@pytest.mark.parametrize(
    "means, patience, end",
    [
        ([1, 2, 3, 4], 1, None),  # still rising
        ([1, 3, 2], 1, 3),
        ([1, 3, 2], 2, None),  # one worse alpha is not enough
        ([1, 3, 2, 2.5], 2, 4),
        ([1, 3, 2, 2.5, 2, 1], 2, 4),  # the first moment counts
        ([3, 2, 4, 1, 0], 2, 5),  # a dip of one on the way
        ([1, 3, 3, 3, 3], 2, None),  # equal is not worse
        ([5], 1, None),
        ([1, 3, 2, 1, 0], None, None),
    ],
)
def test_end_of_path(means, patience, end):
    assert end_of_path(scores(means), patience) == end
    # Not where the folds differ by more than the alphas.
    assert end_of_path(scores(means, spread=10.0), patience) is None


# ------------------------------------------------------------------------------------------- choice


def test_best_alpha_is_the_largest_of_equals():
    assert best_alpha(scores([1, 3, 3, 2])) == 1


def test_nan_scores_are_passed_over_but_not_all():
    assert best_alpha(scores([np.nan, 1, 2])) == 2
    with pytest.raises(ValueError, match="Every cross-validated score is NaN"):
        best_alpha(scores([np.nan, np.nan]))


ALPHAS = np.array([1.0, 0.5, 0.25, 0.125, 0.0625])
MEANS = [0.0, 0.5, 0.7, 1.0, 0.9]


@pytest.mark.parametrize(
    "selection, scale, spread, chosen",
    [
        ("best", 0.5, 1.0, 3),
        # Offsets -1, -1/3, 1/3, 1: the standard error of the mean is 0.43 times the spread.
        ("one_standard_error", 0.1, 1.0, 2),
        ("one_standard_error", 0.1, 2.0, 1),
        ("one_standard_error", 0.1, 0.0, 3),
        ("scale", 0.2, 1.0, 2),  # closer to 0.25 than to 0.125 in ratio
        ("scale", 0.15, 1.0, 3),
        ("scale", 1e-6, 1.0, 4),
        ("scale", 0.5, 1.0, 2),  # 0.5 itself is too far below the best score
        ("scale", 0.5, 2.0, 1),
        ("scale", 1e-6, 0.0, 3),  # without noise the best
        ("scale", 0.0, 1.0, 2),  # of constant targets
    ],
)
def test_choice(selection, scale, spread, chosen):
    assert choose_alpha(scores(MEANS, spread), ALPHAS, selection, scale) == chosen


def test_a_single_fold_has_no_standard_error():
    one = scores([0.0, 1.0, 0.5], n_folds=1)
    for selection in ("best", "scale", "one_standard_error"):
        assert choose_alpha(one, ALPHAS[:3], selection, 1.0) == 1
    assert end_of_path(one, 1) == 3


# ------------------------------------------------------------------------------------------- scores


@pytest.mark.parametrize("weighted", [False, True])
def test_default_scores_are_those_of_sklearn(case, weighted):
    model = case.Estimator(random_state=0).fit(case.X, case.y)
    weights = np.random.default_rng(0).random(len(case.X)) if weighted else None
    if case.Estimator is ConvexReLURegressor:
        expected = r2_score(case.y, model.predict(case.X), sample_weight=weights)
        assert r2(model, case.X, case.y, weights) == expected
    else:
        probabilities = model.predict_proba(case.X)
        expected = -log_loss(case.y, probabilities, sample_weight=weights)
        np.testing.assert_allclose(log_likelihood(model, case.X, case.y, weights), expected)


def test_a_class_that_the_training_rows_lack_costs_the_same_for_every_model(multiclass):
    known = multiclass.y < 7
    X, y = multiclass.X[known], multiclass.y[known]
    lost = []
    for alpha in (0.01, 0.1):
        model = ConvexReLUClassifier(alpha=alpha, random_state=0).fit(X, y)
        y_new = np.where(np.arange(len(y)) == 0, 7, y)
        lost.append(
            len(y) * (log_likelihood(model, X, y) - log_likelihood(model, X, y_new))
            - model.predict_log_proba(X[:1])[0, np.searchsorted(model.classes_, y[0])]
        )
    np.testing.assert_allclose(lost, -np.log(np.finfo(float).eps))
