"""Pricing of parallel networks: sub-networks that violate the dual constraint most.

Finding the largest price is to train a small network, which is not convex: it is climbed from many
starts, and what is found is an estimate.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from sklearn_convexnn.core.pricing.search import SearchPricing, local_ascent
from sklearn_convexnn.core.problem.directions import Prices, joined, normalise, select_diverse

# Widths of the parabolas in place of the kinks, relative to the rows' scale, by effort, and
# iterations of L-BFGS at each.
_WIDTHS = (
    (),
    (0.1, 0.01),
    (0.1, 0.03, 0.01, 1e-3),
    (0.1, 0.03, 0.01, 3e-3, 1e-3, 1e-4, 1e-5),
)
_ITERATIONS = (0, 20, 40, 100)


class SubNetworkPricing(SearchPricing):
    """Local search, whose best sub-networks climb on from kink to kink.

    Ascent zigzags at kinks and stops short of them.  Parabolas of shrinking widths in their place
    let L-BFGS follow them; candidates climb together, which makes one pass of an evaluation.
    """

    # Sub-networks that climb; exchanges of units, of how many, and to how many others, by effort.
    climbed, exchanges = (0, 16, 32, 64), (0, 0, 4, 8)
    n_exchanged, n_variants = 32, 8

    def _on_kinks(self, rows, R, found, effort):
        found = self._climbed(rows, R, found, effort)
        for _ in range(self.exchanges[effort] if rows.neurons.n_units > 1 else 0):
            variants = self._variants(rows, found)
            ascended = local_ascent(rows.with_dtype(self.dtype), R, variants, sweeps=10)
            found = joined(found, self._climbed(rows, R, ascended, min(effort, 2)))
        return found

    def _variants(self, rows, found):
        """The best sub-networks with about a third of their units drawn anew.

        Units of a local maximum are good ones, of which some do not go with the others: with eight
        units in the plane 2 000 variants found in five of five trials a price that 4 000 random
        starts found in one.
        """
        best = select_diverse(found, self.n_exchanged, max_cosine=0.98).directions
        best = np.repeat(best, self.n_variants, axis=0)
        shape = len(best), rows.neurons.n_units, -1
        new = self.rng.random((*shape[:2], 1)) < 1 / 3
        others = self._random(len(best), rows).reshape(shape)
        return normalise(np.where(new, others, best.reshape(shape)).reshape(best.shape))

    def _climbed(self, rows, R, found, effort):
        best = select_diverse(found, self.climbed[effort], max_cosine=0.98)
        if not len(best.norms):
            return found
        fast = rows if effort == 3 else rows.with_dtype(self.dtype)
        U, climbed = best.directions, [found]
        for width in _WIDTHS[effort]:
            U = _climb(fast, R, U, normalise(best.values), width, _ITERATIONS[effort])
            V = rows.prices(U, R)
            climbed.append(Prices(U, V, np.linalg.norm(V, axis=1)))
        return joined(*climbed)

    def _random(self, count, rows):
        """Half of them with units of very different lengths: few units are often enough."""
        units, q = rows.neurons.n_units, rows.n_columns // rows.neurons.n_units
        U = self.rng.standard_normal((count, units, q))
        lengths = np.exp(2.0 * self.rng.standard_normal((count, units, 1)))
        lengths[: count // 2] = 1.0
        return normalise((lengths * U).reshape(count, units * q))


def _climb(rows, R, U, Q, width, max_iter):
    """Directions uphill of ``U`` with parabolas of this width in place of kinks.

    L-BFGS on the sum of the prices over lengths of all candidates.
    """
    shape = U.shape

    def objective(flat):
        U = flat.reshape(shape)
        lengths = np.linalg.norm(U, axis=1, keepdims=True)
        U = U / lengths
        V, G = rows.prices_and_ascent(U, Q, R, width)
        G -= np.einsum("jp,jp->j", G, U)[:, None] * U
        # In units in which the length of a direction and its price are about one.
        return -float(np.sum(Q * V)) / unit, -(G / lengths).ravel() / unit

    unit = float(np.abs(rows.prices(U, R)).max()) or 1.0
    options = {"maxiter": max_iter, "maxfun": 2 * max_iter + 20, "ftol": 1e-12, "gtol": 0.0}
    end = minimize(objective, U.ravel(), jac=True, method="L-BFGS-B", options=options).x
    return normalise(end.reshape(shape))
