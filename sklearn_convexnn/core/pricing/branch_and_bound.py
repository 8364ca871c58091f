"""A proven upper bound of the largest price by branch and bound over cones of directions.

For one output split the price by the sign of the residual into two convex functions,

    r^T (A u)_+ = f(u) - g(u),
    f(u) = sum_i (r_i)_+ (a_i^T u)_+,    g(u) = sum_i (-r_i)_+ (a_i^T u)_+.

A node is a simplicial cone ``u = sum_j mu_j v_j``, ``mu >= 0``, of p unit vectors.  On it f is at
most its interpolation ``sum_j mu_j f(v_j)`` and g at least every mixture of its tangents at the
corners, so that

    f(u) - g(u) <= w^T mu,   w_j = f(v_j) - sum_k lambda_k grad g(v_k)^T v_j,                  (1)

for all weights ``lambda`` of sum 1.  Over the unit ball the right side is at most ``||z||`` for
every z with ``v_j^T z >= w_j``: any such z proves a bound, however it was found.  Both errors are
of second order in the size of the cone and vanish on the rows whose sign is fixed.  A cone is
halved across the edge on which the tangents at the ends miss the function by most.

What is costly, n products for each direction, is done once for each new corner; corners are shared
by all cones of a batch.  Nodes are worked off by a sinking level: at any time the largest bound of
an open cone, or the level that has been reached, bounds the price.
"""

from __future__ import annotations

from time import perf_counter
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from sklearn_convexnn.core.problem.directions import normalise
from sklearn_convexnn.core.problem.metric import ROUND

# Cones whose bounds are computed at once, and directions priced at once.
_BATCH = 4096
# The level sinks by this part of its distance from the best price known.
_DESCENT = 0.4
# Weights lambda tried in (1), and rounds of the active set that finds z.
_MIXTURES = 3
_ACTIVE_SETS = 3
# Relative accuracy with which a largest price above the goal is found.
_TOLERANCE = 1e-6
# A function as flat as this on a cone, relative to its bound, is linear there.
_LINEAR = 1e-12
# A ridge of the Gram matrices of corners, so that cones of no volume do no harm.
_RIDGE = 1e-14


class PriceBound(NamedTuple):
    """``lower <= kappa <= upper``; ``lower`` is the price of a unit direction."""

    lower: float
    upper: float
    direction: np.ndarray  # (p,)
    n_nodes: int
    finished: bool  # whether the goal was reached within the limits


class _Nodes(NamedTuple):
    """Open cones: numbers of their corners, sign of the residual, bound, edge to cut next."""

    corners: np.ndarray  # (N, p)
    sign: np.ndarray  # (N,)
    bound: np.ndarray  # (N,)
    edge: np.ndarray  # (N, 2)

    def where(self, which):
        return _Nodes(*(part[which] for part in self))

    @classmethod
    def joined(cls, parts):
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def bound_price(A, r, *, goal, max_nodes=2_000_000, time_limit=np.inf):
    """Bounds of ``max_{||u|| <= 1} |r^T (A u)_+|``.

    Parameters
    ----------
    A : ndarray of shape (n, p)
        Of full column rank; p up to about 8.
    r : ndarray of shape (n,)
    goal : float
        Stop when the upper bound is this, or within 1e-6 of the best price found.
    max_nodes : int
    time_limit : float
        Seconds.

    Returns
    -------
    PriceBound
    """
    return bound_difference(_ReLUs(A, r), goal=goal, max_nodes=max_nodes, time_limit=time_limit)


def bound_difference(parts, *, goal, max_nodes=2_000_000, time_limit=np.inf):
    """The same for any two sublinear functions in place of f and g above.

    Parameters
    ----------
    parts : object
        ``tangents(U)`` are those of f and g at unit directions (k, p), (2, k, p);
        ``column_sizes`` (p,) say how large columns are, ``n_terms`` how many terms the functions
        sum and ``size`` how large the sum of their lengths is.
    goal, max_nodes, time_limit
        As above.

    Returns
    -------
    PriceBound
    """
    return _Search(parts).run(goal, max_nodes, perf_counter() + time_limit)


class _ReLUs:
    """f and g above."""

    def __init__(self, A, r):
        self.A, self.n_terms = A, len(A)
        self.column_sizes = np.linalg.norm(A, axis=0)
        self.size = np.abs(r) @ np.linalg.norm(A, axis=1)
        self.pulls = [A * np.maximum(s * r, 0)[:, None] for s in (1.0, -1.0)]

    def tangents(self, U):
        active = (U @ self.A.T > 0).astype(float)
        return np.array([active @ pull for pull in self.pulls])


class _Search:
    def __init__(self, parts):
        self.parts = parts
        # Cones are cut in the middle as the rows see it: see core/problem/metric.py.
        sizes = parts.column_sizes
        self.sizes = sizes if sizes.max(initial=0) > ROUND * sizes.min(initial=np.inf) else None
        self.p = p = len(sizes)
        self.directions = np.zeros((0, p))
        self.tangents = np.zeros((2, 0, p))  # of f and g at every direction
        self.n_corners = self.n_nodes = 0
        self.lower, self.best = 0.0, np.zeros(p)
        self.linear = 0.0  # the largest bound of a cone that need not be divided
        # Sums of n products, and of p of them, in an upper bound must not fall below the truth.
        self.rounding = 4 * np.finfo(float).eps * (parts.n_terms + 8 * p) * parts.size

    def run(self, goal, max_nodes, deadline):
        pool = self._evaluate(*self._orthants(), -np.inf)
        while True:
            floor = self._floor(goal)
            top = pool.bound.max(initial=floor)
            if top <= floor:
                return self._result(floor, True)
            level = max(top - _DESCENT * (top - self.lower), floor)
            over = pool.bound > level
            stack, below = [pool.where(over)], [pool.where(~over)]
            while stack:
                if self.n_nodes >= max_nodes or perf_counter() >= deadline:
                    highest = max(level, self.linear, *(part.bound.max() for part in stack))
                    return self._result(highest, False)
                # A level below the largest price would be worked on for ever.
                level = max(level, self._floor(goal))
                nodes = stack.pop()
                # Depth first: the cones of one batch are worked off before the next one.
                if len(nodes.bound) > _BATCH:
                    stack.append(nodes.where(slice(_BATCH, None)))
                    nodes = nodes.where(slice(_BATCH))
                open_, shut = self._split(nodes, level)
                below.append(shut)
                if stack and len(stack[-1].bound) + len(open_.bound) < _BATCH:
                    open_ = _Nodes.joined([open_, stack.pop()])
                if len(open_.bound):
                    stack.append(open_)
            pool = _Nodes.joined(below)
            pool = pool.where(pool.bound > self._floor(goal))

    def _floor(self, goal):
        """No upper bound below this is wanted, or possible."""
        return max(goal, self.lower * (1 + _TOLERANCE), self.linear)

    def _split(self, nodes, level):
        """Halve the cones with bounds above the level: those still above it, and the others."""
        over = nodes.bound > level
        shut = [nodes.where(~over)]
        if not over.any():
            return nodes.where(over), shut[0]
        children = self._evaluate(*self._halves(nodes.where(over)), level)
        over = children.bound > level
        return children.where(over), _Nodes.joined([*shut, children.where(~over)])

    def _result(self, upper, finished):
        return PriceBound(self.lower, upper + self.rounding, self.best, self.n_nodes, finished)

    # ------------------------------------------------------------------ cones

    def _orthants(self):
        """Corners of the 2^p orthants, for both signs of the residual."""
        p = self.p
        numbers = self._add(np.concatenate([np.eye(p), -np.eye(p)]))
        side = np.arange(2**p)[:, None] >> np.arange(p) & 1
        corners = numbers[np.arange(p) + p * side]
        return np.concatenate([corners, corners]), np.repeat([0, 1], 2**p)

    def _halves(self, nodes):
        """The two parts of every cone, cut at the middle of its edge."""
        place = np.arange(len(nodes.bound))
        ends = np.sort(nodes.corners[place[:, None], nodes.edge], axis=1)
        keys, number = np.unique(ends[:, 0] << 32 | ends[:, 1], return_inverse=True)
        ends = self.directions[keys >> 32], self.directions[keys & 0xFFFFFFFF]
        if self.sizes is not None:
            ends = [V / np.linalg.norm(V * self.sizes, axis=1, keepdims=True) for V in ends]
        middle = ends[0] + ends[1]
        new = self._add(middle / np.linalg.norm(middle, axis=1, keepdims=True))[number]
        halves = []
        for end in (0, 1):
            corners = nodes.corners.copy()
            corners[place, nodes.edge[:, end]] = new
            halves.append(corners)
        return np.concatenate(halves), np.concatenate([nodes.sign, nodes.sign])

    def _add(self, U):
        """Price new directions; returns their numbers."""
        first, self.n_corners = self.n_corners, self.n_corners + len(U)
        if self.n_corners > len(self.directions):
            more = max(self.n_corners, 2 * len(self.directions)) - len(self.directions)
            self.directions = np.pad(self.directions, ((0, more), (0, 0)))
            self.tangents = np.pad(self.tangents, ((0, 0), (0, more), (0, 0)))
        self.directions[first : self.n_corners] = U
        self.tangents[:, first : self.n_corners] = self._price(U)
        return np.arange(first, self.n_corners)

    def _price(self, U):
        """Tangents of f and g at unit directions, (2, k, p); keeps the best price seen."""
        tangents = np.empty((2, *U.shape))
        for start in range(0, len(U), _BATCH):
            block = slice(start, start + _BATCH)
            tangents[:, block] = self.parts.tangents(U[block])
        prices = np.abs(np.einsum("jp,jp->j", U, tangents[0] - tangents[1]))
        best = int(prices.argmax())
        if prices[best] > self.lower:
            self.lower, self.best = float(prices[best]), U[best].copy()
        return tangents

    def _evaluate(self, corners, sign, level):
        """Bounds of cones, as tight as needed to see that they are below the level."""
        parts = [
            self._evaluate_batch(
                corners[start : start + _BATCH], sign[start : start + _BATCH], level
            )
            for start in range(0, len(sign), _BATCH)
        ]
        return _Nodes.joined(parts)

    def _evaluate_batch(self, corners, sign, level):
        self.n_nodes += len(sign)
        V = self.directions[corners]
        # values[:, j, k]: the tangent at corner k, at corner j.
        at = [V @ self.tangents[kind][corners].transpose(0, 2, 1) for kind in (0, 1)]
        swap = (sign == 1)[:, None, None]
        convex, concave = np.where(swap, at[1], at[0]), np.where(swap, at[0], at[1])
        value, tangents = np.einsum("bjj->bj", convex), concave
        bound, mu = _cone_bounds(V, value, tangents, level)
        miss = value[:, :, None] - convex + np.einsum("bjj->bj", concave)[:, :, None] - concave
        miss += miss.transpose(0, 2, 1)
        p = V.shape[1]
        flat = miss.reshape(len(sign), -1)
        edge = flat.argmax(axis=1)
        closed = flat[np.arange(len(sign)), edge] <= _LINEAR * bound
        for node in np.flatnonzero(closed & (bound > level)):
            slopes = value[node] - np.diagonal(concave[node])
            found, mu[node] = _largest_linear(slopes, V[node])
            bound[node] = min(bound[node], found)
        self.linear = max(self.linear, float(bound[closed].max(initial=0.0)))
        # Corners alone may miss the maximum for long: it often lies within a linear cone.
        tried = closed.copy()
        tried[bound.argmax()] = True
        self._price(normalise(np.einsum("bj,bjp->bp", mu[tried], V[tried])))
        bound[closed] = -np.inf
        return _Nodes(corners, sign, bound, np.stack(np.divmod(edge, p), axis=1))


def _cone_bounds(V, value, tangents, level):
    """The least bound (1) over a few mixtures of tangents, for stacked cones, and its maximiser.

    ``V[b]`` has the corners of a cone as rows; ``tangents[b, j, k]`` is the tangent of g at corner
    k, at corner j.  The first mixture is even; then weight moves to the tangent that is the largest
    at the maximiser.  Cones below the level are not worked on further.
    """
    n_cones, p, _ = V.shape
    gram = V @ V.transpose(0, 2, 1)
    gram[:, np.arange(p), np.arange(p)] += _RIDGE
    inverse = np.linalg.inv(gram)
    middle = V.sum(axis=1)
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    narrowest = np.einsum("bjp,bp->bj", V, middle).min(axis=1)
    bounds, maximisers = np.full(n_cones, np.inf), np.zeros((n_cones, p))
    open_ = np.arange(n_cones)
    mixture = np.full((n_cones, p), 1.0 / p)
    for turn in range(_MIXTURES):
        w = value[open_] - np.einsum("bjk,bk->bj", tangents[open_], mixture[open_])
        parts = (part[open_] for part in (V, gram, inverse, narrowest))
        found, mu = _largest_in_cone(w, *parts)
        maximisers[open_] = np.where((found < bounds[open_])[:, None], mu, maximisers[open_])
        bounds[open_] = np.minimum(bounds[open_], found)
        kept = bounds[open_] > level
        open_, mu = open_[kept], mu[kept]
        if not len(open_):
            break
        best = np.argmax(np.einsum("bj,bjk->bk", mu, tangents[open_]), axis=1)
        mixture[open_] *= 1 - 1 / (turn + 2)
        mixture[open_, best] += 1 / (turn + 2)
    return bounds, maximisers


def _largest_in_cone(w, V, gram, inverse, narrowest):
    """Upper bounds of ``max w^T mu`` over ``mu >= 0, ||V^T mu|| <= 1``, and good ``mu``.

    The dual is ``min ||z||`` subject to ``V z >= w``.  From any z a feasible one is made: with e
    the largest violation, ``w^T mu <= ||z|| + e * sum(mu)``, and ``sum(mu) <= 1 / narrowest``, the
    smallest cosine of a corner with the middle of the cone.  So neither the active set nor the
    rounding of the solves need be trusted.
    """
    mu = np.einsum("bjk,bk->bj", inverse, w)
    bounds = _repaired(w, mu, V, narrowest)
    free = np.ones(w.shape, dtype=bool)
    busy = np.arange(len(w))
    diagonal = np.arange(w.shape[1])
    for _ in range(_ACTIVE_SETS):
        free[busy] &= mu[busy] >= 0
        busy = busy[~free[busy].all(axis=1)]
        busy = busy[(mu[busy] < 0).any(axis=1)]
        if not len(busy):
            break
        kept = free[busy]
        system = gram[busy] * (kept[:, :, None] & kept[:, None, :])
        system[:, diagonal, diagonal] = np.where(kept, gram[busy][:, diagonal, diagonal], 1.0)
        mu[busy] = np.linalg.solve(system, np.where(kept, w[busy], 0.0)[:, :, None])[:, :, 0]
        repaired = _repaired(w[busy], mu[busy], V[busy], narrowest[busy])
        bounds[busy] = np.minimum(bounds[busy], repaired)
    return bounds, np.maximum(mu, 0)


def _largest_linear(w, V):
    """The bound of :func:`_largest_in_cone` for one cone, by non-negative least squares."""
    mu, _ = nnls(V.T, np.linalg.lstsq(V, w)[0])
    middle = normalise(V.sum(axis=0, keepdims=True))[0]
    return _repaired(w[None], mu[None], V[None], (V @ middle).min(keepdims=True))[0], mu


def _repaired(w, mu, V, narrowest):
    z = np.einsum("bj,bjp->bp", mu, V)
    violation = (w - np.einsum("bjp,bp->bj", V, z)).max(axis=1)
    return np.linalg.norm(z, axis=1) + np.maximum(violation, 0) / narrowest
