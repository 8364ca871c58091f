r"""Least squares with a norm for each group of rows of the unknown: Newton's method on group sizes.

    (M)  min_A  f(A) + sum_g l_g ||A_g||_F ,     f(A) = energy - <M, A> + 1/2 <A, S A> ,

with dual constraints ``||(M - S A)_g||_F <= l_g``.  As ``||A_g|| = min_e (||A_g||^2 / e + e) / 2``
over ``e >= 0``, the program is that of one number for each group, convex and smooth,

    h(e) = min_A f(A) + 1/2 sum_g l_g (||A_g||^2 / e_g + e_g) ,    A_g = e_g c_g ,

    (I + S D) l c = M ,  D = diag(e / l) ,     dh/de_g = l_g (1 - ||c_g||^2) / 2 ,
    d2h/de_g de_k = <c_g, P_gk c_k> ,          P = (I + S D)^{-1} S ,

``l c`` being the gradient ``M - S A`` itself.  So however ill-conditioned ``S`` is, and however
many outputs there are, a step takes one factor of a matrix of the groups that have a size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg
from scipy.optimize import nnls

from sklearn_convexnn.core.deep.nuclear_norm import duality_gap

_EPS = np.finfo(float).eps
# Halvings of a step, the share of the slope that it has to gain, and what values do not resolve,
# relative to the energy; steps within that which may pass without a smaller gap.
_HALVINGS, _GAINED, _RESOLVED, _MOST_IDLE = 30, 1e-4, 8 * _EPS, 5
# Added to the diagonal of second derivatives, relative to the largest: groups may do the same.
_RIDGE = 1e-13


@dataclass(frozen=True)
class GroupPoint:
    """``A`` with its group sizes, the value of (M) and a proven lower bound of its optimum."""

    A: np.ndarray
    sizes: np.ndarray
    primal: float
    dual: float
    n_iter: int


@dataclass(frozen=True)
class GroupLeastSquares:
    """``f`` and its groups.

    Parameters
    ----------
    S : ndarray of shape (d, d), positive semidefinite
    M : ndarray of shape (d, C)
    energy : float
    group : ndarray of shape (d,)
        The group of every row, from 0 on without gaps.
    factors : ndarray of shape (n_groups,)
        ``l_g`` over alpha.
    """

    S: np.ndarray
    M: np.ndarray
    energy: float
    group: np.ndarray
    factors: np.ndarray

    def norms(self, B):
        """``||B_g||_F`` of all groups."""
        return np.sqrt(np.bincount(self.group, weights=np.einsum("ij,ij->i", B, B)))

    def largest_price(self, G):
        """The dual norm: the least alpha for which ``G`` satisfies all constraints."""
        return float((self.norms(G) / self.factors).max(initial=0.0))

    def penalty(self, A):
        return float(self.factors @ self.norms(A))

    def evaluated(self, A, alpha, n_iter):
        G = self.M - self.S @ A
        fit = float(np.vdot(G, A))
        loss = max(self.energy - 0.5 * float(np.vdot(self.M, A)) - 0.5 * fit, 0.0)
        penalty = alpha * self.penalty(A)
        inner = 2 * self.energy - float(np.vdot(self.M, A))
        gap = duality_gap(loss, penalty, fit, inner, alpha, self.largest_price(G))
        return GroupPoint(A, self.norms(A), loss + penalty, loss + penalty - gap, n_iter)


def solve_group_norms(problem, alpha, *, tol, max_iter, start=None):
    """Minimise (M) to a relative duality gap of ``tol``.

    Parameters
    ----------
    problem : GroupLeastSquares
    alpha : float, positive
    tol : float
    max_iter : int
        Newton steps at most.
    start : ndarray of shape (n_groups,), optional
        Sizes to begin with. By default those of every group alone, the solution where groups are
        uncorrelated.

    Returns
    -------
    GroupPoint
        The best point that was met.
    """
    limits = alpha * problem.factors
    e = _alone(problem, limits) if start is None else start
    state, best, idle, n_iter = _State.of(problem, limits, e), None, 0, 0
    while True:
        point = problem.evaluated(state.A, alpha, max(1, n_iter))
        if best is None or point.primal - point.dual < best.primal - best.dual:
            best, idle = point, 0
        closed = best.primal - best.dual <= tol * best.primal
        if closed or n_iter >= max_iter or idle == _MOST_IDLE:
            break
        before, state = state, _stepped(problem, limits, state)
        if state is None:
            break
        n_iter += 1
        idle += state.value >= before.value - _RESOLVED * problem.energy
    return best


def _alone(problem, limits):
    """Sizes of the groups if there were no others."""
    curvature = np.zeros(len(limits))
    for g in range(len(limits)):
        index = np.flatnonzero(problem.group == g)
        curvature[g] = np.linalg.norm(problem.S[np.ix_(index, index)], 2)
    excess = np.maximum(problem.norms(problem.M) - limits, 0.0)
    return np.where(curvature > 0, excess / np.where(curvature > 0, curvature, 1.0), 0.0)


@dataclass(frozen=True)
class _State:
    """Sizes, their value and its slopes."""

    e: np.ndarray
    A: np.ndarray
    G: np.ndarray  # M - S A
    value: float  # h(e) less the energy
    slopes: np.ndarray

    @classmethod
    def of(cls, problem, limits, e):
        share = (e / limits)[problem.group]
        some = np.flatnonzero(share > 0)
        root = np.sqrt(share[some])
        A = np.zeros_like(problem.M)
        if len(some):
            system = root[:, None] * problem.S[np.ix_(some, some)] * root + np.eye(len(some))
            A[some] = root[:, None] * linalg.solve(
                system, root[:, None] * problem.M[some], assume_a="pos"
            )
        G = problem.M - problem.S @ A
        value = -0.5 * float(np.vdot(problem.M, A)) + 0.5 * float(limits @ e)
        slopes = 0.5 * limits * (1.0 - (problem.norms(G) / limits) ** 2)
        return cls(e, A, G, value, slopes)


def _stepped(problem, limits, state):
    """A step of Newton's method within the bounds that lowers the value; None if there is none."""
    free = np.flatnonzero((state.e > 0) | (state.slopes < 0))
    step = np.zeros_like(state.e)
    if len(free):
        step[free] = _newton_step(problem, limits, state, free)
    for direction in (step, problem.norms(state.A) - state.e):
        length = 1.0
        for _ in range(_HALVINGS):
            e = np.maximum(state.e + length * direction, 0.0)
            gain = float(state.slopes @ (state.e - e))
            if gain <= 0.0:
                break
            trial = _State.of(problem, limits, e)
            rounding = _RESOLVED * problem.energy
            if trial.value <= state.value - _GAINED * gain + rounding:
                return trial
            length *= 0.5
    return None


def _newton_step(problem, limits, state, free):
    """To the minimiser of the model of second order over sizes that are not negative."""
    rows = np.flatnonzero(np.isin(problem.group, free))
    owner = np.searchsorted(free, problem.group[rows])
    S = problem.S[np.ix_(rows, rows)]
    root = np.sqrt((state.e / limits)[problem.group[rows]])
    system = root[:, None] * S * root + np.eye(len(rows))
    across = root[:, None] * S
    P = S - across.T @ linalg.solve(system, across, assume_a="pos")
    c = state.G[rows] / limits[problem.group[rows]][:, None]
    pairs = P * (c @ c.T)
    sums = np.zeros((len(free), len(rows)))
    np.add.at(sums, owner, pairs)
    H = np.zeros((len(free), len(free)))
    np.add.at(H.T, owner, sums.T)
    H += _RIDGE * np.diag(H).max() * np.eye(len(free))
    factor = linalg.cholesky(H)
    goal = factor @ state.e[free] - linalg.solve_triangular(factor, state.slopes[free], trans=1)
    return nnls(factor, goal)[0] - state.e[free]
