"""Neurons as mixtures of rows: projections onto the cone that rows generate.

The dual variable ``r`` (n,) of one output decides which neurons are optimal: within the closed cone
``K = {u : S A u >= 0}`` of one activation pattern ``D = (I + S) / 2``, by Moreau's decomposition,

    max_{||u|| <= 1, u in K} r^T (A u)_+ = min_{l >= 0} ||A^T D r + A^T S l||,                 (1)

and the maximiser is the vector on the right, scaled to length one: a mixture of the rows, with
non-negative corrections ``l`` to the coefficients ``r`` of the active rows and coefficients ``-l``
of inactive ones.  Both this and the mixture nearest to a given neuron are non-negative least
squares.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

# Generators added to the working set at once.
_BATCH = 64


def nearest_in_cone(target, rows, signs, *, tolerance=1e-12):
    """Coefficients ``l >= 0`` that minimise ``||target - sum_i l_i signs_i rows_i||``.

    Non-negative least squares on a growing set of rows: the others are judged by their products
    with the residual, so that n rows of p numbers cost a few passes instead of n x n products.

    Parameters
    ----------
    target : ndarray of shape (p,)
    rows : ndarray or CSR array of shape (n, p)
    signs : ndarray of shape (n,)
        1 or -1; rows with 0 are not used.
    tolerance : float
        Relative to the lengths of target and row: smaller products with the residual are none.

    Returns
    -------
    coefficients : ndarray of shape (n,)
    residual : ndarray of shape (p,)
        ``target`` minus the mixture.
    """
    n = rows.shape[0]
    coefficients, residual = np.zeros(n), target
    lengths = np.sqrt(row_squares(rows))
    usable = (signs != 0) & (lengths > 0)
    scale = np.where(usable, signs / np.where(usable, lengths, 1.0), 0.0)
    size = np.linalg.norm(target)
    chosen = np.zeros(0, dtype=np.intp)
    while True:
        products = scale * (rows @ residual)
        products[chosen] = 0.0
        wanted = np.flatnonzero(products > tolerance * size)
        if not len(wanted):
            return coefficients, residual
        wanted = wanted[np.argsort(-products[wanted], kind="stable")[:_BATCH]]
        # Rows that the last solution did not use make room: the working set stays small, and the
        # distance falls in every round, so that no set comes twice.
        chosen = np.concatenate([np.flatnonzero(coefficients), wanted])
        generators = dense(rows[chosen]) * scale[chosen, None]
        solution, distance = nnls(generators.T, target, maxiter=30 * len(chosen))
        if distance >= np.linalg.norm(residual) * (1 - 1e-14):
            return coefficients, residual
        coefficients = np.zeros(n)
        coefficients[chosen] = solution * np.abs(scale[chosen])
        residual = target - generators.T @ solution


def best_in_cell(rows, r, signs):
    """The maximum (1) of the price in one cell, as a mixture of rows.

    Returns
    -------
    coefficients : ndarray of shape (n,)
        Of the rows, for the direction times its price.
    direction : ndarray of shape (p,)
        The best one times its price.
    """
    weighted = np.where(signs > 0, r, 0.0)
    pull = rows.T @ weighted
    corrections, residual = nearest_in_cone(-pull, rows, signs)
    return weighted + signs * corrections, -residual


def activation_signs(rows, u, *, tolerance):
    """1 where a neuron is active, -1 where it is not, 0 where a row is on its kink.

    A row is on the kink where ``|a_i^T u| <= tolerance * ||a_i|| * ||u||``.
    """
    products = rows @ u
    limit = tolerance * np.linalg.norm(u) * np.sqrt(row_squares(rows))
    return np.where(np.abs(products) <= limit, 0.0, np.sign(products))


def row_squares(rows):
    """Squared lengths of rows, dense or sparse."""
    if hasattr(rows, "multiply"):
        return np.asarray(rows.multiply(rows).sum(axis=1)).ravel()
    return np.einsum("ij,ij->i", rows, rows)


def dense(rows):
    """Rows as an ndarray."""
    return rows.toarray() if hasattr(rows, "toarray") else rows
