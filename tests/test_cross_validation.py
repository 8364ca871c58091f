"""The decisions of the cross-validation: where the path ends, which alpha, which fold goes on."""

import numpy as np
import pytest
from sklearn.metrics import log_loss, r2_score

from sklearn_convexnn import ConvexReLUClassifier, ConvexReLURegressor
from sklearn_convexnn._cv_choice import (
    best_alpha,
    choose_alpha,
    coarse_grid,
    end_of_coarse,
    end_of_path,
    neighbours,
)
from sklearn_convexnn._cv_oracle import check_score
from sklearn_convexnn._cv_scores import log_likelihood, r2


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


# ------------------------------------------------------------------------------ from coarse to fine


def test_coarse_grid():
    grid = coarse_grid(1.0, 0.01)
    assert grid[0] == 1.0
    assert np.all(np.diff(grid) < 0)
    np.testing.assert_allclose(grid[1:], [0.16, 0.04, *(0.01 / 2.0 ** np.arange(7))])
    # None within a factor of two of alpha_max, at which the network is a constant.
    np.testing.assert_allclose(coarse_grid(1.0, 0.2)[:2], [1.0, 0.2])
    np.testing.assert_array_equal(coarse_grid(0.0, 0.0), [1.0])  # constant targets


GRID = coarse_grid(1.0, 0.01)  # 1, .16, .04, .01, .005, ...


@pytest.mark.parametrize(
    "means, spread, end",
    [
        ([0, 1, 2], 0.0, None),  # still rising, above scale
        ([0, 1, 0.9], 0.0, 3),  # clearly worse
        ([1, 0.9], 0.0, 2),
        ([0, 1, 1.5, 2.0], 0.0, None),  # at scale: the next step promises 0.5
        ([0, 1, 1.5, 2.0], 5.0, 4),  # less than the standard error of the score
        ([0, 1, 2, 2.0], 0.0, 4),  # a step that gains nothing
        ([0, 1, 2, 3, 4, 5, 4.9], 0.0, 7),
    ],
)
def test_end_of_coarse(means, spread, end):
    assert end_of_coarse(scores(means, spread), GRID, 0.01) == end


def test_coarse_path_above_scale_passes_one_dip_but_not_two():
    """Not a dip beyond the error of the difference between the folds, which is large here."""
    noisy = scores([0.0, 1.0, 0.99, 0.98])
    noisy[2:] += 0.1 * np.array([-1, 1, -1, 1])
    assert end_of_coarse(noisy[:3], np.geomspace(1, 1e-3, 4), 1e-6) is None
    assert end_of_coarse(noisy, np.geomspace(1, 1e-3, 4), 1e-6) == 4


ABOVE = np.array([64.0, 16.0, 4.0, 1.0])


@pytest.mark.parametrize(
    "means, selection, scale, chosen, expected",
    [
        ([0, 2, 2.9, 2], "best", 1.0, 2, []),  # a peak next to the best one
        ([0, 2, 3, 2.9], "best", 1.0, 2, [2.0]),
        ([0, 2.9, 3, 2], "best", 1.0, 2, [8.0]),
        ([0, 1, 2, 3], "best", 1.0, 3, []),  # more promised too little
        ([3, 1, 0, 0], "best", 1.0, 0, []),  # nothing above alpha_max
        ([0, 1, 2, 3], "scale", 1.0, 3, []),  # nothing is better placed
        ([0, 1, 3, 2.9], "scale", 16.0, 1, []),  # alpha is scale
        ([0, 1, 3, 2.9], "scale", 0.25, 3, [0.5]),
        ([0, 2.9, 3, 2], "one_standard_error", 1.0, 1, [32.0]),
    ],
)
def test_neighbours(means, selection, scale, chosen, expected):
    found = neighbours(ABOVE, scores(means), chosen, selection, scale)
    np.testing.assert_allclose(found, expected)


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


def test_smallest_is_chosen_among_those_within_a_standard_error():
    sizes = np.array([1, 5, 3, 9, 2])
    assert choose_alpha(scores(MEANS, 1.0), ALPHAS, "smallest", 1.0, sizes) == 4
    assert choose_alpha(scores(MEANS, 0.2), ALPHAS, "smallest", 1.0, sizes) == 3


def test_of_equally_close_alphas_the_first_is_chosen():
    assert choose_alpha(scores([1, 1]), np.array([2.0, 2.0]), "scale", 1.0) == 0


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


# --------------------------------------------------------------------------- do scores fit at all?


@pytest.mark.parametrize(
    "scoring, y, classify, words",
    [
        ("accuracy", np.arange(6), False, "Classification metrics"),  # whole numbers
        ("roc_auc", np.arange(6.0), False, "E has none of the following"),
        ("adjusted_rand_score", np.arange(6.0), False, "Clustering metrics"),
        ("neg_max_error", np.ones((6, 2)), False, "Multioutput not supported"),
        ("f1", np.arange(6) % 3, True, "average='binary'"),
        ("r2", np.array(["a", "b"] * 3), True, "could not convert string"),
    ],
)
def test_scores_that_do_not_fit_are_refused_in_one_sentence(scoring, y, classify, words):
    with pytest.raises(
        ValueError, match=f"scoring='{scoring}' does not score a E .*{words}"
    ) as info:
        check_score(scoring, "E", y, classify=classify)
    assert "\n" not in str(info.value)
    assert info.value.__suppress_context__


@pytest.mark.parametrize(
    "scoring, y, classify",
    [
        ("r2", np.arange(6.0), False),
        ("neg_mean_absolute_error", np.ones((6, 2)), False),
        ("accuracy", np.array(["a", "b"] * 3), True),
        ("neg_log_loss", np.arange(6) % 3, True),
        ("roc_auc", np.arange(6) % 2, True),
        ("roc_auc_ovr", np.arange(6) % 3, True),
        ("positive_likelihood_ratio", np.arange(6) % 2, True),
        ("neg_mean_absolute_error", np.arange(6) % 3, True),  # of ordered classes
    ],
)
def test_scores_that_fit_pass(scoring, y, classify):
    check_score(scoring, "E", y, classify=classify)
