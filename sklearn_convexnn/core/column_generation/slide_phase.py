"""Rounds of the first phase: add violated directions, slide all neurons, refit their outputs.

A conditional gradient method whose atoms move: the fastest way to a good objective for any loss and
any number of rows.  Slid neurons stop short of the kinks of the optimum, so that its gaps are good
to a few digits; the last ones are the business of :mod:`.program_phase`.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from sklearn_convexnn.core.column_generation.program_phase import ProgramPhase
from sklearn_convexnn.core.column_generation.refit import refit
from sklearn_convexnn.core.column_generation.slide import slide
from sklearn_convexnn.core.pricing.all_patterns import PatternPricing
from sklearn_convexnn.core.pricing.wall_crossing import last_digits
from sklearn_convexnn.core.problem.solution import Start, Status

# Relative gap below which every round prices as thoroughly as a confirmation.
_LAST_DIGITS = 1e-3
# Networks up to this size are offered twice to a refit, before and after the slide.
_MOST_KEPT = 250
# Sizes of neurons that enter, in the median of those of the others, and of the first ones.  (A
# tenth takes slides a few iterations to undo: 0.4 % more, and 1.05 of the time, on twelve sets.)
_NEW_SIZE, _FIRST_SIZE = 0.03, 1e-3
# Parts of that which are tried one after the other while new neurons raise the objective.
_SHARES = 1.0, 0.25, 0.25**2, 0.25**3, 0.25**4
# Least angle between the neurons that enter a slide, in widths of the smoothed kinks: closer ones
# are two pictures of one neuron.
_ANGLE_IN_WIDTHS = 0.2
# The program takes over at this gap, or at this decrease of a round (a gap of 1e-3: 1.31 of the
# time of fits to 1e-3, three sets of 120 rows, benchmarks/efforts.py; 2e-2: 0.94).
_PROGRAM_GAP, _PROGRAM_DECREASE = 5e-3, 1e-3
# Growing angles at which neurons are joined where there are too many.
_CUT_ANGLES = (0.1, 0.2, 0.4, 0.8)


class SlidePhase:
    """Slides and refits from a Start on.

    Parameters
    ----------
    run : Run
    pricing : callable, as of :func:`~sklearn_convexnn.core.column_generation.loop.solve`
    start : Start
    """

    def __init__(self, run, pricing, start):
        self.run, self.pricing, self.options = run, pricing, run.options
        self.effort = self.options.round_effort
        # On a path: from the network of a larger alpha.
        self.tracking = start.width is not None
        self.width = (
            max(start.width, self.options.tracking_width)
            if self.tracking
            else self.options.first_width
        )
        network = start.network
        run.begin(network)
        if self._too_large(network):  # a start from elsewhere
            network = self._refitted(run.rows, network)
            run.begin(network)
        if self.tracking:
            run.accept(self._refitted(run.fast, network))
        if start.prices is None:
            self.price()
        else:
            run.take_prices(start.prices, pricing.kind)

    # ------------------------------------------------------------------ steps

    def improve(self):
        """Add the priced directions, slide, refit; keep what came out only if it is better."""
        run, options, before = self.run, self.options, self.run.state.objective
        extended = self._extended()
        slid = self._slid(extended)
        self.width = max(self.width * options.width_decay, options.last_width)
        if options.keep_columns and extended.n_neurons <= _MOST_KEPT:
            # The slide moves directions off the kinks they were priced on: offer both to the refit.
            slid = slid.extended(extended.U, np.zeros_like(extended.C))
        run.accept(self._refitted(run.fast, slid))
        if run.state.objective >= before:
            # Over fixed directions the problem is convex: this cannot fail but by its tolerance.
            run.accept(self._refitted(run.rows, extended))

    def price(self):
        """Search for violated constraints with the effort of a round."""
        known = None
        if self.tracking and self.run.prices is not None:
            # Of the alpha before: as many as a round adds.
            known = self.run.diverse(self.options.new_neurons).directions
        self.run.price(self.pricing, effort=self.effort, known=known)

    def confirm(self, status):
        """Tight refit and thorough pricing before a stop: the status if that bears it out."""
        run, options = self.run, self.options
        gap_before, before = run.certificate.relative_gap, run.state
        # A light fit does not close its gap to where single precision would show.
        rows = run.rows if options.newton else run.fast
        run.accept(self._refitted(rows, run.state.network, effort=4))
        run.price(self.thorough, effort=options.confirm_effort)
        if options.gap_tol is not None and run.gap_reached() and hasattr(self.thorough, "prove"):
            run.prove(self.thorough)
        gap = run.certificate.relative_gap
        if gap <= options.gap_goal:  # no caution: this search was thorough
            return Status.GAP
        if status is Status.GAP:
            status = Status.PROGRESS if run.no_progress() else None
        # The costliest search in every round is for the last digits.
        costly = options.confirm_effort > 1 and gap > _LAST_DIGITS
        effort = max(self.effort, min(self.effort + 1, options.confirm_effort - costly))
        overlooked = gap > max(2.0 * gap_before, 10.0 * options.tol)
        if status is Status.PROGRESS and overlooked and effort > self.effort:
            # Little progress is no sign of convergence where the search had overlooked neurons; a
            # round seldom gains more than a tenth of the gap.
            status = None
        gain = run.decrease_from(before)
        if status is Status.PROGRESS and gain >= options.tol:
            # The round was short of progress because its loose refit was.
            status = None
        if status is None:
            self.effort = effort
            run.caution = 10.0 if gap > 10.0 * gap_before else max(1.0, gap / gap_before)
        return status

    @cached_property
    def thorough(self):
        """What prices before a stop, and in the rounds of the programs."""
        if self.pricing.kind == "exact":
            return self.pricing
        exact = PatternPricing.of(self.run.rows, self.run.metric, self.options.pattern_work)
        return exact or (last_digits(self.pricing) if self.options.crossing else self.pricing)

    # ------------------------------------------------------------------ decisions

    def gap_reached(self):
        """Is the gap below its goal?  That of slides is too small where a program follows."""
        if self.options.program and self.run.state.network.n_neurons:
            return False
        return self.run.gap_reached()

    def successor(self):
        """The phase of the next round: the program once the slides have done what they do best."""
        run, options = self.run, self.options
        gap = run.certificate.relative_gap
        near = gap <= max(_PROGRAM_GAP, options.gap_goal) or run.decrease < _PROGRAM_DECREASE
        if options.program and near and run.state.network.n_neurons > 0:
            return ProgramPhase(run, self.thorough, self.width)
        return self

    def end(self):
        """Where a solve for a smaller alpha goes on."""
        return Start(self.run.state.network, self.run.prices, self.width)

    # ------------------------------------------------------------------ helpers

    def _extended(self):
        """The network with the most violated directions at small weight."""
        run, options = self.run, self.options
        network, prices = run.state.network, run.prices
        if network.n_neurons:
            found = run.diverse(options.new_neurons, above=run.alpha, max_cosine=options.max_cosine)
        elif prices.largest > run.alpha:
            residual = run.state.residual
            found = self.pricing.seeds(run.rows, residual, options.first_neurons)
        else:
            return network
        values = found.values / found.norms[:, None]
        if not network.n_neurons:
            return network.extended(found.directions, _FIRST_SIZE * values)
        return self._lower_with(found.directions, _NEW_SIZE * np.median(network.sizes) * values)

    def _lower_with(self, directions, values):
        """The network with new neurons, at the first of some sizes where they lower the objective.

        What is priced highest often fires on the same far rows: all of it together may overshoot by
        far, and iterations of a slide go to undoing that.  Outputs are linear in the sizes: one
        pass over the features, of the new neurons only, serves all of them.
        """
        run, state, network = self.run, self.run.state, self.run.state.network
        change = run.fast.outputs(directions, values, np.zeros_like(network.b0))
        penalty = np.linalg.norm(values, axis=1).sum()
        for share in _SHARES:
            loss = state.on_rows.loss_on_the_way(change, share)
            if loss + run.alpha * (network.penalty() + share * penalty) < state.objective:
                break
        return network.extended(directions, share * values)

    def _slid(self, network):
        options = self.options
        angle = max(options.merge_angle, _ANGLE_IN_WIDTHS * self.width)
        network = network.condensed(angle, self.run.metric)
        return slide(
            self.run.fast,
            network,
            self.run.alpha,
            max_iter=options.slide_iter,
            width=self.width,
            tol=options.slide_tol,
            metric=self.run.metric,
        )

    def _refitted(self, rows, network, *, effort=1):
        options = self.options
        settings = {
            "max_iter": effort * options.refit_iter,
            "tol": options.refit_tol / effort**2,
            "gain": options.refit_gain / effort**2,
            "newton": options.newton,
            "memory": options.memory,
        }
        network = refit(rows, network.merged(metric=self.run.metric), self.run.alpha, **settings)
        if self._too_large(network):
            network = refit(rows, self._slid(self._cut(network)), self.run.alpha, **settings)
        return network

    def _cut(self, network):
        """At most ``max_neurons`` neurons: close ones joined, then the largest."""
        for angle in _CUT_ANGLES:
            if self._too_large(network):
                network = network.condensed(angle, self.run.metric)
        return network.largest(self.options.max_neurons)

    def _too_large(self, network):
        limit = self.options.max_neurons
        return limit is not None and network.n_neurons > limit
