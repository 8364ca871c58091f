"""Pricing of ReLUs behind a circular layer: weights of few frequencies that violate most."""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.pricing.sub_networks import SubNetworkPricing
from sklearn_convexnn.core.problem.directions import normalise


class CircularPricing(SubNetworkPricing):
    """Local search and climbs along kinks, from directions of many and of few frequencies.

    Where residuals are positive a price is convex in the weights, and largest on the corners of
    their ball, which are single frequencies.  A frequency that a direction does not have stays
    away in a climb: half of the starts have a little of all.
    """

    def _random(self, count, rows):
        U = self.rng.standard_normal((count, rows.n_columns))
        starts = rows.neurons.groups(rows.n_columns)
        lengths = np.exp(2.0 * self.rng.standard_normal((count, len(starts))))
        lengths[: count // 2] = 1.0
        sizes = np.diff(np.append(starts, rows.n_columns))
        return normalise(U * np.repeat(lengths, sizes, axis=1))
