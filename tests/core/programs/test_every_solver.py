"""Every solver of the programs over given patterns, on one zoo, by one measure of optimality."""

import importlib.util

import numpy as np
import pytest

from sklearn_convexnn.core.patterns.cones import ConeGroups
from sklearn_convexnn.core.patterns.enumeration import enumerate_patterns
from sklearn_convexnn.core.problem.losses import Hinge, get_loss
from sklearn_convexnn.core.problem.rows import Rows
from sklearn_convexnn.core.programs.free_groups import FreeGroups
from sklearn_convexnn.core.programs.solve import solve_outputs, train_relu
from tests.certificates import assert_program_optimal
from tests.problems import ENUMERATED, TABLES, TOY_X, TOY_Y, Known, patterns

GROUPS = {"gated": FreeGroups, "cones": ConeGroups}
# The gap that each can be asked for: their dual variables are less exact than their values.
GAPS = {"newton": 1e-8, "clarabel": 1e-2, "ecos": 1e-2, "scs": 1e-2}
VECTOR = [known for known in TABLES if known.name.startswith("vector")]


def classes(intercept):
    """Three classes in the plane with unequal weights."""
    rng = np.random.default_rng(0)
    X, weights = rng.standard_normal((12, 2)), rng.uniform(0.5, 1.5, 12)
    Y = np.eye(3)[np.arange(12) % 3]
    name = f"three classes, {'with' if intercept else 'no'} intercept"
    return Known(name, X, Y, weights / weights.sum(), "log_loss", intercept, 0.01)


PROBLEMS = [*ENUMERATED[1:4], *ENUMERATED[5:7], *ENUMERATED[9:12], *TABLES[:2], VECTOR[0]]
PROBLEMS += [classes(False), classes(True)]


def program(known, kind):
    """Rows and at most 40 of the patterns."""
    D = patterns(known.A).T
    return known.rows(), GROUPS[kind](known.A, D[:, :: max(1, D.shape[1] // 40)])


@pytest.mark.parametrize("solver", GAPS)
@pytest.mark.parametrize("kind", GROUPS)
@pytest.mark.parametrize("known", PROBLEMS, ids=repr)
def test_optimal(known, kind, solver):
    if solver == "ecos" and importlib.util.find_spec("ecos") is None:
        pytest.skip("ecos is not installed")
    if solver == "ecos" and kind == "cones" and known.loss == "log_loss":
        pytest.skip("ECOS fails on exponential cones beside many others, whatever its tolerance")
    rows, groups = program(known, kind)
    tol = GAPS[solver]
    settings = {"tol": tol, "max_iter": None, "solver": solver}
    solution = solve_outputs(rows, groups, known.alpha, **settings)
    slack = 1e-9 if solver == "newton" else 1e-5
    assert_program_optimal(rows, groups, known.alpha, solution, tol, slack=slack)
    reference = solve_outputs(
        rows, groups, known.alpha, tol=1e-9, max_iter=None, solver="newton"
    ).certificate
    assert solution.certificate.primal == pytest.approx(reference.primal, rel=1e-5)


# ---------------------------------------------------------------------------------- known optima


@pytest.mark.parametrize("beta, total", [(0.1, 2.13169782), (0.4, 3.36781315)])
def test_one_vs_all_reference(beta, total):
    """Vector outputs in the plane, every neuron with one output: above the optimum of (P)."""
    known = next(k for k in VECTOR if k.name.endswith(f"beta {beta}"))
    solution = train_relu(known.rows(), enumerate_patterns(known.A), known.alpha, tol=1e-9)
    assert 5 * solution.certificate.primal == pytest.approx(total, rel=1e-8)
    assert solution.certificate.primal > known.optimum()


@pytest.mark.parametrize(
    "beta, total", [(0.001, 0.010128990), (0.5, 3.878924620), (1.0, 4.559016994)]
)
def test_hinge_reference(beta, total):
    rows = Rows.of(TOY_X, (TOY_Y + 1) / 2, np.full(5, 0.2), Hinge(), intercept=False)
    solution = train_relu(rows, enumerate_patterns(TOY_X), beta / 5, solver="clarabel")
    assert 5 * solution.certificate.primal == pytest.approx(total, rel=1e-6, abs=1e-6)


# ------------------------------------------------------------------------------------ metamorphic


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
@pytest.mark.parametrize("kind", GROUPS)
def test_metamorphic(kind, loss, n_outputs):
    """Weights are repetitions; order and units of rows, patterns and outputs do not matter."""
    rng = np.random.default_rng(0)
    n, alpha = 24, 0.01
    X = rng.standard_normal((n, 3))
    D = X @ rng.standard_normal((3, 10)) > 0
    Y = rng.standard_normal((n, n_outputs))
    if loss == "log_loss":
        Y = (Y > 0) * 1.0 if n_outputs == 1 else np.eye(3)[np.arange(n) % 3]
    counts = np.arange(n) % 3 + 1.0

    def value(X, Y, weights, D, alpha):
        rows = Rows.of(X, Y, weights / weights.sum(), get_loss(loss, n_outputs), intercept=True)
        groups = GROUPS[kind](rows.dense(), D)
        solution = solve_outputs(rows, groups, alpha, tol=1e-8, max_iter=None, solver="newton")
        assert solution.converged
        return solution.certificate.primal

    expected = value(X, Y, counts, D, alpha)
    index = np.repeat(np.arange(n), counts.astype(int))
    repeated = value(X[index], Y[index], np.ones(len(index)), D[index], alpha)
    order, groups, outputs = rng.permutation(n), rng.permutation(10), rng.permutation(n_outputs)
    permuted = value(X[order], Y[order][:, outputs], counts[order], D[order][:, groups], alpha)
    twice = value(X, Y, counts, np.hstack([D, D[:, :4]]), alpha)
    assert repeated == pytest.approx(expected, rel=1e-7)
    assert permuted == pytest.approx(expected, rel=1e-7)
    assert twice == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("kind", GROUPS)
def test_units(kind):
    """Rows in other units with alpha in the same: the same program."""
    rows, groups = program(ENUMERATED[3], kind)
    alpha = ENUMERATED[3].alpha
    settings = {"tol": 1e-9, "max_iter": None, "solver": "newton"}
    D = np.unique(np.asarray(groups.patterns) > 0, axis=1)
    expected = solve_outputs(rows, GROUPS[kind](groups.X, D), alpha, **settings)
    for unit in (1e-4, 1e4):
        found = solve_outputs(rows, GROUPS[kind](unit * groups.X, D), unit * alpha, **settings)
        assert found.certificate.primal == pytest.approx(expected.certificate.primal, rel=1e-8)
