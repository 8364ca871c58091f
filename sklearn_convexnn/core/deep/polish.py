"""Newton's method on a gradient, for the digits that descent of an objective cannot resolve."""

from __future__ import annotations

import numpy as np
from scipy.sparse.linalg import LinearOperator, minres


def newton_polish(gradient_at, x, *, steps, inner):
    """Lower the norm of the gradient while every step halves it.

    Parameters
    ----------
    gradient_at : callable
        From points to gradients; products with the Hessian are its central differences.
    x : ndarray, near a minimum
    steps, inner : int
        Newton steps at most, and MINRES iterations in each. Rotations between factors make the
        system singular but consistent, which MINRES takes.

    Returns
    -------
    ndarray
    """
    gradient = gradient_at(x)
    if not x.any():
        return x
    for _ in range(steps):

        def product(direction, x=x):
            length = np.linalg.norm(direction)
            if length == 0.0:
                return np.zeros_like(x)
            h = 1e-5 * np.linalg.norm(x) / length
            return (gradient_at(x + h * direction) - gradient_at(x - h * direction)) / (2 * h)

        operator = LinearOperator((x.size, x.size), matvec=product, dtype=float)
        trial = x - minres(operator, gradient, rtol=1e-3, maxiter=inner)[0]
        trial_gradient = gradient_at(trial)
        if not np.linalg.norm(trial_gradient) < 0.5 * np.linalg.norm(gradient):
            break
        x, gradient = trial, trial_gradient
    return x
