"""The programs of linear filters that the documentation states: two ways to one value.

Each is solved with CVXPY and by descent in the weights of the network itself, with weight decay.
Signals are ``sin(k^2)``, targets ``cos(1), cos(2), ..``.
"""

import numpy as np
import pytest
from scipy.optimize import minimize

from sklearn_convexnn.core.patterns.enumeration import enumerate_patterns

cp = pytest.importorskip("cvxpy")


def signals(n, length):
    k = np.arange(1, n * length + 1)
    return np.sin(k * k).reshape(n, length), np.cos(np.arange(1, n + 1))


def solved(fit, y, penalty, constraints=()):
    objective = cp.sum_squares(fit - y) / (2 * len(y)) + penalty
    problem = cp.Problem(cp.Minimize(objective), list(constraints))
    accuracy = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-10)
    return problem.solve(solver="CLARABEL", **accuracy)


def descended(outputs, y, alpha, size, starts=8):
    """The least objective of ``size`` weights; ``outputs(weights)`` has a pullback beside it."""

    def objective(weights):
        z, pull_back = outputs(weights)
        error = z - y
        value = error @ error / (2 * len(y)) + alpha / 2 * (weights @ weights)
        return value, pull_back(error / len(y)) + alpha * weights

    rng = np.random.default_rng(0)
    settings = {"jac": True, "method": "L-BFGS-B", "options": {"maxiter": 5000, "ftol": 1e-16}}
    starts = 0.7 * rng.standard_normal((starts, size))
    return min(minimize(objective, start, **settings).fun for start in starts)


def fourier_length(z):
    """``||F z||_1`` with the unitary transform, of a CVXPY variable."""
    F = np.fft.fft(np.eye(z.size)) / np.sqrt(z.size)
    return cp.sum(cp.norm(cp.vstack([F.real @ z, F.imag @ z]), 2, axis=0))


@pytest.mark.parametrize("alpha, value", [(0.01, 0.039489565), (0.05, 0.080183564)])
def test_a_weight_for_each_position_is_a_nuclear_norm(alpha, value):
    X, y = signals(5, 4)
    patches = np.lib.stride_tricks.sliding_window_view(X, 2, axis=1)  # (n, K, h)
    (_, K, h), m = patches.shape, 3
    Z = cp.Variable((h, K))
    fit = sum(patches[:, k] @ Z[:, k] for k in range(K))
    assert solved(fit, y, alpha * cp.normNuc(Z)) == pytest.approx(value, abs=1e-8)

    def outputs(weights):
        U, C = weights[: m * h].reshape(m, h), weights[m * h :].reshape(m, K)

        def pull_back(error):
            G = np.einsum("ikh,i->hk", patches, error)
            return np.concatenate([(C @ G.T).ravel(), (U @ G).ravel()])

        return np.einsum("ikh,hk->i", patches, U.T @ C), pull_back

    assert descended(outputs, y, alpha, m * (h + K)) == pytest.approx(value, abs=1e-7)


@pytest.mark.parametrize("alpha, value", [(0.01, 0.039462707), (0.05, 0.080080651)])
def test_two_circular_layers_are_a_lasso_in_frequencies(alpha, value):
    X, y = signals(5, 4)
    d, m = X.shape[1], 5
    z = cp.Variable(d)
    penalty = alpha / np.sqrt(d) * fourier_length(z)
    assert solved(X @ z, y, penalty) == pytest.approx(value, abs=1e-8)

    def outputs(weights):
        """Each neuron is a circular convolution of a filter with its output weights."""
        U, C = (np.fft.fft(part.reshape(m, d), axis=1) for part in np.split(weights, 2))

        def pull_back(error):
            G = np.fft.fft(X.T @ error)
            parts = (np.fft.ifft(G * other.conj(), axis=1).real.ravel() for other in (C, U))
            return np.concatenate(list(parts))

        return X @ np.fft.ifft(U * C, axis=1).real.sum(axis=0), pull_back

    assert descended(outputs, y, alpha, 2 * m * d) == pytest.approx(value, abs=1e-7)


@pytest.mark.parametrize("alpha, value", [(0.01, 0.010697274), (0.05, 0.046906191)])
def test_a_circular_layer_before_relus(alpha, value):
    """Neurons keep patterns of rows, and pay for the frequencies of their weights."""
    X, y = signals(4, 3)
    fit, penalty, cones = 0, 0, []
    for active in enumerate_patterns(X).active.T:
        for sign in (1, -1):
            v = cp.Variable(X.shape[1])
            fit += sign * (active[:, None] * X) @ v
            penalty += alpha / np.sqrt(X.shape[1]) * fourier_length(v)
            cones.append(cp.multiply(np.where(active, 1.0, -1.0), X @ v) >= 0)
    assert solved(fit, y, penalty, cones) == pytest.approx(value, abs=1e-7)
