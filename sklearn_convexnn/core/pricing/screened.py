"""Pricing of very many rows: most of the search on a sample, every price on all rows.

Where the largest prices are shows on a part of the rows; how large they are does not: the largest
of a sample are noise that its neurons would fit.  So random starts climb on a sample, the best of
them go on among all rows, and prices that are returned are those of all rows.  Rows are drawn as
often as their residuals are large: where most rows are fitted, few of them have prices.
"""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.pricing.search import local_ascent
from sklearn_convexnn.core.problem.directions import Prices, joined, select_diverse

# Rows from which on a sample is searched, its share of them, and its rows at most.
LEAST_ROWS, SHARE, MOST_ROWS = 50_000, 0.25, 50_000
# The first of these for convolutions, whose passes over a row are passes over all its positions.
LEAST_IMAGES = 4000
_MAX_COSINE = 0.98
# Prices of so many times those of the network's neurons are more than the noise of samples, and so
# many of its neurons are looked at.
_MUCH, _MOST_OWN = 2.0, 16


def screens(rows):
    """Are these rows so many that a part of them is searched?"""
    return rows.n_rows >= (LEAST_ROWS if rows.neurons.shares() is None else LEAST_IMAGES)


def _large(norms, own):
    """Is the largest price much larger than those of the network's neurons, if it has any?"""
    return not len(own) or norms.max() >= _MUCH * np.median(own)


class ScreenedPricing:
    """A search whose directions climb on a sample first.

    Parameters
    ----------
    search : SearchPricing
        What searches all rows from effort 2 on, and where no price is much larger than those of the
        network's own neurons, which near the optimum are alpha: samples show noise only there.
        (3e5 x 30 rows with prices up to 9.6 alpha: a search of effort 0 on all rows finds 9.3, this
        one 9.5 in 0.4 of the time.  1e5 x 30 rows with prices up to 1.07 alpha: a search of effort
        1 finds them all, samples none.)
    """

    kind = "estimated"
    # By effort: sweeps on the sample, directions that go on, and their sweeps.
    screening = (5, 10)
    finalists = (24, 32)
    sweeps = (3, 5)

    def __init__(self, search):
        self.search, self.metric = search, search.metric
        self.near = False  # whether the prices seen last were of the size of the network's own

    def __call__(self, rows, R, network, *, effort, known=None):
        if not screens(rows) or effort >= len(self.finalists):
            return self.search(rows, R, network, effort=effort, known=known)
        if not (self.near and network.n_neurons):
            prices = self._screened(rows, R, network, effort, known)
            if prices is not None:
                return prices
        # What a sample does not show now it seldom shows in the next round.
        prices = self.search(rows, R, network, effort=effort, known=known)
        own = rows.prices(network.largest(_MOST_OWN).U, R)
        self.near = not _large(prices.norms, np.linalg.norm(own, axis=1))
        return prices

    def _screened(self, rows, R, network, effort, known):
        """The prices that a sample leads to; None where they are no larger than its noise."""
        search, metric = self.search, self.metric
        starts = search.starts(rows, network, effort=effort, known=known)
        found = local_ascent(
            *self._screen(rows, R), starts, sweeps=self.screening[effort], metric=metric
        )
        best = select_diverse(found, self.finalists[effort], max_cosine=_MAX_COSINE, metric=metric)
        fast, sweeps = rows.with_dtype(search.dtype), self.sweeps[effort]
        climbed = local_ascent(fast, R, best.directions, sweeps=sweeps, metric=metric)
        # The network's own neurons in the same pass.
        U, count = climbed.directions, len(climbed.norms)
        V = rows.prices(np.concatenate([U, network.largest(_MOST_OWN).U]), R)
        norms = np.linalg.norm(V, axis=1)
        if not _large(norms[:count], norms[count:]):
            return None
        return joined(Prices(U, V[:count], norms[:count]))

    def seeds(self, rows, R, count):
        """See :meth:`.SearchPricing.seeds`: directions to begin with, whose prices do not count."""
        if not screens(rows):
            return self.search.seeds(rows, R, count)
        return self.search.seeds(*self._screen(rows, R), count)

    def _screen(self, rows, R):
        count = min(MOST_ROWS, int(SHARE * rows.n_rows))
        return rows.screen(count, R, self.search.dtype)
