"""Sliding a network: descent in everything it has, which is not convex."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from sklearn_convexnn.core.problem.metric import ISOTROPIC
from sklearn_convexnn.core.problem.network import Network

# Pairs of vectors that L-BFGS may remember; matters for very many columns only.
_HISTORY_BYTES = 256 << 20


def slide(rows, network, alpha, *, max_iter, width=0.0, tol=1e-12, metric=ISOTROPIC):
    """L-BFGS on the weight-decay form of (P): all directions, output weights and the intercept.

    ``F(Z) + alpha/2 * sum_j (||u_j||^2 + ||c_j||^2)`` has the minimum of (P) and is smooth but for
    the kinks, which ``width`` (relative to ``||u_j||``) replaces by parabolas.  Ends after
    ``max_iter`` iterations or with one that lowers the objective by less than ``tol`` times it.

    With a metric the unknowns are in its axes and in units of about one over the root of their
    curvature, ``c_j^2 s^2 + alpha`` for a direction.

    Returns the network; it need not be better under the true ReLU, the caller decides.
    """
    U, C = network.balanced()
    (m, p), n_outputs = U.shape, C.shape[1]
    end_U, end_C = m * p, m * (p + n_outputs)
    # The width is fixed during a slide: as a function of u it would enter the gradient.
    reach = metric.lengths(U)
    smoothing = width * reach if width > 0 else None
    if not metric.trivial:
        squares = np.sum(C**2, axis=1, keepdims=True)
        unit_U = np.sqrt(squares * metric.sizes**2 + alpha)
        unit_C = np.sqrt(np.sum((U @ metric.axes * metric.sizes) ** 2, axis=1) + alpha)[:, None]

    def parts(theta):
        Y, C = theta[:end_U].reshape(m, p), theta[end_U:end_C].reshape(m, n_outputs)
        if metric.trivial:
            return Y, C, theta[end_C:]
        return (Y / unit_U) @ metric.axes.T, C / unit_C, theta[end_C:]

    def objective(theta):
        U, C, b0 = parts(theta)
        value, dU, dC, db0 = rows.loss_and_gradients(U, C, b0, smoothing)
        factors = theta[:end_C]
        if not metric.trivial:
            dU, dC = ((dU + alpha * U) @ metric.axes) / unit_U, (dC + alpha * C) / unit_C
            factors = np.concatenate([U.ravel(), C.ravel()])
        gradient = np.concatenate([dU.ravel(), dC.ravel(), db0])
        if metric.trivial:
            gradient[:end_C] += alpha * factors
        if not rows.intercept:
            gradient[end_C:] = 0.0
        return value + 0.5 * alpha * (factors @ factors), gradient

    start = U, C
    if not metric.trivial:
        start = U @ metric.axes * unit_U, C * unit_C
    start = np.concatenate([start[0].ravel(), start[1].ravel(), network.b0])
    options = {
        "maxiter": max_iter,
        "maxfun": 2 * max_iter + 20,
        "maxcor": int(np.clip(_HISTORY_BYTES // (16 * len(start)), 3, 10)),
        "ftol": tol,
        "gtol": 0.0,
    }
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    return Network.from_factors(*(part.copy() for part in parts(found.x)))
