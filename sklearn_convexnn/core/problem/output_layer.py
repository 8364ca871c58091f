"""The loss as a function of the output weights over fixed directions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sklearn_convexnn.core.problem import kernels

# Share of the mean weight below which a row is left out of a majorant: all of them together have
# at most this share of the curvature.  (0.02 to 0.6 lead to the same objectives, to 1e-4; 0.2 takes
# 0.8 of the time of refits of 26 classes.)
_NEGLIGIBLE = 0.2
# Least curvature of a row, relative to the largest, for losses without any on whole stretches: a
# system without curvature has no solution.
_LEAST_CURVATURE = 1e-6
# Features that share the memory of one in the passes that make moments of them: each block costs
# an addition of all moments.
_MOMENT_BLOCKS = 8


class Majorant(NamedTuple):
    """Curvatures that are at least those of the loss at one point, without those between outputs.

    For every output c the moments of the features with a constant, ``[gram, edge; edge^T, total]``.
    """

    total: np.ndarray  # (C,)
    edge: np.ndarray  # (C, f)
    gram: np.ndarray  # (C, f, f)


class OutputLayer:
    """What rows know about the output weights of given neurons.

    Weights ``C`` (m, n_cells * n_outputs) have one row for each neuron.

    Parameters
    ----------
    rows : Rows
    U : ndarray of shape (m, p)
    memory : int
        Bytes that the features of all rows may take; beyond, every pass computes them again.
    """

    def __init__(self, rows, U, memory):
        self.rows, self.U = rows, U
        self.n_features = len(U) * rows.neurons.n_cells
        kept = rows.n_rows * self.n_features * rows.dtype.itemsize <= memory
        self.features = rows.hidden(U) if kept else None

    def _pass(self, kernel, *small, width=None, rowwise=(), keep=False):
        """Its sums and the handle of what it keeps."""
        settings = {"width": width or self.n_features, "rowwise": rowwise, "keep": keep}
        return self.rows.on_features(kernel, self.U, self.features, *small, **settings)

    def _map(self, kernel, *small):
        return self._pass(kernel, *small)[0]

    def _at(self, C, b0):
        """The loss and the weights as kernels take them."""
        rows = self.rows
        C = C.reshape(self.n_features, rows.n_outputs)
        return C.astype(rows.dtype, copy=False), b0.astype(rows.dtype, copy=False)

    @property
    def _least(self):
        loss = self.rows.loss
        return float(_LEAST_CURVATURE * loss.smoothness()) if loss.flat else 0.0

    def mean_squares(self):
        """Of every feature, (f,)."""
        return self._map(kernels.mean_squares)[0]

    def loss(self, C, b0):
        """``F(Z)``."""
        return float(self._map(kernels.fitted_loss, self.rows.loss, *self._at(C, b0))[0])

    def loss_and_gradients(self, C, b0):
        """``F(Z)`` and its gradients in ``C`` and ``b0``, the latter zero if that is not free."""
        value, dC, db0 = self._map(kernels.fitted_gradients, self.rows.loss, *self._at(C, b0))
        db0 = db0 if self.rows.intercept else np.zeros_like(b0)
        return float(value), dC.reshape(C.shape), db0

    def majorant(self, C, b0):
        """The :class:`Majorant` of the loss at these weights, up to some percent.

        Rows with little of the curvature are left out, and the others make up for them: where most
        rows are decided, and most of them count for few of the classes, few are left.
        """
        (totals,), bends = self._pass(
            kernels.fitted_bends, self.rows.loss, self._least, *self._at(C, b0), keep=True
        )
        negligible = _NEGLIGIBLE / self.rows.n_rows * totals
        (found, edge, gram), _ = self._pass(
            kernels.fitted_majorant,
            negligible,
            width=max(1, self.n_features // _MOMENT_BLOCKS),
            rowwise=(bends,),
        )
        share = totals / np.where(found > 0, found, 1.0)
        return Majorant(totals, share[:, None] * edge, share[:, None, None] * gram)

    def hessian(self, support, C, b0):
        """Second derivatives in the weights of the neurons ``support``, then in the intercept."""
        rows = self.rows
        cells, n_outputs = rows.neurons.n_cells, rows.n_outputs
        columns = (support[:, None] * cells + np.arange(cells)).ravel()
        least = self._least
        parts = self._map(
            kernels.fitted_hessian, rows.loss, rows.intercept, columns, least, *self._at(C, b0)
        )
        k = len(columns) + rows.intercept
        H = np.empty((k, n_outputs, k, n_outputs))
        for c in range(n_outputs):
            for d in range(n_outputs):
                H[:, c, :, d] = parts[c * n_outputs + d]
        return H.reshape(k * n_outputs, k * n_outputs)
