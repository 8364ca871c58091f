"""Sliding a network: descent in everything it has, which is not convex."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from sklearn_convexnn.core.problem.metric import ISOTROPIC
from sklearn_convexnn.core.problem.network import Network

# Pairs of vectors that L-BFGS may remember; matters for very many columns only.
_HISTORY_BYTES = 256 << 20
# How much more than the penalty the loss bends at least, where units are chosen: 3 of 1, 3 and 9
# lowers the objective most within 40 iterations from neurons without weight (vehicle, .33 to .17
# of a start of 1.38, magic, spambase, optdigits).
_GROWN = 3.0


def slide(rows, network, alpha, *, max_iter, width=0.0, tol=1e-12, metric=ISOTROPIC, bend=1.0):
    """L-BFGS on the weight-decay form of (P): all directions, output weights and the intercept.

    ``F(Z) + alpha/2 * sum_j (||u_j||^2 + ||c_j||^2)`` has the minimum of (P) and is smooth but for
    the kinks, which ``width`` (relative to ``||u_j||``) replaces by parabolas.  Ends after
    ``max_iter`` iterations or with one that lowers the objective by less than ``tol`` times it.

    ``bend`` is the mean second derivative of the loss in an output, from which and the principal
    axes of the metric the unknowns have their units, see :class:`_Units`.

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
        units = _Units(metric.principal, U, C, alpha, bend)

    def parts(theta):
        Y, C = theta[:end_U].reshape(m, p), theta[end_U:end_C].reshape(m, n_outputs)
        U, C = (Y, C) if units is None else units.factors(Y, C)
        return U, C, theta[end_C:]

    def objective(theta):
        U, C, b0 = parts(theta)
        value, dU, dC, db0 = rows.loss_and_gradients(U, C, b0, smoothing)
        dU += alpha * U
        dC += alpha * C
        if units is not None:
            dU, dC = units.gradients(dU, dC)
        gradient = np.concatenate([dU.ravel(), dC.ravel(), db0])
        if not rows.intercept:
            gradient[end_C:] = 0.0
        return value + 0.5 * alpha * (np.vdot(U, U) + np.vdot(C, C)), gradient

    start = (U, C) if units is None else units.unknowns(U, C)
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


class _Units:
    """Unknowns in which the curvatures of a slide's objective are about one.

    A row is active for about half of the neurons, so that the loss bends by ``bend/2 ||c_j||^2
    s_k^2 + alpha`` in the direction of neuron j along the principal axis k, in which rows have the
    size ``s_k``, and by ``bend/2 sum_k (s_k u_jk)^2 + alpha`` in its output weights.  With
    correlated features L-BFGS comes as far in half the iterations.

    Parameters
    ----------
    principal : PrincipalAxes
    U, C : ndarrays
        Balanced factors of the network that a slide starts from.
    alpha, bend : float
    """

    def __init__(self, principal, U, C, alpha, bend):
        self.axes, squares = principal.axes, principal.sizes**2
        # Neurons that are small yet grow until the loss bends more than the penalty does.
        least = _GROWN * alpha
        by_outputs = 0.5 * bend * np.sum(C**2, axis=1, keepdims=True)
        by_outputs = np.maximum(by_outputs, least / max(squares.mean(), np.finfo(float).tiny))
        by_directions = np.maximum(0.5 * bend * principal.mean_squares(U), least)
        self.U = np.sqrt(by_outputs * squares + alpha)
        self.C = np.sqrt(by_directions + alpha)[:, None]

    def unknowns(self, U, C):
        return (U @ self.axes) * self.U, C * self.C

    def factors(self, Y, C):
        return (Y / self.U) @ self.axes.T, C / self.C

    def gradients(self, dU, dC):
        return (dU @ self.axes) / self.U, dC / self.C
