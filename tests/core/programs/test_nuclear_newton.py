"""Gated networks with the nuclear norm: conic references, optimality, metamorphic checks."""

import cvxpy as cp
import numpy as np
import pytest

from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.rows import Rows
from sklearn_convexnn.core.problem.solution import Status
from sklearn_convexnn.core.programs.free_groups import FreeGroups
from sklearn_convexnn.core.programs.gated_network import train_gated
from sklearn_convexnn.core.programs.group_newton import solve_groups
from sklearn_convexnn.core.programs.normal_equations import CurvatureRoot
from sklearn_convexnn.core.programs.nuclear_newton import solve_nuclear_groups
from sklearn_convexnn.core.programs.one_vs_all import BlockFactor


def make_problem(loss, intercept, *, n=25, d=3, n_outputs=3, n_gates=8, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    Y = rng.standard_normal((n, n_outputs)) + np.abs(X) @ rng.standard_normal((d, n_outputs))
    if loss == "log_loss":
        winner = Y.argmax(axis=1)
        winner[:n_outputs] = np.arange(n_outputs)
        Y = np.eye(n_outputs)[winner]
    weights = rng.uniform(0.5, 1.5, n)
    rows = Rows.of(X, Y, weights / weights.sum(), get_loss(loss, n_outputs), intercept=intercept)
    return rows, rng.standard_normal((rows.n_columns, n_gates))


def conic_value(rows, gates, alpha, solver, **settings):
    """The program written down once more, independently of the package."""
    A, (n, C) = rows.dense(), rows.Y.shape
    D = (A @ gates > 0) * 1.0
    V = [cp.Variable((A.shape[1], C)) for _ in range(D.shape[1])]
    b0 = cp.Variable((1, C)) if rows.intercept else np.zeros((1, C))
    Z = sum((D[:, [j]] * A) @ part for j, part in enumerate(V)) + np.ones((n, 1)) @ b0
    W = rows.weights[:, None] * np.ones((1, C))
    if rows.loss.quadratic:
        loss = 0.5 * cp.sum(cp.multiply(W, cp.square(Z - rows.Y)))
    else:
        loss = rows.weights @ cp.log_sum_exp(Z, axis=1) - cp.sum(cp.multiply(W * rows.Y, Z))
    objective = loss + alpha * sum(cp.normNuc(part) for part in V)
    return cp.Problem(cp.Minimize(objective)).solve(solver=solver, **settings)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_conic_twin(loss, intercept):
    """Two conic solvers find the same optimum."""
    rows, gates = make_problem(loss, intercept)
    alpha = 0.005
    solution = train_gated(rows, gates, alpha, tol=1e-9, penalty="nuclear")
    assert solution.status is Status.GAP
    assert_optimal(rows, solution.network, alpha, solution.certificate)
    value = conic_value(rows, gates, alpha, "CLARABEL")
    assert solution.certificate.primal == pytest.approx(value, rel=1e-6)
    value = conic_value(rows, gates, alpha, "SCS", eps=1e-6)
    assert solution.certificate.primal == pytest.approx(value, rel=1e-3)


def assert_optimal(rows, network, alpha, certificate, tol=1e-4):
    """``||C_j||_2 <= alpha`` and ``<C_j, V_j> = alpha ||V_j||_*`` for every gate."""
    A = rows.dense()
    Z = network.outputs(A)
    R = -rows.weights[:, None] * rows.loss.gradient(rows.Y, Z)
    D = A @ network.gates > 0
    prices = np.einsum("nj,np,nc->jpc", D, A, R)
    norms = np.linalg.norm(network.V, ord="nuc", axis=(1, 2))
    assert np.linalg.norm(prices, ord=2, axis=(1, 2)).max() <= alpha * (1 + tol)
    inner = np.einsum("jpc,jpc->j", prices, network.V)
    np.testing.assert_allclose(inner, alpha * norms, rtol=tol, atol=tol * alpha)
    value = rows.weights @ rows.loss.value(rows.Y, Z) + alpha * norms.sum()
    assert certificate.primal == pytest.approx(value, rel=1e-9)
    assert network.penalty() == pytest.approx(norms.sum(), rel=1e-9)
    if rows.intercept:
        np.testing.assert_allclose(R.sum(axis=0), 0, atol=1e-12)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_small_alpha(loss):
    """Nearly interpolating, more outputs than columns: still to a proven gap."""
    rows, gates = make_problem(loss, True, n=60, d=3, n_outputs=5, n_gates=20)
    solution = train_gated(rows, gates, 3e-4, tol=1e-6, penalty="nuclear")
    assert solution.status is Status.GAP
    assert solution.certificate.relative_gap <= 1e-6


def test_one_output_is_the_group_norm():
    rows, gates = make_problem("squared_error", True, n_outputs=1)
    D = rows.dense() @ gates > 0
    one = solve_nuclear_groups(rows, FreeGroups(rows.dense(), D), 0.01, tol=1e-10)
    two = solve_groups(rows, FreeGroups(rows.dense(), D), 0.01, tol=1e-10)
    assert one.certificate.primal == pytest.approx(two.certificate.primal, rel=1e-9)
    named = train_gated(rows, gates, 0.01, tol=1e-10, penalty="nuclear")
    assert named.certificate.primal == pytest.approx(two.certificate.primal, rel=1e-9)


def test_never_above_one_vs_all():
    """Neurons that feed all outputs are cheaper; the norm of a column is a nuclear norm."""
    rows, gates = make_problem("log_loss", True)
    shared = train_gated(rows, gates, 0.01, tol=1e-8, penalty="nuclear")
    single = train_gated(rows, gates, 0.01, tol=1e-8)
    assert shared.certificate.primal < single.certificate.dual


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_metamorphic(loss):
    """Rotated targets, scaled rows, repeated rows: the same optimum."""
    rows, gates = make_problem(loss, False)
    n = rows.n_rows

    def value(X, Y, weights, alpha, gates=gates):
        other = Rows.of(X, Y, weights / weights.sum(), rows.loss, intercept=False)
        return train_gated(other, gates, alpha, tol=1e-9, penalty="nuclear").certificate.primal

    counts = np.arange(n) % 3 + 1.0
    expected = value(rows.X, rows.Y, counts, 0.01)
    index = np.repeat(np.arange(n), counts.astype(int))
    assert value(rows.X[index], rows.Y[index], np.ones(len(index)), 0.01) == pytest.approx(expected)
    assert value(10 * rows.X, rows.Y, counts, 0.1) == pytest.approx(expected)
    order = np.random.default_rng(0).permutation(n)
    swapped = rows.Y[order][:, ::-1]
    assert value(rows.X[order], swapped, counts[order], 0.01) == pytest.approx(expected)
    if loss == "squared_error":
        turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
        assert value(rows.X, rows.Y @ turn, counts, 0.01) == pytest.approx(expected)


@pytest.mark.parametrize("solver", ["clarabel", "scs"])
def test_solvers(solver):
    rows, gates = make_problem("squared_error", True, n_gates=4)
    expected = train_gated(rows, gates, 0.02, tol=1e-9, penalty="nuclear").certificate
    twin = train_gated(rows, gates, 0.02, solver=solver, penalty="nuclear").certificate
    assert twin.primal == pytest.approx(expected.primal, rel=1e-5)
    assert expected.dual <= twin.primal * (1 + 1e-9)
    assert twin.relative_gap <= 1e-3


def test_ecos_has_no_semidefinite_cone():
    rows, gates = make_problem("squared_error", True)
    with pytest.raises(ValueError, match="semidefinite"):
        train_gated(rows, gates, 0.02, solver="ecos", penalty="nuclear")


def test_largest_alpha():
    """The network is empty from the largest singular value at the constant on."""
    rows, gates = make_problem("log_loss", True)
    A = rows.dense()
    Z = np.broadcast_to(rows.loss.constant(rows.Y, rows.weights), rows.Y.shape)
    R = -rows.weights[:, None] * rows.loss.gradient(rows.Y, Z)
    prices = np.einsum("nj,np,nc->jpc", A @ gates > 0, A, R)
    largest = np.linalg.norm(prices, ord=2, axis=(1, 2)).max()
    assert len(train_gated(rows, gates, 1.001 * largest, penalty="nuclear").network.V) == 0
    below = train_gated(rows, gates, 0.99 * largest, penalty="nuclear").network
    assert len(below.V) >= 1
    assert np.linalg.matrix_rank(below.V[0], tol=1e-6) == 1


def test_to_relu():
    """Neurons with vector outputs: the same outputs on the rows of training."""
    rows, gates = make_problem("squared_error", True)
    network = train_gated(rows, gates, 0.02, tol=1e-8, penalty="nuclear").network
    A = rows.dense()
    relu, price = network.to_relu(A)
    Z = np.maximum(A @ relu.U.T, 0) @ relu.C + relu.b0
    np.testing.assert_allclose(Z, network.outputs(A), atol=1e-7)
    assert price >= 1


def test_a_conic_solver_that_stops_early_says_so():
    rows, gates = make_problem("squared_error", True)
    settings = {"penalty": "nuclear", "solver": "clarabel", "tol": 1e-15}
    assert train_gated(rows, gates, 0.05, max_iter=100, **settings).status is Status.INACCURATE
    assert train_gated(rows, gates, 0.05, max_iter=8, **settings).status is Status.MAX_ITER


def test_roots_of_one_vs_all_groups():
    """``W^T F F^T W`` of the columns of every output, with and without curvature across outputs."""
    rng = np.random.default_rng(0)
    for loss in ("squared_error", "log_loss"):
        rows, _ = make_problem(loss, True)
        n, C = rows.Y.shape
        root = CurvatureRoot(rows, rng.standard_normal((n, C)))
        blocks = [rng.standard_normal((n, k)) for k in (2, 1, 3)]
        columns = np.zeros((n, C, 6))
        for c, (start, block) in enumerate(zip((0, 2, 3), blocks, strict=True)):
            columns[:, c, start : start + block.shape[1]] = block
        scaled = root.down(columns).reshape(n * C, 6)
        np.testing.assert_allclose(BlockFactor(blocks).gram(root), scaled.T @ scaled, atol=1e-13)
