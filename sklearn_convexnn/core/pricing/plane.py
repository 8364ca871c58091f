"""Rows in a plane: the largest price exactly, from the arcs between the kinks of all rows."""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.pricing.exact import ExactPricing
from sklearn_convexnn.core.pricing.search import MAX_CURVATURE_COLUMNS
from sklearn_convexnn.core.problem.directions import Prices, joined, select_diverse
from sklearn_convexnn.core.problem.metric import ISOTROPIC


def plane_basis(rows):
    """An orthonormal basis of the span of the rows, (p, 1) or (p, 2); None if it is larger.

    None as well where neurons act on something else than rows, or rows are too many to be sorted
    here.
    """
    p = rows.n_columns
    if not rows.neurons.acts_on_rows or not rows.in_memory:
        return None
    if p <= 2:
        return np.eye(p)
    # A few rows settle it for nearly all data.
    if p > MAX_CURVATURE_COLUMNS or _span(rows.few(16).dense()).shape[1] > 2:
        return None
    basis = _span(rows.dense())
    return basis if basis.shape[1] <= 2 else None


def _span(X):
    """An orthonormal basis of the span of the rows, up to the rounding of each column.

    Columns are scaled to length one first, which keeps the span's dimension: an "exact" price must
    not leave out a feature because its unit is small or its mean is large.
    """
    X = X.astype(np.float64)
    largest = np.abs(X).max(axis=0)
    X = X / np.where(largest > 0, largest, 1.0)
    lengths = np.linalg.norm(X, axis=0)
    triangle = np.linalg.qr(X / np.where(lengths > 0, lengths, 1.0), mode="r")
    _, sigma, Vt = np.linalg.svd(triangle, full_matrices=False)
    rank = max(1, int(np.sum(sigma > 16 * X.shape[1] * np.finfo(float).eps * sigma[0])))
    scale = largest * lengths
    return np.linalg.qr(scale[:, None] * Vt[:rank].T)[0]


class PlanePricing(ExactPricing):
    """Every activation pattern of rows of rank 1 or 2: the exact largest price.

    In the plane the lines ``x_i^T u = 0`` cut the circle of directions into at most 2n arcs; on an
    arc the activations are linear, ``R^T (X u)_+ = G u`` with ``G = R^T D X``, and the largest
    ``||G u||`` is at the top right singular vector of ``G`` if it lies on the arc, else at an end.
    """

    def __init__(self, basis=None, n_kept=1000, metric=ISOTROPIC):
        self.basis, self.n_kept, self.metric = basis, n_kept, metric

    def __call__(self, rows, R, network, *, effort, known=None):
        rows = rows.with_dtype(np.float64)  # in single precision no certificate is exact
        basis = np.eye(rows.n_columns) if self.basis is None else self.basis
        if basis.shape[1] == 1:
            U = np.array([[1.0], [-1.0]])
        else:
            U = best_on_arcs(rows.dense() @ basis, rows.fetch(R), self.n_kept)
        U = U @ basis.T
        V = rows.prices(U, R)
        return joined(Prices(U, V, np.linalg.norm(V, axis=1)))

    def seeds(self, rows, R, count):
        """The best directions: there are few to choose from."""
        found = self(rows, R, None, effort=0)
        return select_diverse(found, count, max_cosine=0.9, metric=self.metric)


def best_on_arcs(X, R, count):
    """The ``count`` best of: the top of every arc that has one inside, and all ends of arcs."""
    angle = np.arctan2(X[:, 1], X[:, 0])
    # Row i is active for directions less than a quarter turn from its own.
    borders = np.mod(np.concatenate([angle - np.pi / 2, angle + np.pi / 2]), 2 * np.pi)
    order = np.argsort(borders, kind="stable")
    # Begin in the middle of the widest arc: there the active rows are beyond doubt, while borders
    # of parallel rows may differ by rounding.
    gaps = np.diff(borders[order], append=borders[order[0]] + 2 * np.pi)
    widest = int(np.argmax(gaps))
    begin = borders[order[widest]] + 0.5 * gaps[widest]
    order = np.roll(order, -(widest + 1))
    borders, gaps = borders[order], np.roll(gaps, -(widest + 1))
    products = R[:, :, None] * X[:, None, :]
    changes = np.concatenate([products, -products])[order]
    active = np.cos(begin - angle) > 0
    G = products[active].sum(axis=0) + np.cumsum(changes, axis=0)
    H = np.einsum("kcp,kcq->kpq", G, G)
    top = 0.5 * np.arctan2(2 * H[:, 0, 1], H[:, 0, 0] - H[:, 1, 1])
    angles, values = [borders], [np.linalg.norm(_times_direction(G, borders), axis=1)]
    for candidate in (top, top + np.pi):
        offset = np.mod(candidate - borders, 2 * np.pi)
        inside = offset <= gaps
        angles.append(candidate[inside])
        values.append(np.linalg.norm(_times_direction(G[inside], candidate[inside]), axis=1))
    angles, values = np.concatenate(angles), np.concatenate(values)
    best = angles[np.argsort(-values, kind="stable")[:count]]
    return np.column_stack([np.cos(best), np.sin(best)])


def _times_direction(G, angles):
    return G[:, :, 0] * np.cos(angles)[:, None] + G[:, :, 1] * np.sin(angles)[:, None]
