r"""Newton's method on group sizes: the convex programs over given activation patterns.

With a pattern ``D_j`` (the rows on which neuron j is active) its activations are the linear
``A_j v = s_j D_j X v``, and the network over given patterns is the group lasso ::

    (F)  min  sum_i w_i loss(y_i, z_i) + alpha * sum_j ||v_j||_2 ,   z = sum_j A_j v_j + b0 ,
         over  v_j in K_j ,

with ``K_j`` the whole space for gated ReLU networks and the cone ``(2 D_j - I) X v >= 0`` for ReLU
networks (Pilanci & Ergen, arXiv:2002.10553, Theorem 1; Mishkin et al., arXiv:2202.01331).

Because ``||v|| = min_e (||v||^2 / e + e) / 2`` over ``e >= 0``, (F) is the smooth convex program ::

    min over e >= 0 of   G(e) + alpha/2 * sum_j e_j ,
    G(e) = max_u  D(u) - 1/(2 alpha) * sum_j e_j ||P_j(A_j^T u)||^2     (with 1^T u = 0 for b0)

in one number per group, where ``P_j`` projects on ``K_j`` and ``D`` is the dual of the loss.  At
the optimum ``e_j = ||v_j||``, ``v_j = e_j c_j / alpha`` with ``c_j = P_j(A_j^T u)``, and ``u`` is
the dual variable of (F), whose constraints are ``||c_j|| <= alpha``.

* ``u`` for given ``e``: semismooth Newton steps with the matrix ``M = diag(1 / (w l'')) +
  1/alpha sum_j e_j A_j N_j A_j^T``, ``N_j`` the projector on the face of ``K_j`` that holds
  ``c_j``.  It is kept in whichever form is smaller, n x n or (by Woodbury's formula) k x k with k
  the number of free coordinates.  The matrix of all ``A_j`` is never formed.
* ``e``: Newton's method under bounds, ``dG/de_j = -||c_j||^2 / (2 alpha)`` and second derivatives
  ``B^T M^{-1} B / alpha^2``, ``B_j = A_j c_j``.  Only groups that have a size or violate their
  constraint take part.

Every iterate is feasible for (F), and a multiple of its ``u`` for the dual: the gap is proven.

Proximal methods, ADMM and the augmented Lagrangian need tens to hundreds of solves with matrices
like ``M``, this one about ten: the conditioning of the patterns, which overlap heavily, stays
inside ``M``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg
from scipy.optimize import nnls

from sklearn_convexnn.core.certificates import Certificate, optimal_intercept
from sklearn_convexnn.core.rows import RowPass

_EPS = np.finfo(float).eps
# Groups that enter in one step, as a share of the rows and at least.
_ENTERING, _LEAST_ENTERING = 4, 16
# Newton steps for u, and halvings of a step.
_INNER_STEPS, _HALVINGS = 60, 40
# Differences of values, relative to them, that rounding does not reach; steps that may pass without
# a smaller gap.
_RESOLVED, _MOST_IDLE = 1e-12, 12
# Up to so many rows, or free coordinates, matrices are factored; beyond, conjugate gradients, at
# most so many, beginning with the solution for a sample of so many rows; solutions for the sizes
# that do not become negative.
_LARGEST_FACTOR, _FEW_COORDINATES = 6000, 500
_MOST_CONJUGATE, _SAMPLE, _BOUND_ROUNDS = 200, 2500, 4
# Squared distance of a unit column from the span of others below which it counts as dependent.
_DEPENDENT = 1e-10
# Curvatures of the loss, relative to the largest: below them a row is as good as decided.
_LEAST_CURVATURE = 1e-14


@dataclass(frozen=True)
class GroupSolution:
    """A feasible point of (F) with its proven gap.

    ``V`` (m, p) are the vectors of the groups ``index`` (m,) that are not zero, ``b0`` (1,) the
    intercept, ``u`` (n,) the dual variable, ``sizes`` one number per group to start again from.
    """

    index: np.ndarray
    V: np.ndarray
    b0: np.ndarray
    Z: np.ndarray
    u: np.ndarray
    sizes: np.ndarray
    certificate: Certificate
    n_iter: int
    converged: bool


def solve_groups(rows, groups, alpha, *, tol=1e-6, max_iter=100, sizes=None, outputs=None):
    """Minimise (F) for one output to a relative duality gap of ``tol``.

    Parameters
    ----------
    rows : RowPass
        Targets, weights, loss, and whether there is an intercept; ``Y`` has one column.
    groups : object
        The maps ``A_j`` and cones ``K_j``; see :class:`sklearn_convexnn.core.gated.FreeGroups`.
    alpha : float, positive
    tol : float
    max_iter : int
        Newton steps in the sizes at most.
    sizes : ndarray of shape (groups.count,), optional
        Where to begin; by default zeros, or for many rows the sizes of a sample of them.
    outputs : ndarray of shape (n, 1), optional
        Outputs to begin with, those of the best constant by default.

    Returns
    -------
    GroupSolution
        The best point that was met; ``converged`` says whether its gap is below ``tol``.
    """
    if sizes is None:
        sizes = sampled_sizes(rows, groups, alpha)
    e = np.zeros(groups.count) if sizes is None else np.maximum(sizes, 0.0)
    Z = _constant_outputs(rows) if outputs is None else outputs + best_intercept(rows, outputs)
    state = _maximise(rows, groups, alpha, e, Z)
    best, idle = None, 0
    for n_iter in range(max_iter + 1):
        norms, C = groups.screen(state.u, alpha, state.active, state.C)
        point = _point(rows, state, alpha, norms, n_iter)
        if best is None or point.certificate.gap < best.certificate.gap:
            best, idle = point, 0
        else:
            idle += 1
        if best.certificate.relative_gap <= tol:
            return _with(best, converged=True)
        trial = None
        if n_iter < max_iter and idle < _MOST_IDLE:
            trial = _step(rows, groups, alpha, state, norms, C)
        if trial is None:
            break
        state = trial
    return _with(best, converged=False)


def _with(point, **changes):
    return GroupSolution(**{**point.__dict__, **changes})


# ------------------------------------------------------------------------------- the dual variable


@dataclass(frozen=True)
class _State:
    """The maximising ``u`` for sizes ``e``, and what was computed on the way."""

    e: np.ndarray
    Z: np.ndarray  # u = -w * gradient of the loss at Z
    u: np.ndarray
    active: np.ndarray  # groups with e > 0
    C: np.ndarray  # c_j of these
    outputs: np.ndarray  # sum_j e_j A_j c_j / alpha
    value: float  # G(e) + alpha/2 sum e, at most
    normal: _Normal


def _constant_outputs(rows):
    constant = rows.loss.constant(rows.Y, rows.weights) if rows.intercept else np.zeros(1)
    return np.broadcast_to(constant, rows.Y.shape)


def dual_variable(rows, Z):
    """``u = -w * gradient of the loss`` at outputs ``Z``, (n,)."""
    return -rows.weights * rows.loss.gradient(rows.Y, Z)[:, 0]


def best_intercept(rows, Z):
    """The best shift of outputs, to the last digits of the sum of ``u``; zero if there is none."""
    if not rows.intercept:
        return np.zeros(1)
    shift = best = optimal_intercept(rows, Z)
    total = np.inf
    while True:
        # Values, by which optimal_intercept goes, know the shift to half the digits only.
        u = dual_variable(rows, Z + shift)
        if not abs(u.sum()) < 0.5 * total:
            return best
        total, best = abs(u.sum()), shift
        shift = best + u.sum() / rows.loss.mean_hessian(rows.Y, Z + best, rows.weights)[0]


def _maximise(rows, groups, alpha, e, Z, precision=0.0):
    """``u`` for sizes ``e`` by damped Newton steps, from outputs ``Z``.

    The steps are those for u, but taken in ``Z``, at which ``u`` is the negative gradient: there
    u cannot leave the domain of the dual, and the log-loss needs ten steps instead of a hundred.
    They end at a Newton decrement of ``precision``, a distance of values, or where it stops to
    fall.
    """
    active = np.flatnonzero(e > 0)
    share = e[active] / alpha
    loss, Y, w = rows.loss, rows.Y, rows.weights

    def evaluate(Z):
        u = dual_variable(rows, Z)
        C, face = groups.project(u, active)
        outputs = groups.outputs(active, C * share[:, None])
        # ||c||^2 as 2 <c, A^T u> - ||c||^2: errors of a projection enter at second order.
        fit = float(u @ outputs) - 0.5 * float(share @ np.einsum("ij,ij->i", C, C))
        value = float(w @ loss.dual(Y, (u / w)[:, None])) - fit
        return Z, u, C, face, outputs, value

    point, normal, decrement, before = evaluate(Z), None, 0.0, None
    for _ in range(_INNER_STEPS):
        Z, u, C, face, outputs, value = point
        if normal is None or not (loss.quadratic and groups.same_face(face, normal.face)):
            curvature = w * loss.hessian(Y, Z)[:, 0, 0]
            normal = _normal(groups, active, share, face, curvature, rows.intercept)
        gradient = Z[:, 0] - outputs
        du, dZ = normal.solve(gradient)
        decrement = float(gradient @ du)
        rounding = max(_RESOLVED * abs(value), _EPS**2)
        if decrement <= precision:
            break
        if decrement <= rounding:
            # Values no longer tell the points apart; decrements, being squares, still do.
            if before is not None and decrement > 0.25 * before[1]:
                point, decrement = before
                break
            before = point, decrement
        length = 1.0
        for _ in range(_HALVINGS):
            trial = Z + length * dZ[:, None]
            trial = evaluate(trial + best_intercept(rows, trial))
            if trial[-1] >= value + 1e-4 * length * decrement - rounding:
                break
            length *= 0.5
        else:
            break
        point = trial
        if groups.linear and loss.quadratic and length == 1.0:
            # The model was exact, up to the residual of its equations.
            decrement *= normal.accuracy**2
            if decrement <= precision:
                break
    Z, u, C, face, outputs, value = point
    bound = value + max(decrement, 0.0) + 0.5 * alpha * float(e.sum())
    return _State(e, Z, u, active, C, outputs, bound, normal)


def _normal(groups, active, share, face, h, intercept):
    """The matrix of Newton's method in the form that suits its size."""
    n, k = len(h), groups.dimension(active, face)
    # Faces of cones have few coordinates, however many rows there are.
    if n <= _LARGEST_FACTOR or k <= _FEW_COORDINATES or not groups.linear:
        return _Normal(groups, active, share, face, h, intercept)
    return _IterativeNormal(groups, active, share, face, h, intercept)


class _Normal:
    """``M = diag(1 / h) + sum_j share_j A_j N_j A_j^T``, factored, with its constraint 1^T u = 0.

    Scaled to ``I + root M_K root`` with ``root = sqrt(h)``: curvatures of the log-loss may vanish.
    """

    # Relative residual of its solutions, beyond rounding.
    accuracy = 0.0

    def __init__(self, groups, active, share, face, h, intercept):
        self.face, self.root = face, np.sqrt(np.maximum(h, _LEAST_CURVATURE * h.max()))
        n, k = len(h), groups.dimension(active, face)
        self.woodbury = 2 * k < n
        if self.woodbury:
            self.Z = groups.factor(active, share, face) * self.root[:, None]
            K = self.Z.T @ self.Z
        else:
            K = groups.gram(active, share, face)
            K *= self.root[:, None]
            K *= self.root
        K[np.diag_indices(len(K))] += 1.0
        self.cholesky = linalg.cholesky(K, lower=True, overwrite_a=True, check_finite=False)
        self.ones = None
        if intercept:
            self.ones = self._solve(self.root[:, None])[:, 0]

    def _solve(self, B):
        """``(I + root M_K root)^{-1} B``."""
        right = self.Z.T @ B if self.woodbury else B
        X = linalg.cho_solve((self.cholesky, True), right, check_finite=False)
        return B - self.Z @ X if self.woodbury else X

    def solve(self, b):
        """``du`` with ``M du = b - delta 1``, ``1^T du = 0``, and ``dZ = -du / h``.

        Without an intercept delta = 0.
        """
        x = self._solve((self.root * b)[:, None])[:, 0]
        if self.ones is not None:
            x -= self.ones * ((self.root @ x) / (self.root @ self.ones))
        return self.root * x, -x / self.root

    def step_in_sizes(self, groups, free, C, e, alpha):
        """A function: the Newton step of the sizes ``free``, now ``e``, for a right-hand side."""
        H = self._second_derivatives(groups, free, C) / alpha**2
        return lambda right: bounded_newton(H, right, e)

    def _second_derivatives(self, groups, free, C):
        """``B^T M^{-1} B`` on the subspace of the constraint, ``B_j = A_j c_j``."""
        B = groups.columns(free, C) * self.root[:, None]
        if self.woodbury:
            right = linalg.solve_triangular(
                self.cholesky, self.Z.T @ B, lower=True, check_finite=False
            )
            H = B.T @ B - right.T @ right
        else:
            half = linalg.solve_triangular(self.cholesky, B, lower=True, check_finite=False)
            H = half.T @ half
        if self.ones is not None:
            t = self.ones @ B
            H -= np.outer(t, t) / (self.root @ self.ones)
        return H


class _IterativeNormal:
    """The same matrix for many rows, only multiplied with: conjugate gradients.

    Scaled it is well conditioned, but for the directions of the groups' own activations, which
    the constrained solution of :meth:`step_in_sizes` takes out.
    """

    accuracy = 1e-2

    def __init__(self, groups, active, share, face, h, intercept):
        self.face, self.intercept = face, intercept
        self.product = groups.operator(active, share)
        self.root = np.sqrt(np.maximum(h, _LEAST_CURVATURE * h.max()))

    def _conjugate(self, centred, right, x):
        """Conjugate gradients for ``(I + K) x = right`` on a subspace; also the full residual."""
        full = right - x - self.root * self.product(self.root * x) if x.any() else right.copy()
        residual = centred(full)
        direction, size = residual, residual @ residual
        goal = self.accuracy**2 * max(size, np.sum(centred(right) ** 2))
        for _ in range(_MOST_CONJUGATE):
            if size <= goal:
                break
            product = direction + self.root * self.product(self.root * direction)
            length = size / (direction @ product)
            x = x + length * direction
            full = full - length * product
            residual = centred(full)
            size, before = residual @ residual, size
            direction = residual + (size / before) * direction
        return x, full

    def solve(self, b):
        # With an intercept all is orthogonal to root, the constraint 1^T du = 0.
        unit = self.root / np.linalg.norm(self.root)

        def centred(x):
            return x - unit * (unit @ x) if self.intercept else x

        x, _ = self._conjugate(centred, centred(self.root * b), np.zeros(len(b)))
        return self.root * x, -x / self.root

    def step_in_sizes(self, groups, free, C, e, alpha):
        """As :meth:`_Normal.step_in_sizes`, without the second derivatives.

        The step of the sizes is the multiplier of ``min 1/2 du^T M du`` under ``B^T du = -alpha
        right``: conjugate gradients on the null space of ``B^T``. A size that would become
        negative is set to zero, and the others are found again.
        """
        B = groups.columns(free, C) * self.root[:, None]
        if self.intercept:
            B = np.column_stack([B, self.root])
        lengths = np.linalg.norm(B, axis=0)
        gram = (B.T @ B) / np.outer(lengths, lengths)
        m = len(free)

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
        """``x`` and ``lam`` with ``(I + K) x + B lam = right`` and ``B^T x = values``."""
        cholesky = linalg.cho_factor(B.T @ B, check_finite=False)

        def coordinates(x):
            return linalg.cho_solve(cholesky, B.T @ x, check_finite=False)

        def centred(x):
            return x - B @ coordinates(x)

        x = centred(x) + B @ linalg.cho_solve(cholesky, values, check_finite=False)
        x, residual = self._conjugate(centred, right, x)
        return x, coordinates(residual)


def _independent(gram, inside):
    """Those of the columns ``inside``, of unit length, that are linearly independent."""
    index = np.flatnonzero(inside)
    if len(index) == 0:
        return index
    _, order, rank, _ = linalg.lapack.dpstrf(gram[np.ix_(index, index)], tol=_DEPENDENT)
    return np.sort(index[order[:rank] - 1])


# ---------------------------------------------------------------------------------------- the sizes


def sample_rows(n):
    """Indices of the rows that stand for all of many: every tenth, say."""
    return np.unique(np.linspace(0, n - 1, _SAMPLE).astype(np.intp))


def sampled_sizes(rows, groups, alpha):
    """Sizes to begin with: those of the program over a sample of the rows.

    None where all rows are few enough, or none are to be had.
    """
    if rows.n_rows <= _LARGEST_FACTOR or not groups.linear:
        return None
    chosen = sample_rows(rows.n_rows)
    weights = rows.weights[chosen]
    few = RowPass(
        rows.X[chosen],
        rows.Y[chosen],
        weights / weights.sum(),
        rows.loss,
        intercept=rows.intercept,
        scale=rows.scale,
    )
    return solve_groups(few, groups.subset(chosen), alpha, tol=1e-2).sizes


def _point(rows, state, alpha, norms, n_iter):
    """The feasible point of a state and its gap."""
    V = state.C * (state.e[state.active] / alpha)[:, None]
    b0 = best_intercept(rows, state.outputs[:, None])
    Z = state.outputs[:, None] + b0
    loss = float(rows.weights @ rows.loss.value(rows.Y, Z))
    primal = loss + alpha * float(np.linalg.norm(V, axis=1).sum())
    rho = (state.u / rows.weights)[:, None]
    kappa = float(norms.max(initial=0.0))
    limit = alpha / kappa if kappa > 0 else np.inf
    s = rows.loss.best_scale(rows.Y, rho, rows.weights, limit)
    dual = float(rows.weights @ rows.loss.dual(rows.Y, s * rho))
    certificate = Certificate(primal, dual, kappa, "exact")
    return GroupSolution(state.active, V, b0, Z, state.u, state.e, certificate, n_iter, False)


def _step(rows, groups, alpha, state, norms, C):
    """One Newton step in the sizes; None if no step lowers the objective."""
    e = state.e
    new = np.flatnonzero((e == 0) & (norms > alpha))
    most = max(rows.n_rows // _ENTERING, _LEAST_ENTERING)
    new = new[np.argsort(-norms[new], kind="stable")[:most]]
    free = np.union1d(state.active, new)
    slope = (alpha**2 - norms[free] ** 2) / (2 * alpha)
    # The secular form: 1/||c|| is nearly linear in a size, so that far from the optimum the
    # equation 1/||c|| = 1/alpha is solved, not ||c||^2 = alpha^2; to first order they agree.
    excess = norms[free] - alpha
    secular = np.where(excess > 0, -((norms[free] / alpha) ** 2) * excess, slope)
    step = state.normal.step_in_sizes(groups, free, C[free], e[free], alpha)
    for right, halvings in ((secular, 3), (slope, _HALVINGS)):
        direction = step(-right)
        for halving in range(halvings):
            trial = e.copy()
            trial[free] = np.maximum(e[free] + 0.5**halving * direction, 0.0)
            drop = float(slope @ (trial[free] - e[free]))
            if drop >= 0:
                break
            precision = 1e-3 * min(-drop, abs(state.value))
            moved = _maximise(rows, groups, alpha, trial, state.Z, precision)
            # The gap is of first order in what the value knows to second order: the last steps are
            # taken on trust, and judged by the gap.
            resolved = _RESOLVED * abs(state.value)
            if moved.value <= state.value + (1e-4 * drop if -drop > resolved else resolved):
                return moved
    return None


def bounded_newton(H, b, e, max_sweeps=20):
    """The step ``d >= -e`` that minimises ``1/2 d^T H d - b^T d``.

    Exchange of all wrong bounds at once ends after a few systems of equations, except that it may
    cycle where H is nearly singular: then the non-negative least squares of ``e + d``.
    """
    m = len(b)
    H = H.copy()
    diagonal = H.diagonal()
    H[np.diag_indices(m)] += 1e-10 * diagonal + 1e-12 * diagonal.max(initial=0.0)
    bound = np.zeros(m, dtype=bool)
    for _ in range(max_sweeps):
        d, inside = -e.copy(), ~bound
        right = b[inside] + H[np.ix_(inside, bound)] @ e[bound]
        d[inside] = linalg.solve(H[np.ix_(inside, inside)], right, assume_a="pos")
        leave = inside & (d < -e)
        release = bound & (H @ d - b < 0)
        if not leave.any() and not release.any():
            return np.maximum(d, -e)
        bound = (bound | leave) & ~release
    L = linalg.cholesky(H, lower=True)
    right = linalg.solve_triangular(L, b + H @ e, lower=True)
    try:
        return nnls(L.T, right, maxiter=30 * m)[0] - e
    except RuntimeError:  # its iterations used up: any bounded step is judged by the objective
        return np.maximum(d, -e)
