"""ReLU networks on given patterns: the zoo with all patterns, several outputs, conic solvers."""

import numpy as np
import pytest

from sklearn_convexnn.core.patterns.enumeration import enumerate_patterns, sample
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.rows import Rows
from sklearn_convexnn.core.problem.solution import Status
from sklearn_convexnn.core.programs.solve import train_relu
from tests.certificates import assert_optimal
from tests.problems import ENUMERATED, TABLES

SCALAR = [known for known in [*ENUMERATED, *TABLES[:10]] if known.Y.shape[1] == 1]


@pytest.mark.parametrize("known", SCALAR, ids=repr)
def test_all_patterns(known):
    """The network satisfies every condition for a global optimum of (P)."""
    solution = train_relu(known.rows(), enumerate_patterns(known.A), known.alpha, tol=1e-9)
    assert solution.status is Status.GAP
    network = solution.network
    value = known.objective(network.U, network.C, network.b0)
    assert value == pytest.approx(solution.certificate.primal, rel=1e-8)
    assert value == pytest.approx(known.optimum(), rel=1e-6)
    assert_optimal(known, network.merged(1e-12), tol=1e-4)


@pytest.mark.parametrize("solver", ["newton", "clarabel"])
def test_several_outputs(solver):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((30, 2)), rng.standard_normal((30, 3))
    rows = Rows.of(X, Y, np.full(30, 1 / 30), get_loss("squared_error", 3), intercept=True)
    patterns = sample(rows.dense(), 10, rng)
    solution = train_relu(rows, patterns, 0.02, tol=1e-8, solver=solver)
    network = solution.network
    Z = np.maximum(rows.dense() @ network.U.T, 0) @ network.C + network.b0
    value = rows.weights @ rows.loss.value(Y, Z) + 0.02 * network.penalty()
    assert value == pytest.approx(solution.certificate.primal, rel=1e-5)
    assert np.all((network.C != 0).sum(axis=1) == 1)
    assert solution.certificate.relative_gap <= 1e-5


def test_more_patterns_are_no_worse():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 3))
    rows = Rows.of(
        X, np.abs(X[:, :1]), np.full(40, 1 / 40), get_loss("squared_error", 1), intercept=False
    )
    values = [
        train_relu(rows, sample(X, count, np.random.default_rng(1)), 0.01).certificate.primal
        for count in (2, 8, 32)
    ]
    assert values[0] * (1 + 1e-6) >= values[1] >= values[2] * (1 - 1e-6)


@pytest.mark.parametrize("alpha", [0.02, 0.002])
@pytest.mark.parametrize("intercept", [False, True])
def test_classes(intercept, alpha):
    """Multinomial log-loss with unequal weights: the outputs meet; a conic solver agrees."""
    rng = np.random.default_rng(0)
    X, weights = rng.standard_normal((30, 2)), rng.uniform(0.5, 1.5, 30)
    Y = np.eye(3)[(X[:, 0] > 0).astype(int) + (np.abs(X[:, 1]) > 0.7)]
    loss = get_loss("log_loss", 3)
    rows = Rows.of(X, Y, weights / weights.sum(), loss, intercept=intercept)
    patterns = sample(rows.dense(), 8, rng)
    solution = train_relu(rows, patterns, alpha, tol=1e-9)
    network = solution.network
    assert solution.status is Status.GAP
    Z = np.maximum(rows.dense() @ network.U.T, 0) @ network.C + network.b0
    value = rows.weights @ loss.value(Y, Z) + alpha * network.penalty()
    assert value == pytest.approx(solution.certificate.primal, rel=1e-9)
    twin = train_relu(rows, patterns, alpha, solver="clarabel")
    assert value == pytest.approx(twin.certificate.primal, rel=1e-6)
    assert twin.certificate.dual <= value * (1 + 1e-9)
