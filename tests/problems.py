"""A zoo of small problems whose global optimum is known without this package.

Every :class:`Known` problem states (P) in the units of its data,

    min  sum_i w_i loss(y_i, z_i) + alpha sum_j ||c_j||      with sum_i w_i = 1,

and the optimal value, from one of three sources:

* the finite convex program (3.1) of Pilanci & Ergen (arXiv:2002.10553) over *all* activation
  patterns, enumerated here and solved by CVXPY;
* closed forms for whitened rows ``X X^T = I`` (Ergen & Pilanci, JMLR 22(212), 2021);
* planted networks: the targets are chosen such that a given network is optimal;

and from tables of such values computed elsewhere.  Nothing here imports the package's mathematics.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from itertools import combinations

import cvxpy as cp
import numpy as np
from scipy.special import expit, logsumexp, softmax, xlogy
from scipy.stats import norm

from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.rows import Rows
from sklearn_convexnn.core.problem.units import make_problem

# -------------------------------------------------------------------------------- losses, once more


EPSILON = 1.35  # of the Huber loss


def loss_values(loss, Y, Z, thresholds=None):
    """Loss of every row from its textbook formula; Y as the package encodes it."""
    if loss == "squared_error":
        return 0.5 * ((Z - Y) ** 2).sum(axis=1)
    if loss == "huber":
        r = np.abs(Z - Y)
        parts = np.where(r <= thresholds, 0.5 * r**2, thresholds * (r - 0.5 * thresholds))
        return parts.sum(axis=1)
    if loss == "poisson":
        return (np.exp(Z) - Y * Z + xlogy(Y, Y) - Y).sum(axis=1)
    if loss in ("squared_hinge", "hinge"):
        violation = np.maximum(1 - np.where(Y > 0, Z, -Z), 0)
        return (violation ** (2 if loss == "squared_hinge" else 1)).sum(axis=1)
    if Y.shape[1] == 1:
        Y, Z = np.hstack([1 - Y, Y]), np.hstack([np.zeros_like(Z), Z])
    return logsumexp(Z, axis=1) - (Y * Z).sum(axis=1)


def loss_gradient(loss, Y, Z, thresholds=None):
    """Derivatives of the smooth ones."""
    if loss == "squared_error":
        return Z - Y
    if loss == "huber":
        return np.clip(Z - Y, -thresholds, thresholds)
    if loss == "poisson":
        return np.exp(Z) - Y
    if loss == "squared_hinge":
        sign = np.where(Y > 0, 1, -1)
        return -2 * sign * np.maximum(1 - sign * Z, 0)
    if Y.shape[1] == 1:
        return expit(Z) - Y
    return softmax(Z, axis=1) - Y


def lower_median(values, weights):
    """The smallest of the values at which ``sum_i w_i |v_i - m|`` is least, and the largest."""
    sums = np.array([weights @ np.abs(values - m) for m in values])
    best = values[sums <= sums.min() * (1 + 1e-12)]
    return 0.5 * (best.min() + best.max())


def robust_scale(Y, weights, intercept):
    """1.4826 times the weighted median deviation from the weighted median, of every column."""
    scales = []
    for y in Y.T:
        centre = lower_median(y, weights) if intercept else 0.0
        scales.append(lower_median(np.abs(y - centre), weights) / norm.ppf(0.75))
    return np.array(scales)


# ------------------------------------------------------------------------------- the known problems


@dataclass(frozen=True, eq=False, repr=False)
class Known:
    """A training problem with its optimal value (and, if planted, its solution)."""

    name: str
    X: np.ndarray  # (n, d), without the constant column
    Y: np.ndarray  # (n, C)
    weights: np.ndarray  # (n,), sum 1
    loss: str
    intercept: bool
    alpha: float
    value: float | None = None  # None: ask the conic solver
    neurons: tuple | None = field(default=None)  # planted (U, C, b0)

    def __repr__(self):
        return self.name

    @property
    def A(self):
        """Rows with their constant column."""
        return np.column_stack([self.X, np.ones(len(self.X))]) if self.intercept else self.X

    def optimum(self):
        return self.value if self.value is not None else finite_program(self)[0]

    def objective(self, U, C, b0):
        """(P) at a network whose neurons have any length."""
        Z = np.maximum(self.A @ U.T, 0) @ C + b0
        penalty = (np.linalg.norm(U, axis=1) * np.linalg.norm(C, axis=1)).sum()
        losses = loss_values(self.loss, self.Y, Z, self.thresholds)
        return self.weights @ losses + self.alpha * penalty

    @property
    def thresholds(self):
        """Of the Huber loss of every output."""
        if self.loss != "huber":
            return None
        return EPSILON * robust_scale(self.Y, self.weights, self.intercept)

    def rows(self, **settings):
        """The rows in the units of the data."""
        options = {}
        if self.loss == "huber":
            options = {"epsilon": EPSILON, "spread": self.thresholds / EPSILON}
        loss = get_loss(self.loss, self.Y.shape[1], **options)
        return Rows.of(self.X, self.Y, self.weights, loss, intercept=self.intercept, **settings)

    def problem(self):
        """The problem in the working units of the package."""
        return make_problem(self.X, self.Y, self.weights, loss=self.loss, intercept=self.intercept)


# ---------------------------------------------------------------- all activation patterns, by force


def patterns(A, tol=1e-9):
    """All patterns ``1[A u > 0]`` with every ``a_i^T u != 0``, shape (P, n) of bool.

    The cells of an arrangement of hyperplanes through the origin are, in the span of its normals,
    pointed cones.  So each cell touches an extreme ray, the null space of r - 1 of the rows, and
    near it only the rows that vanish on it still divide the space: the same problem of rank r - 1.
    """
    A = np.asarray(A, dtype=float)
    return _patterns(A.shape, A.tobytes(), tol)


@cache
def _patterns(shape, data, tol):
    A = np.frombuffer(data).reshape(shape)
    lengths = np.linalg.norm(A, axis=1, keepdims=True)
    A = np.divide(A, lengths, out=np.zeros_like(A), where=lengths > tol)
    _, sizes, basis = np.linalg.svd(A, full_matrices=False)
    A = A @ basis[sizes > tol].T
    n, rank = A.shape
    if rank == n:  # linearly independent rows: every pattern occurs
        return np.arange(2**n)[:, None] >> np.arange(n) & 1 == 1
    if rank == 0:
        return np.zeros((1, n), dtype=bool)
    found = set()
    for subset in combinations(range(n), rank - 1):
        _, sizes, basis = np.linalg.svd(A[list(subset)], full_matrices=True)
        if rank > 1 and sizes[-1] <= tol:
            continue
        for ray in (basis[-1], -basis[-1]):
            side = A @ ray
            near = np.abs(side) <= tol
            for pattern in patterns(A[near], tol):
                active = side > tol
                active[near] = pattern
                found.add(active.tobytes())
    return np.array([np.frombuffer(key, dtype=bool) for key in sorted(found)])


# ------------------------------------------------------------------------ the finite convex program


def _loss_expression(problem, Z):
    Y, w = problem.Y, problem.weights
    if problem.loss == "squared_error":
        return 0.5 * cp.sum(cp.multiply(w, cp.sum(cp.square(Z - Y), axis=1)))
    if problem.loss == "huber":
        parts = zip(Y.T, problem.thresholds, strict=True)
        return sum(0.5 * w @ cp.huber(Z[:, c] - y, t) for c, (y, t) in enumerate(parts))
    if problem.loss == "poisson":
        return cp.sum(cp.multiply(w[:, None], cp.exp(Z) - cp.multiply(Y, Z) + (xlogy(Y, Y) - Y)))
    if problem.loss in ("squared_hinge", "hinge"):
        violation = cp.pos(1 - cp.multiply(np.where(Y > 0, 1.0, -1.0), Z))
        parts = cp.square(violation) if problem.loss == "squared_hinge" else violation
        return cp.sum(cp.multiply(w[:, None], parts))
    if Y.shape[1] == 1:
        return w @ cp.logistic(Z[:, 0]) - (w * Y[:, 0]) @ Z[:, 0]
    return w @ cp.log_sum_exp(Z, axis=1) - cp.sum(cp.multiply(w[:, None] * Y, Z))


_PRECISION = {
    "CLARABEL": {"tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10, "tol_feas": 1e-10},
    "ECOS": {"abstol": 1e-8, "reltol": 1e-8, "feastol": 1e-8},
}


@cache
def finite_program(problem, solver="CLARABEL"):
    """Optimal value and outputs of (3.1): one output and all patterns, or one column."""
    A, Y = problem.A, problem.Y
    n, n_outputs = Y.shape
    b0 = cp.Variable((1, n_outputs)) if problem.intercept else np.zeros((1, n_outputs))
    if A.shape[1] == 1:
        C = cp.Variable((2, n_outputs))
        fit = np.hstack([np.maximum(A, 0), np.maximum(-A, 0)]) @ C
        penalty = cp.sum(cp.norm(C, 2, axis=1))
        constraints = []
    else:
        if n_outputs > 1:
            raise ValueError("For several outputs (3.1) is not a second-order cone program.")
        D = patterns(A).T.astype(float)  # (n, P)
        V, W = (cp.Variable((D.shape[1], A.shape[1])) for _ in range(2))
        fit = cp.reshape(cp.sum(cp.multiply(D, A @ (V - W).T), axis=1), (n, 1), order="F")
        penalty = cp.sum(cp.norm(V, 2, axis=1)) + cp.sum(cp.norm(W, 2, axis=1))
        constraints = [cp.multiply(2 * D - 1, A @ part.T) >= 0 for part in (V, W)]
    Z = fit + np.ones((n, 1)) @ b0
    objective = _loss_expression(problem, Z) + problem.alpha * penalty
    program = cp.Problem(cp.Minimize(objective), constraints)
    program.solve(solver=solver, **_PRECISION[solver])
    assert program.status == cp.OPTIMAL, program.status
    return float(program.value), Z.value


# ----------------------------------------------------------------------------------- the zoo itself


def _random(seed, n, d, loss, intercept, alpha, *, integers=False, n_outputs=1):
    """Random rows with unequal weights; ``integers`` makes rows repeat and align."""
    rng = np.random.default_rng(seed)
    X = rng.integers(-2, 3, (n, d)).astype(float) if integers else rng.standard_normal((n, d))
    if loss == "squared_error":
        Y = rng.standard_normal((n, n_outputs))
    elif loss == "huber":
        Y = rng.standard_cauchy((n, n_outputs))
    elif loss == "poisson":
        Y = rng.poisson(3.0, (n, n_outputs)) * 1.0
    elif n_outputs == 1:
        Y = np.tile([[0.0], [1.0]], (n, 1))[:n]
    else:
        Y = np.eye(n_outputs)[np.arange(n) % n_outputs]
    weights = rng.uniform(0.5, 1.5, n)
    kind = "integer" if integers else "random"
    shift = "with intercept" if intercept else "no intercept"
    name = f"{kind} {loss} {n}x{d}x{n_outputs}, {shift}"
    return Known(name, X, Y, weights / weights.sum(), loss, intercept, alpha)


def _table(name, X, Y, loss, beta, total):
    """From a table for ``sum_i loss_i + beta sum_j ||c_j||`` without a free intercept."""
    n = len(X)
    weights = np.full(n, 1 / n)
    return Known(f"{name}, beta {beta}", X, Y, weights, loss, False, beta / n, total / n)


TOY_X = np.column_stack([[-2.0, -1, 0, 1, 2], np.ones(5)])
TOY_Y = np.array([[1.0], [-1], [1], [1], [-1]])
TOY_BETA_MAX = 1.788854382


def sine_data(n, d):
    """The deterministic data of table T2; of rank 2 whatever d is."""
    return np.sin(np.arange(1, n * d + 1.0)).reshape(n, d), np.cos(np.arange(1.0, n + 1))[:, None]


SINE_BETA_MAX = {
    (6, 2): 0.353954888,
    (8, 2): 0.679241043,
    (8, 3): 0.683034151,
    (4, 6): 2.823022594,
}


def _tables():
    for beta, squared, logistic in [
        (0.001, 0.010116828, 0.072114706),
        (0.01, 0.100073827, 0.486837708),
        (0.1, 0.891447203, 2.414684574),
        (0.5, 2.312272835, 3.413163246),
        (1.0, 2.447794359, 5 * np.log(2)),
    ]:
        yield _table("toy T1 squared", TOY_X, TOY_Y, "squared_error", beta, squared)
        yield _table("toy T1 logistic", TOY_X, (TOY_Y + 1) / 2, "log_loss", beta, logistic)
    for (n, d), *values in [
        ((6, 2), 0.154209751, 0.989433585, 1.434619265),
        ((8, 2), 0.445937990, 1.678434628, 1.713754402),
        ((8, 3), 0.245055344, 1.262947849, 1.644762236),
        ((4, 6), 0.029527410, 0.215135808, 0.430162407),
    ]:
        for beta, value in zip((0.01, 0.1, 0.3), values, strict=True):
            yield _table(f"sine T2 {n}x{d}", *sine_data(n, d), "squared_error", beta, value)
    # Several outputs in the plane, from a completely positive program that is exact there.
    X, Y = sine_data(5, 2)[0], np.cos(np.arange(1, 16.0)).reshape(5, 3)
    yield _table("vector T4", X, Y, "squared_error", 0.1, 1.61153568)
    yield _table("vector T4", X, Y, "squared_error", 0.4, 3.23235186)


def whitened_rows(rng, n, d):
    """``X`` (n, d) with ``X X^T = I``."""
    return np.linalg.qr(rng.standard_normal((d, n)))[0].T


def _whitened():
    """Closed forms for ``X X^T = I``: each of the two signs, or classes, is solved by itself."""
    rng = np.random.default_rng(0)

    # One output: soft thresholding of ||(y)_+|| and ||(-y)_+||.
    n, d = 6, 9
    X, Y = whitened_rows(rng, n, d), np.array([3.0, -1, 2, -2, 0.5, -0.1])[:, None]
    for beta in (0.3, 2.5, 5.0):
        sizes = [np.linalg.norm(np.maximum(sign * Y, 0)) for sign in (1, -1)]
        total = sum(0.5 * min(beta, a) ** 2 + beta * max(a - beta, 0) for a in sizes)
        yield _table("whitened squared", X, Y, "squared_error", beta, total)

    # One-hot targets: the same for ||y_k|| = sqrt(n_k), one neuron per class.
    counts = np.array([2, 1, 2])
    X, Y = whitened_rows(rng, 5, 7), np.eye(3)[np.repeat([0, 1, 2], counts)]
    for beta, total in [(0.1, 0.367842712), (0.5, 1.539213562), (1.2, 2.454112550)]:
        sizes = np.sqrt(counts)
        formula = (0.5 * np.minimum(beta, sizes) ** 2 + beta * np.maximum(sizes - beta, 0)).sum()
        assert abs(formula - total) < 1e-8
        yield _table("whitened one-hot", X, Y, "squared_error", beta, formula)

    # Two classes: output t on all n_k rows of a class, sigma(-t) = q = beta / sqrt(n_k).
    counts = np.array([4, 3])
    X, Y = whitened_rows(rng, 7, 8), np.repeat([0.0, 1.0], counts)[:, None]
    for beta in (0.05, 0.4, 0.9):
        q = np.minimum(beta / np.sqrt(counts), 0.5)
        t = np.log((1 - q) / q)
        total = (-counts * np.log(1 - q) + beta * np.sqrt(counts) * t).sum()
        yield _table("whitened logistic", X, Y, "log_loss", beta, total)


def planted_problem(seed, n, p, intercept, alpha=0.05):
    """Targets for which two random neurons, of output weights 1 and -0.5, are optimal.

    Optimality of ``u_j``, strictly inside the cell of its pattern ``D_j``, is the linear equation
    ``X^T D_j r = alpha sign(c_j) u_j``; with an intercept ``1^T r = 0``.  The least-norm ``r`` is
    taken; that ``max_u |r^T (X u)_+| = alpha`` holds everywhere depends on the seed, and the tests
    check it.
    """
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p - intercept))
    A = np.column_stack([X, np.ones(n)]) if intercept else X
    U = rng.standard_normal((2, p))
    U /= np.linalg.norm(U, axis=1, keepdims=True)
    C = np.array([[1.0], [-0.5]])
    equations = [(A * (A @ u > 0)[:, None]).T for u in U]
    right = [alpha * np.sign(c) * u for u, c in zip(U, C[:, 0], strict=True)]
    if intercept:
        equations, right = [*equations, np.ones((1, n))], [*right, np.zeros(1)]
    r = np.linalg.lstsq(np.vstack(equations), np.concatenate(right))[0]
    b0 = np.array([0.7]) if intercept else np.zeros(1)
    Z = np.maximum(A @ U.T, 0) @ C + b0
    value = 0.5 * n * (r @ r) + alpha * np.abs(C).sum()
    return Known(
        f"planted in {p} columns, {'with' if intercept else 'no'} intercept",
        X,
        Z + n * r[:, None],
        np.full(n, 1 / n),
        "squared_error",
        intercept,
        alpha,
        value,
        (U, C, b0),
    )


def _planted():
    yield planted_problem(0, 12, 2, False)
    yield planted_problem(32, 12, 2, True)
    yield planted_problem(0, 12, 3, False)
    yield planted_problem(101, 12, 3, True)


def _enumerated():
    for loss, alphas in [
        ("squared_error", (0.05, 0.02, 0.02, 0.05)),
        ("log_loss", (0.005, 0.01, 0.005, 0.03)),
    ]:
        shapes = [(10, 1, True), (10, 2, False), (9, 2, True), (9, 3, False)]
        for seed, ((n, d, intercept), alpha) in enumerate(zip(shapes, alphas, strict=True)):
            yield _random(seed, n, d, loss, intercept, alpha)
        yield _random(4, 12, 1, loss, True, 0.02, integers=True)
        yield _random(5, 12, 2, loss, True, 0.02, integers=True)
        yield _random(6, 12, 2, loss, False, 0.02, integers=True)
        yield _random(7, 9, 1, loss, False, 0.05, n_outputs=3)
    for loss in ("huber", "poisson", "squared_hinge"):
        yield _random(10, 10, 1, loss, True, 0.05)
        yield _random(11, 9, 2, loss, True, 0.02)
        yield _random(12, 10, 2, loss, False, 0.05, integers=True)
        yield _random(13, 9, 1, loss, False, 0.05, n_outputs=3)


ENUMERATED = list(_enumerated())
TABLES = list(_tables())
WHITENED = list(_whitened())
PLANTED = list(_planted())
ZOO = [*ENUMERATED, *TABLES, *WHITENED, *PLANTED]
