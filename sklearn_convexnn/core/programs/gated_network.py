r"""Gated ReLU networks as objects: training, outputs, and the ReLU network with the same outputs.

    z(x) = sum_j 1[x^T g_j > 0] x^T V_j + b0

with gates ``g_j`` that are given, not trained.  With several outputs each has groups of its own:
``V_j`` has one column per output, and the penalty is the sum of the lengths of all columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from sklearn_convexnn.core.patterns.enumeration import Patterns, from_directions
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.problem.solution import Status
from sklearn_convexnn.core.programs.conic import solve_conic_nuclear
from sklearn_convexnn.core.programs.free_groups import FreeGroups
from sklearn_convexnn.core.programs.nuclear_newton import solve_nuclear_groups
from sklearn_convexnn.core.programs.solve import ProgramSolution, solve_outputs

# Rows of a product with all gates held at once, in bytes.
_PREDICT_BYTES = 64 << 20
# Singular values, relative to the largest, that are rounding.
_NO_SIZE = 1e-12
# Newton steps at most for the nuclear norm, where the caller has no wish.
_NUCLEAR_STEPS = 300


@dataclass(frozen=True)
class GatedNetwork:
    """Gates (p, m), vectors (m, p, C) and intercept (C,); rows have p columns with the constant."""

    gates: np.ndarray
    V: np.ndarray
    b0: np.ndarray
    norm: str = "group"

    @property
    def sizes(self):
        """``||V_j[:, c]||``, (m, C), or the singular values of every ``V_j``."""
        if self.norm == "group":
            return np.linalg.norm(self.V, axis=1)
        return np.linalg.svd(self.V, compute_uv=False) if self.V.size else np.zeros((0, 0))

    def penalty(self):
        return float(self.sizes.sum())

    def outputs(self, A):
        """Outputs (n, C) for rows ``A`` (n, p), dense or sparse, in blocks of bounded memory."""
        Z = np.empty((A.shape[0], len(self.b0)))
        step = max(1, _PREDICT_BYTES // (8 * max(1, self.gates.shape[1])))
        for start in range(0, len(Z), step):
            block = A[start : start + step]
            active = np.asarray(block @ self.gates) > 0
            for c in range(Z.shape[1]):
                values = np.asarray(block @ self.V[:, :, c].T)
                Z[start : start + step, c] = np.einsum("ij,ij->i", active, values)
        return Z + self.b0

    def to_relu(self, A):
        """A ReLU network with the same outputs on the rows ``A``, and what it costs.

        ``v = a - b`` with ``a`` and ``b`` in the cone of the pattern of the gate on these rows,
        the pair of least ``||a||^2 + ||b||^2``: the rows see two ReLU neurons of opposite output
        weights in place of a gated one (Mishkin, Sahiner & Pilanci, arXiv:2202.01331).  Elsewhere
        the two networks differ.

        Parameters
        ----------
        A : ndarray of shape (n, p)
            The rows of the training set with their constant column.

        Returns
        -------
        network : Network
        price : float
            The penalty of ``network`` over that of the gated network, at least 1.
        """
        active = A @ self.gates > 0
        U, C = [], []
        for j, v, direction in self.neurons():
            for part, sign in zip(decompose(A, active[:, j], v), (1.0, -1.0), strict=True):
                U.append(part)
                C.append(sign * direction)
        p, n_outputs = self.gates.shape[0], len(self.b0)
        network = Network.from_factors(
            np.reshape(U, (-1, p)), np.reshape(C, (-1, n_outputs)), self.b0
        )
        price = network.penalty() / self.penalty() if self.penalty() > 0 else 1.0
        return network, price

    def neurons(self):
        """The gate, the weights and the unit output weights of every gated neuron."""
        for j, V in enumerate(self.V):
            if self.norm == "group":
                for c in np.flatnonzero(V.any(axis=0)):
                    yield j, V[:, c], np.eye(len(self.b0))[c]
            else:
                left, sizes, right = np.linalg.svd(V, full_matrices=False)
                for r in np.flatnonzero(sizes > _NO_SIZE * sizes[0]):
                    yield j, sizes[r] * left[:, r], right[r]


def decompose(A, active, v):
    """``a, b`` with ``v = a - b``, both in ``{u : (2 D - I) A u >= 0}``, of least squares.

    With ``x = (a + b) / 2`` both lie in the cone iff ``S A x >= |A v| / 2``: the least ``||x||``
    is a least-distance problem, solved as non-negative least squares (Lawson & Hanson, ch. 23).
    """
    lengths = np.linalg.norm(A, axis=1)
    walls = lengths > 0
    G = A[walls] * np.where(active[walls], 1.0, -1.0)[:, None] / lengths[walls, None]
    size = np.linalg.norm(v)
    h = np.abs(G @ v) / (2 * size)
    if not h.any():
        return v, np.zeros_like(v)
    E = np.vstack([G.T, h])
    target = np.zeros(len(E))
    target[-1] = 1.0
    multipliers, distance = nnls(E, target, maxiter=30 * len(G))
    residual = E @ multipliers - target
    if distance <= 1e-8:
        raise ValueError(
            "The cone of a gate has no interior up to rounding, so that no ReLU neurons have its "
            "outputs: standardise X, and use gates with x^T g != 0 on every row."
        )
    x = -size * residual[:-1] / residual[-1]
    return x + v / 2, x - v / 2


def train_gated(rows, gates, alpha, *, tol=1e-6, max_iter=None, solver="newton", penalty="group"):
    """Train a gated network to a relative duality gap of ``tol``.

    Parameters
    ----------
    rows : Rows
    gates : ndarray of shape (p, P), or Patterns
        With a last row for the constant column if there is one. Of gates with equal patterns the
        first is used.
    alpha : float, positive
    tol : float
    max_iter : int, optional
        Iterations at most, for each output.
    solver : {"newton", "clarabel", "ecos", "scs"}
    penalty : {"group", "nuclear"}
        With several outputs: neurons that feed one output each, or all of them. The latter are
        fewer, and their optimum is that of weight decay in both layers; see
        :mod:`sklearn_convexnn.core.programs.nuclear_newton`. It has no second-order cone form: of
        the conic solvers "clarabel" and "scs" take it, as a semidefinite program.

    Returns
    -------
    ProgramSolution
        With the gates that are in use only; its certificate is exact for the given gates.
    """
    A = rows.dense()
    patterns = gates
    if not isinstance(gates, Patterns):
        if gates.shape[0] != A.shape[1]:
            raise ValueError(
                f"Gates of shape {gates.shape} do not fit rows of {A.shape[1]} columns (features"
                f"{' and a constant' if rows.intercept else ''}): give one row per column."
            )
        patterns = from_directions(A, gates)
    patterns = patterns.without_idle()
    groups = FreeGroups(A, patterns.active)
    settings = {"tol": tol, "max_iter": max_iter, "solver": solver}
    if penalty == "nuclear" and rows.n_outputs > 1:
        return _train_nuclear(rows, patterns, groups, alpha, **settings)
    solution = solve_outputs(rows, groups, alpha, **settings)
    V = np.zeros((patterns.n_patterns, A.shape[1], rows.n_outputs))
    V[solution.index, :, solution.output] = solution.V
    used = V.any(axis=(1, 2))
    network = GatedNetwork(patterns.gates[:, used], V[used], solution.b0)
    return ProgramSolution.of(network, solution, alpha)


def _train_nuclear(rows, patterns, groups, alpha, *, tol, max_iter, solver):
    most = _NUCLEAR_STEPS if max_iter is None else max_iter
    if solver == "newton":
        solution = solve_nuclear_groups(rows, groups, alpha, tol=tol, max_iter=most)
    else:
        solution = solve_conic_nuclear(rows, groups, alpha, solver=solver, max_iter=max_iter)
    network = GatedNetwork(
        patterns.gates[:, solution.index], solution.V, solution.b0, norm="nuclear"
    )
    certificate = solution.certificate
    if certificate.relative_gap <= tol:
        status = Status.GAP
    else:
        limited = solution.n_iter >= (most if solver == "newton" or max_iter else np.inf)
        status = Status.MAX_ITER if limited else Status.INACCURATE
    return ProgramSolution(network, certificate, status, alpha, solution.n_iter)
