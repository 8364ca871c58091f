"""Choice of patterns and alpha, and what the certificates of programs over patterns say."""

import numpy as np
import pytest
from scipy import sparse

from sklearn_convexnn.core.fit import given_patterns as pattern_training
from sklearn_convexnn.core.fit.given_patterns import (
    GATED_PATTERNS,
    PatternProgram,
    PatternSettings,
    choose_patterns,
    constant_residual,
    sample_gates,
)
from sklearn_convexnn.core.problem.solution import Status
from sklearn_convexnn.core.problem.units import make_problem
from sklearn_convexnn.core.programs.free_groups import FreeGroups
from tests.certificates import largest_price
from tests.problems import ENUMERATED, Known, finite_program

SCALAR = [known for known in ENUMERATED if known.Y.shape[1] == 1]


def make(n=40, d=3, loss="squared_error", intercept=True, n_outputs=1, seed=0, X=None):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) if X is None else X
    Y = np.abs(X[:, :1]) + 0.3 * rng.standard_normal((n, n_outputs))
    if loss != "squared_error":
        Y = 1.0 * (Y > 0.6)
    return make_problem(X, Y, np.ones(n), loss=loss, intercept=intercept)


def rng():
    return np.random.default_rng(0)


def solve(problem, alpha="scale", gated=False, **settings):
    program = PatternProgram(problem, rng(), PatternSettings(gated, **settings))
    return program.solve(program.scale if alpha == "scale" else alpha), program.alpha_max


# -------------------------------------------------------------------------------------- the gates


def test_gates_do_not_depend_on_units_or_origin():
    X = rng().standard_normal((30, 3))
    reference = choose_patterns(make(30, X=X).rows, PatternSettings(True), rng())
    for other in (X * [1e-6, 1.0, 1e5], X + [5.0, -100, 1e3], 1e100 * X):
        patterns = choose_patterns(make(30, X=other).rows, PatternSettings(True), rng())
        np.testing.assert_array_equal(patterns.active[:, :50].sum(), reference.active[:, :50].sum())


def test_more_gates_begin_with_the_same():
    rows = make().rows
    np.testing.assert_array_equal(sample_gates(rows, 5, rng()), sample_gates(rows, 9, rng())[:, :5])


def test_gates_cut_the_rows_in_many_ways():
    """Through the data, wherever they are: few gates are open or closed on nearly all rows."""
    X = 1e3 + 1e-2 * rng().standard_normal((200, 4))
    active = choose_patterns(make(200, X=X).rows, PatternSettings(True), rng()).active
    share = active.mean(axis=0)
    assert active.shape[1] > 0.9 * GATED_PATTERNS
    assert np.mean((share > 0.1) & (share < 0.9)) > 0.9


def test_constant_and_zero_columns():
    X = np.column_stack([rng().standard_normal(30), np.full(30, 3.3), np.zeros(30)])
    for intercept in (True, False):
        gates = sample_gates(make(30, X=X, intercept=intercept).rows, 20, rng())
        assert np.isfinite(gates).all()
        assert not gates[2].any()
        assert gates[1].any() != intercept  # a constant column is the intercept of the others


def test_no_bias_without_intercept():
    assert sample_gates(make(intercept=False).rows, 7, rng()).shape == (3, 7)
    assert sample_gates(make(intercept=True).rows, 7, rng()).shape == (4, 7)


def test_given_gates():
    rows, gates = make().rows, rng().standard_normal((3, 6))
    short = choose_patterns(rows, PatternSettings(True, patterns=gates), rng())
    long = choose_patterns(
        rows, PatternSettings(True, patterns=np.vstack([gates, np.zeros((1, 6))])), rng()
    )
    np.testing.assert_array_equal(short.active, long.active)
    np.testing.assert_array_equal(short.active, rows.X @ gates > 0)
    for wrong in (gates[:2], np.vstack([gates, gates])):
        with pytest.raises(ValueError, match="3 or 4 rows"):
            choose_patterns(rows, PatternSettings(True, patterns=wrong), rng())
    bare = make(intercept=False).rows
    with pytest.raises(ValueError, match="3 rows, one per feature"):
        choose_patterns(bare, PatternSettings(True, patterns=np.ones((4, 2))), rng())


def test_too_many_patterns_to_write_out():
    with pytest.raises(ValueError, match=r"100 distinct rows of rank 21 may have .*to sample"):
        solve(make(100, 20), patterns="exact")


def test_a_huge_sparse_matrix_is_refused(monkeypatch):
    X = sparse.random_array((400, 900), density=0.02, rng=0, format="csr")
    problem = make_problem(
        X, np.arange(400.0)[:, None], np.ones(400), loss="squared_error", intercept=True
    )
    assert problem.rows.sparse
    assert solve(problem, gated=True, patterns=5)[0].program.relative_gap <= 1e-6
    monkeypatch.setattr(pattern_training, "_DENSE_BYTES", 8 * 400 * 901 - 1)
    with pytest.raises(ValueError, match=r"0\.0 GB.*cutting plane"):
        solve(problem, gated=True)


# ------------------------------------------------------------------------------ values and bounds


@pytest.mark.parametrize("known", SCALAR, ids=repr)
def test_all_patterns_give_the_global_optimum(known):
    problem = known.problem()
    solution, _ = solve(problem, known.alpha, patterns="exact", gap_tol=1e-8)
    assert solution.certificate.kind == "exact"
    assert solution.certificate.relative_gap <= 1e-7
    value = problem.objective(solution.certificate.primal)
    assert value == pytest.approx(known.optimum(), rel=1e-6)


@pytest.mark.parametrize("known", SCALAR[:4], ids=repr)
def test_the_gap_of_sampled_patterns_is_that_of_the_whole_problem(known):
    """The program is solved, and the reported gap still covers the distance to the optimum."""
    problem = known.problem()
    solution, _ = solve(problem, known.alpha, patterns=2)
    assert solution.program.relative_gap <= 1e-6
    unit = problem.objective_unit
    value, gap = solution.certificate.primal * unit, solution.certificate.gap * unit
    assert value >= known.optimum() * (1 - 1e-9)
    assert value - gap <= known.optimum() * (1 + 1e-6)


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_alpha_max(gated, loss):
    """The constant network from there on, and a neuron below."""
    problem = make(loss=loss)
    _, largest = solve(problem, gated=gated, patterns=300)
    assert solve(problem, largest * 1.001, gated, patterns=300)[0].network.n_neurons == 0
    assert solve(problem, largest * 0.9, gated, patterns=300)[0].network.n_neurons > 0


def test_alpha_max_of_gates():
    problem = make()
    patterns = choose_patterns(problem.rows, PatternSettings(True, patterns=50), rng())
    R, A = constant_residual(problem.rows), problem.rows.dense()
    prices = [np.linalg.norm(A.T @ (d * R[:, 0])) for d in patterns.active.T]
    assert solve(problem, gated=True, patterns=50)[1] == pytest.approx(
        max(prices) * problem.alpha_unit
    )


@pytest.mark.parametrize("intercept", [True, False])
def test_alpha_max_of_the_hinge_loss(intercept):
    problem = make(loss="hinge", intercept=intercept)
    R = constant_residual(problem.rows)
    assert not intercept or R.sum() == pytest.approx(0, abs=1e-15)
    known = solve(problem, gated=True, patterns=20, solver="clarabel")
    constant, _ = solve(problem, 1.01 * known[1], True, patterns=20, solver="clarabel")
    assert constant.network.penalty() == pytest.approx(0, abs=1e-6)


def test_a_constant_target():
    problem = make_problem(
        rng().standard_normal((20, 2)),
        np.full((20, 1), 7.0),
        np.ones(20),
        loss="squared_error",
        intercept=True,
    )
    for gated in (True, False):
        solution, largest = solve(problem, gated=gated)
        assert largest == 0
        assert solution.network.n_neurons == 0
        assert solution.certificate.relative_gap == 0


def test_gated_certificate_is_that_of_the_program():
    """A dual point by hand: the residual scaled into all the constraints of the gates."""
    problem = make(loss="log_loss")
    solution, _ = solve(problem, gated=True, patterns=40, gap_tol=1e-6)
    rows, A = problem.rows, problem.rows.dense()
    patterns = choose_patterns(rows, PatternSettings(True, patterns=40), rng())
    network, gates = solution.network, solution.gates
    Z = ((A @ gates > 0) * (A @ network.U.T)) @ network.C + network.b0
    R = -rows.weights[:, None] * rows.loss.gradient(rows.Y, Z)
    kappa = FreeGroups(A, patterns.active).screen(R[:, 0], 1.0)[0].max()
    again = rows.at(Z).certify(network.penalty(), solution.alpha, kappa, "exact")
    assert again.primal == pytest.approx(solution.certificate.primal, rel=1e-9)
    assert again.relative_gap <= 1e-4


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
@pytest.mark.parametrize("solver", ["clarabel", "ecos", "scs"])
def test_solvers_agree(gated, loss, solver):
    pytest.importorskip(solver)
    problem = make(25, 2, loss)
    newton, _ = solve(problem, gated=gated, patterns=10, gap_tol=1e-8)
    conic, _ = solve(problem, gated=gated, patterns=10, solver=solver, gap_tol=1e-5)
    assert conic.status is Status.GAP
    assert conic.certificate.primal == pytest.approx(newton.certificate.primal, rel=1e-5)
    # The objective is that of a network that exists: no lower than the optimum.
    assert conic.certificate.primal >= newton.certificate.primal * (1 - 1e-8)
    assert abs(conic.network.n_neurons - newton.network.n_neurons) <= 2


def test_hinge_against_cvxpy():
    """All patterns and the hinge loss: the finite program written down independently."""
    cp = pytest.importorskip("cvxpy")
    problem = make(12, 2, "hinge", intercept=False)
    solution, _ = solve(problem, 0.05 * problem.alpha_unit, patterns="exact", solver="clarabel")
    rows, A = problem.rows, problem.rows.dense()
    D = choose_patterns(rows, PatternSettings(False, patterns="exact"), rng()).active.astype(float)
    V, W = (cp.Variable((D.shape[1], 2)) for _ in range(2))
    z = cp.sum(cp.multiply(D, A @ (V - W).T), axis=1)
    signs = 2 * rows.Y[:, 0] - 1
    value = rows.weights @ cp.pos(1 - cp.multiply(signs, z))
    value += 0.05 * (cp.sum(cp.norm(V, 2, axis=1)) + cp.sum(cp.norm(W, 2, axis=1)))
    walls = [cp.multiply(2 * D - 1, A @ part.T) >= 0 for part in (V, W)]
    optimum = cp.Problem(cp.Minimize(value), walls).solve(solver="CLARABEL")
    assert solution.certificate.primal == pytest.approx(optimum, rel=1e-5)
    assert solution.certificate.kind == "exact"
    assert solution.certificate.relative_gap <= 1e-5


def test_several_outputs_are_not_proven_by_their_programs():
    """One-vs-all with all patterns is not the best network for all outputs at once."""
    problem = make(15, 2, n_outputs=2, intercept=False)
    solution, _ = solve(problem, patterns="exact")
    assert solution.program.relative_gap <= 1e-6
    assert solution.certificate.relative_gap > 1e-3
    known = Known(
        "", problem.rows.X, problem.rows.Y, problem.rows.weights, "squared_error", False, 0.0
    )
    R = problem.rows.weights[:, None] * (
        problem.rows.Y
        - np.maximum(problem.rows.dense() @ solution.network.U.T, 0) @ solution.network.C
    )
    kappa = largest_price(problem.rows.dense(), R)
    assert kappa > solution.alpha * 1.01
    assert known.A.shape == (15, 2)


def test_status_when_iterations_or_accuracy_run_out():
    problem = make()
    late, _ = solve(problem, gated=True, max_iter=1, gap_tol=1e-9)
    assert late.status is Status.MAX_ITER
    late, _ = solve(problem, gated=True, patterns=10, max_iter=3, solver="clarabel")
    assert late.status is Status.MAX_ITER
    vague, _ = solve(problem, gated=True, patterns=10, gap_tol=1e-16, solver="clarabel")
    assert vague.status is Status.INACCURATE
    assert vague.certificate.relative_gap > 1e-16


def test_finite_program_of_the_zoo_is_the_reference():
    """The zoo's optimum and the exact certificate agree from both sides."""
    known = SCALAR[1]
    solution, _ = solve(known.problem(), known.alpha, patterns="exact", gap_tol=1e-8)
    unit = known.problem().objective_unit
    value, _ = finite_program(known)
    assert solution.certificate.dual * unit <= value * (1 + 1e-7)
    assert solution.certificate.primal * unit >= value * (1 - 1e-7)


def test_neurons_in_any_units():
    """In large units a bias is expensive, in small ones weights: there are patterns for both."""
    for unit in (1e-6, 1e-3, 1.0, 1e3, 1e6):
        X = unit * rng().standard_normal((40, 3))
        problem = make_problem(
            X, np.abs(X[:, :1]) / unit, np.ones(40), loss="squared_error", intercept=True
        )
        solution, _ = solve(problem, patterns=20, gap_tol=1e-4)
        variance = solve(problem, 1e12 * unit)[0].certificate.primal
        assert solution.certificate.primal < 0.8 * variance, unit


@pytest.mark.parametrize("unit", [1e-3, 1e-4])
def test_neurons_that_differ_by_little_in_small_units_stay_apart(unit):
    X = unit * rng().standard_normal((25, 2))
    problem = make(n=25, X=X)
    # Nearly all that the columns can explain is in neurons of nearly the same direction.
    solution, _ = solve(problem, patterns="exact")
    assert solution.status is Status.GAP
    assert solution.certificate.kind == "exact"
    assert solution.certificate.relative_gap <= 1e-6


def test_the_status_is_that_of_the_network():
    """Where rounding loses the solution of the program on the way to its network."""
    X = 1e-8 * rng().standard_normal((25, 2))
    solution, _ = solve(make(n=25, X=X), patterns="exact")
    gap = solution.certificate.relative_gap
    assert solution.program.relative_gap == gap
    assert (solution.status is Status.GAP) == (gap <= 1.01e-6)
