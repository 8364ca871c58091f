"""From data in the user's units to one well-scaled training problem, and back.

The objective (P) depends on the rows only as a weighted set.  :func:`make_problem` therefore merges
repeated rows and puts the rest in an order that depends on their values alone: a row with weight 2
and the same row given twice, in any order, become *the same arrays*, so that no rounding can send
the (non-convex) local searches of the solver to different places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sklearn_convexnn.core.problem.canonical_rows import canonical_rows
from sklearn_convexnn.core.problem.engines.coded import coded_if_cheaper
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.problem.rows import Rows

# Beyond these the descent is badly conditioned: the length of the mean row (with its constant) over
# the spread of the rows about it, and the largest weight of a row over the smallest.
_LARGEST_OFFSET = 8.0
_LARGEST_WEIGHT_RATIO = 1e3
# Sparse rows become an array up to this size, or this multiple of their own: below it the products
# of arrays are faster.
_DENSE_BYTES = 1 << 20
_DENSE_RATIO = 3


@dataclass(frozen=True)
class Problem:
    """Rows in working units and the way back to the units of the data.

    In working units a row is ``x_scale * [x, 1]`` (typical norm 1) and an output is
    ``(z - y_shift) / y_scale``; the loss says which shift and scale, and in which unit residuals
    then are.  For the squared error targets have standard deviation 1, ``alpha`` becomes
    ``alpha * x_scale / y_scale`` and the objective shrinks by ``y_scale^2``.
    """

    rows: Rows
    y_shift: np.ndarray
    y_scale: float
    residual_unit: float
    objective_offset: float = 0.0
    spread: np.ndarray | None = None

    @property
    def alpha_unit(self):
        """Working alpha = alpha / alpha_unit."""
        return self.residual_unit / self.rows.scale

    @property
    def objective_unit(self):
        """A difference of objectives = that of working objectives * objective_unit."""
        return self.y_scale * self.residual_unit

    def objective(self, working):
        """The objective in the units of the data."""
        return working * self.objective_unit + self.objective_offset

    def layers(self, network):
        """``coefs, intercepts`` as in scikit-learn's perceptrons, neurons balanced.

        ``coefs = [(d, m), (m, C)]``, ``intercepts = [(m,), (C,)]`` with
        ``||[coefs[0][:, j], intercepts[0][j]]|| = ||coefs[1][j]||`` for every neuron j: the sum of
        squares of these weights is twice the penalty of (P).
        """
        U, C = network.balanced()
        # In the user's units a neuron is longer by this factor, half of it in each layer.
        root = np.sqrt(self.rows.scale) * np.sqrt(self.y_scale)
        U, C = root * U, root * C
        d, dtype = self.rows.n_features, self.rows.engine.dtype
        biases = U[:, d] if self.rows.intercept else np.zeros(len(U))
        coefs = [np.ascontiguousarray(U[:, :d].T, dtype=dtype), C.astype(dtype)]
        return coefs, [
            biases.astype(dtype),
            (network.b0 * self.y_scale + self.y_shift).astype(dtype),
        ]

    def network(self, coefs, intercepts):
        """The network in working units from the layers of :meth:`layers`."""
        U = np.asarray(coefs[0], dtype=np.float64).T
        if self.rows.intercept:
            U = np.column_stack([U, intercepts[0]])
        C = np.asarray(coefs[1], dtype=np.float64) / (self.rows.scale * self.y_scale)
        b0 = (np.asarray(intercepts[1], dtype=np.float64) - self.y_shift) / self.y_scale
        return Network.from_factors(U, C, b0 if self.rows.intercept else np.zeros_like(b0))


def obstacle(rows):
    """What makes the descent on these rows badly conditioned, with its remedy; None if nothing.

    With features far from zero (or tiny ones beside the constant), neurons with a kink among the
    rows are nearly orthogonal to the mean row: a small change of their direction takes the kink
    away. Of extreme weights most add next to nothing to the loss, but carry constraints.
    """
    spread = mean_square_spread(rows)
    if 1.0 - spread >= spread * _LARGEST_OFFSET**2:
        return (
            "The rows, with a constant for the bias, differ little compared with their length: "
            "standardise the features."
        )
    statistics = rows.engine.statistics()
    if statistics.largest_weight > _LARGEST_WEIGHT_RATIO * statistics.least_weight:
        return "The weights of the rows differ extremely: use more even sample or class weights."
    return None


def mean_square_spread(rows):
    """The mean square distance of the rows from their mean, where their mean square is 1."""
    mean = rows.scale * rows.engine.statistics().mean_row
    return max(0.0, 1.0 - mean @ mean - rows.intercept * rows.scale**2)


def make_problem(X, Y, weights, *, loss, intercept, options=None, memory=256 << 20):
    """Build the training problem.

    Parameters
    ----------
    X : ndarray or CSR array of shape (n, d), float32 or float64
    Y : ndarray of shape (n, C)
        Real targets, or class indicators (one column for two classes).
    weights : ndarray of shape (n,), non-negative, not all zero
    loss : str
        A name in :data:`sklearn_convexnn.core.problem.losses.LOSSES`.
    intercept : bool
    options : dict, optional
        Of the loss.
    memory : int
        Rows are merged and ordered if the copy of ``X`` that this takes fits in so many bytes.

    Returns
    -------
    Problem
    """
    Y = np.asarray(Y, dtype=np.float64)
    weights = np.asarray(weights, dtype=np.float64)
    if np.any(weights == 0):
        X, Y, weights = X[weights > 0], Y[weights > 0], weights[weights > 0]
        if not len(weights):
            raise ValueError(
                "No training row has a positive weight: leave out the rows of weight zero, and for "
                "cross-validation use folds that train on some of the others."
            )
    X = dense_if_small(X)
    if _stored_bytes(X) <= memory:
        X, Y, weights = canonical_rows(X, Y, weights)
    weights = weights / weights.sum()
    units = get_loss(loss, Y.shape[1], **(options or {})).standardise(Y, weights, intercept)
    scale = _row_scale(X, weights, intercept)
    if not sparse.issparse(X):
        X = coded_if_cheaper(X)
    rows = Rows.of(X, units.Y, weights, units.loss, intercept=intercept, scale=scale)
    return Problem(
        rows, units.z_shift, units.z_scale, units.residual_unit, units.offset, units.spread
    )


def dense_if_small(X):
    """Sparse rows as an array where that is faster: if they are few, or hardly sparse."""
    if not sparse.issparse(X):
        return X
    dense_bytes = X.shape[0] * X.shape[1] * X.dtype.itemsize
    small = dense_bytes <= max(_DENSE_BYTES, _DENSE_RATIO * _stored_bytes(X))
    return X.toarray() if small else X


def _stored_bytes(X):
    return X.data.nbytes + X.indices.nbytes if sparse.issparse(X) else X.nbytes


def _row_scale(X, weights, intercept):
    """One over the root mean square norm of the rows (with their constant)."""
    values = X.data if sparse.issparse(X) else X
    largest = float(max(abs(values.max(initial=0)), abs(values.min(initial=0))))
    largest = max(largest, float(intercept))
    if largest == 0.0:
        return 1.0
    total = 0.0
    step = max(1, (1 << 20) // max(1, X.shape[1]))
    for start in range(0, X.shape[0], step):
        block = X[start : start + step].astype(np.float64) / largest
        if sparse.issparse(block):
            squares = np.asarray(block.multiply(block).sum(axis=1)).ravel()
        else:
            squares = np.einsum("ij,ij->i", block, block)
        total += weights[start : start + step] @ squares
    return float(1.0 / (largest * np.sqrt(total + (intercept / largest) ** 2)))
