r"""Two linear layers, the first of circular convolutions: a lasso in frequencies.

    min  sum_i w_i 1/2 ||y_i - b - sum_j C_j^T (u_j * x_i)||^2
         + alpha/2 sum_j (||u_j||^2 + ||C_j||^2)

with filters ``u_j`` and output weights ``C_j`` of the shape of a row, ``*`` the circular
correlation.  In the frequencies of the effective weights ``z = sum_j u_j * C_j`` a filter and its
weights are multiplied, and the least penalty of the product is (doc/convolution.rst)

    alpha / sqrt(d) * sum_f ||(F z)_f||_2 ,

``F`` the unitary Fourier transform and the norm over outputs.  Real ``z`` have equal lengths at
``f`` and ``-f``: in cosines and sines they are one group.  One filter for each frequency that is
left, a cosine, attains it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sklearn_convexnn.core.deep.group_norms import GroupLeastSquares, solve_group_norms
from sklearn_convexnn.core.deep.nuclear_norm import duality_gap
from sklearn_convexnn.core.deep.spectral_rows import LinearRows, make_rows
from sklearn_convexnn.core.problem.certificates import Certificate
from sklearn_convexnn.core.problem.frequencies import Frequencies
from sklearn_convexnn.core.problem.solution import Solution, Status, end_of_history

_EPS = np.finfo(float).eps


@dataclass(frozen=True)
class CircularNetwork:
    """The network in the units of the data, a filter for each frequency.

    ``coef`` (d, C) are its effective weights, ``sizes`` (m,) what each filter costs over alpha.
    """

    coef: np.ndarray
    intercept: np.ndarray
    sizes: np.ndarray
    frequencies: np.ndarray

    def layers(self, shape):
        """Filters (m, *shape) and output weights (m, *shape, C), balanced."""
        d, n_outputs = self.coef.shape
        m, axes = len(self.sizes), range(len(shape))
        spectrum = np.fft.fftn(self.coef.reshape(*shape, n_outputs), axes=axes, norm="ortho")
        filters, weights = np.zeros((m, *shape)), np.zeros((m, *shape, n_outputs))
        for j, frequency in enumerate(self.frequencies):
            both = tuple(frequency), tuple(-frequency % np.array(shape))
            length = np.linalg.norm(spectrum[both[0]])
            u, c = np.zeros(shape, complex), np.zeros((*shape, n_outputs), complex)
            for f in both:
                u[f] = np.sqrt(length / np.sqrt(d))
                c[f] = spectrum[f] / np.sqrt(length * np.sqrt(d))
            filters[j] = np.fft.ifftn(u, norm="ortho").real
            weights[j] = np.fft.ifftn(c, axes=axes, norm="ortho").real
        return filters, weights


@dataclass(frozen=True)
class CircularProblem:
    """Rows of a shape, and the problem in frequencies."""

    rows: LinearRows
    shape: tuple

    @property
    def alpha_unit(self):
        return self.rows.y_scale / self.rows.x_scale

    @cached_property
    def frequencies(self):
        return Frequencies(self.shape)

    @cached_property
    def in_frequencies(self):
        """One pass over the rows."""
        waves = self.frequencies
        d, n_outputs = self.rows.shape
        S, M, energy = np.zeros((d, d)), np.zeros((d, n_outputs)), 0.0
        for A, T in self.rows.blocks():
            A = A @ waves.basis.T
            S += A.T @ A
            M += A.T @ T
            energy += 0.5 * float(np.vdot(T, T))
        return GroupLeastSquares(S, M, energy, waves.group, waves.prices)

    def alpha_max(self):
        """From this alpha on the constant network is optimal."""
        problem = self.in_frequencies
        return problem.largest_price(problem.M) * self.alpha_unit

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
            Certify from the rows, in one more pass over them, instead of from ``X^T X``.

        Returns
        -------
        Solution
            In the units of the data; its network is a :class:`CircularNetwork`.
        """
        working = alpha / self.alpha_unit
        problem = self.in_frequencies
        point = solve_group_norms(problem, working, tol=tol, max_iter=max_iter, start=start)
        primal, dual = point.primal, point.dual
        W = self.frequencies.basis.T @ point.A
        if confirm:
            loss, G, inner = self.rows.residual_statistics(W)
            penalty = working * problem.penalty(point.A)
            kappa = problem.largest_price(self.frequencies.basis @ G)
            fit = float(np.vdot(G, W))
            primal, gap = (
                loss + penalty,
                duality_gap(loss, penalty, fit, inner, working, kappa),
            )
            dual = primal - gap
        closed = primal - dual <= max(tol * primal, 256 * _EPS * problem.energy)
        unit = self.rows.y_scale**2
        certificate = Certificate(primal * unit, min(dual, primal) * unit, np.nan, "exact")
        network = self._network(W, point.sizes)
        status = Status.GAP if closed else Status.MAX_ITER
        history = end_of_history(certificate, rank=len(network.sizes))
        return Solution(network, certificate, status, alpha, point.n_iter, history, point.sizes)

    def _network(self, W, sizes):
        coef = W * (self.rows.x_scale * self.rows.y_scale)
        costs = self.in_frequencies.factors * sizes * (self.rows.x_scale * self.rows.y_scale)
        order = np.argsort(-costs, kind="stable")
        order = order[costs[order] > 0]
        shift = self.rows.y_mean - self.rows.x_mean @ coef
        return CircularNetwork(coef, shift, costs[order], self.frequencies.vectors[order])


def make_circular(X, Y, weights, *, shape, intercept):
    """The problem of dense rows ``X`` of ``shape`` and targets ``Y`` of shape (n, C)."""
    return CircularProblem(make_rows(X, Y, weights, intercept=intercept), shape)
