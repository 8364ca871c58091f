"""The deep linear estimators: layers, certificates, data of every kind, cross-validation."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GroupKFold, KFold
from sklearn.neural_network import MLPRegressor

from sklearn_convexnn import DeepLinearClassifier, DeepLinearRegressor, DeepLinearRegressorCV
from tests.linear_problems import best_network, linear_data, nuclear_optimum

# ------------------------------------------------------------------------------ the fitted network


def objective(model, X, Y, weights, alpha):
    """The objective from the layers alone."""
    Z = X
    for W, b in zip(model.coefs_, model.intercepts_, strict=True):
        Z = Z @ W + b
    L = len(model.coefs_)
    if getattr(model, "penalty", None) == "layer_norm":
        # One branch for each hidden neuron: the norms of its chain of weights.
        middle = [np.abs(np.diag(W)) for W in model.coefs_[1:-1]]
        chain = [np.linalg.norm(model.coefs_[0], axis=0), *middle]
        chain.append(np.linalg.norm(model.coefs_[-1], axis=1))
        penalty = sum(np.sum(norms**L) for norms in chain) / L
    else:
        penalty = 0.5 * sum(np.sum(W**2) for W in model.coefs_)
    w = weights / weights.sum()
    return 0.5 * w @ np.sum((Y.reshape(len(X), -1) - Z) ** 2, axis=1) + alpha * penalty


@pytest.mark.parametrize("n_layers", [2, 3, 4])
@pytest.mark.parametrize("penalty", ["weight_decay", "layer_norm"])
@pytest.mark.parametrize("K", [1, 3])
@pytest.mark.parametrize("intercept", [True, False])
def test_the_layers_have_the_objective(n_layers, penalty, K, intercept):
    X, Y = linear_data(K=K)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    model = DeepLinearRegressor(n_layers, 0.1, penalty=penalty, fit_intercept=intercept)
    model.fit(X, Y, sample_weight=weights)
    assert model.rank_ > 0
    assert model.objective_ == pytest.approx(objective(model, X, Y, weights, 0.1), rel=1e-10)
    assert [W.shape[0] for W in model.coefs_] == [5, *[model.rank_] * (n_layers - 1)]
    np.testing.assert_allclose(np.linalg.multi_dot(model.coefs_), model.effective_coef_, atol=1e-12)
    for W in model.coefs_:
        values = np.linalg.svd(W, compute_uv=False)
        np.testing.assert_allclose(values, model.singular_values_ ** (1 / n_layers), rtol=1e-8)
    assert model.dual_gap_ >= 0
    if n_layers == 2 or penalty == "layer_norm" or K == 1:
        assert model.certificate_ == "exact"
        assert model.dual_gap_ <= 1e-8


@pytest.mark.parametrize("K", [1, 3])
def test_two_layers_agree_with_a_conic_solver(K):
    X, Y = linear_data(K=K)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    model = DeepLinearRegressor(alpha=0.2).fit(X, Y, sample_weight=weights)
    assert model.objective_ == pytest.approx(nuclear_optimum(X, Y, weights, 0.2), rel=1e-8)


def test_three_layers_agree_with_training_them():
    X, Y = linear_data()
    model = DeepLinearRegressor(3, 0.1).fit(X, Y)
    Xc, Yc = X - X.mean(axis=0), Y - Y.mean(axis=0)

    def loss(B):
        R = Xc @ B - Yc
        return 0.5 * np.sum(R**2) / len(X), Xc.T @ R / len(X)

    best = best_network(loss, [(5, 3), (3, 3), (3, 3)], 0.1, starts=5)
    assert model.objective_ == pytest.approx(best, rel=1e-8)
    assert model.objective_ - model.dual_gap_abs_ <= best


def test_depth_two_by_layer_norm_at_any_depth():
    X, Y = linear_data()
    models = [DeepLinearRegressor(L, 0.1, penalty="layer_norm").fit(X, Y) for L in (2, 3, 5)]
    reference = DeepLinearRegressor(2, 0.1).fit(X, Y)
    for model in models:
        assert model.objective_ == pytest.approx(reference.objective_, rel=1e-9)
        np.testing.assert_allclose(model.effective_coef_, reference.effective_coef_, atol=1e-7)


def test_a_perceptron_with_the_layers_predicts_the_same():
    X, Y = linear_data()
    model = DeepLinearRegressor(3, 0.1).fit(X, Y)
    twin = MLPRegressor(hidden_layer_sizes=model.rank_, activation="identity", max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        twin.fit(X, Y)
    twin.coefs_, twin.intercepts_ = model.coefs_, model.intercepts_
    twin.n_layers_, twin.hidden_layer_sizes = model.n_layers_, [model.rank_] * 2
    np.testing.assert_allclose(twin.predict(X), model.predict(X), atol=1e-12)


# ------------------------------------------------------------------------------------------- alpha


@pytest.mark.parametrize("n_layers", [2, 3, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("K", [1, 3])
def test_alpha_max(n_layers, K):
    X, Y = linear_data(K=K)
    largest = DeepLinearRegressor(n_layers, 10.0).fit(X, Y).alpha_max_
    above = DeepLinearRegressor(n_layers, 1.0001 * largest).fit(X, Y)
    assert above.rank_ == 0
    assert [W.size for W in above.coefs_] == [0] * n_layers
    np.testing.assert_allclose(above.predict(X), np.broadcast_to(Y.mean(axis=0), Y.shape))
    if n_layers == 2:
        assert DeepLinearRegressor(alpha=0.9999 * largest).fit(X, Y).rank_ == 1


@pytest.mark.parametrize("n_layers", [2, 3])
def test_small_alpha_is_least_squares(n_layers):
    X, Y = linear_data()
    model = DeepLinearRegressor(n_layers, 1e-9, tol=1e-7).fit(X, Y)
    np.testing.assert_allclose(model.predict(X), LinearRegression().fit(X, Y).predict(X), atol=1e-4)


def test_small_alpha_is_logistic_regression():
    X, y = load_iris(return_X_y=True)
    y = y > 1
    model = DeepLinearClassifier(alpha=1e-3, loss="log_loss").fit(X, y)
    # One output: alpha ||w|| has the optimum of the ridge penalty alpha / ||w|| * 1/2 ||w||^2.
    C = np.linalg.norm(model.effective_coef_) / (1e-3 * len(X))
    reference = LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(X, y)
    np.testing.assert_allclose(model.effective_coef_[:, 0], reference.coef_[0], rtol=1e-3)


@pytest.mark.parametrize("alpha", [0, np.inf])
def test_alpha_that_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha"):
        DeepLinearRegressor(alpha=alpha).fit([[0.0], [1.0]], [0.0, 1.0])


# -------------------------------------------------------------------------------------------- data


@pytest.mark.parametrize("shape", [(30, 5, 3), (6, 9, 2)])
@pytest.mark.parametrize("n_layers", [2, 3])
def test_sparse_rows_give_the_same_network(shape, n_layers):
    X, Y = linear_data(*shape)
    X = np.where(np.abs(X) > 0.7, X, 0.0)
    dense = DeepLinearRegressor(n_layers, 0.1).fit(X, Y)
    for container in (sparse.csr_array, sparse.csc_matrix):
        model = DeepLinearRegressor(n_layers, 0.1).fit(container(X), Y)
        assert model.objective_ == pytest.approx(dense.objective_, rel=1e-9)
        np.testing.assert_allclose(model.predict(container(X)), dense.predict(X), atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: DeepLinearRegressor(2, 0.1),
        lambda: DeepLinearRegressor(3, 0.1),
        lambda: DeepLinearClassifier(2, 0.05),
        lambda: DeepLinearClassifier(2, 0.05, loss="log_loss"),
    ],
)
def test_weights_are_repetitions(make):
    X, Y = linear_data()
    y = Y.argmax(axis=1) if isinstance(make(), DeepLinearClassifier) else Y
    counts = np.random.default_rng(0).integers(0, 4, len(X))
    weighted = make().fit(X, y, sample_weight=counts)
    repeated = make().fit(np.repeat(X, counts, axis=0), np.repeat(y, counts, axis=0))
    np.testing.assert_allclose(weighted.effective_coef_, repeated.effective_coef_, atol=1e-6)
    assert weighted.objective_ == pytest.approx(repeated.objective_, rel=1e-9)


def test_float32_is_kept():
    X, Y = linear_data()
    double = DeepLinearRegressor(3, 0.1).fit(X, Y)
    single = DeepLinearRegressor(3, 0.1).fit(X.astype(np.float32), Y.astype(np.float32))
    assert {a.dtype for a in single.coefs_ + single.intercepts_} == {np.dtype(np.float32)}
    assert single.predict(X.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(single.effective_coef_, double.effective_coef_, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_units_of_the_data(scale):
    X, Y = linear_data()
    reference = DeepLinearRegressor(3, 0.1).fit(X, Y)
    # W scales with y: alpha * |W|^(2/3) with the loss, y^2.
    model = DeepLinearRegressor(3, 0.1 * scale ** (2 - 2 / 3)).fit(X, scale * Y)
    assert model.rank_ == reference.rank_
    np.testing.assert_allclose(model.effective_coef_ / scale, reference.effective_coef_, rtol=1e-6)


@pytest.mark.parametrize("n_layers", [2, 3])
def test_constant_targets(n_layers):
    model = DeepLinearRegressor(n_layers).fit(linear_data()[0], np.full(30, 3.0))
    assert (model.rank_, model.objective_, model.dual_gap_) == (0, 0.0, 0.0)
    np.testing.assert_allclose(model.predict(np.ones((2, 5))), 3.0)


def test_hidden_width():
    X, Y = linear_data(n=60, d=6, K=4)
    free = DeepLinearRegressor(alpha=0.05).fit(X, Y)
    wide = DeepLinearRegressor(alpha=0.05, hidden_width=7).fit(X, Y)
    assert [W.shape for W in wide.coefs_] == [(6, 7), (7, 4)]
    np.testing.assert_allclose(wide.effective_coef_, free.effective_coef_)
    assert free.rank_ == 4
    narrow = DeepLinearRegressor(alpha=0.05, hidden_width=2).fit(X, Y)
    assert narrow.rank_ == 2
    # The bound is one for networks of this width.
    assert narrow.objective_ > free.objective_
    Xc, Yc = X - X.mean(axis=0), Y - Y.mean(axis=0)

    def loss(B):
        R = Xc @ B - Yc
        return 0.5 * np.sum(R**2) / len(X), Xc.T @ R / len(X)

    best = best_network(loss, [(6, 2), (2, 4)], 0.05, starts=4)
    assert narrow.objective_ == pytest.approx(best, rel=1e-9)
    assert narrow.objective_ - narrow.dual_gap_abs_ <= best * (1 + 1e-9)
    with pytest.raises(ValueError, match="hidden_width=1 is less than the rank"):
        DeepLinearClassifier(alpha=1e-3, loss="log_loss", hidden_width=1).fit(X, Y.argmax(axis=1))


def test_alpha_far_above_the_largest():
    for n_layers in (2, 3):
        model = DeepLinearRegressor(n_layers, 1e200).fit(*linear_data())
        assert (model.rank_, model.certificate_) == (0, "exact")


@pytest.mark.parametrize("condition", [1.0, 1e3, 1e6])
def test_a_gap_that_is_not_reached_is_told(condition):
    """Whatever the last digit is: a tolerance below rounding is not reached by luck."""
    X, Y = linear_data(condition=condition)
    with pytest.warns(ConvergenceWarning, match="relative duality gap"):
        DeepLinearRegressor(alpha=1e-4, tol=1e-18).fit(X, Y)


# ---------------------------------------------------------------------------------- classification


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_classifier_on_digits(loss):
    X, y = load_digits(return_X_y=True)
    model = DeepLinearClassifier(alpha=0.01, loss=loss).fit(X / 16, y)
    assert model.score(X / 16, y) > 0.9
    assert model.rank_ <= 9  # centred indicators, and logits up to a constant
    assert model.dual_gap_ <= 1e-6
    assert hasattr(model, "predict_proba") == (loss == "log_loss")


def test_two_classes_are_one_column_of_signs():
    X, Y = linear_data()
    y = Y[:, 0] > 0
    model = DeepLinearClassifier(2, 0.1).fit(X, y)
    reference = DeepLinearRegressor(2, 0.1).fit(X, 2.0 * y - 1.0)
    np.testing.assert_allclose(model.decision_function(X), reference.predict(X))


def test_class_weight_is_sample_weight():
    X, Y = linear_data()
    y = Y.argmax(axis=1)
    a = DeepLinearClassifier(2, 0.05, class_weight={0: 3.0}).fit(X, y)
    b = DeepLinearClassifier(2, 0.05).fit(X, y, sample_weight=np.where(y == 0, 3.0, 1.0))
    np.testing.assert_allclose(a.effective_coef_, b.effective_coef_, atol=1e-8)


def test_log_loss_of_three_layers_is_refused():
    with pytest.raises(ValueError, match="layer_norm"):
        DeepLinearClassifier(3, loss="log_loss").fit([[0.0], [1.0]], [0, 1])
    model = DeepLinearClassifier(3, 0.01, loss="log_loss", penalty="layer_norm")
    assert model.fit([[0.0], [1.0], [3.0]], [0, 1, 1]).certificate_ == "exact"


# -------------------------------------------------------------------------------- cross-validation


@pytest.mark.parametrize("n_layers", [2, 3])
def test_the_path_is_the_fits_one_by_one(n_layers):
    X, Y = linear_data(n=40)
    alphas = [1.0, 0.1, 0.01]
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    model = DeepLinearRegressorCV(n_layers, alphas=alphas[::-1], cv=3).fit(X, Y, weights)
    np.testing.assert_array_equal(model.alphas_, alphas)
    for fold, (train, test) in enumerate(KFold(3).split(X)):
        for i, alpha in enumerate(alphas):
            one = DeepLinearRegressor(n_layers, alpha).fit(X[train], Y[train], weights[train])
            expected = one.score(X[test], Y[test], weights[test])
            assert model.score_path_[i, fold] == pytest.approx(expected, abs=1e-4)
            assert model.rank_path_[i, fold] == one.rank_
    assert model.alpha_ == alphas[np.argmax(model.score_path_.mean(axis=1))]
    assert model.best_score_ == model.score_path_.mean(axis=1).max()
    best = clone(DeepLinearRegressor(n_layers, model.alpha_)).fit(X, Y, weights)
    np.testing.assert_allclose(model.effective_coef_, best.effective_coef_)


def test_the_path_needs_no_grid():
    X, Y = linear_data(n=60, d=8, K=4)
    model = DeepLinearRegressorCV(alphas=20, eps=1e-3).fit(X, Y)
    assert model.alphas_[0] == pytest.approx(model.alpha_max_)
    assert model.alphas_[-1] == pytest.approx(1e-3 * model.alpha_max_)
    assert model.best_score_ > model.score_path_[0].mean() + 0.1


def test_groups_reach_the_splitter():
    X, Y = linear_data()
    with config_context(enable_metadata_routing=True):
        cv = GroupKFold(3).set_split_request(groups=True)
        model = DeepLinearRegressorCV(alphas=3, cv=cv).fit(X, Y, groups=np.arange(30) % 3)
    assert model.score_path_.shape == (3, 3)
    with pytest.raises(ValueError, match="groups"):
        DeepLinearRegressorCV(alphas=3).fit(X, Y, groups=np.arange(30) % 3)


@pytest.mark.parametrize("alphas", [[], [0.0, 1.0], [np.nan]])
def test_alphas_that_are_refused(alphas):
    with pytest.raises(ValueError, match="alphas"):
        DeepLinearRegressorCV(alphas=alphas).fit(*linear_data())


def test_scoring_selection_and_workers():
    X, Y = linear_data(n=60, d=8, K=4)
    settings = {"alphas": 10, "eps": 1e-3, "random_state": 0}
    model = DeepLinearRegressorCV(scoring="neg_mean_squared_error", **settings).fit(X, Y)
    assert np.all(model.score_path_ < 0)
    workers = clone(model).set_params(n_jobs=2).fit(X, Y)
    np.testing.assert_array_equal(workers.score_path_, model.score_path_)
    simple = clone(model).set_params(selection="one_standard_error").fit(X, Y)
    assert simple.alpha_ >= model.alpha_
    other = clone(model).set_params(random_state=1).fit(X, Y)
    assert np.any(other.score_path_ != model.score_path_)


def test_a_fold_without_weight_is_refused():
    X, Y = linear_data()
    with pytest.raises(ValueError, match="fold"):
        DeepLinearRegressorCV(alphas=3, cv=3).fit(X, Y, sample_weight=np.arange(30) < 10)


@pytest.mark.parametrize("size", [1e-200, 1e200])
@pytest.mark.parametrize("n_layers", [2, 3])
def test_targets_whose_squares_are_no_numbers_are_refused(size, n_layers):
    X = np.random.default_rng(0).standard_normal((20, 3))
    with pytest.raises(ValueError, match="scale y to a size"):
        DeepLinearRegressor(n_layers).fit(X, size * X)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e8])
@pytest.mark.parametrize("as_input", [np.asarray, sparse.csr_array])
def test_equal_rows_have_no_signal(value, as_input):
    """What rounding leaves of them made a problem of size 1e-32 that nothing could solve."""
    X, y = as_input(np.full((40, 3), value)), np.random.default_rng(0).standard_normal(40)
    for n_layers in (2, 3):
        model = DeepLinearRegressor(n_layers).fit(X, y)
        assert model.alpha_max_ == 0
        assert model.dual_gap_ <= 1e-12
        np.testing.assert_allclose(model.predict(X), y.mean(), rtol=1e-12)
