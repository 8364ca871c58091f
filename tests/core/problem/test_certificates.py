"""Duality gaps that are bounds, intercepts that are optimal, and the oracles of these tests."""

from math import comb

import numpy as np
import pytest

from sklearn_convexnn.core.problem.certificates import Certificate
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.network import Network
from tests.certificates import (
    assert_bounds,
    assert_optimal,
    best_in_cell,
    largest_price,
    price,
    residual,
)
from tests.problems import ENUMERATED, PLANTED, Known, patterns, sine_data

# ------------------------------------------------------------------------------------------ the gap


def _random_network(problem, rng):
    """Random neurons, with the intercept that belongs to them."""
    p, n_outputs = problem.A.shape[1], problem.Y.shape[1]
    factors = rng.standard_normal((4, p)), 0.3 * rng.standard_normal((4, n_outputs))
    network = Network.from_factors(*factors, np.zeros(n_outputs))
    if problem.intercept:
        rows = problem.rows()
        network = rows.settled(rows.evaluate(network)).network
    return network


def _certify(problem, network, kappa=None):
    kappa = largest_price(problem.A, residual(problem, network)) if kappa is None else kappa
    state = problem.rows().evaluate(network)
    return state.certify(network.penalty(), problem.alpha, kappa, "exact")


@pytest.mark.parametrize("problem", [*ENUMERATED, *PLANTED], ids=str)
def test_gap_bounds_the_distance_to_the_optimum(problem: Known):
    """Weak duality with the exact kappa: ``dual <= optimum <= primal`` at any network."""
    rng = np.random.default_rng(0)
    for _ in range(3):
        network = _random_network(problem, rng)
        certificate = _certify(problem, network)
        assert_bounds(certificate.primal, certificate.dual, problem.optimum())
        expected = problem.objective(network.U, network.C, network.b0)
        np.testing.assert_allclose(certificate.primal, expected, rtol=1e-12)


@pytest.mark.parametrize("problem", PLANTED, ids=str)
def test_gap_closes_at_the_optimum(problem: Known):
    """Strong duality at a planted optimum; a kappa that is too large still gives a bound."""
    network = Network(*problem.neurons)
    assert_optimal(problem, network, tol=1e-9)
    certificate = _certify(problem, network)
    assert abs(certificate.relative_gap) < 1e-9
    np.testing.assert_allclose(certificate.primal, problem.value, rtol=1e-12)
    loose = _certify(problem, network, kappa=2 * certificate.kappa)
    assert loose.dual < problem.value
    assert loose.gap > certificate.gap


def test_no_price_means_no_limit():
    """A residual of zero: every multiple of it is feasible, the gap is the penalty."""
    problem = PLANTED[0]
    U, C, b0 = problem.neurons
    Y = np.maximum(problem.A @ U.T, 0) @ C + b0
    state = problem.rows().with_targets(Y).at(Y)
    certificate = state.certify(1.5, problem.alpha, 0.0, "exact")
    np.testing.assert_allclose(certificate.gap, 1.5 * problem.alpha)


def test_certificate_arithmetic():
    certificate = Certificate(primal=2.0, dual=1.5, kappa=1.0, kind="estimated")
    assert certificate.gap == 0.5
    assert certificate.relative_gap == 0.25
    assert Certificate(0.0, 0.0, 0.0, "exact").relative_gap == 0.0


# ------------------------------------------------------------------------------------ the intercept


@pytest.mark.parametrize("spread", [0.1, 1.0, 30.0])
@pytest.mark.parametrize(
    "loss, n_outputs",
    [("squared_error", 1), ("squared_error", 3), ("log_loss", 1), ("log_loss", 3)],
)
def test_best_shift_is_stationary(loss, n_outputs, spread):
    """``sum_i w_i gradient_i = 0`` after the shift, also where most outputs are saturated."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        problem = _problem_with(rng, loss, n_outputs)
        Z = spread * rng.standard_normal(problem.Y.shape) + spread
        shift = problem.rows().at(Z).best_shift()
        gradient = problem.rows().loss.gradient(problem.Y, Z + shift)
        # The last steps go by the gradient: the loss knows the shift to half its digits only.
        np.testing.assert_allclose(problem.weights @ gradient, 0, atol=2e-14 * max(1.0, spread))


def _problem_with(rng, loss, n_outputs, n=30):
    X = rng.standard_normal((n, 2))
    if loss == "squared_error":
        Y = rng.standard_normal((n, n_outputs))
    elif n_outputs == 1:
        Y = (np.arange(n) % 2.0)[:, None]
    else:
        Y = np.eye(n_outputs)[np.arange(n) % n_outputs]
    weights = rng.uniform(0.5, 1.5, n)
    return Known("", X, Y, weights / weights.sum(), loss, True, 0.1)


def test_best_shift_from_far_outputs():
    """Outputs so far out that the second derivative is tiny, or rounds to zero."""
    rng = np.random.default_rng(0)
    problem = _problem_with(rng, "log_loss", 1)
    constant = get_loss("log_loss", 1).constant(problem.Y, problem.weights)
    for far in (0.0, 5.0, -30.0, 60.0, -500.0):
        shift = problem.rows().at(np.full((30, 1), far)).best_shift()
        np.testing.assert_allclose(far + shift, constant, atol=1e-6, err_msg=f"from {far}")


@pytest.mark.parametrize("spread", [1.0, 5.0, 50.0])
def test_best_shift_of_separated_classes(spread):
    """A Newton step may land where the gradient is small because the loss is flat there."""
    Z = spread * np.array([6.2, 4.8, 10.8, 4.3, 7.2, 8.0, 4.9, 10.0, 6.1, 6.8])[:, None]
    Y = np.greater(Z, 7.5 * spread).astype(float)
    rows = Known("", Z, Y, np.full(10, 0.1), "log_loss", True, 0.1).rows()
    shift = rows.at(Z).best_shift()
    assert abs(rows.weights @ rows.loss.gradient(Y, Z + shift)) <= 1e-13
    others = (rows.weights @ rows.loss.value(Y, Z - b) for b in np.linspace(0, 10 * spread, 99))
    assert rows.weights @ rows.loss.value(Y, Z + shift) <= min(others) + 1e-12


# ----------------------------------------------------------------------- the oracles of these tests


@pytest.mark.parametrize("n, p", [(6, 2), (8, 2), (8, 3), (9, 4), (4, 6)])
def test_patterns_are_all_patterns(n, p):
    """In general position ``2 sum_{k < p} C(n - 1, k)``; every random pattern is among them."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((n, p))
    found = patterns(A)
    assert len(found) == 2 * sum(comb(n - 1, k) for k in range(p))
    assert len(np.unique(found, axis=0)) == len(found)
    drawn = {tuple(row) for row in rng.standard_normal((3000, p)) @ A.T > 0}
    assert drawn <= {tuple(row) for row in found}


@pytest.mark.parametrize("shape, count", [((6, 2), 12), ((8, 2), 16), ((8, 3), 16), ((4, 6), 8)])
def test_patterns_of_degenerate_rows(shape, count):
    """Rows of rank 2, and with parallel, repeated and zero rows: six directions, six patterns."""
    assert len(patterns(sine_data(*shape)[0])) == count
    parallel = np.array([[2.0, 1], [1, 2], [2, 4], [4, 2], [-1, 1], [0, 0], [1, 2], [-2, -1]])
    assert len(patterns(parallel)) == 6
    assert len(patterns(np.zeros((3, 2)))) == 1


@pytest.mark.parametrize("n, p, n_outputs", [(8, 2, 1), (7, 3, 1), (8, 2, 3), (7, 3, 3)])
def test_largest_price_is_the_largest(n, p, n_outputs):
    """Above all random directions and close to the best of them; attained in a cell."""
    rng = np.random.default_rng(n + p)
    A, R = rng.standard_normal((n, p)), rng.standard_normal((n, n_outputs))
    U = rng.standard_normal((100_000, p))
    drawn = price(A, R, U / np.linalg.norm(U, axis=1, keepdims=True)).max()
    exact = largest_price(A, R)
    assert drawn <= exact * (1 + 1e-12)
    assert drawn >= exact * (1 - 5e-3)
    if n_outputs == 1:
        for cell in patterns(A)[:5]:
            u, value = best_in_cell(A, R[:, 0], cell)
            np.testing.assert_allclose(np.maximum(A @ u, 0) @ R[:, 0], value, atol=1e-9)


@pytest.mark.parametrize("spoil", ["direction", "weight", "intercept", "missing"])
def test_assert_optimal_notices(spoil):
    """A certificate that accepts anything would be none."""
    problem = PLANTED[-1]
    U, C, b0 = (part.copy() for part in problem.neurons)
    if spoil == "direction":
        U[0] += 1e-2
        U[0] /= np.linalg.norm(U[0])
    elif spoil == "weight":
        C[1] *= 1.01
    elif spoil == "intercept":
        b0 += 1e-3
    else:
        U, C = U[:1], C[:1]
    assert_optimal(problem, Network(*problem.neurons))
    with pytest.raises(AssertionError):
        assert_optimal(problem, Network(U, C, b0))
