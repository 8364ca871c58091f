"""The regularisation path: its alphas, its networks, and that they are those of single fits."""

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning

from sklearn_convexnn import (
    ConvexCNNClassifier,
    ConvexCNNRegressor,
    ConvexReLUClassifier,
    ConvexReLURegressor,
    ConvexThresholdClassifier,
    ConvexThresholdRegressor,
    ParallelReLURegressor,
    SplineReLURegressor,
    alpha_max,
    convexnn_path,
)
from sklearn_convexnn.core.fit.mean import mean_network
from sklearn_convexnn.core.problem.alphas import alpha_grid
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.problem.rows import Rows
from tests.conftest import make_case, two_kinds_first

LOSS = {ConvexReLURegressor: "squared_error", ConvexReLUClassifier: "log_loss"}


def path_of(case, **settings):
    return convexnn_path(
        case.X, case.y, loss=LOSS[case.Estimator], **{"random_state": 0, **settings}
    )


# ------------------------------------------------------------------------------------------- alphas


def test_grid():
    grid = alpha_grid(3.0, 4, 1e-3)
    np.testing.assert_allclose(grid, [3.0, 0.3, 0.03, 0.003])
    assert grid[0] == 3.0
    assert alpha_grid(3.0, 1, 0.5).tolist() == [3.0]


def test_alphas_of_a_path(case):
    path = path_of(case, alphas=4, eps=0.05)
    ratios = path.alphas[1:] / path.alphas[:-1]
    np.testing.assert_allclose(ratios, 0.05 ** (1 / 3))
    assert path.alphas[0] == path.alpha_max
    largest = alpha_max(case.X, case.y, loss=LOSS[case.Estimator])
    np.testing.assert_allclose(path.alpha_max, largest, rtol=1e-3)


def test_given_alphas_are_sorted(regression):
    path = path_of(regression, alphas=[0.01, 0.1, 0.02, 0.1])
    assert path.alphas.tolist() == [0.1, 0.02, 0.01]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"alphas": [0.1, -0.1]}, "alphas must be positive"),
        ({"alphas": [[0.1]]}, "alphas must be positive numbers in one dimension"),
        ({"alphas": []}, "alphas"),
        ({"alphas": [np.nan, 1.0]}, "alphas contains NaN"),
        ({"alphas": 0}, "alphas >= 1"),
        ({"eps": 1.0}, "0 < eps < 1"),
        ({"loss": "hinge"}, "loss must be one of"),
        ({"tol": -1}, "'tol' parameter"),
    ],
)
def test_wrong_settings(regression, settings, message):
    with pytest.raises(ValueError, match=message):
        convexnn_path(regression.X, regression.y, **settings)


# ----------------------------------------------------------------------------------------- networks


def test_shapes(case):
    path = path_of(case, alphas=3, eps=0.1)
    model = case.Estimator("scale", random_state=0).fit(case.X, case.y)
    n_outputs, d = model.n_outputs_, case.X.shape[1]
    for values in (path.objectives, path.dual_gaps, path.n_neurons, path.n_iter):
        assert values.shape == (3,)
    assert path.n_neurons[0] == 0
    for coefs, intercepts, m in zip(path.coefs, path.intercepts, path.n_neurons, strict=True):
        assert [a.shape for a in coefs] == [(d, m), (m, n_outputs)]
        assert [a.shape for a in intercepts] == [(m,), (n_outputs,)]
    if case.kind in ("binary", "multiclass"):
        assert path.classes.tolist() == model.classes_.tolist()
    else:
        assert path.classes is None


def objective(case, path, k):
    """Of the k-th network, from its layers and the documented formula."""
    (W, C), (bias, b0) = path.coefs[k], path.intercepts[k]
    Z = np.maximum(case.X @ W + bias, 0) @ C + b0
    sizes = np.linalg.norm(np.vstack([W, bias]), axis=0) * np.linalg.norm(C, axis=1)
    if path.classes is None:
        loss = 0.5 * np.sum((Z - case.y.reshape(len(Z), -1)) ** 2, axis=1)
    else:
        indicators = (case.y[:, None] == path.classes).astype(float)
        if len(path.classes) == 2:
            loss = np.logaddexp(0, Z[:, 0]) - indicators[:, 1] * Z[:, 0]
        else:
            loss = np.log(np.exp(Z).sum(axis=1)) - np.sum(indicators * Z, axis=1)
    return loss.mean() + path.alphas[k] * sizes.sum()


def test_objectives_belong_to_the_networks(case):
    path = path_of(case, alphas=4, eps=0.02)
    for k in range(4):
        np.testing.assert_allclose(path.objectives[k], objective(case, path, k), rtol=1e-9)
    assert np.all(np.diff(path.objectives) < 0)  # a smaller penalty


@two_kinds_first
def test_equal_to_single_fits_within_their_gaps(case):
    """With a goal for the gap every alpha is solved to it, warm or cold."""
    path = path_of(case, alphas=3, eps=0.1, gap_tol=3e-3)
    assert path.dual_gaps.max() <= 3e-3
    for alpha, warm in zip(path.alphas[1:], path.objectives[1:], strict=True):
        cold = case.Estimator(alpha=alpha, gap_tol=3e-3, random_state=1).fit(case.X, case.y)
        np.testing.assert_allclose(warm, cold.objective_, rtol=3e-3)


def test_at_default_tolerance_as_good_as_single_fits(case):
    """Both stop on progress: of the same quality up to some times tol."""
    path = path_of(case, alphas=6, eps=0.01)
    for k in (2, 4):
        cold = case.Estimator(alpha=path.alphas[k], random_state=1).fit(case.X, case.y)
        assert path.objectives[k] <= 1.03 * cold.objective_


def test_a_path_of_one_is_a_single_fit(case):
    path = path_of(case, alphas=[0.01])
    model = case.Estimator(alpha=0.01, random_state=0).fit(case.X, case.y)
    assert path.objectives.tolist() == [model.objective_]
    assert path.dual_gaps.tolist() == [model.dual_gap_]
    np.testing.assert_array_equal(path.coefs[0][0], model.coefs_[0])


def test_repeated_rows_are_weights(case):
    repeats = np.arange(len(case.X)) % 3
    weighted = path_of(case, alphas=3, eps=0.05, sample_weight=repeats)
    X, y = np.repeat(case.X, repeats, axis=0), np.repeat(case.y, repeats, axis=0)
    repeated = convexnn_path(X, y, loss=LOSS[case.Estimator], alphas=3, eps=0.05, random_state=0)
    np.testing.assert_array_equal(weighted.alphas, repeated.alphas)
    np.testing.assert_array_equal(weighted.objectives, repeated.objectives)


def test_max_neurons(case):
    path = path_of(case, alphas=5, eps=0.01, max_neurons=4)
    assert path.n_neurons.max() <= 4


def test_constant_targets():
    path = convexnn_path(np.eye(4), np.ones(4), alphas=3, random_state=0)
    assert path.alpha_max == 0
    assert path.n_neurons.tolist() == [0, 0, 0]
    np.testing.assert_allclose(path.objectives, 0, atol=1e-15)


def test_too_few_rounds_are_reported():
    case = make_case("regression")
    with pytest.warns(ConvergenceWarning, match=r"stopped early at 1 of 2 alphas.*max_iter"):
        path_of(case, alphas=[1e3, 1e-4], gap_tol=1e-8, max_iter=2)


def test_verbose(regression, capsys):
    path = path_of(regression, alphas=3, eps=0.1, verbose=1)
    assert capsys.readouterr().out.count("round 1:") == len(path.alphas)


# ------------------------------------------------------------------------------ of other estimators

OTHERS = [
    ConvexCNNRegressor(patch_size=2, random_state=0),
    ConvexCNNClassifier(patch_size=2, pooling="average", pool_grid=2, random_state=0),
    ParallelReLURegressor(hidden_units=2, random_state=0),
    ConvexThresholdRegressor(representative="margin", random_state=0),
    ConvexThresholdClassifier(directions="axis", random_state=0),
    ConvexReLUClassifier(loss="hinge", random_state=0),
]
of_others = pytest.mark.parametrize("estimator", OTHERS, ids=lambda one: type(one).__name__)


def signals(estimator):
    """The steepest rise of short signals, or whether it is large."""
    X = np.random.default_rng(0).standard_normal((30, 4))
    y = np.diff(X).max(axis=1)
    return X, y > np.median(y) if is_classifier(estimator) else y


@of_others
def test_a_path_of_one_of_any_estimator_is_its_fit(estimator):
    X, y = signals(estimator)
    path = convexnn_path(X, y, estimator=estimator, alphas=[0.05])
    (one,), model = path.estimators, clone(estimator).set_params(alpha=0.05).fit(X, y)
    assert (one.alpha, one.objective_, one.n_neurons_) == (0.05, model.objective_, model.n_neurons_)
    assert (path.objectives[0], path.dual_gaps[0]) == (model.objective_, model.dual_gap_)
    np.testing.assert_array_equal(one.predict(X), model.predict(X))
    for name in ("coefs", "intercepts"):
        for layer, of_model in zip(
            getattr(path, name)[0], getattr(model, name + "_", ()), strict=False
        ):
            np.testing.assert_array_equal(layer, of_model)
    assert not hasattr(estimator, "n_features_in_")  # it is not touched


@of_others
def test_networks_of_a_path_predict(estimator):
    X, y = signals(estimator)
    path = convexnn_path(X, y, estimator=estimator, alphas=3, eps=0.1)
    assert [one.n_neurons_ for one in path.estimators] == path.n_neurons.tolist()
    assert path.n_neurons[0] == 0
    assert np.all(np.diff(path.objectives) < 0)
    scores = [one.score(X, y) for one in path.estimators]
    assert scores[0] < scores[-1]
    # The estimators share nothing: one that is fitted again leaves the others as they are.
    before = path.estimators[1].predict(X)
    path.estimators[2].fit(X[:20], y[:20])
    np.testing.assert_array_equal(path.estimators[1].predict(X), before)


def test_relaxed_path_of_filters():
    X, y = signals(OTHERS[0])
    path = convexnn_path(X, y, estimator=OTHERS[0], alphas=[0.1], relax=0.5)
    assert path.estimators[0].alpha_ == pytest.approx(0.05)
    with pytest.raises(ValueError, match="neurons that slide"):
        convexnn_path(X, y, estimator=ConvexThresholdRegressor(), relax=0.5)


@pytest.mark.parametrize(
    "estimator, settings, error, message",
    [
        (ConvexReLURegressor(), {"loss": "huber"}, ValueError, "loss is a parameter of the est"),
        (ConvexReLURegressor(), {"tol": 0.1}, ValueError, "tol is a parameter of the estimator"),
        (ConvexReLURegressor(warm_start=True), {}, ValueError, "warm_start=False is needed"),
        (ConvexReLURegressor(patterns=5), {}, ValueError, "patterns=None is needed, got 5"),
        (ConvexReLURegressor(tol=-1), {}, ValueError, "'tol' parameter"),
        (
            ConvexReLURegressor(patterns=np.eye(4)),
            {},
            ValueError,
            "patterns=None is needed, got ar",
        ),
        (ConvexReLURegressor(), {"relax": (1, 0.5)}, ValueError, "A path has one relax, a number"),
        (
            ConvexReLURegressor,
            {},
            TypeError,
            r"an instance: ConvexReLURegressor\(\) instead of its",
        ),
        (SplineReLURegressor(), {}, TypeError, "SplineReLURegressor has no path"),
    ],
)
def test_estimators_without_such_a_path(estimator, settings, error, message):
    with pytest.raises(error, match=message):
        convexnn_path(np.eye(4), np.arange(4.0), estimator=estimator, **settings)


# ----------------------------------------------------------------------------------- the next start


def random_network(rng, m, d=3, n_outputs=2):
    return Network.from_factors(
        rng.standard_normal((m, d)), rng.standard_normal((m, n_outputs)), rng.standard_normal(2)
    )


def test_the_mean_network_has_the_mean_of_the_outputs():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((20, 3)), rng.standard_normal((20, 2))
    rows = Rows.of(X, Y, np.full(20, 0.05), get_loss("squared_error", 2), intercept=False)
    networks = [random_network(rng, m) for m in (3, 1, 4)]
    mean = mean_network(networks)
    outputs = [rows.outputs(one.U, one.C, one.b0) for one in networks]
    np.testing.assert_allclose(rows.outputs(mean.U, mean.C, mean.b0), np.mean(outputs, axis=0))
    np.testing.assert_allclose(mean.penalty(), np.mean([one.penalty() for one in networks]))


# -------------------------------------------------------------------------------------- relaxation


@two_kinds_first
def test_relaxed_path_has_the_neurons_of_the_path_at_smaller_alphas(case):
    loss = "squared_error" if case.Estimator is ConvexReLURegressor else "log_loss"
    settings = {"alphas": [0.2, 0.1], "loss": loss, "random_state": 0}
    plain = convexnn_path(case.X, case.y, **settings)
    relaxed = convexnn_path(case.X, case.y, **settings, relax=0.25)
    assert (plain.relax, relaxed.relax) == (1.0, 0.25)
    np.testing.assert_array_equal(plain.alphas, relaxed.alphas)
    assert np.all(relaxed.n_neurons <= plain.n_neurons)
    for k, alpha in enumerate(plain.alphas):
        whole = case.Estimator(alpha=0.25 * alpha, gap_tol=1e-3, random_state=0)
        best = whole.fit(case.X, case.y).objective_
        assert relaxed.objectives[k] >= best * (1 - 1e-3)
        assert relaxed.objectives[k] * (1 - relaxed.dual_gaps[k]) <= best * (1 + 1e-6)
        # Of the plain network at the smaller alpha: refitting can only gain.
        penalty = sum(0.5 * np.sum(part**2) for part in (*plain.coefs[k], plain.intercepts[k][0]))
        assert relaxed.objectives[k] <= plain.objectives[k] - 0.75 * alpha * penalty + 1e-9


def test_relax_is_between_zero_and_one(regression):
    for relax in (0.0, 1.5):
        with pytest.raises(ValueError, match="relax must be"):
            convexnn_path(regression.X, regression.y, relax=relax)
