"""Candidate neurons of ReLU networks in closed form: hyperplanes through subsets of the data.

For one output, a neuron of an optimal network maximises ``sum_i r_i (x_i^T u + b)_+`` over
``||u|| <= 1``.  Between the hyperplanes ``x_i^T u + b = 0`` this is linear.  If the norm is the l1
norm, whose ball is a polytope, a maximum is at a vertex: u and b are determined, up to sign and
length, by as many independent equations ``x_i^T u + b = 0`` or ``u_k = 0`` as there are unknowns
less one.  All of these directions make the training problem a finite lasso, exactly.  For the l2
norm the same with data points alone is an approximation that improves as the data get denser.  The
direction is the generalised cross product (the dual of a wedge product) of the rows in the
equations.
"""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np

# Above that many, subsets must be sampled.
MOST_SUBSETS = 200_000
_BLOCK = 20_000
_RANK_TOL = 1e-10


def n_subsets(n_rows, n_features, *, norm, intercept):
    """How many subsets of rows and coordinates there are."""
    pool = n_rows + (n_features if norm == "l1" else 0)
    return comb(pool, n_features if intercept else n_features - 1)


def wedge_neurons(X, *, norm, intercept, max_subsets=None, rng=None):
    """Directions and biases of the hyperplanes through subsets, one of each pair of signs.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    norm : {"l1", "l2"}
        Of u; biases are free.
    intercept : bool
        Whether there is a bias.
    max_subsets : int, optional
        Sample that many subsets without repetition if there are more; else take all.
    rng : numpy.random.Generator

    Returns
    -------
    U : ndarray of shape (m, d)
        Rows with norm 1.
    b : ndarray of shape (m,)
    """
    X = np.unique(np.asarray(X, dtype=np.float64), axis=0)
    if not len(X) or not X.any(axis=0).any():
        return np.zeros((0, X.shape[1])), np.zeros(0)
    scale = np.abs(X).max()
    X = X / scale
    if norm == "l2":
        # Cross products vanish in directions without data: work in the span of the rows.
        centred = X - X.mean(axis=0) if intercept else X
        _, sizes, basis = np.linalg.svd(centred, full_matrices=False)
        basis = basis[sizes > _RANK_TOL * max(sizes[0], 1e-300)]
        if not len(basis):
            return np.zeros((0, X.shape[1])), np.zeros(0)
    else:
        basis = np.eye(X.shape[1])
    rows = _equations(X @ basis.T, norm, intercept)
    size = rows.shape[1] - 1
    parts = [np.zeros((0, rows.shape[1]))]
    for block in _subset_blocks(len(rows), size, max_subsets, rng):
        parts.append(_null_vectors(rows[block]))
    H = np.concatenate(parts)
    r = len(basis)
    lengths = np.linalg.norm(H[:, :r], ord=1 if norm == "l1" else 2, axis=1)
    H = H[lengths > _RANK_TOL] / lengths[lengths > _RANK_TOL, None]
    b = H[:, r] * scale if intercept else np.zeros(len(H))
    return _distinct(H[:, :r] @ basis, b)


def _equations(X, norm, intercept):
    """Rows whose product with (u, b) may vanish at a vertex."""
    n, d = X.shape
    rows = np.column_stack([X, np.ones(n)]) if intercept else X
    if norm == "l1":
        rows = np.vstack([rows, np.eye(d, rows.shape[1])])
    return rows


def _subset_blocks(n_rows, size, max_subsets, rng):
    """All subsets, or random ones without repetition, as blocks of index arrays."""
    total = comb(n_rows, size)
    if max_subsets is None or total <= max_subsets:
        block = []
        for subset in combinations(range(n_rows), size):
            block.append(subset)
            if len(block) == _BLOCK:
                yield np.array(block)
                block = []
        if block:
            yield np.array(block, dtype=int).reshape(len(block), size)
        return
    seen = np.zeros((0, size), dtype=int)
    while len(seen) < max_subsets:
        draws = rng.integers(0, n_rows, (2 * max_subsets, size))
        draws.sort(axis=1)
        draws = draws[np.all(np.diff(draws, axis=1) > 0, axis=1)]
        both = np.concatenate([seen, draws])
        _, first = np.unique(both, axis=0, return_index=True)
        seen = both[np.sort(first)][:max_subsets]
    for start in range(0, max_subsets, _BLOCK):
        yield seen[start : start + _BLOCK]


def _null_vectors(A):
    """The null vector of every (p - 1, p) matrix of full rank, their cross product up to length."""
    if A.shape[1] == 0:
        return np.ones((len(A), 1))
    # Rows of equal length: which equations are dependent must not depend on units.
    lengths = np.linalg.norm(A, axis=2, keepdims=True)
    A = A / np.where(lengths > 0, lengths, 1.0)
    _, sizes, basis = np.linalg.svd(A, full_matrices=True)
    return basis[sizes[:, -1] > _RANK_TOL, -1]


def _distinct(U, b):
    """One of each direction: several subsets may lie on one hyperplane."""
    if not len(U):
        return U, b
    lead = np.argmax(np.abs(U) > 1e-9, axis=1)
    sign = np.sign(U[np.arange(len(U)), lead])[:, None]
    keys = np.column_stack([U, b / (np.abs(b).max() or 1.0)]) * sign
    _, first = np.unique(np.round(keys, 9) + 0.0, axis=0, return_index=True)
    first = np.sort(first)
    return U[first], b[first]
