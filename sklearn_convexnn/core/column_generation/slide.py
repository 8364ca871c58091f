"""Sliding a network: descent in everything it has, which is not convex."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from sklearn_convexnn.core.column_generation.slide_units import SlideUnits
from sklearn_convexnn.core.problem.metric import ISOTROPIC
from sklearn_convexnn.core.problem.network import Network

# Pairs of vectors that L-BFGS may remember; matters for very many columns only.
_HISTORY_BYTES = 256 << 20


def slide(rows, network, alpha, *, max_iter, width=0.0, tol=1e-12, metric=ISOTROPIC):
    """L-BFGS on the weight-decay form of (P): all directions, output weights and the intercept.

    ``F(Z) + alpha/2 * sum_j (||u_j||^2 + ||c_j||^2)`` has the minimum of (P) and is smooth but for
    the kinks, which ``width`` (relative to ``||u_j||``) replaces by parabolas.  Ends after
    ``max_iter`` iterations or with one that lowers the objective by less than ``tol`` times it.

    With principal axes in the metric the unknowns have the units of :class:`.SlideUnits`.

    Returns the network; it need not be better under the true ReLU, the caller decides.
    """
    U, C = network.balanced()
    (m, p), n_outputs = U.shape, C.shape[1]
    end_U, end_C = m * p, m * (p + n_outputs)
    # The width is fixed during a slide: as a function of u it would enter the gradient.
    reach = metric.lengths(U)
    if metric.principal is not None:
        reach = np.minimum(reach, metric.principal.reach(U))
    smoothing = width * reach if width > 0 else None
    units = None
    if metric.principal is not None and m:
        units = SlideUnits(rows, metric, U, C, network.b0, alpha)

    def parts(theta):
        Y, C = theta[:end_U].reshape(m, p), theta[end_U:end_C].reshape(m, n_outputs)
        return (Y, C, theta[end_C:]) if units is None else units.factors(Y, C, theta[end_C:])

    def objective(theta):
        U, C, b0 = parts(theta)
        value, dU, dC, db0 = rows.loss_and_gradients(U, C, b0, smoothing)
        dU += alpha * U
        dC += alpha * C
        if units is not None:
            dU, dC, db0 = units.gradients(dU, dC, db0)
        gradient = np.concatenate([dU.ravel(), dC.ravel(), db0])
        if not rows.intercept:
            gradient[end_C:] = 0.0
        return value + 0.5 * alpha * (np.vdot(U, U) + np.vdot(C, C)), gradient

    start = (U, C, network.b0) if units is None else units.unknowns(U, C, network.b0)
    start = np.concatenate([part.ravel() for part in start])
    options = {
        "maxiter": max_iter,
        "maxfun": 2 * max_iter + 20,
        "maxcor": int(np.clip(_HISTORY_BYTES // (16 * len(start)), 3, 10)),
        "ftol": tol,
        "gtol": 0.0,
    }
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    return Network.from_factors(*(part.copy() for part in parts(found.x)))
