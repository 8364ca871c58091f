"""The programs over given patterns: optimality, references, conic twins, metamorphic checks."""

import sys

import numpy as np
import pytest
from scipy.optimize import nnls

from sklearn_convexnn.core.patterns.cones import ConeGroups, ConeProjections
from sklearn_convexnn.core.problem.losses import Hinge, get_loss
from sklearn_convexnn.core.problem.rows import Rows
from sklearn_convexnn.core.programs import group_newton, normal_equations
from sklearn_convexnn.core.programs.conic import solve_conic
from sklearn_convexnn.core.programs.free_groups import FreeGroups
from sklearn_convexnn.core.programs.group_newton import solve_groups
from sklearn_convexnn.core.programs.normal_equations import _bounded, _cholesky, bounded_newton
from tests.certificates import assert_program_optimal
from tests.problems import TOY_X, TOY_Y, ZOO, patterns, sine_data

GROUPS = {"gated": FreeGroups, "cones": ConeGroups}


def random_program(kind, loss, intercept, *, n=30, d=3, n_gates=12, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    y = np.abs(X[:, 0]) - 0.5 * X[:, 1] + 0.3 * rng.standard_normal(n)
    Y = y[:, None] if loss == "squared_error" else (y[:, None] > 0.5) * 1.0
    weights = rng.uniform(0.5, 1.5, n)
    rows = Rows.of(X, Y, weights / weights.sum(), get_loss(loss, 1), intercept=intercept)
    A = rows.dense()
    D = A @ rng.standard_normal((A.shape[1], n_gates)) >= 0
    return rows, GROUPS[kind](A, D)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
@pytest.mark.parametrize("kind", GROUPS)
def test_twin(kind, loss, intercept):
    """A conic solver finds the same optimum."""
    for alpha in (0.1, 0.01, 0.0005):
        rows, groups = random_program(kind, loss, intercept)
        solution = solve_groups(rows, groups, alpha, tol=1e-8)
        assert solution.converged
        assert_program_optimal(rows, groups, alpha, solution, 1e-8)
        twin = solve_conic(rows, groups, alpha, tol=1e-9)
        assert solution.certificate.primal == pytest.approx(twin.certificate.primal, rel=1e-6)
        np.testing.assert_allclose(solution.Z, twin.Z, atol=2e-3)
        # Each proves the other.
        assert solution.certificate.dual <= twin.certificate.primal * (1 + 1e-7)
        assert twin.certificate.dual <= solution.certificate.primal * (1 + 1e-9)
        assert twin.certificate.relative_gap <= 1e-2


@pytest.mark.parametrize("solver", ["clarabel", "ecos", "scs"])
@pytest.mark.parametrize("kind", GROUPS)
def test_solvers_agree(kind, solver):
    if solver == "ecos":
        pytest.importorskip("ecos")
    rows, groups = random_program(kind, "squared_error", True, n=20, n_gates=5)
    expected = solve_groups(rows, groups, 0.02, tol=1e-9).certificate.primal
    twin = solve_conic(rows, groups, 0.02, solver=solver, tol=1e-8)
    assert twin.certificate.primal == pytest.approx(expected, rel=1e-5)
    assert twin.certificate.relative_gap <= 1e-3


# ---------------------------------------------------------------------------------- known optima


@pytest.mark.parametrize(
    "beta, gated",
    [(0.001, 0.003576109), (0.01, 0.035617088), (0.1, 0.341770876), (0.5, 1.388854382)],
)
def test_gated_reference_toy(beta, gated):
    rows = Rows.of(TOY_X, TOY_Y, np.full(5, 0.2), get_loss("squared_error", 1), intercept=False)
    groups = FreeGroups(TOY_X, patterns(TOY_X).T)
    solution = solve_groups(rows, groups, beta / 5, tol=1e-10)
    assert 5 * solution.certificate.primal == pytest.approx(gated, abs=2e-9)


@pytest.mark.parametrize(
    "shape, gated",
    [
        ((6, 2), 0.357275006),
        ((8, 2), 0.534676191),
        ((8, 3), 0.322290429),
        ((4, 6), 0.090599926),
    ],
)
def test_gated_reference_sine(shape, gated):
    X, Y = sine_data(*shape)
    n = len(X)
    rows = Rows.of(X, Y, np.full(n, 1 / n), get_loss("squared_error", 1), intercept=False)
    solution = solve_groups(rows, FreeGroups(X, patterns(X).T), 0.1 / n, tol=1e-10)
    assert n * solution.certificate.primal == pytest.approx(gated, abs=2e-9)


@pytest.mark.parametrize("known", [k for k in ZOO if k.Y.shape[1] == 1], ids=repr)
def test_all_patterns_give_the_optimum(known):
    """With every pattern the cones are the whole problem (P); without them it is a lower bound."""
    rows, D = known.rows(), patterns(known.A).T
    if D.shape[1] > 400:
        D = D[:, :: D.shape[1] // 400]  # then a restriction
    solution = solve_groups(rows, ConeGroups(known.A, D), known.alpha, tol=1e-8)
    assert solution.converged
    optimum = known.optimum()
    if D.shape[1] == len(patterns(known.A)):
        assert solution.certificate.primal == pytest.approx(optimum, rel=1e-6)
    assert solution.certificate.primal >= optimum * (1 - 1e-6)
    gated = solve_groups(rows, FreeGroups(known.A, D), known.alpha, tol=1e-6)
    assert gated.converged
    assert gated.certificate.dual <= solution.certificate.primal * (1 + 1e-12)


# ------------------------------------------------------------------------------------ metamorphic


@pytest.mark.parametrize("kind", GROUPS)
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_weights_are_repetitions(kind, loss):
    rows, groups = random_program(kind, loss, True)
    counts = np.arange(rows.n_rows) % 3 + 1
    index = np.repeat(np.arange(rows.n_rows), counts)
    weighted = Rows.of(rows.X, rows.Y, counts / counts.sum(), rows.loss, intercept=True)
    repeated = Rows.of(
        rows.X[index], rows.Y[index], np.full(len(index), 1 / len(index)), rows.loss, intercept=True
    )
    D = groups.D.astype(bool)
    one = solve_groups(weighted, groups, 0.01, tol=1e-9)
    two = solve_groups(repeated, GROUPS[kind](groups.X[index], D[index]), 0.01, tol=1e-9)
    assert one.certificate.primal == pytest.approx(two.certificate.primal, rel=1e-8)
    np.testing.assert_allclose(one.Z[index], two.Z, atol=1e-4)


@pytest.mark.parametrize("kind", GROUPS)
def test_largest_alpha(kind):
    """The network is empty exactly from the largest price of the constant network on."""
    rows, groups = random_program(kind, "squared_error", True)
    constant = rows.weights * (rows.Y[:, 0] - rows.weights @ rows.Y[:, 0])
    largest = groups.screen(constant, 0.0)[0].max()
    assert len(solve_groups(rows, groups, 1.0001 * largest, tol=1e-10).index) == 0
    below = solve_groups(rows, groups, 0.999 * largest, tol=1e-10)
    assert len(below.index) == 1


@pytest.mark.parametrize("kind", GROUPS)
def test_start_and_budget(kind):
    rows, groups = random_program(kind, "squared_error", True)
    solution = solve_groups(rows, groups, 0.001, tol=1e-9)
    again = solve_groups(rows, groups, 0.001, tol=1e-8, sizes=solution.sizes)
    assert again.n_iter <= 1
    short = solve_groups(rows, groups, 0.001, tol=1e-9, max_iter=1)
    assert not short.converged
    # Every iterate carries a valid certificate.
    assert short.certificate.dual <= solution.certificate.primal
    assert short.certificate.primal >= solution.certificate.dual


@pytest.mark.parametrize("kind", GROUPS)
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_tiny_alpha(kind, loss):
    """Down to a millionth of the largest alpha, where cones have many kinks and groups abound."""
    for seed in range(2):
        rows, groups = random_program(kind, loss, seed % 2 == 0, n=18, d=4, n_gates=12, seed=seed)
        constant = solve_groups(rows, groups, 1e3).certificate.kappa
        for share in (1e-3, 1e-6):
            solution = solve_groups(rows, groups, share * constant, tol=1e-6)
            assert solution.converged
            assert_program_optimal(rows, groups, share * constant, solution, 1e-6)


def test_both_forms_of_the_normal_matrix():
    """k x k where the free coordinates are few, n x n where they are many: the same optimum."""
    for n in (20, 400):
        rows, groups = random_program("gated", "squared_error", True, n=n, n_gates=6)
        solution = solve_groups(rows, groups, 0.01, tol=1e-10)
        assert_program_optimal(rows, groups, 0.01, solution, 1e-10)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_conjugate_gradients(monkeypatch, loss, intercept):
    """The form for many rows, forced on a few, finds the same optimum."""
    rows, groups = random_program("gated", loss, intercept, n=300, n_gates=30)
    expected = solve_groups(rows, groups, 0.003, tol=1e-9)
    monkeypatch.setattr(normal_equations, "LARGEST_FACTOR", 100)
    monkeypatch.setattr(group_newton, "LARGEST_FACTOR", 100)
    monkeypatch.setattr(normal_equations, "FEW_COORDINATES", 0)
    monkeypatch.setattr(group_newton, "_SAMPLE", 90)
    solution = solve_groups(rows, groups, 0.003, tol=1e-5)
    assert solution.converged
    assert_program_optimal(rows, groups, 0.003, solution, 1e-5)
    assert solution.certificate.primal == pytest.approx(expected.certificate.primal, rel=1e-5)


@pytest.mark.parametrize("rare", [False, True])
def test_conjugate_gradients_for_classes(monkeypatch, rare):
    """Three classes; with a rare one the sample of the rows does not know them all."""
    rng = np.random.default_rng(0)
    X, weights = rng.standard_normal((200, 3)), rng.uniform(0.5, 1.5, 200)
    winner = (X[:, 0] > 0).astype(int) + (np.abs(X[:, 1]) > 0.7)
    if rare:
        winner = np.minimum(winner, 1)
        winner[5] = 2
    rows = Rows.of(
        X, np.eye(3)[winner], weights / weights.sum(), get_loss("log_loss", 3), intercept=True
    )
    A = rows.dense()
    groups = FreeGroups(A, A @ rng.standard_normal((4, 20)) > 0)
    expected = solve_groups(rows, groups, 0.003, tol=1e-9)
    monkeypatch.setattr(normal_equations, "LARGEST_FACTOR", 100)
    monkeypatch.setattr(group_newton, "LARGEST_FACTOR", 100)
    monkeypatch.setattr(normal_equations, "FEW_COORDINATES", 0)
    monkeypatch.setattr(group_newton, "_SAMPLE", 90)
    solution = solve_groups(rows, groups, 0.003, tol=1e-5)
    assert solution.converged
    assert_program_optimal(rows, groups, 0.003, solution, 1e-5)
    assert solution.certificate.primal == pytest.approx(expected.certificate.primal, rel=1e-5)


# --------------------------------------------------------------------------------------- its parts


def test_projections_on_cones():
    """Moreau's decomposition: v in K, v - w in the polar cone, both orthogonal; cold and warm."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 5))
    X[7], X[8], X[9] = 0.0, X[0], -2 * X[1]  # no wall, the same wall twice, an opposite row
    D = X @ rng.standard_normal((5, 9)) >= 0
    cones = ConeProjections(X, D, np.arange(9))
    which = np.arange(9)
    for scale in (1.0, 1e-6, 1e6):
        W = scale * rng.standard_normal((9, 5))
        V = cones.project(W, which)
        slack = (2 * D - 1) * (X @ V.T)
        assert slack.min() >= -1e-9 * scale
        np.testing.assert_allclose(np.einsum("ij,ij->i", V, V - W), 0, atol=1e-10 * scale**2)
        assert cones.multipliers.min() >= 0
        # v - w is a non-negative combination of the normals of walls.
        for j in which:
            normals = (X * (2 * D[:, j : j + 1] - 1)).T
            assert nnls(normals, (V[j] - W[j]) / scale)[1] <= 1e-8


def test_projections_stop_early_with_a_bound():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((80, 6))
    D = X @ rng.standard_normal((6, 30)) >= 0
    W, which = rng.standard_normal((30, 6)), np.arange(30)
    exact = np.linalg.norm(ConeProjections(X, D, which).project(W, which), axis=1)
    enough = np.median(exact)
    loose = np.linalg.norm(ConeProjections(X, D, which).project(W, which, enough=enough), axis=1)
    assert np.all(loose >= exact - 1e-12)
    assert np.all((loose < enough) == (exact < enough))
    np.testing.assert_allclose(loose[exact >= enough], exact[exact >= enough], rtol=1e-10)


def test_bounded_newton():
    rng = np.random.default_rng(0)
    for _ in range(50):
        A = rng.standard_normal((12, 8))
        H, b, e = A.T @ A, 5 * rng.standard_normal(8), rng.uniform(0, 1, 8)
        d = bounded_newton(H, b, e)
        slope = H @ d - b
        assert np.all(d >= -e)
        assert np.all(slope >= -1e-7)
        assert np.abs(slope[d > -e]).max(initial=0) <= 1e-7


@pytest.mark.parametrize("n_free", [0, 2])
def test_bounded_newton_without_an_exchange_of_bounds(n_free):
    """What is left where the exchange cycles: non-negative least squares, free sizes eliminated."""
    rng, exchanged = np.random.default_rng(3), 0
    for _ in range(10):
        H = np.cov(rng.standard_normal((6, 12)))
        b, e = 5 * rng.standard_normal(6), rng.uniform(0.0, 0.3, 6)
        e[:n_free] = np.inf
        expected = _bounded(H, b, e)
        exchanged += np.any(expected == -e)
        np.testing.assert_allclose(_bounded(H, b, e, max_sweeps=1), expected, atol=1e-9)
    assert exchanged >= 5  # or the first system would have been the last


@pytest.mark.parametrize("diagonal", [[1.0, -1e-16, 1e-16], [-1e-16, -1e-18, 0.0], [0.0] * 3])
def test_bounded_newton_where_the_curvature_is_rounding(diagonal):
    d = bounded_newton(np.diag(diagonal), np.array([1.0, 0.5, -1.0]), np.full(3, 0.1))
    assert np.isfinite(d).all()
    assert np.all(d >= -0.1)


def test_cholesky_where_everything_was_cancelled():
    factor, _ = _cholesky(np.array([[-1e-17]]), 1.0)
    assert 0 < factor[0, 0] <= 1e-6
    K = np.array([[4.0, 2.0], [2.0, 3.0]])
    np.testing.assert_allclose(np.triu(_cholesky(K, 4.0)[0]), np.linalg.cholesky(K).T)
    with pytest.raises(np.linalg.LinAlgError):
        _cholesky(-K, 1.0)


# ----------------------------------------------------------------------------------- conic solvers


def test_hinge():
    """Optimal for hinge: no gradient, but a dual variable that proves it."""
    beta, total = 0.1, 1.012899020
    rows = Rows.of(TOY_X, (TOY_Y + 1) / 2, np.full(5, 0.2), Hinge(), intercept=False)
    solution = solve_conic(rows, ConeGroups(TOY_X, patterns(TOY_X).T), beta / 5, tol=1e-10)
    assert 5 * solution.certificate.primal == pytest.approx(total, rel=1e-6)
    assert solution.certificate.relative_gap <= 1e-6


@pytest.mark.parametrize("kind", GROUPS)
def test_hinge_with_intercept(kind):
    rows, groups = random_program(kind, "log_loss", True)
    rows = Rows.of(rows.X, rows.Y, rows.weights, Hinge(), intercept=True)
    for solver in ("clarabel", "scs"):
        solution = solve_conic(rows, groups, 0.02, solver=solver, tol=1e-9)
        assert -1e-9 <= solution.certificate.primal - solution.certificate.dual <= 1e-5


def test_hinge_dual():
    """Fenchel-Young, with equality at a subgradient."""
    rng = np.random.default_rng(0)
    Y, Z, loss = rng.integers(0, 2, (50, 1)) * 1.0, 2 * rng.standard_normal((50, 1)), Hinge()
    rho = (2 * Y - 1) * rng.uniform(0, 1, (50, 1))
    gap = loss.value(Y, Z) - loss.dual(Y, rho) + (rho * Z)[:, 0]
    assert gap.min() >= -1e-12
    rho = -loss.gradient(Y, Z)
    np.testing.assert_allclose(
        loss.value(Y, Z) - loss.dual(Y, rho) + (rho * Z)[:, 0], 0, atol=1e-12
    )
    assert np.all(loss.dual(Y, -(2 * Y - 1)) == -np.inf)


def test_messages(monkeypatch):
    rows, groups = random_program("gated", "squared_error", True)
    with pytest.raises(ValueError, match="is not one of"):
        solve_conic(rows, groups, 0.1, solver="simplex")
    monkeypatch.setitem(sys.modules, "ecos", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"sklearn_convexnn\[ecos\]"):
        solve_conic(rows, groups, 0.1, solver="ecos")
