"""The program of a network's patterns: monotone, and its fixed points are optimal."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklearn_convexnn import ConvexReLUClassifier, ConvexReLURegressor
from sklearn_convexnn.core.pricing.enumeration import price_by_enumeration
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.problem.units import make_problem
from sklearn_convexnn.core.programs.neuron_program import NeuronProgram
from sklearn_convexnn.inspection import optimality_report


def small_problem(seed=0, n=30, d=2, loss="squared_error"):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    y = np.sin(2 * X[:, 0]) + 0.3 * rng.standard_normal(n)
    Y = (y > 0).astype(float) if loss == "log_loss" else y
    problem = make_problem(X, Y[:, None], np.full(n, 1 / n), loss=loss, intercept=True)
    return problem.rows, rng


def random_network(rows, rng, m=8):
    U = rng.standard_normal((m, rows.n_columns))
    U /= np.linalg.norm(U, axis=1, keepdims=True)
    return Network(U, 0.1 * rng.standard_normal((m, 1)), np.zeros(1))


def objective(rows, network, alpha):
    Z = rows.outputs(network.U, network.C, network.b0)
    return rows.weights @ rows.loss.value(rows.Y, Z) + alpha * network.penalty()


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
@pytest.mark.parametrize("seed", range(5))
def test_turns_lower_the_objective(seed, loss):
    rows, rng = small_problem(seed, loss=loss)
    network, alpha = random_network(rows, rng), 1e-3
    Z = rows.outputs(network.U, network.C, network.b0)
    program, before = NeuronProgram.of(rows, network, Z), objective(rows, network, alpha)
    for _ in range(4):
        network, program = program.solved(rows, alpha, 1e-9)
        after = objective(rows, network, alpha)
        assert after <= before * (1 + 1e-8)
        before = after


def test_patterns_of_one_kind_are_one():
    rows, rng = small_problem()
    network = random_network(rows, rng)
    twice = network.extended(network.U, network.C)
    Z = rows.outputs(twice.U, twice.C, twice.b0)
    program = NeuronProgram.of(rows, twice, Z)
    assert program.D.shape[1] == network.n_neurons
    np.testing.assert_allclose(program.sizes, 2 * network.sizes)


def test_new_patterns_begin_without_size():
    rows, rng = small_problem()
    network = random_network(rows, rng)
    program = NeuronProgram.of(rows, network, rows.outputs(network.U, network.C, network.b0))
    more = program.extended(rows, random_network(rows, rng).U, np.ones(8))
    assert more.D.shape[1] > program.D.shape[1]
    assert more.sizes.sum() == pytest.approx(program.sizes.sum())
    assert len(more.walls.used) == len(more.sizes) == len(more.sign)


def kappa_of(estimator, X, y):
    """The largest dual constraint of a fit over alpha, by enumeration of all patterns."""
    Z = estimator.predict(X) if hasattr(estimator, "predict") else None
    A = np.column_stack([X, np.ones(len(X))])
    r = (y - Z)[:, None] / len(X)
    return price_by_enumeration(A, r - r.mean()) / estimator.alpha_


@pytest.mark.parametrize("seed", range(4))
def test_gap_of_small_fits_is_true_to_the_last_digits(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((40, 2))
    y = np.sin(2 * X[:, 0]) * X[:, 1] + 0.3 * rng.standard_normal(40)
    model = ConvexReLURegressor(alpha=2e-3, gap_tol=1e-8, random_state=seed).fit(X, y)
    assert model.status_ == "gap"
    assert model.dual_gap_ <= 1e-8
    # To first order the gap is alpha times the penalty times the violation.
    assert kappa_of(model, X, y) <= 1 + 1e-6


def test_fits_agree_whatever_the_seed():
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X[:100, 2:5])
    y = (y[:100] - y[:100].mean()) / y[:100].std()
    values = [
        ConvexReLURegressor(alpha=0.02, gap_tol=1e-6, random_state=seed).fit(X, y).objective_
        for seed in range(2)
    ]
    assert np.ptp(values) <= 2e-6 * values[0]


@pytest.fixture(scope="module")
def few_columns():
    X, y = load_breast_cancer(return_X_y=True)
    return PCA(3).fit_transform(StandardScaler().fit_transform(X)), y


@pytest.fixture(scope="module")
def proven_regressor(few_columns):
    return ConvexReLURegressor(alpha=1e-2, gap_tol=1e-5, random_state=0).fit(*few_columns)


def assert_proven(model, X, y, gap_tol):
    assert model.certificate_ == "proven"
    assert model.dual_gap_ <= gap_tol
    report = optimality_report(model, X, y, tol=1e-4)
    assert report.relative_gap <= 2e-4


def test_few_columns_give_a_proven_gap(proven_regressor, few_columns):
    assert_proven(proven_regressor, *few_columns, 1e-5)


@pytest.mark.slow
def test_few_columns_give_a_proven_gap_of_classification(few_columns):
    model = ConvexReLUClassifier(alpha=1e-2, gap_tol=1e-4, random_state=0).fit(*few_columns)
    assert_proven(model, *few_columns, 1e-4)


def test_neurons_are_needed(proven_regressor, few_columns):
    H = proven_regressor.hidden_activations(few_columns[0])
    singular = np.linalg.svd(H / np.linalg.norm(H, axis=0), compute_uv=False)
    assert singular[-1] > 1e-10
    assert proven_regressor.n_neurons_ < 40


def test_the_optimum_of_breast_cancer():
    """Best objective known: 0.0935303. L-BFGS with 500 neurons ends at 0.09363."""
    X, y = load_breast_cancer(return_X_y=True)
    X, _, y, _ = train_test_split(X, y, test_size=0.2, random_state=0, stratify=y)
    X = X - X.mean(axis=0)
    X /= np.linalg.norm(X, axis=0)
    model = ConvexReLURegressor(1e-3, fit_intercept=False, gap_tol=5e-3, random_state=0)
    model.fit(X, 2.0 * y - 1.0)
    assert 0.09353 < model.objective_ < 0.09358
    assert model.n_neurons_ <= 60
    assert model.objective_ - model.dual_gap_abs_ <= 0.0935303
