"""Upper bounds of the largest price of pooled activations, and the price itself in a plane.

Pooled activations are sublinear in the direction, as ReLUs are: for one output weight the price is
a difference of two sublinear functions, which
:mod:`sklearn_convexnn.core.pricing.branch_and_bound` bounds.  In a plane winners change at the
directions at which two patches of a group, or a patch and zero, are equal; on the arcs between the
price is the length of a linear map, as in :mod:`sklearn_convexnn.core.pricing.plane`.
"""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.patterns.enumeration import reduce_rank
from sklearn_convexnn.core.pricing.branch_and_bound import bound_difference
from sklearn_convexnn.core.pricing.proofs import QUICK_RANK

# Products of patches and directions that are looked at together.
_BLOCK_BYTES = 32 << 20


def prove_pooled_price(table, r, goal, max_nodes):
    """A bound of the largest price of one output and one cell, a direction, and the cones used.

    Parameters
    ----------
    table : PatchTable
    r : ndarray of shape (n,)
    goal : float
        A bound of this is enough.
    max_nodes : int

    Returns
    -------
    tuple or None
        None where the patches have a rank beyond ``QUICK_RANK``.
    """
    A = np.concatenate([patches for _, patches in table.blocks(1)])
    flat = A.reshape(-1, A.shape[2])
    reduced, basis = reduce_rank(flat)
    if not 0 < reduced.shape[1] <= QUICK_RANK:
        return None
    # What is not in the basis: the sum over rows of the largest of a group is at most that of all.
    neglected = 0.0
    if reduced.shape[1] < flat.shape[1]:
        neglected = float(np.linalg.norm(flat - reduced @ basis.T, 2) * np.linalg.norm(r))
    parts = _Pooled(reduced.reshape(*A.shape[:2], -1), table, r)
    result = bound_difference(parts, goal=goal, max_nodes=max_nodes)
    return result.upper + neglected, basis @ result.direction, result.n_nodes


class _Pooled:
    """The parts of the price by the sign of the residual; see :func:`bound_difference`."""

    def __init__(self, A, table, r):
        self.A, self.flat, self.largest = A, A.reshape(-1, A.shape[2]), table.largest
        self.column_sizes = np.linalg.norm(self.flat, axis=0)
        self.n_terms = len(r) * table.n_groups
        shares = 1.0 if table.largest else 1.0 / A.shape[1]
        lengths = np.linalg.norm(A, axis=2)
        pooled = lengths.max(axis=1) if table.largest else lengths.mean(axis=1)
        self.size = np.abs(r) @ pooled
        self.signed = np.array([np.maximum(s * r, 0) * shares for s in (1.0, -1.0)])

    def tangents(self, U):
        n, K, p = self.A.shape
        found = np.empty((2, len(U), p))
        step = max(1, _BLOCK_BYTES // (8 * n * K))
        for start in range(0, len(U), step):
            block = slice(start, start + step)
            passed = self._passed((U[block] @ self.flat.T).reshape(-1, n, K))
            for kind in (0, 1):
                weights = passed * self.signed[kind][:, None]
                found[kind, block] = weights.reshape(len(passed), -1) @ self.flat
        return found

    def _passed(self, H):
        """Which patches are passed on."""
        if not self.largest:
            return (H > 0).astype(float)
        where = H.argmax(axis=2)[:, :, None]
        passed = np.zeros(H.shape)
        np.put_along_axis(passed, where, np.take_along_axis(H, where, 2) > 0, 2)
        return passed


# ----------------------------------------------------------------------------------- in a plane


def plane_of(table):
    """An orthonormal basis of the plane of all patches, (p, 2 or less); None if it is larger."""
    if table.n_columns <= 2:
        return np.eye(table.n_columns)
    triangle = np.zeros((0, table.n_columns))
    for _, A in table.blocks(1):
        triangle = np.linalg.qr(np.concatenate([triangle, A.reshape(-1, A.shape[2])]), mode="r")
        basis = reduce_rank(triangle)[1]
        if basis.shape[1] > 2:
            return None
    # Of zeros alone any direction is as good.
    return basis if basis.shape[1] else np.eye(table.n_columns, 1)


def n_arcs(table):
    """At most so many arcs there are."""
    groups = np.array([len(group) for group in table.groups])
    return 2 * table.n_rows * int(np.sum(groups * (groups + 1) // 2))


def price_in_plane(table, R, basis):
    """Directions (k, p) with the best price of every arc, the largest price among them.

    Parameters
    ----------
    table : PatchTable
    R : ndarray of shape (n, C)
    basis : ndarray of shape (p, 1 or 2)
        Of :func:`plane_of`.
    """
    if basis.shape[1] == 1:
        return np.concatenate([basis.T, -basis.T])
    A = np.concatenate([patches for _, patches in table.blocks(1)]) @ basis
    borders = _borders(A, table)
    gaps = np.diff(borders, append=borders[:1] + 2 * np.pi)
    ends = np.column_stack([np.cos(borders), np.sin(borders)])
    middle = borders + 0.5 * gaps
    tops = []
    step = max(1, _BLOCK_BYTES // (8 * A.shape[0] * A.shape[1]))
    for start in range(0, len(borders), step):
        block = slice(start, start + step)
        U = np.column_stack([np.cos(middle[block]), np.sin(middle[block])])
        M = _linear_maps(A, table, R, U)
        H = M.transpose(0, 2, 1) @ M
        top = 0.5 * np.arctan2(2 * H[:, 0, 1], H[:, 0, 0] - H[:, 1, 1])
        for candidate in (top, top + np.pi):
            inside = np.mod(candidate - borders[block], 2 * np.pi) <= gaps[block]
            tops.append(candidate[inside])
    tops = np.concatenate(tops)
    every = np.concatenate([ends, np.column_stack([np.cos(tops), np.sin(tops)])])
    return every @ basis.T


def _borders(A, table):
    """Angles, ascending, at which the order of two patches of a group, or of zero, changes."""
    differences = [A.reshape(-1, 2)]
    for group in table.groups:
        first, second = np.triu_indices(len(group), 1)
        differences.append((A[:, group[first]] - A[:, group[second]]).reshape(-1, 2))
    differences = np.concatenate(differences)
    differences = differences[np.any(differences != 0, axis=1)]
    angle = np.arctan2(differences[:, 1], differences[:, 0])
    borders = np.mod(np.concatenate([angle - np.pi / 2, angle + np.pi / 2, [0.0]]), 2 * np.pi)
    return np.unique(borders)


def _linear_maps(A, table, R, U):
    """The map (C * G, 2) of every arc, at directions ``U`` inside of them."""
    H = np.einsum("kq,rpq->krp", U, A)
    where = np.stack([group[H[:, :, group].argmax(axis=2)] for group in table.groups], axis=2)
    row = np.arange(len(A))[None, :, None]
    won = A[row, where] * (np.take_along_axis(H, where, 2) > 0)[..., None]
    maps = np.einsum("krsq,sg,rc->kgcq", won, table.shares, R, optimize=True)
    return maps.reshape(len(U), -1, 2)
