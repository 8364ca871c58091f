"""Networks with fewer neurons for nearly the same objective: found by taking neurons away."""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.column_generation.refit import refit
from sklearn_convexnn.core.column_generation.slide import slide
from sklearn_convexnn.core.programs.minimal import (
    RANK_TOL,
    minimal_network,
    objective,
    with_best_intercept,
)

# The part of the neurons that the first step takes away, the iterations of a slide and a refit, and
# the rise of the objective that shows in single precision.
_FIRST_PART = 0.5
_SLIDE_ITER = 40
_REFIT_ITER = 100
_LEAST_SINGLE_RISE = 1e-3
# Curvature that every row has in the choice of neurons, relative to the mean of all.
_LEAST_CURVATURE = 1e-3


def smaller_network(rows, network, alpha, *, tolerance, tol=RANK_TOL, fast_dtype=np.float32):
    """As few neurons as found with an objective of at most ``1 + tolerance`` times that of now.

    Starts with :func:`minimal_network`.  Then part of the neurons is taken away, those whose loss
    the others can make up for best; the others slide, are refitted, and replace the network if the
    objective of (P) stays below the limit.  If not, the next step takes away half as many, down to
    a single one.  Where the tolerance leaves room for it slides and refits are in ``fast_dtype``.

    Returns
    -------
    Network
        Minimal as well.  It is the given one, made minimal, if no smaller one was found.
    """
    rows = rows.with_dtype(np.float64)
    fast = rows.with_dtype(fast_dtype) if tolerance >= _LEAST_SINGLE_RISE else rows
    limit = objective(rows, network, alpha) * (1.0 + tolerance)
    network = minimal_network(rows, network, tol=tol)
    part = _FIRST_PART
    while int(part * network.n_neurons) > 0:
        smaller = _without(rows, network, int(part * network.n_neurons))
        smaller = slide(fast, smaller, alpha, max_iter=_SLIDE_ITER, tol=3e-6)
        smaller = refit(fast, smaller.merged(), alpha, max_iter=_REFIT_ITER, newton=False)
        smaller = minimal_network(rows, with_best_intercept(rows, smaller), tol=tol)
        if objective(rows, smaller, alpha) <= limit and smaller.n_neurons < network.n_neurons:
            network = smaller
        else:
            part *= 0.5
    return network


def _without(rows, network, count):
    """Take ``count`` neurons away, one after the other, and let the others make up for each.

    The change of the loss is that of its quadratic model with the mean curvature ``h_i`` of each
    row for all outputs.  In the activations' moments ``G`` with weights ``w_i h_i`` the best that
    the others can do without neuron j costs ``||c_j||^2 / (2 (G^-1)_jj)``, at ``c_k - (G^-1)_kj /
    (G^-1)_jj c_j`` (the optimal brain surgeon of Hassibi & Stork, 1993).  The penalty is left out:
    at an optimum its slope and that of the loss cancel.
    """
    # Rows without curvature count as well: their outputs should not change too much.
    mean, G = rows.curvature_moments(network.U, rows.evaluate(network), _LEAST_CURVATURE)
    if rows.intercept:
        G -= np.outer(mean, mean)
    G[np.diag_indices_from(G)] += 1e-10 * np.trace(G) / len(G)
    inverse, C = np.linalg.inv(G), network.C.copy()
    left = np.ones(len(C), dtype=bool)
    for _ in range(count):
        pivots = np.where(left, np.diag(inverse), 1.0)
        cost = np.where(left, np.sum(C**2, axis=1) / pivots, np.inf)
        j = int(np.argmin(cost))
        column = inverse[:, j] / inverse[j, j]
        C -= np.outer(column, C[j])
        inverse -= np.outer(column, inverse[j])
        left[j], C[j] = False, 0.0
    b0 = network.b0 + mean @ (network.C - C) if rows.intercept else network.b0
    return network.with_outputs(C, b0).keep(left)
