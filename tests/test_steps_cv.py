"""The weight of steps by the cross-validation of an estimator."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin, clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV

from sklearn_convexnn import (
    ConvexReLUClassifierCV,
    ConvexReLURegressorCV,
    GatedReLURegressor,
    QuantileSteps,
    StepsCV,
)
from sklearn_convexnn.core.fit.cutting_plane import Descent
from tests.conftest import make_rows

SMALL = {"alphas": 4, "eps": 0.02, "cv": 3}


def jumps(n=240, seed=0):
    X = make_rows(n, 3, seed)
    return X, np.sign(X - [0.0, 0.6, -0.6]) @ [1.0, 1.0, 0.5]


def test_it_is_the_estimator_behind_the_steps_of_the_best_score():
    X, y = jumps()
    network = ConvexReLURegressorCV(random_state=0, **SMALL)
    model = StepsCV(network, weights=(0.5, 0)).fit(X, y)
    assert model.weights_.tolist() == [0, 0.5]
    scores = []
    for weight in model.weights_:
        steps = QuantileSteps(weight=weight).fit(X)
        alone = network.fit(steps.transform(X), y)
        scores.append(alone.best_score_)
        if weight == model.weight_:
            expected = alone.predict(steps.transform(X)), alone.score(steps.transform(X), y)
    np.testing.assert_array_equal(model.scores_, scores)
    assert model.best_score_ == max(scores)
    assert model.weight_ > 0
    np.testing.assert_array_equal(model.predict(X), expected[0])
    assert model.score(X, y) == expected[1]
    assert model.score(X, y, sample_weight=np.ones(len(y))) == pytest.approx(expected[1])


def test_smooth_targets_have_no_steps():
    X = make_rows(150, 4)
    model = StepsCV(ConvexReLURegressorCV(random_state=0, **SMALL)).fit(X, X[:, 0] - X[:, 1])
    assert model.weight_ == 0
    assert model.weights_.tolist() == [0, 0.5]
    assert model.steps_.get_feature_names_out().tolist() == ["x0", "x1", "x2", "x3"]


def test_few_rows_for_a_column_have_no_steps():
    X, y = jumps(36)
    X = np.column_stack([X, np.sign(X[:, 0])])  # two values: no steps, and not counted
    many = StepsCV(Recorder()).fit(X[:30], y[:30])
    assert many.weights_.tolist() == [0, 0.5]
    few = StepsCV(Recorder()).fit(np.repeat(X[:29], 2, axis=0), np.repeat(y[:29], 2))
    assert few.weights_.tolist() == [0]
    weighted = StepsCV(WeightedRecorder()).fit(X, y, sample_weight=np.arange(36) < 29)
    assert weighted.weights_.tolist() == [0]


@pytest.fixture
def fits(monkeypatch):
    """Counts fits to all rows."""
    found, solve = [], Descent.solve_relaxed
    monkeypatch.setattr(
        Descent, "solve_relaxed", lambda *args, **kw: found.append(1) or solve(*args, **kw)
    )
    return found


def test_what_is_not_better_has_no_final_fit(fits):
    X = make_rows(150, 4)
    network = ConvexReLURegressorCV(alphas=[0.3, 0.1], cv=2, random_state=0)
    model = StepsCV(network, weights=[0, 0.25, 0.5]).fit(X, X[:, 0] - X[:, 1])
    assert model.scores_[0] > max(model.scores_[1:])
    assert len(fits) == 1


def test_races_of_whole_paths(fits):
    """Paths pause, those that are clearly worse end, and the others are those of a fit alone."""
    X, y = jumps(120)
    network = ConvexReLURegressorCV(cv=3, random_state=0)
    model = StepsCV(network).fit(X, y)
    assert len(fits) == 1
    assert model.weight_ == 0.5
    alone = network.fit(model.steps_.transform(X), y)
    np.testing.assert_array_equal(model.estimator_.score_path_, alone.score_path_)
    np.testing.assert_array_equal(model.predict(X), alone.predict(model.steps_.transform(X)))
    plain = clone(network).fit(X, y)
    assert model.scores_[0] < plain.best_score_  # it was given up


def test_columns_without_steps_are_tried_once(fits):
    X, y = jumps(60)
    network = ConvexReLURegressorCV(alphas=[0.3], cv=2, random_state=0)
    model = StepsCV(network, weights=[0.25, 0.5]).fit(np.sign(X), y)
    assert model.scores_[0] == model.scores_[1]
    assert (model.weight_, len(fits)) == (0.25, 1)


def test_importances_of_steps_are_those_of_their_column():
    X, y = jumps()
    X = np.column_stack([X[:, 0], np.sign(X[:, 1]), X[:, 2]])  # the second has no steps
    model = StepsCV(ConvexReLURegressorCV(random_state=0, **SMALL), weights=[0.5])
    with pytest.raises(NotFittedError):
        _ = model.feature_importances_
    model.fit(X, y)
    encoded = model.estimator_.feature_importances_
    names = model.steps_.get_feature_names_out()
    expected = [sum(encoded[[n.split(">")[0] == f"x{k}" for n in names]]) for k in range(3)]
    np.testing.assert_allclose(model.feature_importances_, expected, rtol=1e-12)
    assert model.feature_importances_.sum() == pytest.approx(1)
    assert encoded[3:].sum() > 0.1
    assert model.feature_importances_[1] == encoded[1]
    search = StepsCV(GridSearchCV(GatedReLURegressor(patterns=5), {"alpha": [0.1]}, cv=2))
    assert not hasattr(search.fit(X, y), "feature_importances_")


def test_scores_that_are_no_numbers():
    X, y = jumps(60)

    class Nan(RegressorMixin, BaseEstimator):
        def fit(self, X, y):
            self.best_score_ = np.nan if X.shape[1] == 3 else self.score_with_steps
            return self

    Nan.score_with_steps = -1.0
    assert StepsCV(Nan()).fit(X, y).weight_ == 0.5
    Nan.score_with_steps = np.nan
    with pytest.raises(ValueError, match="best_score_ is NaN for every weight"):
        StepsCV(Nan()).fit(X, y)


def test_classes():
    X, y = jumps()
    labels = np.array(["low", "high"])[(y > 0.6).astype(int)]
    model = StepsCV(ConvexReLUClassifierCV(random_state=0, **SMALL), weights=[0.5, 0])
    assert is_classifier(model)
    assert not is_regressor(model)
    model.fit(X, labels)
    assert model.weights_.tolist() == [0, 0.5]
    assert model.classes_.tolist() == ["high", "low"]
    assert set(model.predict(X)) == {"high", "low"}
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X))
    np.testing.assert_array_equal(model.decision_function(X) > 0, model.predict(X) == "low")


class Recorder(RegressorMixin, BaseEstimator):
    """Remembers the settings of every fit."""

    seen = []

    def __init__(self, random_state=None, cv=None):
        self.random_state, self.cv = random_state, cv

    def fit(self, X, y):
        self.best_score_ = 0.5
        self.seen.append((self.random_state, self.cv))
        return self


class WeightedRecorder(Recorder):
    """The same with weights."""

    def fit(self, X, y, sample_weight):
        return super().fit(X, y)


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(0), 7])
def test_all_weights_see_the_same_folds(random_state):
    X, y = jumps(40)
    Recorder.seen.clear()
    model = StepsCV(Recorder(random_state), cv=4).fit(X, y)
    (seed, cv) = Recorder.seen[0]
    assert isinstance(seed, int)
    assert cv == 4
    assert Recorder.seen == [(seed, cv)] * 2
    assert seed == 7 or random_state != 7
    assert model.estimator.cv is None
    assert model.weight_ == 0  # of equal scores that without steps


def test_searches_of_scikit_learn():
    X, y = jumps()
    search = GridSearchCV(GatedReLURegressor(patterns=20, random_state=0), {"alpha": [0.1, 0.01]})
    model = StepsCV(search).fit(X, y)
    assert model.best_score_ == model.estimator_.best_score_
    assert not hasattr(model, "predict_proba")


def test_what_is_refused():
    X, y = jumps(40)
    with pytest.raises(TypeError, match="LinearRegression has no best_score_"):
        StepsCV(LinearRegression()).fit(X, y)
    for weights in ([-1.0], [[0.5]], [np.nan], "all"):
        with pytest.raises(ValueError, match="weights"):
            StepsCV(ConvexReLURegressorCV(**SMALL), weights=weights).fit(X, y)
