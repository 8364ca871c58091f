r"""The matrix of Newton's method over given patterns, factored or only multiplied with.

    M = H^{-1} + K ,     K = sum_j share_j A_j N_j A_j^T

in the ``n C`` coordinates of the dual variable, with ``H`` the second derivatives of the weighted
loss, one C x C block per row, and ``N_j`` the projector on the face of the cone of group j.  With
``H = F F^T`` its equations are those of ``I + F^T K F``: rows whose loss has no curvature left need
no care, and neither does the multinomial log-loss, whose ``H`` is singular.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg
from scipy.optimize import nnls

# Up to so many unknowns, or free coordinates, matrices are factored; beyond, conjugate gradients,
# at most so many; solutions for the sizes that do not become negative.
LARGEST_FACTOR, FEW_COORDINATES = 6000, 500
_MOST_CONJUGATE, _BOUND_ROUNDS = 200, 4
# Squared distance of a unit column from the span of others below which it counts as dependent.
_DEPENDENT = 1e-10
# Curvatures of the loss, relative to the largest: below them a row is as good as decided.
_LEAST_CURVATURE = 1e-14


class CurvatureRoot:
    """``F`` of ``H = F F^T`` with ``F = (I - p 1^T) diag(root)`` in every row; ``p`` may be absent.

    For the multinomial log-loss ``p`` are the probabilities and ``root^2 = w p``, because
    ``diag(p) - p p^T = F F^T / w``.  Arrays have shape (n, C, ...).
    """

    def __init__(self, rows, Z):
        squares, self.P = rows.loss.curvature(rows.Y, Z)
        squares = rows.weights[:, None] * squares
        self.root = np.sqrt(np.maximum(squares, _LEAST_CURVATURE * squares.max()))
        self.intercept = rows.intercept

    @property
    def shape(self):
        return self.root.shape

    def up(self, x):
        """``F x``."""
        x = _along(self.root, x) * x
        return x if self.P is None else x - _along(self.P, x) * x.sum(axis=1, keepdims=True)

    def down(self, b):
        """``F^T b``."""
        if self.P is not None:
            b = b - np.einsum("ic,ic...->i...", self.P, b)[:, None]
        return _along(self.root, b) * b

    def both(self, K):
        """``F^T K F`` as a matrix, for ``K`` of shape (n, C, n, C), which it may overwrite."""
        size = self.root.size
        if self.P is None:
            K = K.reshape(size, size)
            K *= self.root.reshape(-1, 1)
            K *= self.root.ravel()
            return K
        K = self.down(K.reshape(*self.shape, size)).reshape(size, size).T
        return self.down(K.reshape(*self.shape, size)).reshape(size, size)

    def lift(self, x):
        """A solution ``b`` of ``F^T b = x`` for ``x`` in the range of ``F^T``."""
        return x / self.root

    def constants(self):
        """``F^T`` of the constant outputs, (n, C, c): orthogonal to them, ``F x`` sums to zero.

        The sum of all outputs is left out where the loss does not see it.
        """
        n, C = self.shape
        free = 0 if not self.intercept else C if self.P is None else C - 1
        return self.down(np.broadcast_to(np.eye(C)[:, :free], (n, C, free)))


def _along(A, x):
    return A.reshape(A.shape + (1,) * (x.ndim - 2))


def normal_equations(groups, active, share, face, root):
    """The matrix of Newton's method in the form that suits its size."""
    k = groups.dimension(active, face)
    if root.root.size <= LARGEST_FACTOR or k <= FEW_COORDINATES or groups.factored:
        return DirectNormal(groups, active, share, face, root)
    return IterativeNormal(groups, active, share, face, root)


class DirectNormal:
    """``I + F^T K F``, factored in n C or (Woodbury) k unknowns, with the constraint 1^T U = 0."""

    # Relative residual of its solutions, beyond rounding.
    accuracy = 0.0

    def __init__(self, groups, active, share, face, root):
        self.face, self.root = face, root
        n, C = root.shape
        self.woodbury = 2 * groups.dimension(active, face) < n * C
        if self.woodbury:
            self.factor = groups.factor(active, share, face)
            K = self.factor.gram(root)
        else:
            K = root.both(groups.gram(active, share, face))
        K[np.diag_indices(len(K))] += 1.0
        self.cholesky = linalg.cholesky(K, lower=True, overwrite_a=True, check_finite=False)
        self.constants = root.constants()
        if self.constants.shape[2]:
            self.held = self._solve(self.constants)
            E = self.constants.reshape(n * C, -1)
            schur = E.T @ self.held.reshape(n * C, -1)
            self.schur = _cholesky(schur, np.sum(E**2, axis=0).max())

    def _solve(self, B):
        """``(I + F^T K F)^{-1} B`` for ``B`` of shape (n, C, m)."""
        if not self.woodbury:
            flat = B.reshape(self.root.root.size, -1)
            X = linalg.cho_solve((self.cholesky, True), flat, check_finite=False)
            return X.reshape(B.shape)
        right = self.factor.pull(self.root.up(B))
        X = linalg.cho_solve((self.cholesky, True), right, check_finite=False)
        return B - self.root.down(self.factor.push(X))

    def solve(self, b):
        """``du`` with ``M du = b - 1 delta^T``, ``1^T du = 0``, and ``dZ = -H^{-1} du``.

        Without an intercept delta = 0.
        """
        x = self._solve(self.root.down(b)[:, :, None])
        if self.constants.shape[2]:
            right = np.einsum("icd,ice->de", self.constants, x)
            x = x - self.held @ linalg.cho_solve(self.schur, right)
        return self.root.up(x[:, :, 0]), -self.root.lift(x[:, :, 0])

    def step_in_sizes(self, B, e, alpha):
        """A function: the Newton step of the sizes, now ``e``, for a right-hand side.

        ``B`` (n, C, m) has the columns ``A_j c_j``.
        """
        H = self.second_derivatives(B) / alpha**2
        return lambda right: bounded_newton(H, right, e)

    def second_derivatives(self, B):
        """``B^T M^{-1} B`` on the subspace of the constraint, for ``B`` of shape (n, C, m)."""
        B = self.root.down(B)
        flat = B.reshape(self.root.root.size, -1)
        if self.woodbury:
            right = self.factor.pull(self.root.up(B))
            right = linalg.solve_triangular(self.cholesky, right, lower=True, check_finite=False)
            H = flat.T @ flat - right.T @ right
        else:
            half = linalg.solve_triangular(self.cholesky, flat, lower=True, check_finite=False)
            H = half.T @ half
        if self.constants.shape[2]:
            t = np.tensordot(self.held, B, axes=((0, 1), (0, 1)))
            H -= t.T @ linalg.cho_solve(self.schur, t)
        return H

    def inverse_blocks(self, E):
        """The C x C diagonal blocks, (n, C, C), of ``N - N E (E^T N E)^+ E^T N``.

        ``N`` is the inverse of ``I + F^T K F``; ``E`` (n, C, m) has columns that may be dependent.
        """
        n, C = self.root.shape
        if self.woodbury:
            wide = self.root.down(self.factor.push(np.eye(len(self.cholesky))))
            half = linalg.solve_triangular(
                self.cholesky, wide.reshape(n * C, -1).T, lower=True, check_finite=False
            )
            blocks = np.eye(C) - _row_blocks(half, C)
        else:
            half, _ = linalg.lapack.dtrtri(self.cholesky, lower=1)
            blocks = _row_blocks(half, C)
        lengths = np.linalg.norm(E, axis=(0, 1))
        E = E[:, :, lengths > 0] / lengths[lengths > 0]
        held = self._solve(E).reshape(n * C, -1)
        values, vectors = np.linalg.eigh(E.reshape(n * C, -1).T @ held)
        kept = values > _DEPENDENT * values.max(initial=0.0)
        held = held @ (vectors[:, kept] / np.sqrt(values[kept]))
        return blocks - _row_blocks(held.T, C)


class IterativeNormal:
    """The same matrix for many rows, only multiplied with: conjugate gradients.

    Scaled it is well conditioned, but for the directions of the groups' own activations, which
    the constrained solution of :meth:`step_in_sizes` takes out.
    """

    accuracy = 1e-2

    def __init__(self, groups, active, share, face, root):
        self.face, self.root = face, root
        self.multiply = groups.operator(active, share)
        E = root.constants()
        self.constants = np.linalg.qr(E.reshape(root.root.size, -1))[0]

    def _product(self, x):
        """``(I + F^T K F) x`` for ``x`` of shape (n C,)."""
        shaped = x.reshape(self.root.shape)
        return x + self.root.down(self.multiply(self.root.up(shaped))).ravel()

    def _conjugate(self, centred, right, x):
        """Conjugate gradients on a subspace; also the full residual."""
        full = right - self._product(x) if x.any() else right.copy()
        residual = centred(full)
        direction, size = residual, residual @ residual
        goal = self.accuracy**2 * max(size, np.sum(centred(right) ** 2))
        for _ in range(_MOST_CONJUGATE):
            if size <= goal:
                break
            product = self._product(direction)
            length = size / (direction @ product)
            x = x + length * direction
            full = full - length * product
            residual = centred(full)
            size, before = residual @ residual, size
            direction = residual + (size / before) * direction
        return x, full

    def solve(self, b):
        """As :meth:`DirectNormal.solve`."""

        def centred(x):
            return x - self.constants @ (self.constants.T @ x)

        right = centred(self.root.down(b).ravel())
        x, _ = self._conjugate(centred, right, np.zeros(right.size))
        x = x.reshape(b.shape)
        return self.root.up(x), -self.root.lift(x)

    def step_in_sizes(self, B, e, alpha):
        """As :meth:`DirectNormal.step_in_sizes`, without the second derivatives.

        The step of the sizes is the multiplier of ``min 1/2 du^T M du`` under ``B^T du = -alpha
        right``: conjugate gradients on the null space of ``B^T``. A size that would become
        negative is set to zero, and the others are found again.
        """
        B = self.root.down(B).reshape(self.root.root.size, -1)
        m = B.shape[1]
        B = np.column_stack([B, self.constants])
        lengths = np.linalg.norm(B, axis=0)
        gram = (B.T @ B) / np.outer(lengths, lengths)

        def step(right):
            inside, d = np.ones(B.shape[1], dtype=bool), np.zeros(B.shape[1])
            values = np.zeros(B.shape[1])
            values[:m] = -alpha * right
            x = np.zeros(len(B))
            for _ in range(_BOUND_ROUNDS):
                d[~inside] = -e[~inside[:m]]
                chosen = _independent(gram, inside)
                fixed = B @ np.where(inside, 0.0, d) / alpha
                x, multipliers = self._constrained(B[:, chosen], values[chosen], -fixed, x)
                d[inside] = 0.0
                d[chosen] = alpha * multipliers
                negative = inside[:m] & (d[:m] < -e)
                if not negative.any():
                    break
                inside[:m] &= ~negative
            return np.maximum(d[:m], -e)

        return step

    def _constrained(self, B, values, right, x):
        """``x`` and ``lam`` with ``(I + F^T K F) x + B lam = right`` and ``B^T x = values``."""
        cholesky = linalg.cho_factor(B.T @ B, check_finite=False)

        def coordinates(x):
            return linalg.cho_solve(cholesky, B.T @ x, check_finite=False)

        def centred(x):
            return x - B @ coordinates(x)

        x = centred(x) + B @ linalg.cho_solve(cholesky, values, check_finite=False)
        x, residual = self._conjugate(centred, right, x)
        return x, coordinates(residual)


def _row_blocks(half, C):
    """The C x C blocks on the diagonal of ``half^T half``, (n, C, C)."""
    half = half.reshape(len(half), half.shape[1] // C, C)
    return np.einsum("aic,aid->icd", half, half)


def _cholesky(K, scale):
    """The Cholesky factor of ``K``, as by ``cho_factor``; what was cancelled is of size ``scale``.

    Where rounding has left ``K`` indefinite (columns in units far too small, a tiny alpha) as
    little is added to its diagonal as that asks for: the step is tested by a line search.
    """
    ridge = 0.0
    while True:
        try:
            return linalg.cho_factor(K + ridge * np.eye(len(K)) if ridge else K)
        except linalg.LinAlgError:
            if not ridge <= scale:
                raise
            ridge = max(10.0 * ridge, 16 * np.finfo(float).eps * scale, np.finfo(float).tiny)


def _independent(gram, inside):
    """Those of the columns ``inside``, of unit length, that are linearly independent."""
    index = np.flatnonzero(inside)
    if len(index) == 0:
        return index
    _, order, rank, _ = linalg.lapack.dpstrf(gram[np.ix_(index, index)], tol=_DEPENDENT)
    return np.sort(index[order[:rank] - 1])


def bounded_newton(H, b, e):
    """The step ``d >= -e`` that minimises ``1/2 d^T H d - b^T d``; ``e`` may be infinite.

    As little is added to the diagonal of H as its rounding asks for.
    """
    diagonal = np.maximum(H.diagonal(), 0.0)  # where all was cancelled, of either sign
    ridge = 1e-10 * diagonal + 1e-12 * (diagonal.max(initial=0.0) or 1.0)
    while True:
        try:
            return _bounded(H + np.diag(ridge), b, e)
        except linalg.LinAlgError:
            ridge *= 10.0


def _bounded(H, b, e, max_sweeps=20):
    """Exchange of all wrong bounds at once: a few systems of equations.

    Except that it may cycle where H is nearly singular: then the non-negative least squares of
    ``e + d``.
    """
    bound = np.zeros(len(b), dtype=bool)
    for _ in range(max_sweeps):
        d, inside = -e, ~bound
        right = b[inside] + H[np.ix_(inside, bound)] @ e[bound]
        d[inside] = linalg.cho_solve(linalg.cho_factor(H[np.ix_(inside, inside)]), right)
        leave = inside & (d < -e)
        release = bound & (H @ d - b < 0)
        if not leave.any() and not release.any():
            return np.maximum(d, -e)
        bound = (bound | leave) & ~release
    free = np.isinf(e)
    if free.any():  # eliminated: what is left is bounded
        system = linalg.cho_factor(H[np.ix_(free, free)])
        held = linalg.cho_solve(system, np.column_stack([b[free], H[np.ix_(free, ~free)]]))
        into = H[np.ix_(~free, free)]
        S = H[np.ix_(~free, ~free)] - into @ held[:, 1:]
        d[~free] = _bounded(S, b[~free] - into @ held[:, 0], e[~free])
        d[free] = held[:, 0] - held[:, 1:] @ d[~free]
        return d
    L = linalg.cholesky(H, lower=True)
    right = linalg.solve_triangular(L, b + H @ e, lower=True)
    try:
        return nnls(L.T, right, maxiter=30 * len(b))[0] - e
    except RuntimeError:  # its iterations used up: any bounded step is judged by the objective
        return np.maximum(d, -e)
