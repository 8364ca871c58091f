"""The passes over one block of rows.

``kernel(xp, block, ..) -> (sums, kept)``, see :mod:`sklearn_convexnn.core.problem.engines`.  A
block has features of any array namespace ``xp``; CSR and coded blocks come with NumPy.  What is
written here is the array API standard, in place where the standard allows it.

``W`` (d, m * n_units) and ``bias``, one for each of these units, one number or None, are the
weights of all neurons, ``C`` (m *
n_cells, C) their output weights, one row for each feature.  ``E`` are derivatives of the loss in
the outputs, ``T`` in the features or activations.
"""

from __future__ import annotations

import numpy as np

# Up to this length of a row the outer products of a block are formed together; for longer rows
# gathering the few rows in the band of each column is cheaper.
OUTER_COLUMNS = 12


def cast(xp, A, dtype):
    """``A`` in another dtype, itself if it has it."""
    if A.dtype == dtype:
        return A
    return A.astype(dtype) if xp is np else xp.astype(A, dtype)


def column_sums(xp, A, dtype=None):
    """``A.sum(axis=0)``; for few rows NumPy's function of that name costs more than the sums."""
    return np.add.reduce(A, 0, dtype) if xp is np else xp.sum(A, axis=0, dtype=dtype)


def _products(xp, B, neurons, W, bias):
    inputs = neurons.inputs(xp, B.X)
    H = inputs @ W
    if bias is not None:
        H += bias
    return inputs, H


def _only_products(xp, inputs):
    """Whether these are rows, sparse or coded, that only multiply."""
    return xp is np and not isinstance(inputs, np.ndarray)


def _pulled_back(xp, inputs, T, intercept):
    """``T^T [inputs, 1]`` as a list of its two parts, without the scale."""
    if _only_products(xp, inputs):
        slopes = (inputs.T @ T).T
    else:
        slopes = T.T @ inputs
    # All axes but the last, that of the neurons, are those of inputs.
    sums = column_sums(xp, T) if T.ndim == 2 else T.sum(axis=tuple(range(T.ndim - 1)))
    return (slopes, sums) if intercept else (slopes,)


def _in_directions(xp, inputs, neurons, A, slope, E, C, intercept):
    """Gradients in the directions as :func:`_pulled_back` has them; overwrites ``A``."""
    if E.shape[1] > 1 or not neurons.acts_on_rows or _only_products(xp, inputs):
        T = neurons.pull_back(xp, slope, E @ C.T)
        return _pulled_back(xp, inputs, T, intercept)
    # With one output ``c_j * sum_i slope_ij e_i x_i``: no array of the size of ``A`` but the slope.
    if slope.dtype != A.dtype:
        A[...] = slope
        slope = A
    slopes = C * (slope.T @ (inputs * E))
    return (slopes, C[:, 0] * (slope.T @ E)[:, 0]) if intercept else (slopes,)


# ----------------------------------------------------------------------------- networks on the rows


def features(xp, B, neurons, W, bias):
    _, H = _products(xp, B, neurons, W, bias)
    return (), neurons.activate(xp, H, False)[0]


def outputs(xp, B, neurons, W, bias, C, b0):
    _, H = _products(xp, B, neurons, W, bias)
    Z = cast(xp, neurons.activate(xp, H, False)[0] @ C, xp.float64)
    Z += b0
    return (), Z


def constant_outputs(xp, B, b0):
    return (), xp.zeros_like(B.Y) + b0


def moments(xp, B, neurons, W, bias):
    _, H = _products(xp, B, neurons, W, bias)
    A, roots = _weighted(xp, neurons.activate(xp, H, False)[0], B.w)
    return (A.T @ roots, A.T @ A, A.T @ (roots[:, None] * cast(xp, B.Y, A.dtype))), None


def _weighted(xp, A, w):
    """Rows times the roots of their weights, in place, and these roots.

    Libraries see that a product of a matrix with itself is symmetric, and do half of the work.
    """
    roots = cast(xp, xp.sqrt(w), A.dtype)
    A *= roots[:, None]
    return A, roots


def curvature_moments(xp, B, neurons, loss, least, W, bias):
    """Moments with the weights ``w_i (h_i + least)``, ``h_i`` the mean curvature of the outputs."""
    (Z,) = B.rowwise
    hessian = loss.hessian(B.Y, Z)
    curvature = xp.linalg.trace(hessian) / hessian.shape[-1]
    _, H = _products(xp, B, neurons, W, bias)
    A = neurons.activate(xp, H, False)[0]
    w = B.w * (curvature + least)
    A, roots = _weighted(xp, A, w)
    return (xp.sum(w), A.T @ roots, A.T @ A), None


def curvature_factors(xp, B, neurons, loss, intercept, scale, W, bias, C, b0):
    """Curvatures ``w_i h_ic``, moments of inputs with their sums over c, and with the weights alone

    those of the features and of their slopes.
    """
    inputs, H = _products(xp, B, neurons, W, bias)
    A, slope = neurons.activate(xp, H, False)
    Z = A @ C
    Z += b0
    bends = B.w[:, None] * loss.majorant(B.Y, Z)
    X = _scaled(xp, inputs, intercept, scale)
    X = X * cast(xp, xp.sqrt(xp.sum(bends, axis=1, keepdims=True)), X.dtype)
    slope, _ = _weighted(xp, cast(xp, slope, A.dtype), B.w)
    A, _ = _weighted(xp, A, B.w)
    return (column_sums(xp, bends), X.T @ X, A.T @ A, slope.T @ slope), None


def loss_and_gradients(xp, B, neurons, loss, smooth, intercept, W, bias, gained, C, b0):
    """Value, gradients in ``C``, in ``b0``, in the directions."""
    inputs, H = _products(xp, B, neurons, W, bias)
    A, slope = neurons.activate(xp, H, smooth)
    Z = A @ gained
    Z += b0
    losses, E = loss.value_and_gradient(B.Y, Z)
    value = B.w @ cast(xp, losses, B.w.dtype)
    E = cast(xp, B.w[:, None] * E, A.dtype)
    db0 = column_sums(xp, E, xp.float64)
    dC = A.T @ E
    return (value, dC, db0, *_in_directions(xp, inputs, neurons, A, slope, E, C, intercept)), None


def second_moments(xp, B, neurons, intercept, scale, T):
    """``sum_i w_i (T^T x_i)(T^T x_i)^T``."""
    X = _scaled(xp, neurons.inputs(xp, B.X), intercept, scale) @ T
    return ((X * B.w[:, None]).T @ X,), None


def lengths(xp, B, neurons, intercept, scale):
    """Of the inputs, (k, 1)."""
    X = _scaled(xp, neurons.inputs(xp, B.X), intercept, scale)
    return (), xp.sqrt(xp.sum(X * X, axis=1, keepdims=True))


# ------------------------------------------------------------------------------------------- prices


def prices(xp, B, neurons, W, bias):
    (R,) = B.rowwise
    _, H = _products(xp, B, neurons, W, bias)
    A = neurons.activate(xp, H, False)[0]
    return (A.T @ cast(xp, R, A.dtype),), None


def prices_and_ascent(xp, B, neurons, smooth, intercept, W, bias, Q):
    inputs, H = _products(xp, B, neurons, W, bias)
    A, slope = neurons.activate(xp, H, smooth)
    R = cast(xp, B.rowwise[0], A.dtype)
    values = A.T @ R
    return (values, *_in_directions(xp, inputs, neurons, A, slope, R, Q, intercept)), None


def smooth_ascent(xp, B, neurons, intercept, scale, width, band, W, bias, Q):
    """Ascent directions and curvatures, the latter as :func:`_curvatures` has them."""
    inputs, H = _products(xp, B, neurons, W, bias)
    T = neurons.spread(xp, cast(xp, B.rowwise[0], H.dtype) @ Q.T)
    bends = (xp.abs(H) < band) & (T < 0)
    bending = cast(xp, xp.where(bends, T / (-2 * width), xp.zeros_like(T)), H.dtype)
    curvatures = _curvatures(xp, inputs, bending, intercept, scale)
    rising = cast(xp, H > 0, H.dtype)
    T *= cast(xp, xp.where(bends, H / (2 * width) + 0.5, rising), H.dtype)
    return (curvatures, *_pulled_back(xp, inputs, T, intercept)), None


def _curvatures(xp, inputs, bending, intercept, scale):
    """``sum_i bending[i, j] x_i x_i^T`` for few inputs i in each column j.

    For short rows its upper triangles, (m, p (p + 1) / 2), otherwise (m, p, p).
    """
    p, m = inputs.shape[1] + intercept, bending.shape[1]
    if p <= OUTER_COLUMNS:
        # All outer products at once: many more operations, in one matrix product.
        X = _scaled(xp, inputs, intercept, scale)
        upper, lower = (xp.asarray(part, device=X.device) for part in np.triu_indices(p))
        return bending.T @ (xp.take(X, upper, axis=1) * xp.take(X, lower, axis=1))
    if xp is not np:
        # Which rows are inside is not asked: the answer would have to come from the device.
        X = _scaled(xp, inputs, intercept, scale)
        return xp.stack([(X * bending[:, j : j + 1]).T @ X for j in range(m)])
    K = np.zeros((m, p, p), dtype=bending.dtype)
    for j in range(m):
        (inside,) = np.nonzero(bending[:, j])
        if len(inside):
            X = _scaled(np, inputs[inside], intercept, scale)
            K[j] = (X * bending[inside, j][:, None]).T @ X
    return K


def as_matrices(K, p):
    """Symmetric matrices (m, p, p) from what :func:`_curvatures` returns, added up."""
    if K.ndim == 3:
        return K
    upper, lower = np.triu_indices(p)
    full = np.empty((len(K), p, p))
    full[:, upper, lower] = K
    full[:, lower, upper] = K
    return full


def _scaled(xp, inputs, intercept, scale):
    """Inputs with their constant, dense and scaled: before squaring, units may be extreme."""
    X = inputs.toarray() if hasattr(inputs, "toarray") else inputs
    if intercept:
        X = xp.concat([X, xp.ones_like(X[:, :1])], axis=1)
    return cast(xp, X * scale, X.dtype)


# ---------------------------------------------------------------------- the loss at given outputs


def shifted(xp, B, shift):
    (Z,) = B.rowwise
    return (), Z + shift


def residual(xp, B, loss):
    (Z,) = B.rowwise
    return (), -B.w[:, None] * loss.gradient(B.Y, Z)


def balanced_residual(xp, B, loss, factors):
    return (), loss.balanced_residual(B.Y, B.w, factors)


def mean_loss(xp, B, loss):
    """The mean loss, and what gaps are relative to of it."""
    (Z,) = B.rowwise
    losses = loss.value(B.Y, Z)
    return (B.w @ losses, B.w @ loss.sizes(B.Y, losses)), None


def loss_on_the_way(xp, B, loss, share):
    """The mean loss at ``Z + share * change``."""
    Z, change = B.rowwise
    return (B.w @ loss.value(B.Y, Z + share * change),), None


def loss_of_shift(xp, B, loss, shift):
    """Value, gradient and second derivatives in a shift of all outputs."""
    return loss.mean_derivatives(B.Y, B.rowwise[0] + shift, B.w), None


def gradient_of_shift(xp, B, loss, shift):
    return (B.w @ loss.gradient(B.Y, B.rowwise[0] + shift),), None


def mean_size(xp, B, shift):
    """Weighted mean of the absolute outputs."""
    return (xp.sum(B.w[:, None] * xp.abs(B.rowwise[0] + shift)),), None


def total_size(xp, B):
    return (xp.sum(xp.abs(B.rowwise[0])),), None


def duals(xp, B, loss, scales):
    """``D(s rho)`` for every ``s`` in ``scales``, with ``rho`` the residual without weights."""
    rho = B.rowwise[0] / B.w[:, None]
    return [B.w @ loss.dual(B.Y, s * rho) for s in scales], None


def dual_parabola(xp, B, loss):
    """Slope and curvature of ``D(s rho)`` where it is a parabola in ``s``."""
    R = B.rowwise[0]
    return loss.dual_parabola(B.Y, R, R / B.w[:, None]), None


def mean_target(xp, B):
    return (B.w @ B.Y,), None


# ------------------------------------------------------------------ output weights over features


def on_features(xp, B, kernel, neurons, W, bias, *small):
    """A kernel over kept features, on features that are computed again."""
    _, H = _products(xp, B, neurons, W, bias)
    A = neurons.activate(xp, H, False)[0]
    return kernel(xp, B._replace(rowwise=(A, *B.rowwise)), *small)


def mean_squares(xp, B):
    (A,) = B.rowwise
    return (cast(xp, B.w, A.dtype) @ (A * A),), None


def fitted_loss(xp, B, loss, C, b0):
    (A,) = B.rowwise
    return (B.w @ cast(xp, loss.value(B.Y, A @ C + b0), B.w.dtype),), None


def fitted_gradients(xp, B, loss, C, b0):
    """The loss and its gradients in ``C`` and ``b0``."""
    (A,) = B.rowwise
    losses, E = loss.value_and_gradient(B.Y, A @ C + b0)
    E = B.w[:, None] * E
    value = B.w @ cast(xp, losses, B.w.dtype)
    return (value, A.T @ cast(xp, E, A.dtype), column_sums(xp, E)), None


def fitted_bends(xp, B, loss, least, C, b0):
    """Keeps ``w_i h_i`` for every output, ``h`` the loss's :meth:`majorant` plus ``least``."""
    (A,) = B.rowwise
    bends = B.w[:, None] * (loss.majorant(B.Y, A @ C + b0) + least)
    return (column_sums(xp, bends),), bends


def fitted_majorant(xp, B, negligible):
    """For every output the moments of ``[A, 1]`` with the weights that :func:`fitted_bends` keeps.

    Rows with weights up to ``negligible`` (C,) are left out.
    """
    A, bends = B.rowwise
    totals, edges, grams = [], [], []
    for c in range(bends.shape[1]):
        some, weights = A, bends[:, c]
        if xp is np:
            (chosen,) = np.nonzero(weights > negligible[c])
            if len(chosen) < len(A):
                some, weights = A[chosen], weights[chosen]
        else:  # how many they are, the device is not asked
            weights = xp.where(weights > negligible[c], weights, xp.zeros_like(weights))
        roots = cast(xp, xp.sqrt(weights), A.dtype)
        weighted = some * roots[:, None]
        totals.append(xp.sum(weights))
        edges.append(weighted.T @ roots)
        grams.append(weighted.T @ weighted)
    return (xp.stack(totals), xp.stack(edges), xp.stack(grams)), None


def fitted_hessian(xp, B, loss, intercept, support, least, C, b0):
    """Second derivatives in the weights of the features ``support``, then in the intercept."""
    (A,) = B.rowwise
    hessians = loss.hessian(B.Y, A @ C + b0)
    if least:
        eye = xp.eye(hessians.shape[-1], dtype=xp.float64, device=hessians.device)
        hessians = hessians + least * eye
    hessians = B.w[:, None, None] * hessians
    A = cast(xp, xp.take(A, support, axis=1), xp.float64)
    if intercept:
        A = xp.concat([A, xp.ones_like(B.w)[:, None]], axis=1)
    n_outputs = C.shape[1]
    pairs = [(c, d) for c in range(n_outputs) for d in range(n_outputs)]
    return [(A * hessians[:, c, d][:, None]).T @ A for c, d in pairs], None
