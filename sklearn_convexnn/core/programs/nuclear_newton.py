r"""Gated networks whose neurons feed all outputs: the nuclear norm of every gate.

    (G)  min  sum_i w_i loss(y_i, z_i) + alpha * sum_j ||V_j||_* ,   Z = sum_j D_j X V_j + 1 b0^T

over ``V_j`` of shape (p, C) has the value of the gated network with weight decay in both layers,
of any width (Mishkin, Sahiner & Pilanci, arXiv:2202.01331, Theorem 2.2): a neuron of gate j with
weights ``u`` and ``g`` adds ``u g^T`` to ``V_j`` and ``||u|| ||g||`` to the penalty.

As ``||V||_* = min_E (tr V E^+ V^T + tr E) / 2`` over positive semidefinite ``E`` (C x C), the
method of :mod:`sklearn_convexnn.core.programs.group_newton` has a matrix for every gate in place of
a size::

    min over E_j of   G(E) + alpha/2 * sum_j tr E_j ,
    G(E) = max_U  D(U) - 1/(2 alpha) * sum_j tr(C_j E_j C_j^T) ,      C_j = X^T D_j U ,

with ``V_j = C_j E_j / alpha``, and the dual constraints ``||C_j||_2 <= alpha`` (the largest
singular value).

``E_j = sum_a e_a q_a q_a^T`` has few eigenvectors, and each is a group of its own (an *atom*: a
gate and a direction of the outputs).  One step of Newton's method moves the sizes ``e_a >= 0`` of
atoms and of new ones, orthogonal to those of their gate, whose price exceeds ``alpha``, and turns
each ``q_a`` towards the smaller atoms of its gate and out of their span, ``dE_j = e_a (q_a n^T + n
q_a^T)``.  The second derivatives are ``B^T M^{-1} B / alpha^2``, plus ``e_a n^T (alpha I - C_j^T
C_j / alpha) n`` (without its negative part) for the square of a turn.

A point without descent is optimal: there ``C_j^T C_j = alpha^2`` on the span of the atoms, so that
a violated constraint has its direction in the complement.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sklearn_convexnn.core.problem.certificates import Certificate
from sklearn_convexnn.core.problem.work import Work
from sklearn_convexnn.core.programs import group_newton as newton
from sklearn_convexnn.core.programs.normal_equations import bounded_newton

# Sizes, relative to the largest, that are zero.
_NO_SIZE = 1e-14
# The tangent of the largest turn in one step.
_LARGEST_TURN = 10.0


@dataclass(frozen=True)
class NuclearSolution:
    """A point of (G) with its proven gap: ``V`` (m, p, C) of the gates ``index`` (m,)."""

    index: np.ndarray
    V: np.ndarray
    b0: np.ndarray
    certificate: Certificate
    n_iter: int
    converged: bool


def nuclear_norms(V):
    """``||V_j||_*`` for ``V`` (m, p, C)."""
    return np.linalg.norm(V, ord="nuc", axis=(1, 2)) if V.size else np.zeros(len(V))


def gate_prices(groups, u, index=slice(None)):
    """``C_j = X^T D_j u`` of the gates ``index``, (m, p, C)."""
    return np.stack([groups.project(column, index)[0] for column in u.T], axis=2)


class AtomGroups:
    """The maps ``A_a v = D_j X v q_a^T`` of the atoms ``a``, with the gate ``j = gate[a]``.

    Parameters
    ----------
    groups : FreeGroups
    gate : ndarray of shape (m,), int
    Q : ndarray of shape (m, C), unit rows
    """

    linear = True
    # Conjugate gradients have no second derivatives for the turns.
    factored = True

    def __init__(self, groups, gate, Q):
        self.base, self.X, self.gate, self.Q = groups, groups.X, gate, Q
        self.count = len(gate)

    def _patterns(self, index):
        return self.base.D[:, self.gate[index]]

    def project(self, u, index):
        return ((self._patterns(index) * (u @ self.Q[index].T)).T @ self.X), None

    @staticmethod
    def same_face(face, other):
        return True

    def columns(self, index, V):
        """``A_a v_a`` as one column per atom, (n, C, m)."""
        return self._fits(index, V)[:, None, :] * self.Q[index].T

    def _fits(self, index, V):
        return self._patterns(index) * (self.X @ V.T)

    def outputs(self, index, V):
        return self._fits(index, V) @ self.Q[index]

    # ------------------------------------------------------------------ curvature

    def dimension(self, index, face):
        return len(index) * self.X.shape[1]

    def gram(self, index, share, face):
        """``sum_a share_a q_a q_a^T (x) D_j X X^T D_j``, (n, C, n, C)."""
        (n, _), n_outputs = self.X.shape, self.Q.shape[1]
        inner, D, Q = self.base.inner(), self._patterns(index), self.Q[index]
        K = np.empty((n, n_outputs, n, n_outputs))
        for c in range(n_outputs):
            for d in range(c + 1):
                K[:, c, :, d] = inner * ((D * (share * Q[:, c] * Q[:, d])) @ D.T)
                K[:, d, :, c] = K[:, c, :, d]
        return K

    def factor(self, index, share, face):
        return DenseFactor(
            np.concatenate(
                [
                    (self.X * self.base.D[:, [self.gate[a]]])[:, None, :]
                    * (np.sqrt(s) * self.Q[a])[:, None]
                    for a, s in zip(index, share, strict=True)
                ],
                axis=2,
            )
            if len(index)
            else np.zeros((len(self.X), self.Q.shape[1], 0))
        )


@dataclass(frozen=True)
class DenseFactor:
    """Columns ``W`` of shape (n, C, k), as :class:`~.one_vs_all.BlockFactor`."""

    W: np.ndarray

    def _flat(self, W):
        n, n_outputs, k = W.shape
        return W.reshape(n * n_outputs, k)

    def gram(self, root):
        scaled = self._flat(root.down(self.W))
        return scaled.T @ scaled

    def pull(self, B):
        return self._flat(self.W).T @ self._flat(B)

    def push(self, Y):
        return (self._flat(self.W) @ Y).reshape(*self.W.shape[:2], Y.shape[1])


def solve_nuclear_groups(rows, groups, alpha, *, tol=1e-6, max_iter=300):
    """Minimise (G) to a relative duality gap of ``tol``.

    Parameters
    ----------
    rows : Rows
    groups : FreeGroups
    alpha : float, positive
    tol : float
    max_iter : int
        Newton steps at most.

    Returns
    -------
    NuclearSolution
        The best point that was met; ``converged`` says whether its gap is below ``tol``.
    """
    atoms = AtomGroups(groups, np.zeros(0, dtype=np.intp), np.zeros((0, rows.n_outputs)))
    work = Work(newton.MOST_EVALUATIONS)
    state = newton.maximise(
        rows, atoms, alpha, np.zeros(0), newton.constant_outputs(rows), work=work
    )
    prices = gate_prices(groups, state.u)
    largest = np.linalg.norm(prices, ord=2, axis=(1, 2)).max(initial=0.0)
    return newton.follow_path(_descend, rows, alpha, largest, state, tol, max_iter)


def _descend(rows, alpha, state, tol, max_iter):
    """The last state and the best point from a state on; see :func:`solve_nuclear_groups`."""
    best, idle, n_iter = None, 0, 0
    while True:
        prices = gate_prices(state.groups.base, state.u)
        point = _point(rows, state, alpha, prices, n_iter)
        if best is None or point.certificate.gap < best.certificate.gap:
            best, idle = point, 0
        else:
            idle += 1
        if best.certificate.relative_gap <= tol:
            return state, replace(best, converged=True)
        if n_iter >= max_iter or idle == newton.MOST_IDLE:
            break
        moved = _step(rows, state, alpha, prices)
        if moved is None:
            break
        state, n_iter = _canonical(moved), n_iter + 1
    return state, replace(best, converged=False)


def _point(rows, state, alpha, prices, n_iter):
    """The feasible point of a state and its gap, from ``C_j`` of all gates, (P, p, C)."""
    atoms = state.groups
    index, first = np.unique(atoms.gate, return_inverse=True)
    V = np.zeros((len(index), *prices.shape[1:]))
    parts = (state.C * (state.e / alpha)[:, None])[:, :, None] * atoms.Q[:, None, :]
    np.add.at(V, first, parts)
    b0 = newton.best_shift(rows, state.outputs)
    Z = state.outputs + b0
    return _proven(rows, alpha, index, V, b0, Z, state.u, prices, n_iter, converged=False)


def nuclear_solution(rows, groups, alpha, index, V, b0, Z, n_iter, converged):
    """The point with vectors ``V`` and outputs ``Z``, and the gap that its gradient proves."""
    u = newton.dual_variable(rows, Z)
    prices = gate_prices(groups, u)
    return _proven(rows, alpha, index, V, b0, Z, u, prices, n_iter, converged)


def _proven(rows, alpha, index, V, b0, Z, u, prices, n_iter, converged):
    penalty = alpha * float(nuclear_norms(V).sum())
    kappa = float(np.linalg.norm(prices, ord=2, axis=(1, 2)).max(initial=0.0))
    proof, _ = newton.certificate(rows, Z, penalty, u, alpha, kappa)
    return NuclearSolution(index, V, b0, proof, n_iter, converged)


def _step(rows, state, alpha, prices):
    """One Newton step in sizes and directions; None if no step lowers the objective."""
    atoms = state.groups
    gate, Q = _violated(rows, atoms, alpha, prices)
    wider = AtomGroups(atoms.base, np.concatenate([atoms.gate, gate]), np.vstack([atoms.Q, Q]))
    e = np.concatenate([state.e, np.zeros(len(gate))])
    C = np.concatenate([state.C, np.einsum("mpc,mc->mp", prices[gate], Q)])
    turns = _Turns(atoms, state.e, alpha, state.u)
    B = np.concatenate([wider.columns(np.arange(wider.count), C), turns.columns()], axis=2)
    rights = [
        np.concatenate([right, turns.slope])
        for right in newton.slopes(np.linalg.norm(C, axis=1), alpha)
    ]
    m = wider.count
    slope = rights[0]

    def move(change):
        moved = np.maximum(e + change[:m], 0.0)
        drop = float(slope[:m] @ (moved - e) + slope[m:] @ change[m:])
        turned, lengths = turns.turned(change[m:])
        # ``dE`` to first order, and semidefinite: the square of a turn adds to E_j.
        moved[: atoms.count] *= lengths**2
        Q = np.vstack([turned, wider.Q[atoms.count :]])
        return AtomGroups(atoms.base, wider.gate, Q), moved, drop

    H = state.normal.second_derivatives(B) / alpha**2
    H[m:, m:] += turns.curvature()
    lower = np.concatenate([e, np.full(len(turns.slope), np.inf)])

    def step(right):
        d = bounded_newton(H, right, lower)
        return d / max(1.0, turns.largest(d[m:]) / _LARGEST_TURN)

    return newton.line_search(rows, alpha, state, step, rights, move)


class _Turns:
    """Turns of the atoms towards the smaller ones of their gate and out of their span.

    Every gate has a basis of all output directions, the atoms' first and the largest of them first.
    A turn of atom ``a`` towards ``q_b``, ``b > a``, by ``t`` is ``dE = t sqrt(e_a) (q_a q_b^T + q_b
    q_a^T)``.
    """

    def __init__(self, atoms, e, alpha, u):
        self.atoms, self.root, n_outputs = atoms, np.sqrt(e), atoms.Q.shape[1]
        self.gates, self.owner = np.unique(atoms.gate, return_inverse=True)
        self.alpha, self.prices = alpha, gate_prices(atoms.base, u, self.gates)
        # The singular vectors of the atoms, which are orthonormal, and the rest of the space.
        self.bases = np.empty((len(self.gates), n_outputs, n_outputs))
        self.place = np.empty(atoms.count, dtype=np.intp)
        for j in range(len(self.gates)):
            own = np.flatnonzero(self.owner == j)
            self.place[own] = np.arange(len(own))
            self.bases[j] = np.linalg.qr(atoms.Q[own].T, mode="complete")[0].T
            self.bases[j, : len(own)] = atoms.Q[own]
        # One coordinate for each atom and later direction of its basis.
        self.atom, self.toward = np.nonzero(np.arange(n_outputs) > self.place[:, None])
        squares = np.einsum("jpc,jpd->jcd", self.prices, self.prices)
        self.squares = np.einsum("jbc,jcd,jed->jbe", self.bases, squares, self.bases)
        here = self.owner[self.atom], self.place[self.atom], self.toward
        self.slope = -self.root[self.atom] * self.squares[here] / alpha

    def columns(self):
        """``A_j C_j dE`` for every coordinate, (n, C, k)."""
        atoms, j = self.atoms, self.owner[self.atom]
        C = np.einsum("jpc,jbc->jbp", self.prices, self.bases)
        D = atoms.base.D[:, self.gates]
        X = atoms.X
        other = self.bases[j, self.toward]
        fits = [D[:, j] * (X @ C[j, b].T) for b in (self.place[self.atom], self.toward)]
        B = fits[0][:, None, :] * other.T + fits[1][:, None, :] * atoms.Q[self.atom].T
        return B * self.root[self.atom]

    def curvature(self):
        """``n^T (alpha I - C_j^T C_j / alpha) n`` without its negative part, (k, k)."""
        k, n_outputs = len(self.slope), self.atoms.Q.shape[1]
        H = np.zeros((k, k))
        start = 0
        for a, b in enumerate(self.place + 1):
            part = -self.squares[self.owner[a], b:, b:] / self.alpha
            part[np.diag_indices(n_outputs - b)] += self.alpha
            values, vectors = np.linalg.eigh(part)
            stop = start + n_outputs - b
            H[start:stop, start:stop] = (vectors * np.maximum(values, 0.0)) @ vectors.T
            start = stop
        return H

    def largest(self, change):
        """The tangent of the largest turn."""
        squares = np.bincount(self.atom, (change / self.root[self.atom]) ** 2)
        return np.sqrt(squares.max(initial=0.0))

    def turned(self, change):
        """The directions of the atoms after a turn, of unit length, and their lengths before."""
        Q = self.atoms.Q.copy()
        turns = (change / self.root[self.atom])[:, None]
        np.add.at(Q, self.atom, turns * self.bases[self.owner[self.atom], self.toward])
        lengths = np.linalg.norm(Q, axis=1)
        return Q / lengths[:, None], lengths


def _violated(rows, atoms, alpha, prices):
    """Gates and directions, orthogonal to those of their atoms, with prices beyond ``alpha``."""
    squares = np.einsum("jpc,jpd->jcd", prices, prices)
    candidates = np.flatnonzero(np.einsum("jcc->j", squares) > alpha**2)
    rest = np.broadcast_to(np.eye(atoms.Q.shape[1]), squares.shape).copy()
    np.subtract.at(rest, atoms.gate, atoms.Q[:, :, None] * atoms.Q[:, None, :])
    rest = rest[candidates]
    values, vectors = np.linalg.eigh(rest @ squares[candidates] @ rest)
    new = newton.entering(rows, np.sqrt(np.maximum(values, 0.0)).ravel(), alpha)
    which, column = np.unravel_index(new, values.shape)
    return candidates[which], vectors[which, :, column]


def _canonical(state):
    """The same ``E_j`` with orthonormal directions, largest first, without what has no size."""
    atoms, active = state.groups, state.active
    gate, parts = atoms.gate[active], np.sqrt(state.e[active])[:, None] * atoms.Q[active]
    gates, roots, Q = [gate[:0]], [np.zeros(0)], [atoms.Q[:0]]
    for j in np.unique(gate):
        _, root, directions = np.linalg.svd(parts[gate == j], full_matrices=False)
        gates.append(np.full(len(root), j))
        roots.append(root)
        Q.append(directions)
    e = np.concatenate(roots) ** 2
    kept = e > _NO_SIZE * e.max(initial=0.0)
    atoms = AtomGroups(atoms.base, np.concatenate(gates)[kept], np.concatenate(Q)[kept])
    active = np.arange(atoms.count)
    C, _ = atoms.project(state.u, active)
    return replace(state, groups=atoms, e=e[kept], active=active, C=C)
