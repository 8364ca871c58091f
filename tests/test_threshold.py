"""Threshold networks as estimators: what they promise whatever the data."""

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning

from sklearn_convexnn import (
    ConvexThresholdClassifier,
    ConvexThresholdRegressor,
)
from sklearn_convexnn.export import to_mlp
from sklearn_convexnn.inspection import ShapeFunctionDisplay, decision_regions, prune
from tests.conftest import make_rows

SOME = {"random_state": 0, "max_iter": 200}


def targets(model, X, *, several=False):
    score = X[:, 0] + np.sin(2 * X[:, 1])
    if is_classifier(model):
        return np.digitize(score, [-0.5, 0.5]) if several else np.where(score > 0, "yes", "no")
    return np.column_stack([score, X[:, 1] > 0]) if several else score


@pytest.fixture(params=[ConvexThresholdRegressor, ConvexThresholdClassifier])
def Model(request):
    return request.param


@pytest.fixture(params=["axis", "all"])
def directions(request):
    return request.param


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("representative", ["margin", "middle"])
def test_the_objective_is_that_of_the_layers(Model, directions, representative, several):
    """On the training rows the stored weights are the patterns that were paid for."""
    X = make_rows(60, 3)
    model = Model(0.02, directions=directions, representative=representative, **SOME)
    y = targets(model, X, several=several)
    model.fit(X, y)
    on = model.hidden_activations(X)
    assert set(np.unique(on)) <= {0.0, 1.0}
    Z = on @ model.coefs_[1] + model.intercepts_[1]
    np.testing.assert_allclose(model._outputs(X), Z, atol=1e-12)
    if is_classifier(model):
        P = model.predict_proba(X)
        loss = -np.mean(np.log(P[np.arange(60), np.searchsorted(model.classes_, y)]))
    else:
        loss = 0.5 * np.mean(np.sum((Z - y.reshape(60, -1)) ** 2, axis=1))
    penalty = 0.02 * np.linalg.norm(model.coefs_[1], axis=1).sum()
    assert loss + penalty == pytest.approx(model.objective_, rel=1e-9)
    assert model.lower_bound_ <= model.objective_
    gap = (model.objective_ - model.lower_bound_) / model.objective_
    assert model.proven_gap_ == pytest.approx(gap, rel=1e-9, abs=1e-12)
    np.testing.assert_allclose(np.linalg.norm(model.coefs_[0], axis=0), 1.0)


def test_weights_are_repetitions(Model, directions):
    X = make_rows(40, 3)
    model = Model(0.02, directions=directions, **SOME)
    y, counts = targets(model, X), np.random.default_rng(0).integers(0, 4, 40)
    once = clone(model).fit(X, y, sample_weight=counts)
    order = np.random.default_rng(1).permutation(counts.sum())
    often = clone(model).fit(np.repeat(X, counts, axis=0)[order], np.repeat(y, counts)[order])
    for one, other in zip(
        once.coefs_ + once.intercepts_, often.coefs_ + often.intercepts_, strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_nothing_depends_on_units(Model, directions):
    X = make_rows(50, 3)
    model = Model(0.02, directions=directions, gap_tol=1e-3, **SOME)
    y = targets(model, X)
    first = clone(model).fit(X, y)
    other = clone(model).fit(X * [1e3, 1.0, 1e-4] + [5.0, -3.0, 2e-4], y)
    assert other.objective_ == pytest.approx(first.objective_, rel=2e-3)


@pytest.mark.parametrize("unit", [1e-200, 1e30, 1e200, [1e150, 1.0, 1e-150]])
def test_extreme_units(directions, unit):
    X = make_rows(50, 3)
    y = targets(ConvexThresholdRegressor(), X)
    plain = ConvexThresholdRegressor(0.02, directions=directions, gap_tol=1e-2, **SOME)
    extreme = clone(plain).fit(X * unit, y)
    assert extreme.objective_ == pytest.approx(plain.fit(X, y).objective_, rel=2e-2)
    Z = extreme.hidden_activations(X * unit) @ extreme.coefs_[1][:, 0] + extreme.intercepts_[1]
    loss = 0.5 * np.mean((Z - y) ** 2) + 0.02 * np.abs(extreme.coefs_[1]).sum()
    assert loss == pytest.approx(extreme.objective_, rel=1e-9)


def test_steps_see_only_the_order_of_values(Model):
    X = make_rows(50, 3)
    model = Model(0.02, directions="axis", gap_tol=1e-9, **SOME)
    y = targets(model, X)
    first, other = clone(model).fit(X, y), clone(model).fit(np.exp(X), y)
    assert other.objective_ == pytest.approx(first.objective_, rel=1e-9)
    np.testing.assert_allclose(other._outputs(np.exp(X)), first._outputs(X), atol=1e-7)


def test_single_precision_stays(Model, directions):
    X = make_rows(50, 3).astype(np.float32)
    model = Model(0.02, directions=directions, **SOME)
    y = targets(model, X)
    model.fit(X, y)
    assert all(part.dtype == np.float32 for part in model.coefs_ + model.intercepts_)
    assert model._outputs(X).dtype == np.float32
    double = clone(model).fit(X.astype(np.float64), y)
    assert model.objective_ == pytest.approx(double.objective_, rel=1e-6)
    # The patterns of the training rows survive the rounding of the weights.
    np.testing.assert_array_equal(
        model.hidden_activations(X).sum(axis=0), double.hidden_activations(X).sum(axis=0)
    )


def test_shape_functions_add_up(Model):
    X = make_rows(80, 4)
    model = Model(0.01, directions="axis", **SOME)
    y = targets(model, X, several=True)
    weights = np.random.default_rng(0).random(80)
    model.fit(X, y, sample_weight=weights)
    parts = [shape(X[:, k]) for k, shape in enumerate(model.shape_functions_)]
    np.testing.assert_allclose(sum(parts) + model.base_values_, model._outputs(X), atol=1e-12)
    for part in parts:
        np.testing.assert_allclose(weights @ part / weights.sum(), 0.0, atol=1e-12)
    assert sum(len(shape.thresholds) for shape in model.shape_functions_) == model.n_neurons_
    assert model.feature_importances_[:2].sum() > 0.8


def test_alpha_auto_is_near_the_best_on_real_data():
    X, y = load_diabetes(return_X_y=True)
    train, test = np.arange(442) % 3 != 0, np.arange(442) % 3 == 0
    model = ConvexThresholdRegressor(directions="axis", **SOME).fit(X[train], y[train])
    assert model.certificate_ == "exact"
    assert model.dual_gap_ <= 3e-3
    assert len(model.alphas_) == len(model.validation_losses_) > 2
    scores = [
        clone(model).set_params(alpha=share * model.alpha_max_).fit(X[train], y[train])
        for share in (0.3, 0.1, 0.03, 0.01)
    ]
    best = max(one.score(X[test], y[test]) for one in scores)
    assert model.score(X[test], y[test]) > best - 0.05


def test_warm_start_begins_where_it_was(Model, directions):
    X = make_rows(60, 3)
    model = Model(0.02, directions=directions, warm_start=True, gap_tol=0.05, **SOME)
    y = targets(model, X)
    cold = model.fit(X, y).history_["objective"][0]
    last = model.objective_
    assert model.fit(X, y).history_["objective"][0] <= min(cold, last * (1 + 1e-12))
    with pytest.raises(ValueError, match="warm_start=True needs"):
        model.fit(X[:, :2], y)


def test_max_neurons(Model, directions):
    X = make_rows(60, 3)
    model = Model(0.002, directions=directions, max_neurons=4, **SOME)
    model.fit(X, targets(model, X))
    assert 0 < model.n_neurons_ <= 4


def test_class_weights_are_weights():
    X = make_rows(60, 2)
    y = targets(ConvexThresholdClassifier(), X)
    model = ConvexThresholdClassifier(0.02, directions="axis", **SOME)
    weighted = clone(model).set_params(class_weight={"yes": 3, "no": 1}).fit(X, y)
    same = clone(model).fit(X, y, sample_weight=np.where(y == "yes", 3, 1))
    np.testing.assert_array_equal(weighted.coefs_[1], same.coefs_[1])


def test_two_features_are_certified_exactly_and_more_are_estimated():
    X = make_rows(60, 3)
    y = targets(ConvexThresholdRegressor(), X)
    model = ConvexThresholdRegressor(0.02, **SOME)
    assert clone(model).fit(X[:, :2], y).certificate_ == "exact"
    assert model.fit(X, y).certificate_ == "estimated"
    assert model.dual_gap_ <= model.proven_gap_


def test_classes_that_a_plane_separates_need_one_neuron():
    X, y = load_iris(return_X_y=True)
    model = ConvexThresholdClassifier(0.01, **SOME).fit(X[y < 2], y[y < 2])
    assert (model.status_, model.certificate_, model.n_neurons_) == ("separable", "proven", 1)
    assert model.score(X[y < 2], y[y < 2]) == 1.0


def test_the_last_bound_of_the_history_is_the_proven_one():
    X = make_rows(40, 3)
    model = ConvexThresholdClassifier(0.05, random_state=0).fit(X, X[:, 0] > 0)
    assert model.certificate_ == "proven"
    assert model.history_["lower_bound"][-1] == pytest.approx(model.lower_bound_)


def test_a_plane_between_classes_is_found_among_many_columns():
    X = np.random.default_rng(0).standard_normal((60, 40))
    y = X @ np.linspace(-1, 1, 40) > 0.3
    model = ConvexThresholdClassifier(alpha="scale", random_state=0).fit(X, y)
    assert (model.status_, model.certificate_, model.n_neurons_) == ("separable", "proven", 1)
    assert model.dual_gap_ < 1e-6


def test_too_few_rounds_are_told():
    X = make_rows(60, 3)
    model = ConvexThresholdRegressor(0.001, gap_tol=1e-6, max_iter=1)
    with pytest.warns(ConvergenceWarning, match="Increase max_iter"):
        model.fit(X, targets(model, X))
    assert model.status_ == "max_iter"


def test_they_are_no_relus():
    X = make_rows(40, 2)
    model = ConvexThresholdClassifier(0.02, **SOME)
    model.fit(X, targets(model, X))
    with pytest.raises(ValueError, match="are 0 or 1, no ReLUs"):
        decision_regions(model)
    with pytest.raises(ValueError, match="are 0 or 1, no ReLUs"):
        prune(model, X)
    with pytest.raises(TypeError, match="are 0 or 1"):
        to_mlp(model)


def test_alpha_zero_is_refused(Model):
    X = make_rows(20, 2)
    with pytest.raises(ValueError, match="alpha=0 is refused"):
        Model(0.0).fit(X, targets(Model(), X))


def test_shape_functions_are_drawn():
    pytest.importorskip("matplotlib").use("Agg")
    X = make_rows(80, 4)
    model = ConvexThresholdRegressor(0.01, directions="axis", **SOME)
    model.fit(X, targets(model, X))
    display = ShapeFunctionDisplay.from_estimator(model, features=[1, 0])
    assert [ax.get_xlabel() for ax in display.axes_] == ["x1", "x0"]
    _, height = display.axes_[0].lines[0].get_data()
    shape = model.shape_functions_[1]
    np.testing.assert_allclose(np.unique(height), np.unique(shape.values[:, 0]))
    assert len(ShapeFunctionDisplay.from_estimator(model, max_features=3).axes_) <= 3
    (only,) = ShapeFunctionDisplay.from_estimator(model, features="x2").axes_
    assert only.get_xlabel() == "x2"
    plt = pytest.importorskip("matplotlib.pyplot")
    two = clone(model).fit(X, np.column_stack([X[:, 0] > 0, X[:, 1] > 0]).astype(float))
    with pytest.raises(ValueError, match="1 axes are needed, one per feature, got 2"):
        ShapeFunctionDisplay.from_estimator(model, features=[0], axes=plt.subplots(1, 2)[1])
    drawn = ShapeFunctionDisplay.from_estimator(two, features=[0, 1], axes=plt.subplots(1, 2)[1])
    assert [text.get_text() for text in drawn.axes_[0].get_legend().get_texts()] == [
        "output 0",
        "output 1",
    ]
    with pytest.raises(ValueError, match="2 axes are needed"):
        drawn.plot(axes=drawn.axes_[:1])
    (legend,) = drawn.plot().figure_.legends
    assert [text.get_text() for text in legend.get_texts()] == ["output 0", "output 1"]
    for settings in ({"max_features": 0}, {"features": []}):
        with pytest.raises(ValueError, match=r"max_features must be 1|features is empty"):
            ShapeFunctionDisplay.from_estimator(model, **settings)
    with pytest.raises(ValueError, match="nothing to draw: the network is a constant"):
        ShapeFunctionDisplay.from_estimator(model.set_params(alpha=1e9).fit(X, X[:, 0]))
    plt.close("all")
    with pytest.raises(ValueError, match="directions='axis'"):
        ShapeFunctionDisplay.from_estimator(model.set_params(directions="all").fit(X, X[:, 0]))


@pytest.mark.parametrize(
    "settings, goal",
    [
        ({"gap_tol": 1e-9}, "gap_tol=1e-09"),
        ({"directions": "axis", "tol": 1e-12}, "a relative duality gap of tol=1e-12"),
        ({"tol": 1e-12}, "a decrease below tol=1e-12 in one round"),
    ],
)
def test_a_goal_that_is_missed_is_named(settings, goal):
    X = make_rows(60)
    y = np.sin(3 * X[:, 0]) + X[:, 1]
    with pytest.warns(ConvergenceWarning, match=goal):
        ConvexThresholdRegressor(1e-3, max_iter=1, random_state=0, **settings).fit(X, y)


def test_columns_without_steps():
    """A constant column has no threshold, and without another one there is no network."""
    X, settings = make_rows(40), {"directions": "axis", "random_state": 0}
    model = ConvexThresholdRegressor(0.01, **settings)
    y = np.abs(X[:, 0])
    expected = model.fit(X, y).objective_
    assert model.fit(np.column_stack([X, np.ones(40)]), y).objective_ == expected
    assert model.fit(np.ones((40, 2)), y).n_neurons_ == 0
