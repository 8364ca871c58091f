"""Deep linear networks along descending values of alpha."""

from __future__ import annotations


def path(problem, alphas, *, tol, max_iter):
    """Solutions for descending ``alphas``, each started from the one before."""
    end = None
    for alpha in alphas:
        solution = problem.solve(alpha, tol=tol, max_iter=max_iter, start=end, confirm=False)
        yield solution
        end = solution.end
