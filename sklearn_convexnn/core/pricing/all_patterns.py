"""Few rows: the largest price exactly, from all of their activation patterns.

On the closed cone ``K`` of one pattern ``D`` the largest price of one output is ``||P_K(s A^T D
r)||`` for the better of the two signs ``s``, at the projection's direction.  The cones cover the
space, whatever directions are measured in: they are enumerated where the rows are as long every
way, see :mod:`sklearn_convexnn.core.problem.metric`.  The next search begins with the walls that
held the last projections, so that it takes no longer than a local one.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from sklearn_convexnn.core.patterns.cones import ConeGroups
from sklearn_convexnn.core.patterns.enumeration import (
    count_bound,
    distinct_lines,
    enumerate_patterns,
    reduce_rank,
)
from sklearn_convexnn.core.patterns.neuron_cones import crossed
from sklearn_convexnn.core.pricing.exact import ExactPricing
from sklearn_convexnn.core.problem.directions import Prices, joined, normalise
from sklearn_convexnn.core.problem.metric import MOST_COLUMNS

# Of the largest price of the network's neurons: cones with less are not gone into.
_SHARE = 0.9
# Projections on the tip of a cone are zero but for rounding.
_ZERO = 1e-10


class PatternPricing(ExactPricing):
    """Every activation pattern of a few rows: the exact largest price of one output.

    Parameters
    ----------
    A : ndarray of shape (n, p)
        The scaled rows with their constant.
    metric : Metric
    """

    def __init__(self, A, metric):
        self.metric = metric
        if metric.trivial:
            self.A, self.basis = reduce_rank(A)
            self.sizes, self.even = None, self.A
        else:
            seen = metric.sizes > 0
            self.basis, self.sizes = metric.axes[:, seen], metric.sizes[seen]
            self.A = A @ self.basis
            self.even = self.A / self.sizes

    @classmethod
    def of(cls, rows, metric, most):
        """The pricing of rows that take at most so much work; None for others."""
        if rows.n_outputs > 1 or not rows.neurons.acts_on_rows or rows.n_columns > MOST_COLUMNS:
            return None
        # A rank of two has a pricing of its own; half of the rows may be parallel to others.
        if count_bound(rows.n_rows // 2, 3) > most:
            return None
        pricing = cls(rows.dense(), metric)
        return pricing if pricing.work <= most else None

    @property
    def work(self):
        """A bound of the number of patterns, times the turns of the recursion that finds them."""
        rank = self.A.shape[1]
        return count_bound(len(distinct_lines(self.even)), rank) * max(1, rank - 2)

    @cached_property
    def _groups(self):
        """One for each pattern and sign."""
        return ConeGroups(self.A, enumerate_patterns(self.even).active, self.sizes)

    def __call__(self, rows, R, network, *, effort, known=None):
        rows = rows.with_dtype(np.float64)  # in single precision no certificate is exact
        found = _priced(rows, R, network.U)
        directions = self._local_maxima(rows.fetch(R)[:, 0], _SHARE * found.largest)
        return joined(found, _priced(rows, R, directions))

    def _local_maxima(self, r, least):
        """Directions with prices of more than ``least`` that are the best near them."""
        groups = self._groups
        norms, best = groups.screen(r, least)
        index = np.flatnonzero(norms > max(least, _ZERO * norms.max()))
        pull = r[:, None] * groups.sign[index]
        # Beyond a wall that is worth crossing another cone has more; none has more than the best.
        crossable = crossed(groups.cones, index, groups.patterns[:, index] > 0, pull)[1]
        kept = ~crossable | (norms[index] == norms.max())
        return normalise(best[index[kept]]) @ self.basis.T


def _priced(rows, R, U):
    V = rows.prices(U, R)
    return joined(Prices(U, V, np.linalg.norm(V, axis=1)))
