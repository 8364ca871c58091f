"""Units of a slide's unknowns, in which the curvatures of its objective are about one."""

from __future__ import annotations

import numpy as np

# How much more than the penalty the loss bends at least: neurons that are small yet grow (3 of 1, 3
# and 10 lowers the objective most in the median slide of vehicle, optdigits and 26 classes).
_GROWN = 3.0


class SlideUnits:
    """Unknowns in which the curvatures of a slide's objective are about one.

    Between the directions of neurons j and k the loss bends by the sum over rows of ``w_i 1_ij 1_ik
    c_j^T H_i c_k x_i x_i^T``, with its second derivative ``H_i`` and 1 where a neuron is active,
    and between their output weights by that of ``w_i a_ij a_ik H_i``.  Means over rows taken factor
    by factor (Martens & Grosse 2015) leave a product of a matrix of neurons and one of features, or
    outputs, whose eigenvectors are those of both: with the penalty's ``alpha`` all of it is
    diagonal there.  Slid neurons are many pictures of few: a diagonal alone takes two to three
    times as many iterations.  (Rows count by their curvature in the factor of features only: with
    all of them 2.1 instead of 3.9 times the decrease on optdigits, 1.2 and 1.3 on spambase, equal
    on six other sets of labels.)

    Parameters
    ----------
    rows : Rows
    metric : Metric
        With principal axes.
    U, C : ndarrays
        Balanced factors of the network that a slide starts from.
    b0 : ndarray
    alpha : float
    """

    def __init__(self, rows, metric, U, C, b0, alpha):
        outputs, of_rows, of_activations, of_slopes = rows.curvature_factors(U, C, b0)
        bend, least = max(outputs.mean(), np.finfo(float).tiny), _GROWN * alpha
        if metric.trivial:
            squares, self.axes = _axes(of_rows / (bend * len(outputs)))
        else:  # whose small axes are lost in sums of products
            squares, self.axes = metric.principal.sizes**2, metric.principal.axes
        reach = max(squares.mean(), np.finfo(float).tiny)
        sizes, self.of_U = _axes(of_slopes * ((C * outputs) @ C.T), least / reach)
        self.U = np.sqrt(np.outer(sizes, squares) + alpha)
        sizes, self.of_C = _axes(of_activations, least / bend)
        self.C = np.sqrt(np.outer(sizes, outputs) + alpha)
        self.b0 = np.sqrt(outputs + alpha)

    def unknowns(self, U, C, b0):
        return (self.of_U.T @ U @ self.axes) * self.U, (self.of_C.T @ C) * self.C, b0 * self.b0

    def factors(self, Y, C, b0):
        return self.of_U @ (Y / self.U) @ self.axes.T, self.of_C @ (C / self.C), b0 / self.b0

    def gradients(self, dU, dC, db0):
        return (self.of_U.T @ dU @ self.axes) / self.U, (self.of_C.T @ dC) / self.C, db0 / self.b0


def _axes(matrix, least=0.0):
    """Eigenvalues and eigenvectors of moments whose diagonal is raised to ``least``."""
    diagonal = np.arange(len(matrix))
    matrix[diagonal, diagonal] = np.maximum(matrix[diagonal, diagonal], least)
    values, vectors = np.linalg.eigh(matrix)
    return np.maximum(values, 0.0), vectors
