"""Deep linear networks along descending values of alpha, and their errors on held-out rows."""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.deep.linear import make_deep_linear


def path(problem, alphas, *, tol, max_iter):
    """Solutions for descending ``alphas``, each started from the one before."""
    end = None
    for alpha in alphas:
        solution = problem.solve(alpha, tol=tol, max_iter=max_iter, start=end, confirm=False)
        yield solution
        end = solution.end


def fold_errors(X, Y, weights, train, test, alphas, *, tol, max_iter, **settings):
    """Weighted mean squared errors (n_alphas,) on ``test`` of the path on ``train``.

    Also the sum of the weights of ``test``.  The mean is over rows and outputs.
    """
    if not np.any(weights[train] > 0) or not np.any(weights[test] > 0):
        raise ValueError(
            "A fold of the cross-validation has no row of positive weight: use fewer folds, or "
            "leave out the rows of weight zero."
        )
    problem = make_deep_linear(X[train], Y[train], weights[train], **settings)
    share = weights[test] / weights[test].sum()
    errors = []
    for solution in path(problem, alphas, tol=tol, max_iter=max_iter):
        network = solution.network
        residual = Y[test] - network.intercept - np.asarray(X[test] @ network.coef)
        errors.append(share @ np.mean(residual**2, axis=1))
    return np.array(errors), float(weights[test].sum())
