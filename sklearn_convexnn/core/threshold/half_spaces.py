"""Half-spaces of all features: their prices, searched for and exact, and the phase that uses them.

``max_u ||sum_i R_i 1[a_i^T u > 0]||`` is a weighted agreement of half-spaces, hard in the number
of features.  Directions rise by sweeps of planes, exact in the plane; they start from steps in
single features, least squares on the residual, random ones, those of the network, and from climbs
of a step that is blurred less and less.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from sklearn_convexnn.core.problem.directions import Prices, normalise
from sklearn_convexnn.core.problem.output_layer import OutputLayer
from sklearn_convexnn.core.threshold.phase import ColumnPhase
from sklearn_convexnn.core.threshold.plane_sweeps import plane_sweep, sweep_all_planes

# For each effort: random starts of a kind, sweeps, and directions that the later ones keep.
_STARTS, _SWEEPS, _KEPT = (6, 12, 32), (4, 6, 12), (24, 32, 48)
# Present neurons that a search starts from, by effort.
_MOST_PRESENT = (64, 128, 256)
# Widths of the blurred step, in parts of the size of the rows, and climbs at each.  The last ones
# are for many rows: a step blurred over so many of them has little noise.
_WIDTHS, _CLIMBS = (1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08, 0.05), 4
_NARROWING, _LEAST_BLURRED = 0.6, 75
# Present neurons are where they are for a reason: they climb from this width on.
_WIDTH_OF_PRESENT = 0.08
# Directions times rows of one batch of climbs.
_BATCH = 1 << 18
# Rows of rank three up to which all their half-spaces are gone through, and singular values that
# are none, relative to the largest.
_MOST_EXACT, _RANK = 2500, 1e-9
# Rows that climbs and least squares read, about: those of large residuals rather.  (Of 15 000 rows
# 4 000, evenly spread, had climbs end at noise of theirs, at half of the prices that others had.)
_MOST_CLIMBED = 20_000

# Outputs whose residuals are parted by sign, those of the largest residuals, and steps for each.
_MOST_PARTED, _PARTING_STEPS, _PARTING_RIDGE = 8, 100, 1e-6

# A search takes the time of a refit of so many neurons, squared.
_SEARCH_WORK = 400**2

_TINY = np.finfo(float).tiny


class HalfSpaceSearch:
    """The best half-spaces that are found from many starts.

    Parameters
    ----------
    A : ndarray of shape (n, p)
        Rows in comparable units with their constant, last.
    rng : numpy Generator
    """

    kind = "estimated"

    def __init__(self, A, rng):
        self.A, self.rng = A, rng
        self.order = np.argsort(A[:, :-1], axis=0, kind="stable").T
        self.size = np.sqrt(np.mean(np.sum(A * A, axis=1)))

    def __call__(self, rows, R, network, *, effort, known=None):
        some = self._some(R)
        starts, present = self._starts(*some, _STARTS[effort]), network.U
        if effort > 0 or not network.n_neurons:
            starts = np.concatenate([starts, _parting(*some)])
        if len(present) > _MOST_PRESENT[effort]:
            present = present[self.rng.permutation(len(present))[: _MOST_PRESENT[effort]]]
        present, widths = normalise(present), _widths(len(some[0]))
        climbed = [
            _climbed(*some, starts, self.size, widths),
            _climbed(*some, present, self.size, widths[widths <= _WIDTH_OF_PRESENT]),
        ]
        U = np.concatenate([self._steps(R), starts, *climbed, present])
        best = np.zeros(len(U))
        for k in range(_SWEEPS[effort]):
            U_new, values = plane_sweep(self.A, R, U, self._planes(*some, U, k))
            up = values >= best
            U[up], best[up] = U_new[up], values[up]
            if k == 1:
                order = np.argsort(-best, kind="stable")[: max(_KEPT[effort], len(U) // 3)]
                U, best = U[order], best[order]
        return self._prices(U, R)

    # ------------------------------------------------------------------ starts

    def _some(self, R):
        """Rows drawn as often as their residuals are large, with these over how often that is."""
        if len(R) <= _MOST_CLIMBED:
            return self.A, R
        sizes = np.linalg.norm(R, axis=1)
        often = np.minimum(1.0, sizes * (_MOST_CLIMBED / max(sizes.sum(), _TINY)))
        drawn = np.flatnonzero(self.rng.random(len(R)) < often)
        if not len(drawn):
            return self.A, R
        R, sizes = R[drawn] / often[drawn, None], (sizes / np.maximum(often, _TINY))[drawn]
        return self.A[drawn], R - sizes[:, None] * (R.sum(axis=0) / sizes.sum())

    def _starts(self, A, R, count):
        p, C, rng = A.shape[1], R.shape[1], self.rng
        pull = np.linalg.norm(R, axis=1)
        pull = pull / max(pull.sum(), _TINY)
        gram = (A * pull[:, None]).T @ A + 1e-3 * np.eye(p)
        plain = A.T @ A / len(A) + 1e-3 * np.eye(p)
        mixed = R @ rng.standard_normal((C, count)) * rng.integers(0, 2, (len(R), count))
        pairs = rng.integers(0, len(A), (2, count))
        parts = [
            np.linalg.solve(gram, A.T @ R).T,
            np.linalg.solve(plain, A.T @ R).T,
            np.linalg.solve(gram, A.T @ mixed).T,
            rng.standard_normal((count, p)),
            A[pairs[0]] - A[pairs[1]],
        ]
        U = normalise(np.concatenate(parts))
        return U[np.any(U != 0, axis=1)]

    def _steps(self, R):
        """The best steps in single features."""
        found, prices = [], []
        for k, order in enumerate(self.order):
            x = self.A[order, k]
            sums = np.cumsum(R[order], axis=0)[:-1]
            norms = np.where(x[1:] > x[:-1], np.linalg.norm(sums, axis=1), 0.0)
            if not len(norms) or norms.max() == 0.0:
                continue
            i = int(np.argmax(norms))
            u = np.zeros(self.A.shape[1])
            u[k], u[-1] = 1.0, -0.5 * (x[i] + x[i + 1])
            found.append(u)
            prices.append(norms[i])
        if not found:
            return np.zeros((0, self.A.shape[1]))
        best = np.argsort(-np.array(prices), kind="stable")[:8]
        return normalise(np.array(found)[best])

    def _planes(self, A, R, U, k):
        """Second directions: uphill for the step blurred about its edge, coordinates, random."""
        p = U.shape[1]
        if k % 3 == 1:
            return self.rng.standard_normal(U.shape)
        if k % 3 == 2:
            return np.eye(p)[self.rng.integers(0, p, len(U))] + 1e-9
        H = A @ U.T
        width = np.median(np.abs(H), axis=0) * (0.3 * 0.8**k) + 1e-12
        Q = normalise((H > 0).astype(float).T @ R)
        return (np.exp(-np.abs(H) / width) * (R @ Q.T)).T @ A

    def _prices(self, U, R):
        """Each pattern once, up to its complement, best first."""
        on = self.A @ U.T > 0
        on ^= on[0]
        values = on.T.astype(float) @ R
        norms = np.linalg.norm(values, axis=1)
        order = np.argsort(-norms, kind="stable")
        _, first = np.unique(np.packbits(on[:, order], axis=0).T, axis=0, return_index=True)
        order = order[np.sort(first)]
        return Prices(U[order], values[order], norms[order])


def _parting(A, R):
    """For each output a plane between residuals of either sign, by squared hinges.

    Where a plane separates them, as it separates the classes of a separable problem from the
    constant network on, it is such a plane, and no half-space has a larger price.  Steps that are
    blurred find one in few dimensions only.
    """
    largest = np.argsort(-np.abs(R).sum(axis=0), kind="stable")[:_MOST_PARTED]
    ridge = _PARTING_RIDGE * np.mean(A * A)
    found = []
    for r in R[:, largest].T:
        signed, weights = A * np.sign(r)[:, None], np.abs(r) / max(np.abs(r).sum(), _TINY)

        def hinges(u, signed=signed, weights=weights):
            short = np.maximum(1.0 - signed @ u, 0.0)
            slope = weights * short
            return 0.5 * (slope @ short + ridge * u @ u), ridge * u - signed.T @ slope

        start = np.zeros(A.shape[1])
        settings = {"maxiter": _PARTING_STEPS, "maxcor": 20}
        found.append(minimize(hinges, start, jac=True, method="L-BFGS-B", options=settings).x)
    return normalise(np.array(found))


def _widths(n):
    """Widths for n rows, in parts of their size."""
    widths = list(_WIDTHS)
    while _NARROWING * widths[-1] * n >= _LEAST_BLURRED:
        widths.append(_NARROWING * widths[-1])
    return np.array(widths)


def _climbed(A, R, U, size, widths):
    """Ascent of ``||sum_i R_i sigmoid(a_i^T u / width)||`` for shrinking widths."""
    step = max(1, _BATCH // len(A))
    parts = [
        _climbed_batch(A, R, U[first : first + step], size, widths)
        for first in range(0, len(U), step)
    ]
    return np.concatenate([np.zeros((0, A.shape[1])), *parts])


def _climbed_batch(A, R, U, size, widths):
    for width in widths:
        for _ in range(_CLIMBS):
            # Twice a sigmoid, less a constant, to which the residuals sum to zero.
            T = np.tanh(A @ U.T * (0.5 / (width * size)))
            Q = normalise(T.T @ R)
            np.multiply(T, T, out=T)
            np.subtract(1.0, T, out=T)
            T *= R @ Q.T
            G = T.T @ A
            G -= np.einsum("sp,sp->s", G, U)[:, None] * U
            U = normalise(U + min(1.0, 2.0 * width) * normalise(G))
    return U


class AllHalfSpaces:
    """The exact price of rows of rank three, and what a search finds beside it.

    Parameters
    ----------
    search : HalfSpaceSearch
    coordinates : ndarray of shape (k, 3)
        Of the different rows.
    group : ndarray of shape (n,)
        Which of them a row is.
    back : ndarray of shape (3, p)
        From directions in the coordinates to those of the rows.
    """

    kind = "exact"

    def __init__(self, search, coordinates, group, back):
        self.search, self.coordinates, self.group, self.back = search, coordinates, group, back

    @classmethod
    def of(cls, search):
        """For rows of rank three, and not too many; else None."""
        A = search.A
        if len(A) > _MOST_EXACT or A.shape[1] < 3:
            return None
        _, sizes, axes = np.linalg.svd(A, full_matrices=False)
        if np.sum(sizes > _RANK * sizes[0]) != 3:
            return None
        distinct, group = np.unique(A, axis=0, return_inverse=True)
        return cls(search, distinct @ axes[:3].T, group.ravel(), axes[:3])

    def __call__(self, rows, R, network, *, effort, known=None):
        merged = np.column_stack([np.bincount(self.group, weights=column) for column in R.T])
        u, largest = sweep_all_planes(self.coordinates, merged)
        found = self.search(rows, R, network, effort=0)
        best = self.search._prices(normalise((u @ self.back)[None]), R)
        U, values, norms = (np.concatenate(pair) for pair in zip(best, found, strict=True))
        norms[0] = max(norms[0], largest)
        order = np.argsort(-norms, kind="stable")
        return Prices(U[order], values[order], norms[order])


class HalfSpacePhase(ColumnPhase):
    """Rounds over half-spaces."""

    most_effort = 2

    @property
    def thorough(self):
        return self.pricing.thorough

    def _extended(self, network, prices):
        """With the new patterns that the network does not have."""
        rows, U = self.run.rows, np.concatenate([network.U, prices.directions])
        on = rows.fetch(rows.hidden(U)) > 0
        on ^= on[0]
        varying = on.any(axis=0)
        varying[: network.n_neurons] = True
        _, first = np.unique(np.packbits(on, axis=0).T, axis=0, return_index=True)
        new = np.zeros(len(U), dtype=bool)
        new[first] = True
        new[: network.n_neurons] = False
        new = np.flatnonzero(new & varying)
        return network.extended(U[new], np.zeros((len(new), rows.n_outputs)))

    def _work(self, n_neurons):
        rows = self.run.rows
        return rows.n_rows * (_SEARCH_WORK + rows.n_outputs * n_neurons**2)

    def _layer(self, network):
        return OutputLayer(self.run.rows, network.U, self.options.memory)
