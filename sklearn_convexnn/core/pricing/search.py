"""Pricing: search for the unit directions that violate the dual constraint most.

For a residual ``R`` (n, C) the dual of (P) asks ``||R^T (X u)_+||_2 <= alpha`` for every unit
``u``. The largest value ``kappa(R)`` is a non-concave maximisation; here it is climbed from many
starts at once, each sweep being two matrix products.  What it returns is a lower bound of
``kappa(R)``.
"""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.problem.directions import (
    Prices,
    joined,
    normalise,
    random_starts,
    select_diverse,
)
from sklearn_convexnn.core.problem.metric import ISOTROPIC

# Relative widths of the parabolas through which `sharpen` approaches the kinks: a few steps to
# find good neurons, steps by less than a factor of two to find nearly every violated constraint,
# and down to rounding for the prices that a certificate rests on.
COARSE_WIDTHS = (0.3, 0.1, 0.03, 0.01, 2e-3)
FINE_WIDTHS = tuple(np.geomspace(0.5, 1e-3, 14))
LAST_WIDTHS = tuple(np.geomspace(1e-3, 1e-6, 12))

# `sharpen` solves one p x p system per candidate; beyond this p plain ascent has to do.
MAX_CURVATURE_COLUMNS = 400
# 5000 x 300 rows: 32 MiB took 58 MB more, and 5 % more time, for sums over blocks of rows.
_CURVATURE_BYTES = 8 << 20


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
    if rows.n_weights == 1:
        # The sign in Q is a factor of G: one pass less.
        V, G = rows.prices_and_ascent(U, np.ones((len(U), 1)), R)
        Q = normalise(V)
        G *= Q
    else:
        Q = normalise(rows.prices(U, R))
        V, G = rows.prices_and_ascent(U, Q, R)
    best = np.linalg.norm(V, axis=1)
    step, total = np.ones(len(U)), 0.0
    if not metric.trivial:
        total = rows.dual_point(R).total_size()
    for _ in range(sweeps):
        trial = _uphill(U, G, best, total, step, metric)
        V_trial, G_trial = rows.prices_and_ascent(trial, Q, R)
        value = np.linalg.norm(V_trial, axis=1)
        up = value > best
        U[up], V[up], G[up], best[up] = trial[up], V_trial[up], G_trial[up], value[up]
        # With one output G was taken for the sign in Q; a change of sign flips it.
        if V.shape[1] == 1:
            G[up] *= np.sign(V[up]) * Q[up]
        Q[up] = normalise(V[up])
        step = np.where(up, np.minimum(1.0, 1.5 * step), 0.5 * step)
    return joined(Prices(U, V, best))


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
        starts = self.starts(rows, network, effort=effort, known=known)
        metric = self.metric
        found = local_ascent(fast, R, starts, sweeps=5 if effort == 0 else 10, metric=metric)
        if effort > 0:
            found = self._on_kinks(rows, R, found, effort)
        return repriced(rows, R, found)

    def _on_kinks(self, rows, R, found, effort):
        """The directions found, with the best of them moved onto kinks."""
        if rows.n_columns > MAX_CURVATURE_COLUMNS:
            return found
        fast, metric, thorough = rows.with_dtype(self.dtype), self.metric, effort == 3
        cosine = 0.999 if thorough else 0.98
        best = select_diverse(found, self.sharpened[effort], max_cosine=cosine, metric=metric)
        widths = FINE_WIDTHS if thorough else COARSE_WIDTHS
        sharp = sharpen(fast, R, best, widths=widths, metric=metric)
        if thorough:
            best = select_diverse(sharp, self.n_last, max_cosine=0.999, metric=metric)
            sharp = joined(sharp, sharpen(rows, R, best, widths=LAST_WIDTHS, metric=metric))
        return joined(sharp, found)

    def starts(self, rows, network, *, effort, known=None):
        """Directions to climb from, (k, p)."""
        starts = [network.U]
        if known is None:
            starts.append(self._random(self.ascents[effort], rows))
        else:
            starts += [known, self._random(self.n_fresh, rows)]
        return np.concatenate(starts)

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
