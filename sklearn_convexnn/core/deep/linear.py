r"""Deep linear networks: from rows to certified layers.

    min  sum_i w_i loss(y_i, x_i^T W_1 ... W_L + b) + alpha * penalty(W_1, ..., W_L)

with ``penalty = 1/2 sum_l ||W_l||_F^2`` (weight decay) or ``1/L sum_l ||W_l||_F^L`` summed over
parallel branches of width one (layer norm).  In the product ``W`` of the layers the least penalty
is

    weight decay:  L/2 sum_i sigma_i(W)^(2/L)            layer norm:  sum_i sigma_i(W)

so that the problem is convex for two layers and for the layer norm of any depth
(:mod:`~sklearn_convexnn.core.deep.nuclear_norm`,
:mod:`~sklearn_convexnn.core.deep.nuclear_norm_any_loss`), and solved with proven bounds otherwise
(:mod:`~sklearn_convexnn.core.deep.schatten_norm`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_convexnn.core.deep.nuclear_norm import duality_gap, is_rounding, solve_nuclear
from sklearn_convexnn.core.deep.nuclear_norm_any_loss import (
    Spectrum,
    constant_gradient,
    solve_low_rank,
)
from sklearn_convexnn.core.deep.schatten_norm import SpectralPoint, solve_spectral
from sklearn_convexnn.core.deep.singular_values import balanced_layers, power_penalty
from sklearn_convexnn.core.deep.spectral_rows import LinearRows, Reduction, make_rows_of, reduce
from sklearn_convexnn.core.problem.certificates import Certificate
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.solution import Solution, Status, end_of_history


@dataclass(frozen=True)
class LinearNetwork:
    """A deep linear network in the units of the data.

    ``coef = left diag(sizes) right^T`` is the product of the layers.
    """

    left: np.ndarray
    sizes: np.ndarray
    right: np.ndarray
    intercept: np.ndarray

    @property
    def coef(self):
        return (self.left * self.sizes) @ self.right.T

    def layers(self, n_layers, width=None):
        """Weights of all layers, balanced and aligned."""
        return balanced_layers(self.left, self.sizes, self.right, n_layers, width)


@dataclass(frozen=True)
class DeepLinearProblem:
    """Rows, their reduction, and the shape of the network.

    ``n_layers`` is the number that sets the power of the penalty: 2 for the layer norm.
    """

    rows: LinearRows
    reduction: Reduction
    n_layers: int
    loss: str
    intercept: bool
    width: int | None

    # Of an objective, a matrix W, and alpha, in the units of the data.

    @property
    def objective_unit(self):
        return self.rows.y_scale**2

    @property
    def coef_unit(self):
        return self.rows.x_scale * self.rows.y_scale

    @property
    def alpha_unit(self):
        return self.objective_unit / self.coef_unit ** (2.0 / self.n_layers)

    def alpha_max(self):
        """From this alpha on the constant network is proven optimal.

        The least such alpha for two layers.  For more, with ``m = ||M||_2`` and ``e = f(0) - min
        f``, ``(2/L) m^(2/L) e^(1-2/L)``: at a point better than zero every singular value is at
        most ``T = (2 e / (alpha L))^(L/2)``, where the penalty is at least
        ``alpha L/2 T^(2/L-1) ||W||_*``, and the nuclear norm with that factor keeps the network at
        zero once it reaches ``m``.
        """
        loss = get_loss(self.loss, self.rows.Y.shape[1])
        if not loss.quadratic:
            G = constant_gradient(self.rows, loss, intercept=self.intercept)
            return float(np.linalg.norm(G, 2)) * self.alpha_unit
        quadratic, L = self.reduction.quadratic, self.n_layers
        m = float(np.linalg.norm(quadratic.M, 2)) if quadratic.M.size else 0.0
        if L == 2 or m == 0.0:
            return m * self.alpha_unit
        working = (2.0 / L) * m ** (2.0 / L) * quadratic.explained ** (1.0 - 2.0 / L)
        return working * self.alpha_unit

    def solve(self, alpha, *, tol, max_iter, start=None, confirm=True):
        """The network for ``alpha``, with a certificate.

        Parameters
        ----------
        alpha : float, positive
        tol : float
            Relative duality gap of the convex cases.
        max_iter : int
        start : optional
            The ``end`` of a solution of the same problem for another alpha.
        confirm : bool
            Certify from the rows, in one more pass over them, instead of from ``X^T X``; for other
            losses than the squared error, go on to the last digits.

        Returns
        -------
        Solution
            In the units of the data; its network is a :class:`LinearNetwork`.
        """
        working = alpha / self.alpha_unit
        if not get_loss(self.loss, self.rows.Y.shape[1]).quadratic:
            return self._solve_low_rank(
                alpha, working, tol=tol, max_iter=max_iter, start=start, polish=confirm
            )
        quadratic = self.reduction.quadratic
        if working >= self.alpha_max() / self.alpha_unit:
            point, convex = self._zero(), False
        elif self.n_layers == 2:
            point, convex = self._nuclear(working, tol=tol, max_iter=max_iter, start=start)
        else:
            point = solve_spectral(
                quadratic, working, self.n_layers, tol=tol, max_rank=self._max_rank()
            )
            convex = False
        return self._finish(point, alpha, working, convex, tol=tol, rows=confirm)

    def _max_rank(self):
        r = min(self.reduction.quadratic.M.shape)
        return r if self.width is None else min(r, self.width)

    def _zero(self):
        quadratic = self.reduction.quadratic
        nothing = np.zeros((len(quadratic.s), 0)), np.zeros(0), np.zeros((quadratic.M.shape[1], 0))
        return SpectralPoint(*nothing, quadratic.energy, quadratic.energy, 1)

    def _nuclear(self, alpha, *, tol, max_iter, start):
        """A point of the convex program, or of that with fewer neurons than its rank; which."""
        quadratic = self.reduction.quadratic
        point = solve_nuclear(quadratic, alpha, tol=tol, max_iter=max_iter, start=start)
        if len(point.sizes) <= self._max_rank():
            return point, True
        point = solve_spectral(quadratic, alpha, 2, tol=tol, max_rank=self._max_rank())
        return point, False

    def _finish(self, point, alpha, working, convex, *, tol, rows):
        left, right = self.reduction.left @ point.P, self.reduction.right @ point.Q
        primal, dual, kappa = point.primal, point.dual, getattr(point, "kappa", np.nan)
        if rows:
            W = (left * point.sizes) @ right.T
            loss, G, inner = self.rows.residual_statistics(W)
            kappa = float(np.linalg.norm(G, 2)) if G.size else 0.0
            penalty = working * power_penalty(point.sizes, self.n_layers)
            primal = loss + penalty
            # What rounding in S and M does to the bound, it does to the value of the same point.
            dual -= abs(primal - point.primal)
            if convex:
                gap = duality_gap(loss, penalty, float(np.vdot(G, W)), inner, working, kappa)
                dual = primal - gap
        dual = min(dual, primal)
        closed = primal - dual <= tol * primal or is_rounding(
            primal - dual, self.reduction.quadratic.energy, tol
        )
        status = Status.GAP if closed else Status.MAX_ITER if convex else Status.STATIONARY
        kind = "exact" if convex or closed else "proven"
        unit = self.objective_unit
        sizes = point.sizes * self.coef_unit
        shift = self.rows.y_mean - ((self.rows.x_mean @ left) * sizes) @ right.T
        certificate = Certificate(primal * unit, dual * unit, kappa * unit / self.coef_unit, kind)
        network = LinearNetwork(left, sizes, right, shift)
        return _solution(network, certificate, status, alpha, point.n_iter, point)

    def _solve_low_rank(self, alpha, working, **goals):
        loss = get_loss(self.loss, self.rows.Y.shape[1])
        spectrum = Spectrum(self.reduction.quadratic.s, self.reduction.left)
        found = solve_low_rank(
            self.rows, spectrum, loss, working, intercept=self.intercept, **goals
        )
        rank = len(found.sizes)
        if self.width is not None and rank > self.width:
            raise ValueError(
                f"hidden_width={self.width} is less than the rank {rank} of the optimum: "
                "with the log-loss give at least that width, or None, or a larger alpha."
            )
        closed = found.certificate.relative_gap <= goals["tol"]
        status = Status.GAP if closed else Status.MAX_ITER
        sizes = found.sizes * self.coef_unit
        shift = found.b - ((self.rows.x_mean @ found.P) * sizes) @ found.Q.T
        network = LinearNetwork(found.P, sizes, found.Q, shift)
        return _solution(network, found.certificate, status, alpha, found.n_iter, found.end)


def _solution(network, certificate, status, alpha, n_iter, end=None):
    history = end_of_history(certificate, rank=len(network.sizes))
    return Solution(network, certificate, status, alpha, n_iter, history, end)


def make_deep_linear(X, Y, weights, *, n_layers, penalty, loss, intercept, width):
    """The problem of dense or CSR rows ``X`` and targets ``Y`` of shape (n, K)."""
    rows = make_rows_of(loss, X, Y, weights, intercept=intercept)
    power = 2 if penalty == "layer_norm" else n_layers
    return DeepLinearProblem(rows, reduce(rows), power, loss, intercept, width)
