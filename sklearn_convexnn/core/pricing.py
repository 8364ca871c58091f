"""Pricing: search for the unit directions that violate the dual constraint most.

For a residual ``R`` (n, C) the dual of (P) asks ``||R^T (X u)_+||_2 <= alpha`` for every unit
``u``. The largest value ``kappa(R)`` is a non-concave maximisation; here it is climbed from many
starts at once, each sweep being two matrix products.  What it returns is a lower bound of
``kappa(R)``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sklearn_convexnn.core.metric import ISOTROPIC

# Relative widths of the parabolas through which `sharpen` approaches the kinks: a few steps to
# find good neurons, steps by less than a factor of two to find nearly every violated constraint,
# and down to rounding for the prices that a certificate rests on.
COARSE_WIDTHS = (0.3, 0.1, 0.03, 0.01, 2e-3)
FINE_WIDTHS = tuple(np.geomspace(0.5, 1e-3, 14))
LAST_WIDTHS = tuple(np.geomspace(1e-3, 1e-6, 12))

# `sharpen` solves one p x p system per candidate; beyond this p plain ascent has to do.
MAX_CURVATURE_COLUMNS = 400
_CURVATURE_BYTES = 32 << 20


class Prices(NamedTuple):
    """Directions with their prices, best first."""

    directions: np.ndarray  # (k, p), unit rows
    values: np.ndarray  # (k, C), R^T (X u)_+
    norms: np.ndarray  # (k,), decreasing

    @property
    def largest(self):
        return float(self.norms[0]) if len(self.norms) else 0.0


def normalise(U):
    """Rows scaled to unit length; zero rows stay zero."""
    norms = np.linalg.norm(U, axis=1, keepdims=True)
    return U / np.where(norms > 0, norms, 1.0)


def random_starts(rng, n_starts, n_columns, metric=ISOTROPIC):
    """Directions uniform on the sphere: they depend neither on the rows nor on their order.

    With a metric they are uniform in its coordinates to various degrees.
    """
    starts = rng.standard_normal((n_starts, n_columns))
    if not metric.trivial:
        starts = metric.spread(starts, metric.levels(rng, n_starts))
    return normalise(starts)


def _uphill(U, G, prices, total, step, metric):
    """Directions a step (m,) from ``U`` towards the ascent directions ``G``.

    With a metric ``G`` is nearly the mean row, and what counts is the slope along the sphere, in
    units of the price's curvature along each axis: its kinks bend it by about ``total s^2 /
    reach``, ``total`` the sum of the residuals and ``reach`` the size of the activations, and the
    length of ``u`` by the price.
    """
    step = step[:, None]
    if metric.trivial:
        return normalise((1.0 - step) * U + step * normalise(G))
    slope = (G - np.einsum("jp,jp->j", G, U)[:, None] * U) @ metric.axes
    Y = U @ metric.axes
    reach = np.linalg.norm(Y * metric.sizes, axis=1, keepdims=True) + np.finfo(float).tiny
    root = np.sqrt(total * metric.sizes**2 / reach + prices[:, None] + np.finfo(float).tiny)
    Y, slope = normalise(Y * root), normalise(slope / root)
    return normalise((Y + step * slope) / root @ metric.axes.T)


def local_ascent(rows, R, U, *, sweeps, metric=ISOTROPIC):
    """Climb ``||R^T (X u)_+||`` from every row of ``U``; never ends below its start.

    A full step replaces u by its normalised ascent direction (optimal if every row kept its sign
    and R were positive); a start whose value did not rise goes back and halves its step.
    """
    U = normalise(U)
    V = rows.prices(U, R)
    Q = normalise(V)
    V, G = rows.prices_and_ascent(U, Q, R)
    best = np.linalg.norm(V, axis=1)
    step, total = np.ones(len(U)), float(np.linalg.norm(R, axis=1).sum())
    for _ in range(sweeps):
        trial = _uphill(U, G, best, total, step, metric)
        V_trial, G_trial = rows.prices_and_ascent(trial, Q, R)
        value = np.linalg.norm(V_trial, axis=1)
        up = value > best
        U[up], V[up], G[up], best[up] = trial[up], V_trial[up], G_trial[up], value[up]
        # With one output G was taken for the sign in Q; a change of sign flips it.
        if R.shape[1] == 1:
            G[up] *= np.sign(V[up]) * Q[up]
        Q[up] = normalise(V[up])
        step = np.where(up, np.minimum(1.0, 1.5 * step), 0.5 * step)
    return joined(Prices(U, V, best))


def select_diverse(prices, count, *, above=0.0, max_cosine=0.98, metric=ISOTROPIC):
    """The best ``count`` directions priced over ``above`` whose mutual cosines stay small."""
    chosen, unit = [], metric.unit(prices.directions)
    for j in np.flatnonzero(prices.norms > above):
        if len(chosen) == count:
            break
        if not chosen or np.max(unit[chosen] @ unit[j]) < max_cosine:
            chosen.append(j)
    return Prices(prices.directions[chosen], prices.values[chosen], prices.norms[chosen])


def sharpen(rows, R, prices, *, widths, metric=ISOTROPIC):
    """Move directions onto the kinks where the maxima of the price sit.

    Plain ascent zigzags across the kinks of rows with a negative residual and stops short of them.
    Here each kink is a parabola of shrinking ``widths`` (relative to the rows' scale) and every
    step maximises a concave quadratic minorant over the sphere: ``(K + lambda I) u = g + K u0``
    with the multiplier ``lambda = <g, u0>``, its value at a maximum.  Returns the better of start
    and end.  The candidates are worked on in batches, so that their p x p curvatures stay small in
    memory.
    """
    size = max(1, _CURVATURE_BYTES // (8 * rows.n_columns**2))
    batches = [
        _sharpen_batch(
            rows, R, Prices(*(part[start : start + size] for part in prices)), widths, metric
        )
        for start in range(0, len(prices.norms), size)
    ]
    return joined(*batches) if batches else prices


def _sharpen_batch(rows, R, prices, widths, metric):
    U, V, best = (part.copy() for part in prices)
    position, Q = U, normalise(V)
    identity = np.eye(U.shape[1])
    previous = widths[0]
    for width in widths:
        # A row on its kink sits at a fixed fraction of the width.  While the width shrinks slowly
        # it has to stay in the band of the step before, or the step would take it for a free row;
        # after a long step the prediction is worth nothing.
        band = previous if previous < 2 * width else width
        # The activations of a direction that reaches less far are so much smaller.
        reach = 1.0 if metric.trivial else metric.lengths(position) + np.finfo(float).tiny
        G, K = rows.smooth_ascent(position, Q, R, reach * width, reach * band)
        previous = width
        multiplier = np.einsum("jp,jp->j", G, position)
        multiplier = np.maximum(multiplier, 1e-3 * np.linalg.norm(G, axis=1)) + np.finfo(float).tiny
        target = G + np.einsum("jpq,jq->jp", K, position)
        system = K + multiplier[:, None, None] * identity
        position = normalise(np.linalg.solve(system, target[:, :, None])[:, :, 0])
        V_now = rows.prices(position, R)
        value = np.linalg.norm(V_now, axis=1)
        up = value > best
        U[up], V[up], best[up] = position[up], V_now[up], value[up]
        Q = normalise(V_now)
    return Prices(U, V, best)


def joined(*found):
    """All prices in one list, best first."""
    U, V, norms = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(-norms, kind="stable")
    return Prices(U[order], V[order], norms[order])


def repriced(rows, R, prices):
    """The same directions with prices in the precision of ``rows``."""
    V = rows.prices(prices.directions, R)
    return joined(Prices(prices.directions, V, np.linalg.norm(V, axis=1)))


class SearchPricing:
    """Local search from random directions and the present neurons, with an effort from 0 to 3.

    Starts are drawn on the sphere, so they depend neither on the number nor on the order of rows.
    Effort 0 is plain ascent from a few directions, enough to find new neurons; from effort 1 on
    ever more of what it found is sharpened, at effort 3 nearly all and in small steps.  At a
    network that was optimised far, ascent alone misses violations a hundred times the ones it
    reports.  Where directions are ``known`` from a network close by, they stand in for most of the
    random ones.  The search runs in ``dtype``; what it returns is priced in that of the rows.
    """

    kind = "estimated"
    ascents = (64, 128, 256, 256)
    sharpened = (0, 32, 96, np.inf)
    n_last = 24
    n_fresh = 16

    def __init__(self, rng, *, dtype=np.float64, metric=ISOTROPIC):
        self.rng, self.dtype, self.metric = rng, dtype, metric

    def __call__(self, rows, R, network, *, effort, known=None):
        fast = rows.with_dtype(self.dtype)
        starts = [network.U]
        if known is None:
            starts.append(self._random(self.ascents[effort], rows))
        else:
            starts += [known, self._random(self.n_fresh, rows)]
        starts = np.concatenate(starts)
        metric = self.metric
        found = local_ascent(fast, R, starts, sweeps=5 if effort == 0 else 10, metric=metric)
        if effort > 0 and rows.n_columns <= MAX_CURVATURE_COLUMNS:
            thorough = effort == 3
            best = select_diverse(
                found,
                self.sharpened[effort],
                max_cosine=0.999 if thorough else 0.98,
                metric=metric,
            )
            widths = FINE_WIDTHS if thorough else COARSE_WIDTHS
            sharp = sharpen(fast, R, best, widths=widths, metric=metric)
            if thorough:
                best = select_diverse(sharp, self.n_last, max_cosine=0.999, metric=metric)
                sharp = joined(sharp, sharpen(rows, R, best, widths=LAST_WIDTHS, metric=metric))
            found = joined(sharp, found)
        return repriced(rows, R, found)

    def seeds(self, rows, R, count):
        """Varied directions to begin with, one sweep from where they were drawn.

        At the constant network the price has few local maxima: climbing to them would start the
        descent with a handful of neurons.
        """
        starts = self._random(4 * count, rows)
        found = local_ascent(rows.with_dtype(self.dtype), R, starts, sweeps=1, metric=self.metric)
        return select_diverse(found, count, max_cosine=0.9, metric=self.metric)

    def _random(self, count, rows):
        return random_starts(self.rng, count, rows.n_columns, self.metric)


def plane_basis(rows):
    """An orthonormal basis of the span of the rows, (p, 1) or (p, 2); None if it is larger."""
    p = rows.n_columns
    if p <= 2:
        return np.eye(p)
    # A few rows settle it for nearly all data.
    if p > MAX_CURVATURE_COLUMNS or _span(rows.dense(slice(0, 16))).shape[1] > 2:
        return None
    basis = _span(rows.dense())
    return basis if basis.shape[1] <= 2 else None


def _span(X):
    """An orthonormal basis of the span of the rows, up to the rounding of each column.

    Columns are scaled to length one first, which keeps the span's dimension: an "exact" price must
    not leave out a feature because its unit is small or its mean is large.
    """
    X = X.astype(np.float64)
    largest = np.abs(X).max(axis=0)
    X = X / np.where(largest > 0, largest, 1.0)
    lengths = np.linalg.norm(X, axis=0)
    triangle = np.linalg.qr(X / np.where(lengths > 0, lengths, 1.0), mode="r")
    _, sigma, Vt = np.linalg.svd(triangle, full_matrices=False)
    rank = max(1, int(np.sum(sigma > 16 * X.shape[1] * np.finfo(float).eps * sigma[0])))
    scale = largest * lengths
    return np.linalg.qr(scale[:, None] * Vt[:rank].T)[0]


class PlanePricing:
    """Every activation pattern of rows of rank 1 or 2: the exact largest price.

    In the plane the lines ``x_i^T u = 0`` cut the circle of directions into at most 2n arcs; on an
    arc the activations are linear, ``R^T (X u)_+ = G u`` with ``G = R^T D X``, and the largest
    ``||G u||`` is at the top right singular vector of ``G`` if it lies on the arc, else at an end.
    """

    kind = "exact"

    def __init__(self, basis=None, n_kept=1000, metric=ISOTROPIC):
        self.basis, self.n_kept, self.metric = basis, n_kept, metric

    def __call__(self, rows, R, network, *, effort, known=None):
        rows = rows.with_dtype(np.float64)  # in single precision no certificate is exact
        basis = np.eye(rows.n_columns) if self.basis is None else self.basis
        if basis.shape[1] == 1:
            U = np.array([[1.0], [-1.0]])
        else:
            U = best_on_arcs(rows.dense() @ basis, R, self.n_kept)
        U = U @ basis.T
        V = rows.prices(U, R)
        return joined(Prices(U, V, np.linalg.norm(V, axis=1)))

    def prove(self, rows, R, goal):
        """Nothing is left to be proven."""

    def widen(self):
        """Nothing is overlooked."""

    def seeds(self, rows, R, count):
        """The best directions: there are few to choose from."""
        found = self(rows, R, None, effort=0)
        return select_diverse(found, count, max_cosine=0.9, metric=self.metric)


def best_on_arcs(X, R, count):
    """The ``count`` best of: the top of every arc that has one inside, and all ends of arcs."""
    angle = np.arctan2(X[:, 1], X[:, 0])
    # Row i is active for directions less than a quarter turn from its own.
    borders = np.mod(np.concatenate([angle - np.pi / 2, angle + np.pi / 2]), 2 * np.pi)
    order = np.argsort(borders, kind="stable")
    # Begin in the middle of the widest arc: there the active rows are beyond doubt, while borders
    # of parallel rows may differ by rounding.
    gaps = np.diff(borders[order], append=borders[order[0]] + 2 * np.pi)
    widest = int(np.argmax(gaps))
    begin = borders[order[widest]] + 0.5 * gaps[widest]
    order = np.roll(order, -(widest + 1))
    borders, gaps = borders[order], np.roll(gaps, -(widest + 1))
    products = R[:, :, None] * X[:, None, :]
    changes = np.concatenate([products, -products])[order]
    active = np.cos(begin - angle) > 0
    G = products[active].sum(axis=0) + np.cumsum(changes, axis=0)
    H = np.einsum("kcp,kcq->kpq", G, G)
    top = 0.5 * np.arctan2(2 * H[:, 0, 1], H[:, 0, 0] - H[:, 1, 1])
    angles, values = [borders], [np.linalg.norm(_times_direction(G, borders), axis=1)]
    for candidate in (top, top + np.pi):
        offset = np.mod(candidate - borders, 2 * np.pi)
        inside = offset <= gaps
        angles.append(candidate[inside])
        values.append(np.linalg.norm(_times_direction(G[inside], candidate[inside]), axis=1))
    angles, values = np.concatenate(angles), np.concatenate(values)
    best = angles[np.argsort(-values, kind="stable")[:count]]
    return np.column_stack([np.cos(best), np.sin(best)])


def _times_direction(G, angles):
    return G[:, :, 0] * np.cos(angles)[:, None] + G[:, :, 1] * np.sin(angles)[:, None]
