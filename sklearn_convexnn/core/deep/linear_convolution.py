r"""Two linear layers, the first of filters, with a weight for each position: a nuclear norm.

    min  sum_i w_i loss(y_i, b + sum_jg C_jg^T (u_j . p_g(x_i)))
         + alpha/2 sum_j (||u_j||^2 + ||C_j||^2)

with filters ``u_j`` (h,) and output weights ``C_j`` (G, C), where ``p_g`` is the mean patch of cell
g, of one position or several.  The least penalty of ``Z = sum_j u_j C_j^T`` (h, G C) is
``alpha ||Z||_*``, and its singular vectors are the network.  Patches are linear in the row: with
their matrix ``B`` (h G, d) the outputs are ``x^T W + b``, ``W = B^T Z``.  The squared error sees
the rows through ``X^T X`` alone (:mod:`~sklearn_convexnn.core.deep.patch_nuclear_norm`), other
losses through products with them (:mod:`~sklearn_convexnn.core.deep.nuclear_norm_any_loss`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import sparse

from sklearn_convexnn.core.deep.nuclear_norm import duality_gap, is_rounding
from sklearn_convexnn.core.deep.nuclear_norm_any_loss import (
    Spectrum,
    constant_gradient,
    solve_low_rank,
)
from sklearn_convexnn.core.deep.patch_nuclear_norm import PatchQuadratic, solve_patches
from sklearn_convexnn.core.deep.singular_values import factored_svd
from sklearn_convexnn.core.deep.spectral_rows import LinearRows, make_rows_of, reduce
from sklearn_convexnn.core.problem.certificates import Certificate
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.solution import Solution, Status, end_of_history

_EPS = np.finfo(float).eps
# Rows whose patches are in memory at a time, and cells beyond which they have no principal axes.
_ROWS, _MANY_CELLS = 64, 1000


class CellPatches:
    """The mean patch of every cell, as one linear map of rows.

    Parameters
    ----------
    windows : Windows
        With one window.
    """

    def __init__(self, windows):
        (index,), d = windows.index, windows.n_features
        self.n_weights, self.n_cells = len(index), windows.n_cells
        places, targets, shares = [], [], []
        for g, cell in enumerate(windows.positions):
            seen = index[:, cell]
            entry = np.broadcast_to(np.arange(self.n_weights)[:, None], seen.shape)
            inside = seen < d  # beyond the border there are zeros
            places.append(seen[inside])
            targets.append(entry[inside] * self.n_cells + g)
            shares.append(np.full(len(places[-1]), 1.0 / len(cell)))
        places, targets, shares = map(np.concatenate, (places, targets, shares))
        shape = self.n_weights * self.n_cells, d
        self.matrix = sparse.csr_array((shares, (targets, places)), shape=shape)
        self.transposed = self.matrix.T.tocsr()

    def gathered(self, M):
        """``B M`` for ``M`` (d, k), as (h, G k)."""
        return (self.matrix @ M).reshape(self.n_weights, -1)

    def spread(self, Z):
        """``B^T Z`` for ``Z`` (h, G k), as (d, k)."""
        return self.transposed @ Z.reshape(self.n_weights * self.n_cells, -1)

    def columns(self, filters):
        """The features of ``filters`` (m, h) as weights of the row, (d, m G), a sparse matrix."""
        return self.transposed @ sparse.kron(filters.T, sparse.eye_array(self.n_cells))

    def of_rows(self, X):
        """Patches (h, n, G) of rows (n, d)."""
        patches = self.matrix @ X.T
        return patches.reshape(self.n_weights, self.n_cells, len(X)).transpose(0, 2, 1).copy()


@dataclass(frozen=True)
class PatchRows:
    """Rows seen through their patches, for products with ``Z`` (h, G C).

    The cells of this ``Z`` are along the principal axes of the patches, where they are not many.
    """

    rows: LinearRows
    patches: CellPatches

    @property
    def Y(self):
        return self.rows.Y

    @property
    def weights(self):
        return self.rows.weights

    @property
    def shape(self):
        return self.patches.n_weights, self.patches.n_cells * self.Y.shape[1]

    def product(self, Z):
        return self.rows.product(self.patches.spread(self.of_cells(Z)))

    def adjoint(self, R):
        return self.of_cells(self.patches.gathered(self.rows.adjoint(R)), back=True)

    def of_cells(self, Z, back=False):
        """``Z`` (m, G C) by cells, from the principal axes or, ``back``, to them."""
        if self.moments[2] is None:
            return Z
        turn = self.moments[2].T if back else self.moments[2]
        by_cell = Z.reshape(len(Z), self.patches.n_cells, self.Y.shape[1])
        return (turn @ by_cell).reshape(Z.shape)

    @cached_property
    def moments(self):
        """``sum_ig w_i p_ig p_ig^T`` (h, h), eigenvalues and -vectors of that of cells (G, G).

        Of very many cells the diagonal of the second alone.
        """
        (h, n_cells), left, right = (self.patches.n_weights, self.patches.n_cells), 0.0, 0.0
        many = n_cells > _MANY_CELLS
        for A, _ in self.rows.blocks():
            # Few rows of a block at a time: their patches are many times larger.
            for start in range(0, len(A), _ROWS):
                P = self.patches.of_rows(A[start : start + _ROWS])
                left = left + P.reshape(h, -1) @ P.reshape(h, -1).T
                flat = P.reshape(-1, n_cells)
                right = right + (np.sum(flat**2, axis=0) if many else flat.T @ flat)
        return left, *((right, None) if many else np.linalg.eigh(right))

    @cached_property
    def spectrum(self):
        """As if rows were products of a patch and of cells."""
        S, t, _ = self.moments
        s, left = np.linalg.eigh(S)
        keep = s > s.max(initial=0.0) * _EPS * len(s)
        columns = np.repeat(np.maximum(t, 0.0) / (t.sum() or 1.0), self.Y.shape[1])
        return Spectrum(s[keep], left[:, keep], columns)


@dataclass(frozen=True)
class FilterNetwork:
    """The network in the units of the data, balanced, the largest filter first.

    ``filters`` (m, h), ``weights`` (m, G C), ``coef`` (d, C) their sum as weights of the features,
    ``sizes`` (m,) what each filter costs over alpha.
    """

    filters: np.ndarray
    weights: np.ndarray
    coef: np.ndarray
    intercept: np.ndarray
    sizes: np.ndarray


@dataclass(frozen=True)
class LinearConvolution:
    """Rows, the patches of their cells, and the loss."""

    rows: LinearRows
    patches: CellPatches
    loss: str
    intercept: bool

    @property
    def coef_unit(self):
        return self.rows.x_scale * self.rows.y_scale

    @property
    def alpha_unit(self):
        return self.rows.y_scale / self.rows.x_scale

    @cached_property
    def reduction(self):
        """One pass over the rows."""
        return reduce(self.rows)

    @cached_property
    def quadratic(self):
        """``f`` of as many rows as there are eigenvalues of ``X^T X``."""
        found, left = self.reduction.quadratic, self.reduction.left
        root = np.sqrt(found.s)
        return PatchQuadratic(
            self.patches.of_rows(root[:, None] * left.T), found.M / root[:, None], found.smallest
        )

    @cached_property
    def patch_rows(self):
        return PatchRows(self.rows, self.patches)

    def _loss(self):
        return get_loss(self.loss, self.rows.Y.shape[1])

    def alpha_max(self):
        """From this alpha on the constant network is optimal."""
        if self._loss().quadratic:
            G = self.quadratic.pull(self.quadratic.T)
        else:
            G = constant_gradient(self.patch_rows, self._loss(), intercept=self.intercept)
        return (float(np.linalg.norm(G, 2)) if G.size else 0.0) * self.alpha_unit

    def solve(self, alpha, *, tol, max_iter, start=None, confirm=True):
        """The network for ``alpha``, with a certificate.

        Parameters
        ----------
        alpha : float, positive
        tol : float
            Relative duality gap.
        max_iter : int
        start : optional
            The ``end`` of a solution of the same problem for another alpha.
        confirm : bool
            Certify from the rows, in one more pass over them, instead of from ``X^T X``; for other
            losses than the squared error, go on to the last digits.

        Returns
        -------
        Solution
            In the units of the data; its network is a :class:`FilterNetwork`.
        """
        working = alpha / self.alpha_unit
        find = self._least_squares if self._loss().quadratic else self._any_loss
        point = find(working, confirm, tol=tol, max_iter=max_iter, start=start)
        gap = point.primal - point.dual
        closed = gap <= tol * point.primal
        if not closed and self._loss().quadratic:
            closed = is_rounding(gap, self.reduction.quadratic.energy, tol)
        status = Status.GAP if closed else Status.MAX_ITER
        unit = self.rows.y_scale**2
        certificate = Certificate(
            point.primal * unit, min(point.dual, point.primal) * unit, np.nan, "exact"
        )
        history = end_of_history(certificate, rank=len(point.sizes))
        network = self._network(point)
        return Solution(network, certificate, status, alpha, point.n_iter, history, point.end)

    def _least_squares(self, alpha, confirm, **goals):
        found = solve_patches(self.quadratic, alpha, **goals)
        right, m, n_cells = self.reduction.right, len(found.V), self.patches.n_cells
        # Back to all outputs from those in which the rows have signal.
        V = found.V.reshape(m, n_cells, right.shape[1]) @ right.T
        V = V.reshape(m, n_cells * len(right))
        primal, dual = found.primal, found.dual
        if confirm:
            W = self.patches.spread(found.U @ V)
            loss, G, inner = self.rows.residual_statistics(W)
            G = self.patches.gathered(G)
            kappa = float(np.linalg.norm(G, 2)) if G.size else 0.0
            penalty = alpha * float(np.sum(found.U**2))
            fit = float(np.vdot(G, found.U @ V))
            primal = loss + penalty
            dual = primal - duality_gap(loss, penalty, fit, inner, alpha, kappa)
        return _Point(*factored_svd(found.U, V.T), 0.0, primal, dual, found.n_iter, found.U)

    def _any_loss(self, alpha, confirm, **goals):
        found = solve_low_rank(
            self.patch_rows,
            self.patch_rows.spectrum,
            self._loss(),
            alpha,
            intercept=self.intercept,
            polish=confirm,
            **goals,
        )
        proof = found.certificate
        Q = self.patch_rows.of_cells(found.Q.T).T
        return _Point(
            found.P,
            found.sizes,
            Q,
            found.b,
            proof.primal,
            proof.dual,
            found.n_iter,
            found.end,
        )

    def _network(self, point):
        """In the units of the data: those of the coefficients go in halves to both layers."""
        signs = np.where(point.P.sum(axis=0) < 0, -1.0, 1.0)
        root = np.sqrt(point.sizes * self.coef_unit)
        filters, weights = (point.P * signs * root).T, (point.Q * signs * root).T
        coef = self.patches.spread(filters.T @ weights)
        shift = self.rows.y_mean + point.b - self.rows.x_mean @ coef
        return FilterNetwork(filters, weights, coef, shift, root**2)


class _Point(NamedTuple):
    """``Z = P diag(sizes) Q^T`` and the outputs ``b`` of a row at the mean, in working units."""

    P: np.ndarray
    sizes: np.ndarray
    Q: np.ndarray
    b: np.ndarray | float
    primal: float
    dual: float
    n_iter: int
    end: object


def make_linear_convolution(X, Y, weights, *, windows, loss, intercept):
    """The problem of dense rows ``X``, whose windows these are, and targets ``Y`` (n, C)."""
    rows = make_rows_of(loss, X, Y, weights, intercept=intercept)
    return LinearConvolution(rows, CellPatches(windows), loss, intercept)
