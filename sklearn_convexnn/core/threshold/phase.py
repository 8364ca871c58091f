"""Rounds of column generation over columns of zeros and ones: price, add, refit, drop.

There is nothing to slide: a column is a pattern of the rows, the same for all weights of its cell,
and over given columns the problem is a lasso.  Every round adds the columns whose dual constraints
are violated most (Bengio et al. 2005).
"""

from __future__ import annotations

from sklearn_convexnn.core.problem.solution import Start, Status
from sklearn_convexnn.core.threshold.refit import refit

# A column whose price is alpha is one that the network has, or needs not have.
_VIOLATED = 1.0 + 1e-9
# Rows from which on a round costs so much that more neurons share it: these parts of those that
# there are.  (Of 1 000 rows fits went on to 640 neurons instead of 540, in twice the time.)
_MANY_ROWS, _GROWTH = 10_000, 0.1
# Relative differences of objectives that say nothing.
_ROUNDING = 1e-14


class ColumnPhase:
    """Rounds from a Start on.

    A phase of :func:`sklearn_convexnn.core.column_generation.loop.solve`.
    Families say how columns are added and what the rows know of them: ``_extended(network,
    prices)`` and ``_layer(network)``.

    Parameters
    ----------
    run : Run
    pricing : callable
    start : Start
    """

    most_effort = 0

    def __init__(self, run, pricing, start):
        self.run, self.pricing, self.options = run, pricing, run.options
        self.effort, self.stalled = 0, 0
        run.begin(start.network)
        if start.network.n_neurons:
            run.accept(self._refitted(start.network))
        if start.prices is None or start.network.n_neurons:
            self.price()
        else:
            run.take_prices(start.prices, pricing.kind)

    # ------------------------------------------------------------------ steps

    def improve(self):
        """Add violated columns and refit."""
        run = self.run
        before = run.state.network
        network = self._extended(before, self._violated())
        # A round that adds or gained nothing refits more tightly: then prices are those of the
        # columns, and if nothing is gained by that either, there is nothing to gain.
        tight = self.stalled > 0 or network.n_neurons == before.n_neurons
        objective = run.state.objective
        run.accept(self._refitted(network, tight=tight), rounding=_ROUNDING if tight else 0.0)
        self.stalled = self.stalled + 1 if run.state.objective >= objective else 0
        run.column_work.spend(self._work(network.n_neurons))

    def _work(self, n_neurons):
        """Of a round, in any units."""
        return 0

    def price(self):
        # A light search is enough again where a thorough one has led to progress.
        if self.run.decrease >= self.options.tol:
            self.effort = 0
        self.run.price(self.pricing, effort=self.effort)

    def confirm(self, status):
        """The thorough pricing before a stop: the status if that bears it out."""
        run = self.run
        run.price(self.thorough, effort=self.most_effort)
        if run.certificate.relative_gap <= self.options.gap_goal:
            return Status.GAP
        if self.idle:
            limit = self.options.max_neurons
            full = limit is not None and run.state.network.n_neurons >= limit
            return Status.PROGRESS if full else Status.INACCURATE
        if status is Status.GAP:
            status = None
        if status is Status.PROGRESS and self.effort < self.most_effort:
            # Little progress may be that of a light search.
            status = None
        if status is None:
            self.effort = min(self.effort + 1, self.most_effort)
        return status

    @property
    def idle(self):
        """Did two rounds gain nothing, the second of which was as thorough as there are?"""
        return self.stalled > 1 and self.effort >= self.most_effort

    @property
    def thorough(self):
        """What prices before a stop."""
        return self.pricing

    # ------------------------------------------------------------------ decisions

    def gap_reached(self):
        """Is the gap below its goal, or is there nothing left to add?"""
        return self.stalled > 1 or self.run.gap_reached()

    def successor(self):
        return self

    def end(self):
        """Where a solve for a smaller alpha goes on."""
        return Start(self.run.state.network, self.run.prices, width=0.0)

    # ------------------------------------------------------------------ helpers

    def _violated(self):
        """Prices above alpha, best first."""
        run, options = self.run, self.options
        prices = run.prices
        m = run.state.network.n_neurons
        count = options.new_neurons if m else options.first_neurons
        if run.rows.n_rows >= _MANY_ROWS:
            count = max(count, int(_GROWTH * m))
        chosen = prices.norms > _VIOLATED * run.alpha
        return type(prices)(*(part[chosen][:count] for part in prices))

    def _refitted(self, network, *, tight=False):
        network = self._refit(network, tight)
        limit = self.options.max_neurons
        if limit is not None and network.n_neurons > limit:
            network = self._refit(network.largest(limit), tight)
        return network

    def _refit(self, network, tight):
        tol = self.options.refit_tol * (1e-3 if tight else 1.0)
        layer = self._layer(network)
        return network.with_outputs(
            *refit(layer, network.C, network.b0, self.run.alpha, tol=tol)
        ).pruned()
