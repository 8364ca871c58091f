r"""Deep ReLU networks in closed form: orthogonal rows, rows on a line, batch normalisation.

    (R)  min  sum_i w_i 1/2 ||y_i - f(x_i)||^2 + alpha/2 sum_l ||W_l||_F^2 ,
         f(x) = ((x^T W_1)_+ ... W_{L-1})_+ W_L

The targets fall into *paths*: the rows with positive, and those with negative, values in one
column.  Where every row has at most one non-zero target, the paths have disjoint rows, and

* for orthogonal rows, ``||x_i|| = delta_i``, a path is a vector ``g >= 0`` with outputs ``delta_i
  g_i`` and least weight decay ``L/2 ||g||^(2/L)``;
* with batch normalisation in the last hidden layer (decay on its scale and shift and on the output
  weights only) the activations of a neuron are any vector of the sphere: the rows count as
  orthonormal and the network as one of two layers.

Every path is then a problem in one number.  For two layers (and for one path of any depth, and with
batch normalisation) the sum over paths is the optimum, because ``max_u ||V^T (X u)_+||`` over the
unit ball is the largest norm of a path of ``V``.  For ``L >= 3`` and several paths the proven
bound is ``penalty >= L/2 (sum_k ||g_k||)^(2/L)``: for layers of given norms ``t_1, ..., t_{L-2}``
the last two cost at least ``sum_k ||g_k|| / prod t_l``, and the least over ``t`` is that.

On a line, ``x_i = c_i a``, homogeneity gives ``f(x_i) = c_i f(a)`` for ``c_i > 0``: with one sign
the network is one path of any depth; with both there are two independent ones if ``L = 2``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from sklearn_convexnn.core.deep.batch_norm import batch_normalise, random_features, reach
from sklearn_convexnn.core.deep.concave_power import (
    Node,
    group_node,
    minimise_on_curve,
    minimise_ridge_curve,
)
from sklearn_convexnn.core.deep.singular_values import balanced_layers, power_penalty, shrink
from sklearn_convexnn.core.problem.canonical_rows import canonical_rows
from sklearn_convexnn.core.problem.certificates import Certificate
from sklearn_convexnn.core.problem.solution import Solution, Status, end_of_history

_EPS = np.finfo(float).eps
# Largest violation of orthogonality and of full row rank, relative to the rows.
_CONDITION = {np.dtype(np.float64): 1e-10, np.dtype(np.float32): 1e-5}


@dataclass(frozen=True)
class ReLULayers:
    """The layers of a deep ReLU network, and what is applied beside them."""

    coefs: list
    intercepts: list
    batch_norm: dict | None = None
    whitening: np.ndarray | None = None


@dataclass(frozen=True)
class ClosedForm(Solution):
    """A Solution by formula, with the condition that made it possible."""

    alpha_max: float = 0.0
    condition: str = ""


@dataclass(frozen=True)
class Path:
    """Rows, output column and sign of one path; its problem is ``1/2 sum s (g - m/s)^2``."""

    rows: np.ndarray
    column: int
    sign: float
    s: np.ndarray
    m: np.ndarray

    @property
    def explained(self):
        """Loss of nothing less loss of a perfect fit."""
        return 0.5 * float(np.sum(self.m**2 / self.s))

    @property
    def whitened(self):
        return self.s.max() <= self.s.min() * (1 + 1e-12)


def solve_deep_relu(X, Y, weights, *, alpha, scale, n_layers, batch_norm, whiten, width, rng):
    """The network of (R) for rows that meet one of the conditions; ValueError for others.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32 or float64
    Y : ndarray of shape (n, K)
    weights : ndarray of shape (n,), non-negative
    alpha : float or None
        None: the fraction ``scale`` of ``alpha_max``.
    scale : float
    n_layers : int
    batch_norm, whiten : bool
    width : int or None
        Neurons of the random layer with batch normalisation.
    rng : numpy Generator

    Returns
    -------
    ClosedForm
    """
    dtype = X.dtype
    keep = weights > 0
    X, Y, weights = X[keep].astype(np.float64), np.asarray(Y, np.float64)[keep], weights[keep]
    _check_size("X", X)
    _check_size("y", Y)
    merged = canonical_rows(X, Y, weights)
    if batch_norm or len(merged[0]) < len(X):  # else the order of the rows is kept
        X, Y, weights = merged
    weights = weights / weights.sum()
    tolerance = _CONDITION[dtype]
    if batch_norm:
        return _batch_normalised(X, Y, weights, alpha, scale, n_layers, width=width, rng=rng)
    whitening = None
    if whiten:
        whitening = _whitening(X, tolerance)
        X = np.eye(len(X))  # X @ whitening, up to the violation that was checked
    elif _is_line(X, tolerance):
        return _on_a_line(X, Y, weights, alpha, scale, n_layers)
    return _orthogonal(X, Y, weights, alpha, scale, n_layers, whitening, tolerance)


# -------------------------------------------------------------------------------------- conditions


def _check_size(name, values):
    size = float(np.abs(values).max(initial=0.0))
    if size > 1e150 or 0.0 < size < 1e-150:
        raise ValueError(
            f"{name} has values up to {size:.1e}, whose squares leave the range of numbers: scale "
            f"{name} to a size between 1e-150 and 1e150."
        )


def _whitening(X, tolerance):
    """``X^+`` of rows in general position, so that ``X X^+ = I``."""
    n, d = X.shape
    if n > d:
        raise ValueError(
            f"whiten=True needs at most as many distinct rows as features, so that the rows can "
            f"have full row rank, but there are {n} rows and {d} features. Use batch_norm=True "
            "with n_layers >= 3, or ConvexReLURegressor or ConvexReLUClassifier."
        )
    inverse = linalg.pinv(X)
    violation = float(np.abs(X @ inverse - np.eye(n)).max())
    if violation > tolerance:
        raise ValueError(
            f"whiten=True needs rows of full row rank, but X X^+ differs from the identity by "
            f"{violation:.1e} (tolerance {tolerance:.0e}). Leave out dependent rows, use "
            "batch_norm=True with n_layers >= 3, or ConvexReLURegressor or ConvexReLUClassifier."
        )
    return inverse


def _is_line(X, tolerance):
    size = np.abs(X).max(initial=0.0)
    if size == 0.0 or X.shape[1] == 1:
        return True
    sigma = linalg.svdvals(X / size)
    return len(sigma) == 1 or sigma[1] <= tolerance * sigma[0]


def _check_orthogonal(X, lengths, tolerance):
    rows = X[lengths > 0] / lengths[lengths > 0, None]
    cosines = rows @ rows.T - np.eye(len(rows)) if len(rows) <= 2 * X.shape[1] else np.ones((1, 1))
    violation = float(np.abs(cosines).max(initial=0.0))
    if violation <= tolerance:
        return
    if len(rows) > X.shape[1]:
        found = f"there are {len(rows)} different rows in {X.shape[1]} dimensions"
        remedy = "batch_norm=True with n_layers >= 3"
    else:
        found = f"two of them have the cosine {violation:.1e} (tolerance {tolerance:.0e})"
        remedy = "whiten=True, batch_norm=True"
    raise ValueError(
        "The closed form needs orthogonal rows (a diagonal X X^T) or rows on one line, but "
        f"{found}. Use {remedy}, or ConvexReLURegressor or ConvexReLUClassifier."
    )


def _check_disjoint(Y):
    several = np.count_nonzero(Y, axis=1) > 1
    if several.any():
        raise ValueError(
            "The closed form needs targets with at most one non-zero value in every row, such as "
            f"class indicators or a single output, but {int(several.sum())} of {len(Y)} rows have "
            "more. Fit one model for each output, or use ConvexReLURegressor."
        )


# ------------------------------------------------------------------------------------------- paths


def make_paths(Y, weights, lengths):
    """Paths of targets with at most one non-zero value per row; rows of length 0 have none."""
    paths = []
    for column in range(Y.shape[1]):
        for sign in (1.0, -1.0):
            rows = np.flatnonzero((sign * Y[:, column] > 0) & (lengths > 0))
            if len(rows):
                w, delta = weights[rows], lengths[rows]
                m = w * delta * np.abs(Y[rows, column])
                paths.append(Path(rows, column, sign, w * delta**2, m))
    return paths


def solve_path(path, alpha, n_layers):
    """Activations ``g`` of ``min 1/2 sum s (g - m/s)^2 + alpha L/2 ||g||^(2/L)``, value, bound."""
    t = path.m / path.s
    if path.whitened:
        size = float(np.linalg.norm(t))
        mean = float(path.s.mean())
        r = float(shrink(size, alpha / mean, n_layers))
        value = 0.5 * mean * (r - size) ** 2 + alpha * power_penalty([r], n_layers)
        return t * (r / size), value, value * (1 - 8 * _EPS)
    best, bound = minimise_ridge_curve(path.s, path.m, 0.0, path.explained, alpha, n_layers)
    value = best.loss + alpha * power_penalty([best.r], n_layers)
    return best.point, value, bound


def paths_alpha_max(paths, n_layers):
    """From this alpha on every path is proven to be zero; the least one for two layers."""
    L = n_layers
    return max(
        (
            (2.0 / L) * np.linalg.norm(p.m) ** (2.0 / L) * p.explained ** (1.0 - 2.0 / L)
            for p in paths
        ),
        default=0.0,
    )


def paths_bound(paths, alpha, n_layers):
    """``min sum_k 1/2 sum s (g_k - m/s)^2 + alpha L/2 (sum_k ||g_k||)^(2/L)``, from below."""

    def node_at(mu):
        parts = [_shrunk_path(path, mu) for path in paths]
        r, loss = (float(sum(values)) for values in zip(*parts, strict=True))
        return Node(mu, r, loss, (loss + mu * r) * (1 - 32 * _EPS))

    largest = max(float(np.linalg.norm(p.m)) for p in paths)
    energy = sum(p.explained for p in paths)
    r = sum(float(np.linalg.norm(p.m / p.s)) for p in paths)
    ends = [Node(largest, 0.0, energy, energy), Node(0.0, r, 0.0, 0.0)]
    grid = largest * np.logspace(-1e-3, -8, 25)
    _, _, bound = minimise_on_curve(node_at, ends, grid, alpha, n_layers, tol=1e-9)
    return bound


def _shrunk_path(path, mu):
    """Size and loss of ``min 1/2 sum s (g - m/s)^2 + mu ||g||``."""
    if np.linalg.norm(path.m) <= mu:
        return 0.0, path.explained
    if path.whitened:
        mean, size = float(path.s.mean()), float(np.linalg.norm(path.m / path.s))
        return size - mu / mean, 0.5 * mu**2 / mean

    node = group_node(path.s, path.m, 0.0, mu)
    return node.r, node.loss


def _closed_form(layers, value, bound, kind, alpha, alpha_max, condition):
    certificate = Certificate(value, min(bound, value), np.nan, kind)
    history = end_of_history(certificate, n_paths=layers.coefs[-1].shape[0])
    status = Status.CLOSED_FORM
    return ClosedForm(
        layers,
        certificate,
        status,
        alpha,
        1,
        history,
        alpha_max=alpha_max,
        condition=condition,
    )


def _choose(alpha, scale, alpha_max):
    """``alpha``, or the fraction ``scale`` of ``alpha_max`` where none is given."""
    return scale * alpha_max if alpha is None else alpha


# --------------------------------------------------------------------------------- orthogonal rows


def _orthogonal(X, Y, weights, alpha, scale, n_layers, whitening, tolerance):
    lengths = np.linalg.norm(X, axis=1)
    # Rows that are zero up to rounding cannot be told from zero rows.
    lengths[lengths <= tolerance * lengths.max(initial=0.0)] = 0.0
    _check_orthogonal(X, lengths, tolerance)
    _check_disjoint(Y)
    paths = make_paths(Y, weights, lengths)
    alpha_max = paths_alpha_max(paths, n_layers)
    alpha = _choose(alpha, scale, alpha_max)
    solved = [solve_path(path, alpha, n_layers) for path in paths]
    unreachable = 0.5 * float(weights[lengths == 0] @ np.sum(Y[lengths == 0] ** 2, axis=1))
    value = sum(v for _, v, _ in solved) + unreachable
    if n_layers == 2 or len(paths) <= 1:
        bound, kind = sum(b for _, _, b in solved) + unreachable, "exact"
    else:
        bound, kind = paths_bound(paths, alpha, n_layers) + unreachable, "proven"
        if value - bound <= 1e-9 * value:
            kind = "exact"
    left, sizes, right = [], [], []
    for path, (g, _, _) in zip(paths, solved, strict=True):
        r = np.linalg.norm(g)
        if r > 0:
            rows = path.rows
            left.append((g / r / lengths[rows]) @ X[rows])
            sizes.append(r)
            right.append(path.sign * np.eye(Y.shape[1])[path.column])
    coefs = _layers(left, sizes, right, X.shape[1], Y.shape[1], n_layers)
    layers = ReLULayers(coefs, [np.zeros(W.shape[1]) for W in coefs], whitening=whitening)
    condition = "orthogonal_rows" if whitening is None else "whitened_rows"
    return _closed_form(layers, value, bound, kind, alpha, alpha_max, condition)


def _layers(left, sizes, right, d, K, n_layers):
    left = np.array(left).reshape(len(sizes), d).T
    right = np.array(right).reshape(len(sizes), K).T
    return balanced_layers(left, np.array(sizes), right, n_layers)


# ---------------------------------------------------------------------------------- rows on a line


def _on_a_line(X, Y, weights, alpha, scale, n_layers):
    direction, c = _line(X)
    halves = [(sign, np.maximum(sign * c, 0.0)) for sign in (1.0, -1.0)]
    parts = []  # sign, curvature, target size and direction of every half that has targets
    energy = 0.5 * float(weights @ np.sum(Y**2, axis=1))
    for sign, h in halves:
        curvature = float(weights @ h**2)
        m = Y.T @ (weights * h)
        if curvature > 0 and np.linalg.norm(m) > 16 * _EPS * np.sqrt(2 * energy * curvature):
            parts.append((sign, curvature, m))
    if n_layers > 2 and len(parts) > 1:
        smaller = min(curvature for _, curvature, _ in parts) / sum(p[1] for p in parts)
        raise ValueError(
            "For rows on one line (rank one) and more than two layers the closed form needs all "
            f"rows on one side of the origin, but the share {smaller:.1e} of their squares is on "
            "the other side. Use n_layers=2, batch_norm=True, or ConvexReLURegressor or "
            "ConvexReLUClassifier."
        )
    L = n_layers
    alpha_max = 0.0
    left, sizes, right, value = [], [], [], energy
    for _, curvature, m in parts:
        size = float(np.linalg.norm(m))
        e = 0.5 * size**2 / curvature
        alpha_max = max(alpha_max, (2.0 / L) * size ** (2.0 / L) * e ** (1.0 - 2.0 / L))
    alpha = _choose(alpha, scale, alpha_max)
    for sign, curvature, m in parts:
        size = float(np.linalg.norm(m))
        r = float(shrink(size / curvature, alpha / curvature, L))
        if r > 0:
            left.append(sign * direction)
            sizes.append(r)
            right.append(m / size)
            value += r * (0.5 * curvature * r - size) + alpha * power_penalty([r], L)
    coefs = _layers(left, sizes, right, X.shape[1], Y.shape[1], L)
    layers = ReLULayers(coefs, [np.zeros(W.shape[1]) for W in coefs])
    bound = value - 16 * _EPS * energy
    return _closed_form(layers, value, bound, "exact", alpha, alpha_max, "rank_one")


def _line(X):
    """Unit direction and coordinates of rows on a line, the larger half positive."""
    size = np.abs(X).max(initial=0.0)
    if size == 0.0:
        return np.eye(X.shape[1])[0], np.zeros(len(X))
    _, _, Vt = linalg.svd(X / size, full_matrices=False)
    c = X @ Vt[0]
    turn = 1.0 if np.sum(np.maximum(c, 0) ** 2) >= np.sum(np.minimum(c, 0) ** 2) else -1.0
    return turn * Vt[0], turn * c


# ----------------------------------------------------------------------------- batch normalisation


def _batch_normalised(X, Y, weights, alpha, scale, n_layers, *, width, rng):
    _check_disjoint(Y)
    # With activations anywhere on the sphere of ||.||_w the rows count as orthonormal: in the
    # coordinates sqrt(w) g the loss is 1/2 ||g - sqrt(w) y||^2.
    root = np.sqrt(weights)
    paths = make_paths(root[:, None] * Y, np.ones(len(X)), np.ones(len(X)))
    alpha_max = paths_alpha_max(paths, 2)
    alpha = _choose(alpha, scale, alpha_max)
    solved = [solve_path(path, alpha, 2) for path in paths]
    value = sum(v for _, v, _ in solved)
    bound = sum(b for _, _, b in solved)
    alive = [(p, g) for p, (g, _, _) in zip(paths, solved, strict=True) if np.any(g)]
    sizes = np.array([np.linalg.norm(g) for _, g in alive])
    H = np.zeros((len(X), len(alive)))  # activations of norm 1 in ||.||_w
    out = np.zeros((len(alive), Y.shape[1]))
    for j, (path, g) in enumerate(alive):
        H[path.rows, j] = g / sizes[j] / root[path.rows]
        out[j, path.column] = path.sign * np.sqrt(sizes[j])
    coefs, intercepts, A = random_features(X, n_layers, width, rng)
    mean = weights @ H
    std = np.sqrt(weights @ (H - mean) ** 2)
    varies = std > 8 * _EPS
    target = np.where(varies, (H - mean) / np.where(varies, std, 1.0), 0.0)
    last = reach(A, target, weights, n_layers)
    Z = A @ last
    batch_norm = {
        "mean": weights @ Z,
        "std": np.where(varies, np.sqrt(weights @ (Z - weights @ Z) ** 2), 1.0),
        "gamma": std * varies * np.sqrt(sizes),
        "shift": mean * np.sqrt(sizes),
    }
    biases = [*intercepts, np.zeros(len(alive)), np.zeros(Y.shape[1])]
    layers = ReLULayers([*coefs, last, out], biases, batch_norm)
    return _closed_form(layers, value, bound, "exact", alpha, alpha_max, "batch_norm")


# ------------------------------------------------------------------------------------ forward pass


def forward(X, coefs, intercepts, batch_norm=None, whitening=None, *, hidden=False):
    """Outputs of the network, or the activations of its last hidden layer."""
    A = X if whitening is None else X @ whitening
    for i, (W, bias) in enumerate(zip(coefs[:-1], intercepts[:-1], strict=True)):
        Z = A @ W + bias
        if batch_norm is not None and i == len(coefs) - 2:
            Z = batch_normalise(Z, batch_norm)
        A = np.maximum(Z, 0)
    return A if hidden else A @ coefs[-1] + intercepts[-1]
