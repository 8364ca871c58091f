r"""Outputs of every row from the network that was not trained on it, to first order.

At the solution of the group lasso (F) of :mod:`sklearn_convexnn.core.programs.group_newton` with
sizes ``s_j = ||v_j|| > 0`` and directions ``h_j = v_j / s_j`` the objective without row i has the
second derivatives

    H - A_i^T W_i A_i ,    H = sum_i A_i^T W_i A_i + blockdiag(alpha / s_j (I - h_j h_j^T)) ,

``W_i`` those of ``w_i loss(y_i, .)``.  One Newton step from the solution moves the outputs of the
row by ``(I - Q_i W_i)^{-1} Q_i w_i l'_i`` with ``Q_i = A_i H^{-1} A_i^T``: exact for the squared
error as long as no group enters or leaves and directions turn little, so that gates, which do not
move with the weights, are what makes it work.  (Walls of ReLU networks do move: the same formula
finds a third to a half of their change.)

The directions ``h_j`` and the intercept are not penalised at this order.  With ``W = F F^T`` and
``K = sum_j s_j / alpha A_j A_j^T``, the matrix of Newton's method itself, the matrix of leverages
``F^T Q F`` is the identity less the inverse of ``I + F^T K F`` on the complement of what they fit.
"""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.programs.group_newton import dual_variable
from sklearn_convexnn.core.programs.normal_equations import CurvatureRoot, DirectNormal
from sklearn_convexnn.core.programs.one_vs_all import OutputGroups

# What a row leaves unexplained of itself, at least; and where one Newton step can be trusted.
_RESTS = 1e-3, 0.5


def leave_one_out_outputs(rows, groups, solution, alpha):
    """Outputs ``Z`` (n, C) of every row without it, all of its weight at once.

    Parameters
    ----------
    rows : Rows
        With a smooth loss.
    groups : FreeGroups
    solution : GroupSolution
        Of the program of these rows and groups.
    alpha : float

    Returns
    -------
    ndarray of shape (n, C)
    """
    n_outputs = rows.n_outputs
    all_groups = OutputGroups(groups, n_outputs)
    active = solution.output * groups.count + solution.index
    sizes = np.linalg.norm(solution.V, axis=1)
    root = CurvatureRoot(rows, solution.Z)
    normal = DirectNormal(all_groups, active, sizes / alpha, [None] * n_outputs, root)
    free = root.down(all_groups.columns(active, solution.V / sizes[:, None]))
    rest = normal.inverse_blocks(np.concatenate([root.constants(), free], axis=2))
    x = -dual_variable(rows, solution.Z) / root.root
    step, trusted = (root.lift(_beyond_itself(rest, x, least)) for least in _RESTS)
    # A group that only this row holds up has a direction that fits the row and nothing else.
    # Without the row it vanishes, and takes away what it gave: no more than that is believed.
    given = np.abs(all_groups.columns(active, solution.V)).sum(axis=2)
    limit = np.linalg.norm(given, axis=1) + np.linalg.norm(trusted, axis=1)
    length = np.linalg.norm(step, axis=1)
    share = np.minimum(1.0, limit / np.where(length > 0, length, 1.0))
    return solution.Z + share[:, None] * step


def _beyond_itself(rest, x, least):
    """``(P^{-1} - I) x`` for the blocks ``P`` of every row, (n, C, C), and ``x`` (n, C)."""
    values, vectors = np.linalg.eigh(rest)
    values = np.clip(values, least, 1.0)
    y = np.einsum("icd,ic->id", vectors, x)
    return np.einsum("icd,id->ic", vectors, (1.0 / values - 1.0) * y)
