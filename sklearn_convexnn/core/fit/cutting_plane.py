"""One training run: choose the pricing and the effort, find alpha_max, solve."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sklearn_convexnn.core.column_generation.options import COARSE, LIGHT, Options
from sklearn_convexnn.core.fit.growing import SAMPLE_TOL, grown, grows, interrupt, sample_sizes
from sklearn_convexnn.core.fit.path import solve_path
from sklearn_convexnn.core.fit.relaxed import relaxed
from sklearn_convexnn.core.fit.rounding import solve_rounded
from sklearn_convexnn.core.pricing.circular import CircularPricing
from sklearn_convexnn.core.pricing.patches import convolution_pricing
from sklearn_convexnn.core.pricing.plane import PlanePricing, plane_basis
from sklearn_convexnn.core.pricing.screened import ScreenedPricing, screens
from sklearn_convexnn.core.pricing.search import SearchPricing
from sklearn_convexnn.core.pricing.sub_networks import SubNetworkPricing
from sklearn_convexnn.core.pricing.wall_crossing import MAX_WALL_COLUMNS
from sklearn_convexnn.core.problem.alphas import scale_alpha
from sklearn_convexnn.core.problem.circular_neurons import CircularReLU
from sklearn_convexnn.core.problem.constant import constant_network, constant_residual
from sklearn_convexnn.core.problem.metric import Metric
from sklearn_convexnn.core.problem.patches import Convolution
from sklearn_convexnn.core.problem.solution import Start, Status
from sklearn_convexnn.core.problem.sub_networks import SubNetworks
from sklearn_convexnn.core.problem.units import mean_square_spread, obstacle

# Rows up to which climbs across the walls of activation patterns confirm a gap and, for one output,
# programs over patterns have its last digits: for any duality gap, and for one that slides do not
# reach.  A round takes several times as long as one of slides, and far more so on many rows (4 177
# x 10: 51 s against 6 s to a gap of 1e-2).
MAX_CROSSING_ROWS, MAX_LAST_DIGITS_ROWS = 2500, 20_000

# Rows times columns up to which they also confirm a fit that asks for no gap: 1.08 of its time at
# 72 (1.4 at 360), where local search says 0.016 of gaps of 0.020.
MAX_LIGHT_CROSSING = 100

# Bytes that the activations of a sample may take where memory shall not grow with a file.
_MEMORY_BESIDE_FILES = 64 << 20

# From so large a part of alpha_max on the constant network stands for those of a path, which differ
# from it by little.
_NEAR = 0.9
# Paths that are compared are solved to this tolerance from so many times "scale" on.
_FAR, _FINER_TOL = 0.5, 1e-2

# Below this tolerance the rounds are thorough even if no duality gap is asked for.
LEAST_LIGHT_TOL = 1e-4
# Down to this relative duality gap slides and refits in single precision are accurate enough.
LEAST_SINGLE_GAP = 1e-3
# So far apart, relative to their length, the rows must be for single precision: its rounding is
# 6e-8 of the length, and the gap above asks for a thousandth of what the rows differ by.
LEAST_SINGLE_SPREAD = 1e-4


def make_pricing(rows, rng):
    """Exact pricing where that is cheap, local search otherwise."""
    if isinstance(rows.neurons, Convolution):
        return convolution_pricing(rows, rng, fast_dtype(rows))
    if isinstance(rows.neurons, SubNetworks):
        return SubNetworkPricing(rng, dtype=fast_dtype(rows))
    if isinstance(rows.neurons, CircularReLU):
        return CircularPricing(rng, dtype=fast_dtype(rows))
    basis = plane_basis(rows)
    metric = Metric.of(rows)
    if basis is None:
        # Single precision does not see what such rows differ by.
        dtype = fast_dtype(rows) if metric.trivial else np.float64
        search = SearchPricing(rng, dtype=dtype, metric=metric)
        return ScreenedPricing(search) if screens(rows) else search
    return PlanePricing(basis, metric=metric)


def fast_dtype(rows):
    """Single precision where it can tell the rows apart.

    Not in extreme units, in which entries would overflow before they are scaled, nor where the
    rows, with their constant, differ so little that prices and slopes would be its rounding.
    """
    resolved = mean_square_spread(rows) > LEAST_SINGLE_SPREAD**2
    return np.float32 if resolved and 1e-15 < rows.scale < 1e15 else np.float64


def constant_start(rows, pricing, effort=1):
    """The constant network with its prices; the largest is alpha_max in working units."""
    network = constant_network(rows)
    R = constant_residual(rows, network)
    prices = pricing(rows, R, network, effort=effort)
    if prices.largest <= rows.dual_point(R).noise():
        prices = prices._replace(norms=np.zeros_like(prices.norms))
    return Start(network, prices)


def choose_options(rows, *, tol, gap_tol, max_iter, max_neurons, coarse=False):
    """Light or coarse rounds to reach a good objective; thorough ones to close the gap.

    The duality gap needs neurons on their kinks, sharpened pricing and double precision.
    """
    goals = {"tol": tol, "gap_tol": gap_tol, "max_iter": max_iter, "max_neurons": max_neurons}
    if gap_tol is not None or tol < LEAST_LIGHT_TOL:
        goal = tol if gap_tol is None else gap_tol
        crossing = gap_tol is not None and can_cross(rows, goal)
        return Options(
            **goals,
            refit_tol=min(1e-4, 0.1 * goal),
            confirm_effort=3 if goal < LEAST_SINGLE_GAP else 2,
            crossing=crossing,
            program=crossing and max_neurons is None and rows.n_outputs == 1,
            dtype=fast_dtype(rows) if goal >= LEAST_SINGLE_GAP else np.float64,
        )
    # Where the descent is badly conditioned the light search overlooks most, and a confirmation of
    # the least effort some: 18 x 3 rows far from zero ended at a gap of 0.002 instead of 0.12.
    ill = obstacle(rows) is not None and can_cross(rows, LEAST_SINGLE_GAP)
    few = rows.n_rows * rows.n_columns <= MAX_LIGHT_CROSSING and can_cross(rows, LEAST_SINGLE_GAP)
    return replace(
        COARSE if coarse else LIGHT,
        **goals,
        crossing=ill or few,
        confirm_effort=2 if ill else LIGHT.confirm_effort,
        dtype=fast_dtype(rows),
    )


def can_cross(rows, goal):
    """Do projections on the cones of patterns take bearable time for a relative gap of ``goal``?"""
    most = MAX_CROSSING_ROWS if goal >= LEAST_SINGLE_GAP else MAX_LAST_DIGITS_ROWS
    few = rows.n_columns <= MAX_WALL_COLUMNS and rows.n_rows <= most
    return few and rows.neurons.acts_on_rows


def start_of_path(problem, rng, effort=1):
    """The pricing of a path, its Start at the constant network, and alpha_max in data units."""
    pricing = make_pricing(problem.rows, rng)
    start = constant_start(problem.rows, pricing, effort)
    return pricing, start, start.prices.largest * problem.alpha_unit


class Descent:
    """A path that is followed alpha by alpha, from the constant network downwards.

    Parameters
    ----------
    problem : Problem
    rng : numpy Generator
        Of the pricing.
    goals : tol, gap_tol, max_iter, max_neurons, and coarse for rounds of less effort
    """

    def __init__(self, problem, rng, **goals):
        self.problem = problem
        # Of a path that is only compared alpha_max need not be sharp.
        effort = 0 if goals.get("coarse") else 1
        self.pricing, constant, self.alpha_max = start_of_path(problem, rng, effort)
        # Prices are those of the loss itself, which a rounded one has no use for.
        self.start = constant if problem.rows.loss.smooth else None
        self.options = choose_options(problem.rows, **goals)
        # Networks that are held back do not overfit, and far below "scale" say nothing of those
        # that are not (magic, a quarter of it: held-out loss .304 after a coarse round, .342 in
        # the end, .303 before).
        self.finer = self.options
        if goals.get("coarse"):
            goals["tol"] = min(goals["tol"], _FINER_TOL)
            self.finer = choose_options(problem.rows, **goals)

    @property
    def scale(self):
        """``alpha="scale"`` in the units of the data."""
        # With a constant target every alpha gives the same constant network.
        return scale_alpha(self.problem.rows, self.alpha_max) or self.problem.alpha_unit

    def solve(self, alpha, *, start=None, last=True, progress=None, enough=None):
        """The Solution for ``alpha`` in the units of the data, from ``start`` or where we are."""
        rows, alpha = self.problem.rows, alpha / self.problem.alpha_unit
        start, interrupted = start or self.start, False
        if start is not None and not start.network.n_neurons:
            start, interrupted = self._grown(alpha, start, progress)
            if interrupted:
                progress = interrupt
        settings = {"options": self.options, "start": start, "progress": progress}
        if rows.loss.smooth:
            settings |= {"last": last, "enough": enough}
            (solution,) = solve_path(rows, [alpha], self.pricing, **settings)
        else:
            solution = solve_rounded(rows, alpha, self.pricing, **settings)
        self.start = solution.end if rows.loss.smooth else Start(solution.network)
        return replace(solution, status=Status.INTERRUPTED) if interrupted else solution

    def _grown(self, alpha, start, progress):
        """The Start from samples, if the rows are that many, and whether its solves were ended."""
        options, rows = self.options, self.problem.rows
        alpha_max = self.alpha_max / self.problem.alpha_unit
        if alpha >= alpha_max or not grows(rows, self.pricing):
            return start, False
        sizes = sample_sizes(rows)
        if not sizes:
            return start, False
        light = choose_options(
            rows,
            tol=max(SAMPLE_TOL, options.tol),
            gap_tol=None,
            max_iter=options.max_iter,
            max_neurons=options.max_neurons,
        )
        if rows.engine.in_file:
            light = replace(light, memory=_MEMORY_BESIDE_FILES)
        settings = {"options": light, "progress": progress}
        return grown(rows, alpha, alpha_max, lambda sample: self.pricing, sizes, **settings)

    def solve_relaxed(self, alpha, relax, *, progress=None):
        """The same with its neurons refitted at ``relax`` times alpha, which it is then about."""
        solution = self.solve(alpha, progress=progress)
        if relax >= 1 or solution.status is Status.INTERRUPTED:
            return solution
        return self.relaxed(solution, relax, progress=progress)

    def relaxed(self, solution, relax, *, progress=None):
        """The neurons of a Solution refitted at ``relax`` times its alpha."""
        return relaxed(
            self.problem.rows,
            solution.network,
            relax * solution.alpha,
            self.pricing,
            options=self.options,
            progress=progress,
        )

    def advance(self, alpha, enough=None):
        """``coefs, intercepts`` of the network for the next alpha of a path.

        Rounds end early with a network whose layers are ``enough``.
        """
        start = self.start
        if start is not None and not start.network.n_neurons and alpha > _NEAR * self.alpha_max:
            return self.problem.layers(start.network)
        if alpha < _FAR * self.scale:
            self.options = self.finer
        layers = self.problem.layers
        ends = None if enough is None else lambda network: enough(*layers(network))
        solution = self.solve(alpha, last=False, enough=ends)
        if solution.keyboard:
            raise KeyboardInterrupt
        return layers(solution.network)


def best_start(problem, alpha, starts):
    """Of Starts in working units, or None for none, the one of the lowest objective."""
    starts = [start for start in starts if start is not None]
    if len(starts) < 2:
        return starts[0] if starts else None
    rows, alpha = problem.rows, alpha / problem.alpha_unit
    return min(starts, key=lambda start: rows.evaluate(start.network).objective(alpha))
