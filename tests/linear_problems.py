"""Small problems of linear networks, and their optimum by other means than this package's."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
from scipy.optimize import minimize

from sklearn_convexnn.core.deep.spectral_rows import make_rows, reduce


def linear_data(n=30, d=5, K=3, *, condition=1.0, seed=0):
    """Rows with standard deviations down to ``condition^(-1/2)``, linear targets, noise."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * np.geomspace(1.0, condition**-0.5, d) + 0.3
    Y = X @ rng.standard_normal((d, K)) + rng.standard_normal((n, K))
    return X, Y


def quadratic_of(X, Y):
    return reduce(make_rows(X, Y, np.ones(len(X)), intercept=True)).quadratic


def nuclear_optimum(X, Y, weights, alpha, *, intercept=True, log_loss=False):
    """The convex program of two layers, by a conic solver."""
    weights = np.asarray(weights) / np.sum(weights)
    W, b = cp.Variable((X.shape[1], Y.shape[1])), cp.Variable((1, Y.shape[1]))
    Z = X @ W + np.ones((len(X), 1)) @ b * intercept
    if log_loss and Y.shape[1] == 1:
        loss = weights @ (cp.logistic(Z[:, 0]) - cp.multiply(Y[:, 0], Z[:, 0]))
    elif log_loss:
        loss = weights @ (cp.log_sum_exp(Z, axis=1) - cp.sum(cp.multiply(Y, Z), axis=1))
    else:
        loss = 0.5 * cp.sum_squares(cp.multiply(np.sqrt(weights)[:, None], Z - Y))
    problem = cp.Problem(cp.Minimize(loss + alpha * cp.normNuc(W)))
    # The last two digits of exponential cones are there or not as rounding has it.
    tol = 1e-8 if log_loss else 1e-10
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=tol, tol_gap_rel=tol, tol_feas=tol)
    return problem.value


def best_network(loss_and_gradient, shapes, alpha, *, relu=False, starts=8, seed=0):
    """Least value of loss + alpha/2 ||layers||^2 over many quasi-Newton descents.

    ``loss_and_gradient`` maps outputs to the loss and its gradient; the input is the identity if
    ``relu`` is False, else the rows ``relu``.
    """
    cuts = np.cumsum([a * b for a, b in shapes])[:-1]
    start = np.eye(shapes[0][0]) if relu is False else relu

    def objective(x):
        layers = [p.reshape(s) for p, s in zip(np.split(x, cuts), shapes, strict=True)]
        inputs, pre = [start], []
        for W in layers:
            pre.append(inputs[-1] @ W)
            inputs.append(pre[-1] if relu is False else np.maximum(pre[-1], 0.0))
        value, G = loss_and_gradient(pre[-1])
        gradients = []
        for i in reversed(range(len(layers))):
            gradients.append((inputs[i].T @ G).ravel())
            G = G @ layers[i].T
            if i and relu is not False:
                G = G * (pre[i - 1] > 0)
        return value + 0.5 * alpha * (x @ x), np.concatenate(gradients[::-1]) + alpha * x

    rng, values = np.random.default_rng(seed), []
    options = {"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-10}
    for _ in range(starts):
        x = rng.standard_normal(sum(a * b for a, b in shapes)) * rng.choice([0.4, 0.8])
        values.append(minimize(objective, x, jac=True, method="L-BFGS-B", options=options).fun)
    return min(values)
