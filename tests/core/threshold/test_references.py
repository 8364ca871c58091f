"""Optima of threshold networks known to nine digits, each found in two independent ways.

The rows are ``sin(k^2)``, k = 1..16, as (8, 2), with a bias; targets ``cos(1..8)``; squared error.
"""

import numpy as np
import pytest

from sklearn_convexnn.core.problem.solution import Status
from sklearn_convexnn.core.threshold.bounds import with_lower_bound
from sklearn_convexnn.core.threshold.descent import ThresholdDescent
from sklearn_convexnn.core.threshold.problem import make_threshold_problem

K = np.arange(1, 17)
X = np.sin(K * K).reshape(8, 2)
Y = np.cos(np.arange(1, 9))[:, None]
GOALS = {"tol": 1e-3, "gap_tol": 1e-7, "max_iter": 100, "max_neurons": None}

# Of every family: alpha_max and the optima at two alphas.
ALL = (0.266199010, {0.01: 0.027274686, 0.03: 0.072259811})
AXIS = (0.177160510, {0.01: 0.038963968, 0.03: 0.102437739})
ONE = (None, {0.01: 0.047016034, 0.03: 0.117051079})
COMPLETE = {0.01: 0.018701628, 0.03: 0.051340441}


def solved(X, alpha, *, axis, Y=Y, loss="squared_error", weights=None, **goals):
    weights = np.ones(len(X)) if weights is None else weights
    problem = make_threshold_problem(X, Y, weights, axis=axis, loss=loss)
    descent = ThresholdDescent(problem, np.random.default_rng(0), **{**GOALS, **goals})
    solution = descent.solve(alpha)
    return problem, descent, solution


@pytest.mark.parametrize("alpha", [0.01, 0.03])
@pytest.mark.parametrize(
    "rows, axis, reference",
    [(X, False, ALL), (X, True, AXIS), (X[:, :1], True, ONE), (X[:, :1], False, ONE)],
    ids=["all", "axis", "one feature", "one feature, all"],
)
def test_optima(rows, axis, reference, alpha):
    problem, descent, solution = solved(rows, alpha, axis=axis)
    largest, values = reference
    if largest is not None:
        assert descent.alpha_max == pytest.approx(largest, abs=1e-9)
    assert problem.objective(solution.certificate.primal) == pytest.approx(values[alpha], abs=1e-9)
    assert solution.certificate.kind == "exact"
    assert solution.status is Status.GAP
    assert solution.certificate.relative_gap <= 1e-7


@pytest.mark.parametrize("alpha", [0.01, 0.03])
def test_the_complete_arrangement(alpha):
    problem, _, solution = solved(X, alpha, axis=False)
    bound = problem.lower_bound(solution).bound
    assert problem.objective(bound) == pytest.approx(COMPLETE[alpha], abs=1e-9)
    assert bound <= solution.certificate.primal


def test_one_feature_needs_no_rounds_but_the_first():
    """The taut string is the optimum: its steps pass the exact prices as they are."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 1))
    y = np.sin(2 * x) + 0.3 * rng.standard_normal((300, 1))
    weights = rng.integers(1, 4, 300).astype(float)
    _, _, solution = solved(x, 0.01, axis=True, Y=y, weights=weights, gap_tol=1e-12)
    assert solution.n_iter == 1
    assert solution.certificate.relative_gap <= 1e-12


@pytest.mark.parametrize(
    "loss, n_outputs",
    [
        ("squared_error", 2),
        ("huber", 1),
        ("poisson", 1),
        ("log_loss", 1),
        ("log_loss", 3),
        ("squared_hinge", 1),
    ],
)
@pytest.mark.parametrize("axis", [True, False])
def test_every_loss_reaches_a_gap_that_is_proven(loss, n_outputs, axis):
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((40, 2))
    score = rows[:, 0] + np.sin(3 * rows[:, 1]) + 0.3 * rng.standard_normal(40)
    targets = {
        "squared_error": np.column_stack([score, rows[:, 1] > 0]),
        "huber": score[:, None],
        "poisson": np.floor(np.exp(score))[:, None],
        "log_loss": (score > 0)[:, None] * 1.0,
        "squared_hinge": (score > 0)[:, None] * 1.0,
    }[loss]
    if n_outputs == 3:
        targets = (np.digitize(score, [-0.5, 0.5])[:, None] == np.arange(3)) * 1.0
    _, descent, _ = solved(rows, np.inf, axis=axis, Y=targets, loss=loss)
    problem, _, solution = solved(
        rows, 0.1 * descent.alpha_max, axis=axis, Y=targets, loss=loss, gap_tol=1e-4
    )
    assert solution.certificate.kind == "exact"
    assert solution.certificate.relative_gap <= 1e-4
    assert solution.network.n_neurons > 0
    # The bound of any 0/1 functions is one for these, too.
    assert problem.lower_bound(solution).bound <= solution.certificate.primal


def test_a_plane_that_separates_is_optimal_and_said_to_be():
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((30, 12))
    labels = (rows @ rng.standard_normal(12) > 0)[:, None] * 1.0
    problem, descent, solution = solved(
        rows, 0.02, axis=False, Y=labels, loss="log_loss", gap_tol=None
    )
    solution, proven = with_lower_bound(problem, solution, 1e-3)
    assert solution.network.n_neurons == 1
    assert solution.status is Status.SEPARABLE
    assert solution.certificate.kind == "proven"
    assert proven.relative_gap <= 1e-3
    # Where every row may be on either side, the best pattern takes all that pull one way.
    assert descent.alpha_max == pytest.approx(labels.mean() * (1 - labels.mean()), rel=1e-9)


def test_above_alpha_max_the_network_is_a_constant():
    _, descent, solution = solved(X, 1.0, axis=False)
    assert solution.network.n_neurons == 0
    problem, _, small = solved(X, 0.999 * descent.alpha_max, axis=False)
    assert small.network.n_neurons > 0
    assert problem.objective(small.certificate.primal) < problem.objective(
        solution.certificate.primal
    )
