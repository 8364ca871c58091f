"""Training reaches the global optimum of every problem of the zoo.

The optimal values come from the finite convex program over all activation patterns, from closed
forms, from planted networks and from tables (see :mod:`tests.problems`), never from this package.
"""

from functools import cache

import numpy as np
import pytest

from sklearn_convexnn.core.fit.cutting_plane import Descent, constant_start, make_pricing
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.problem.solution import Status
from tests.certificates import assert_bounds, assert_optimal
from tests.problems import (
    ENUMERATED,
    PLANTED,
    SINE_BETA_MAX,
    TABLES,
    TOY_BETA_MAX,
    TOY_X,
    TOY_Y,
    ZOO,
    Known,
    finite_program,
    sine_data,
)

TOL = 1e-5  # relative, of the objective
# The tests of one problem follow each other, so that one process solves it, once.
each_problem = pytest.mark.parametrize("problem", ZOO, ids=str, scope="module")


@cache
def solved(problem):
    """The solution of a problem, and its network in the units of the data."""
    working = problem.problem()
    goals = {"tol": 1e-3, "gap_tol": 1e-6, "max_iter": 40, "max_neurons": None}
    solution = Descent(working, np.random.default_rng(0), **goals).solve(problem.alpha)
    coefs, intercepts = working.layers(solution.network)
    U = np.vstack([coefs[0], intercepts[0]]).T if problem.intercept else coefs[0].T
    return solution, working, (U, coefs[1], intercepts[1])


def unit_network(problem):
    """The solution in the units of the data, with unit directions."""
    return Network.from_factors(*solved(problem)[2])


# ----------------------------------------------------------------------------------- the references


@pytest.mark.parametrize("solver", ["CLARABEL", "ECOS"])
@pytest.mark.parametrize(
    "problem", [k for k in (*TABLES, *PLANTED) if k.Y.shape[1] == 1 and k.A.shape[1] <= 3], ids=str
)
def test_finite_program_gives_the_known_values(problem: Known, solver):
    """(3.1) over all patterns, enumerated here, agrees with tables and planted optima."""
    _needs(solver, problem)
    rtol = 1e-6 if solver == "CLARABEL" else 1e-5
    np.testing.assert_allclose(finite_program(problem, solver)[0], problem.value, rtol=rtol)


@pytest.mark.parametrize("problem", ENUMERATED, ids=str)
def test_conic_solvers_agree(problem: Known):
    """Two interior-point methods, one optimum."""
    _needs("ECOS", problem)
    values = [finite_program(problem, solver)[0] for solver in ("CLARABEL", "ECOS")]
    np.testing.assert_allclose(*values, rtol=1e-5)


def _needs(solver, problem):
    if solver == "ECOS":
        pytest.importorskip("ecos")
        larger = problem.loss == "log_loss" and problem.A.shape[1] > 2
        if larger or problem.loss == "poisson":
            pytest.skip("ECOS fails on the larger exponential cone programs")


# --------------------------------------------------------------------------------------- the solver


@each_problem
def test_training_reaches_the_optimum(problem: Known):
    """The objective of the returned weights, from its formula, to 1e-5."""
    _, _, network = solved(problem)
    np.testing.assert_allclose(problem.objective(*network), problem.optimum(), rtol=TOL)


@each_problem
def test_training_closes_the_gap(problem: Known):
    """The solver sees for itself that it has arrived."""
    solution, _, _ = solved(problem)
    assert solution.status is Status.GAP
    assert solution.certificate.relative_gap <= 1e-6


@each_problem
def test_gap_bounds_the_distance_to_the_optimum(problem: Known):
    """``dual <= optimum <= primal``: the gap is never negative and never too small."""
    solution, working, _ = solved(problem)
    certificate, units = solution.certificate, working.objective
    tol = 1e-7 if problem in TABLES else 1e-8  # the tables have nine digits
    if certificate.kind == "estimated":
        tol = 5e-7  # the search is accurate to about a tenth of the gap that was asked for
    primal, dual = units(certificate.primal), units(certificate.dual)
    assert_bounds(primal, dual, problem.optimum(), tol=tol)
    if problem.A.shape[1] <= 2:  # rows in a plane have exact prices in every round
        assert certificate.kind == "exact"
        for primal, gap in zip(
            solution.history["objective"], solution.history["dual_gap"], strict=True
        ):
            if problem.loss != "huber":  # whose gaps are relative to another size
                dual = primal * (1 - gap)
                assert_bounds(units(primal), units(dual), problem.optimum(), tol=tol)


@pytest.mark.parametrize("problem", [k for k in ZOO if k.A.shape[1] <= 3], ids=str, scope="module")
def test_solution_satisfies_the_optimality_conditions(problem: Known):
    """Dual feasibility in all patterns and complementary slackness of every neuron."""
    assert_optimal(problem, unit_network(problem), tol=1e-3)


@pytest.mark.parametrize("problem", PLANTED, ids=str)
def test_planted_neurons_are_recovered(problem: Known):
    """The directions, output weights and intercept that the targets were made of."""
    network = unit_network(problem)
    U, C, b0 = problem.neurons
    for u, c in zip(U, C, strict=True):
        found = network.C[network.U @ u > 1 - 1e-5].sum(axis=0)
        np.testing.assert_allclose(found, c, atol=1e-3)
    np.testing.assert_allclose(network.penalty(), np.abs(C).sum(), atol=1e-3)
    np.testing.assert_allclose(network.b0, b0, atol=1e-3)


# ---------------------------------------------------------------------------------------- alpha_max


@pytest.mark.parametrize(
    "X, Y, beta_max",
    [(TOY_X, TOY_Y, TOY_BETA_MAX), *((*sine_data(*k), v) for k, v in SINE_BETA_MAX.items())],
    ids=["T1", *(f"T2 {n}x{d}" for n, d in SINE_BETA_MAX)],
)
def test_alpha_max_of_the_tables(X, Y, beta_max):
    """The largest price at the zero network is the tabulated beta_max (over n)."""
    n = len(X)
    problem = Known("", X, Y, np.full(n, 1 / n), "squared_error", False, 0.1).problem()
    pricing = make_pricing(problem.rows, np.random.default_rng(0))
    prices = constant_start(problem.rows, pricing).prices
    np.testing.assert_allclose(prices.largest * problem.alpha_unit, beta_max / n, rtol=1e-6)
