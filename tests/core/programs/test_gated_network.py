"""Gated networks: training by the Newton solver and by conic ones, outputs, cone decomposition."""

import numpy as np
import pytest

from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.rows import Rows
from sklearn_convexnn.core.problem.solution import Status
from sklearn_convexnn.core.programs.gated_network import decompose, train_gated


def make_gated(n_outputs=1, intercept=True, loss="squared_error", n=40, d=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    Y = np.abs(X[:, :1]) + 0.3 * rng.standard_normal((n, n_outputs))
    if loss == "log_loss":
        Y = (Y > 0.7) * 1.0
    rows = Rows.of(X, Y, np.full(n, 1 / n), get_loss(loss, n_outputs), intercept=intercept)
    return rows, rng.standard_normal((d + intercept, 20))


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_objective_and_outputs(n_outputs):
    rows, gates = make_gated(n_outputs)
    solution = train_gated(rows, gates, 0.01, tol=1e-8)
    network, A = solution.network, rows.dense()
    assert solution.status is Status.GAP
    Z = np.stack([(((a @ network.gates > 0) * (a @ network.V.T)).sum(1)) for a in A])
    Z = Z + network.b0
    np.testing.assert_allclose(network.outputs(A), Z, atol=1e-12)
    value = rows.weights @ rows.loss.value(rows.Y, Z) + 0.01 * network.penalty()
    assert solution.certificate.primal == pytest.approx(value, rel=1e-10)
    assert solution.certificate.relative_gap <= 1e-7
    assert solution.certificate.kind == "exact"


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_solvers(loss):
    rows, gates = make_gated(loss=loss)
    newton = train_gated(rows, gates, 0.02, tol=1e-8)
    clarabel = train_gated(rows, gates, 0.02, solver="clarabel", max_iter=None)
    assert newton.certificate.primal == pytest.approx(clarabel.certificate.primal, rel=1e-6)


def test_outputs_are_separate():
    rows, gates = make_gated(3)
    together = train_gated(rows, gates, 0.01, tol=1e-9).certificate.primal
    alone = 0.0
    for c in range(3):
        one = Rows.of(rows.X, rows.Y[:, [c]], rows.weights, rows.loss, intercept=True)
        alone += train_gated(one, gates, 0.01, tol=1e-9).certificate.primal
    assert together == pytest.approx(alone, rel=1e-12)


def test_equal_gates_are_used_once():
    rows, gates = make_gated()
    one = train_gated(rows, gates, 0.01, tol=1e-9)
    two = train_gated(rows, np.hstack([gates, 2 * gates, -1e-30 * gates[:, :1]]), 0.01, tol=1e-9)
    assert one.network.gates.shape[1] <= 20
    assert two.certificate.primal <= one.certificate.primal * (1 + 1e-9)
    again = train_gated(rows, np.hstack([gates, 2 * gates]), 0.01, tol=1e-9)
    np.testing.assert_array_equal(again.network.gates, one.network.gates)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_to_relu(n_outputs):
    """The same outputs on the rows of training, at a price of at least 1; an upper bound of (P)."""
    rows, gates = make_gated(n_outputs)
    solution = train_gated(rows, gates, 0.01, tol=1e-8)
    network, A = solution.network, rows.dense()
    relu, price = network.to_relu(A)
    Z = np.maximum(A @ relu.U.T, 0) @ relu.C + relu.b0
    np.testing.assert_allclose(Z, network.outputs(A), atol=1e-7)
    assert price == pytest.approx(relu.penalty() / network.penalty())
    assert price >= 1


def test_decomposition_is_least():
    """Feasible, and no pair in the cone is shorter: against a conic solver."""
    cp = pytest.importorskip("cvxpy")
    rng = np.random.default_rng(0)
    A, g = rng.standard_normal((12, 4)), rng.standard_normal(4)
    active, S = A @ g > 0, np.where(A @ g > 0, 1.0, -1.0)
    for _ in range(5):
        v = rng.standard_normal(4)
        a, b = decompose(A, active, v)
        np.testing.assert_allclose(a - b, v, atol=1e-10)
        assert min((S * (A @ a)).min(), (S * (A @ b)).min()) >= -1e-9
        x = cp.Variable(4)
        constraints = [cp.multiply(S, A @ x) >= 0, cp.multiply(S, A @ (x - v)) >= 0]
        least = cp.Problem(cp.Minimize(cp.sum_squares(x) + cp.sum_squares(x - v)), constraints)
        assert a @ a + b @ b == pytest.approx(least.solve(solver=cp.CLARABEL), rel=1e-6)


def test_a_vector_of_the_cone_costs_nothing():
    rng = np.random.default_rng(0)
    A, v = rng.standard_normal((12, 4)), rng.standard_normal(4)
    a, b = decompose(A, A @ v > 0, v)
    np.testing.assert_allclose(a, v, atol=1e-9)
    np.testing.assert_allclose(b, 0, atol=1e-9)


def test_no_interior():
    A = np.array([[1.0, 0], [-1, 0]])
    with pytest.raises(ValueError, match="no interior"):
        decompose(A, np.array([True, True]), np.array([1.0, 0]))


def test_messages():
    rows, gates = make_gated()
    with pytest.raises(ValueError, match="one row per column"):
        train_gated(rows, gates[:-1], 0.01)


def test_what_no_row_sees_is_not_split():
    v = np.array([0.0, 2.0])
    a, b = decompose(np.array([[1.0, 0.0]]), np.array([True]), v)
    np.testing.assert_array_equal(a, v)
    np.testing.assert_array_equal(b, 0.0)
