"""A path of threshold networks, alpha by alpha from the constant one downwards."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sklearn_convexnn.core.column_generation.loop import solve
from sklearn_convexnn.core.column_generation.options import Options
from sklearn_convexnn.core.fit.growing import FACTOR, grown, interrupt, sizes_from_above
from sklearn_convexnn.core.problem.directions import Prices
from sklearn_convexnn.core.problem.solution import Start, Status
from sklearn_convexnn.core.threshold.axis import StepPhase, StepPricing
from sklearn_convexnn.core.threshold.half_spaces import (
    AllHalfSpaces,
    HalfSpacePhase,
    HalfSpaceSearch,
)
from sklearn_convexnn.core.threshold.problem import StepProblem
from sklearn_convexnn.core.threshold.total_variation import denoised

# alpha="scale" in parts of alpha_max over the square root of the number of rows.  A step pays for
# its height alone, whatever the residual does elsewhere: the largest price of noise is of this
# order, ten times that of ReLUs in parts of alpha_max.
_SCALE_FRACTION = 1.0
# Accuracy of a refit, in parts of the goal.
_REFIT_SHARE, _LOOSEST_REFIT = 0.03, 1e-3
# Rows of the first sample of half-spaces; each is a fifth of the next, the last of all rows.
_FIRST_ROWS = 2000
# Rows times squares of neurons that the rounds of one solve may take, if no gap is asked for: some
# 30 seconds, or of paths that choose an alpha a third of that.
_MOST_WORK, _PATH_SHARE = 1e11, 1 / 3


class ThresholdDescent:
    """Solves for descending alphas, each from the network of the one before.

    Parameters
    ----------
    problem : ThresholdProblem
    rng : numpy Generator
        Of the search.
    goals : tol, gap_tol, max_iter, max_neurons, and coarse for solves that may take less
    """

    def __init__(self, problem, rng, *, coarse=False, **goals):
        self.problem, self.rng, rows = problem, rng, problem.rows
        self.axis = isinstance(problem, StepProblem)
        limited = goals["gap_tol"] is None
        goal = goals["tol"] if limited else goals["gap_tol"]
        if self.axis:
            self.pricing, self.phase = StepPricing(), StepPhase
            # Exact prices cost next to nothing: the gap says when to stop.
            goals = goals | {"gap_tol": goal}
        else:
            self.pricing, self.phase = self._search(rows), HalfSpacePhase
        self.options = Options(
            **goals,
            first_neurons=400 if self.axis else 24,
            new_neurons=400 if self.axis else 24,
            column_work=_MOST_WORK * (_PATH_SHARE if coarse else 1.0) if limited else np.inf,
            refit_tol=min(_LOOSEST_REFIT, _REFIT_SHARE * goal),
        )
        self.start, largest = self._constant()
        self.alpha_max = largest * problem.alpha_unit

    def _constant(self):
        """The constant network with its prices, and the largest of them."""
        rows = self.problem.rows
        network = self.problem.constant(rows.constant())
        state = rows.settled(rows.evaluate(network))
        thorough = self.pricing if self.axis else self.pricing.thorough
        effort = self.phase.most_effort
        prices = thorough(rows, state.residual, state.network, effort=effort)
        if prices.largest <= state.dual_point.noise():
            prices = Prices(*(part[:0] for part in prices))
        return Start(state.network, prices), prices.largest

    @property
    def scale(self):
        """``alpha="scale"`` in the units of the data."""
        scale = _SCALE_FRACTION * self.alpha_max / np.sqrt(self.problem.rows.n_rows)
        # With a constant target every alpha gives the same constant network.
        return scale or self.problem.alpha_unit

    def solve(self, alpha, *, start=None, last=True, progress=None):
        """The Solution for ``alpha`` in the units of the data, from ``start`` or where we are."""
        alpha = alpha / self.problem.alpha_unit
        start, interrupted = start or self._closed_form(alpha) or self.start, False
        sizes = self._sample_sizes(alpha, start)
        if sizes:
            start, interrupted = self._grown(alpha, sizes, progress)
        solution = solve(
            self.problem.rows,
            alpha,
            self.pricing,
            options=self.options,
            start=start,
            confirm=last,
            progress=interrupt if interrupted else progress,
            phase=self.phase,
        )
        self.start = Start(solution.network, width=0.0)
        return replace(solution, status=Status.INTERRUPTED) if interrupted else solution

    def _sample_sizes(self, alpha, start):
        """Rows of the samples that half-spaces are found on at first, ascending."""
        if (
            self.axis
            or start.network.n_neurons
            or alpha * self.problem.alpha_unit >= self.alpha_max
        ):
            return []
        return sizes_from_above(self.problem.rows.n_rows // FACTOR, _FIRST_ROWS)

    def _grown(self, alpha, sizes, progress):
        """The Start from samples, and whether their solves were ended."""
        return grown(
            self.problem.rows,
            alpha,
            self.alpha_max / self.problem.alpha_unit,
            self._search,
            sizes,
            # Columns of a sample that all rows do without drop out of the next refit.
            options=replace(self.options, tol=self.options.gap_goal, gap_tol=None),
            progress=progress,
            fraction=_SCALE_FRACTION,
            phase=self.phase,
        )

    def _search(self, rows):
        A = np.column_stack([rows.X, np.ones(rows.n_rows)])
        search = HalfSpaceSearch(A, self.rng)
        search.thorough = AllHalfSpaces.of(search) or search
        return search

    def _closed_form(self, alpha):
        """The optimum of the squared error of one feature and one output, as a Start."""
        rows = self.problem.rows
        if not self.axis or rows.n_features > 1 or rows.n_outputs > 1 or not rows.loss.quadratic:
            return None
        ranks, count = rows.ranks[0], len(rows.values[0])
        mass = np.bincount(ranks, weights=rows.weights, minlength=count)
        mean = np.bincount(ranks, weights=rows.weights * rows.Y[:, 0], minlength=count) / mass
        levels = denoised(mean, mass, alpha)
        jumps = np.diff(levels)
        places = np.flatnonzero(np.abs(jumps) > 1e-12 * np.abs(levels).max())
        steps = np.column_stack([np.zeros_like(places), places])
        network = self.problem.constant(levels[:1]).extended(steps)
        return Start(network.with_outputs(jumps[places, None], levels[:1]), width=0.0)

    def advance(self, alpha, enough=None):
        """``coefs, intercepts`` of the network for the next alpha of a path, solved to the end."""
        solution = self.solve(alpha, last=False)
        if solution.keyboard:
            raise KeyboardInterrupt
        return self.problem.layers(solution.network)
