"""Rounds of the second phase: the convex program of the network's patterns, for the last digits.

Over the patterns of its neurons (P) is a finite program, solved with every kink exact; neurons then
cross the walls that hold them back, and violated directions join as new patterns.
"""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.problem.solution import Start, Status
from sklearn_convexnn.core.programs.neuron_program import NeuronProgram

# Violated constraints of the round before that the pricing climbs again, and the cosine at which
# two of them are one.
_MOST_VIOLATED, _SAME = 400, 0.999
# A program is solved to this share of the gap, but to a gap no larger than the second (a share of
# 0.3: 1.23 of the time of fits to 1e-3, three sets of 120 rows, benchmarks/efforts.py; 0.03: 1.02).
_PROGRAM_SHARE, _LOOSEST_PROGRAM = 0.1, 1e-3
# A decrease beside the gap that is little (0.1: 1.38, 0.01: 0.96).
_LITTLE = 0.03
# How much more tightly it is solved where it gains nothing.
_TIGHTER = (1.0, 1e-2, 1e-4, 1e-6)
# Relative differences of objectives that say nothing.
_ROUNDING = 16 * np.finfo(float).eps


class ProgramPhase:
    """Programs from the present network of a run on.

    Parameters
    ----------
    run : Run
    pricing : callable
        The thorough one, with ``widen`` and ``prove``.
    width : float
        Of the smoothed kinks in the last slide, for the solve that follows on a path.
    """

    def __init__(self, run, pricing, width):
        self.run, self.pricing, self.options, self.width = run, pricing, run.options, width
        self.rows = run.rows.collect()
        outputs = run.rows.fetch(run.state.on_rows.Z)
        self.program = NeuronProgram.of(self.rows, run.state.network, outputs, run.metric)

    def improve(self):
        """Solve the program of the neurons and of the priced directions; cross walls."""
        run, options = self.run, self.options
        found = run.diverse(options.new_neurons, above=run.alpha, max_cosine=options.max_cosine)
        program = self.program.extended(self.rows, found.directions, found.values[:, 0])
        gap, before = run.certificate.relative_gap, run.state
        least = _PROGRAM_SHARE * options.gap_goal
        tol = max(min(_PROGRAM_SHARE * gap, _LOOSEST_PROGRAM), least)
        # New neurons may gain less than the gap of the program: then it is solved more tightly.  A
        # last digit is no gain: rounds of such would leave the residual as inaccurate as it is.
        for tightness in _TIGHTER:
            network, self.program = program.solved(self.rows, run.alpha, tightness * tol, run.work)
            run.accept(network)
            if run.decrease_from(before) > _LITTLE * tightness * tol:
                break
            if tightness * tol < 1e-2 * least or run.work.left <= 0:
                # Objectives no longer tell the two apart, but the residual of this one is closer.
                run.accept(network, rounding=_ROUNDING)
                break
        if run.decrease_from(before) < _LITTLE * gap:
            self.pricing.widen()  # the light search overlooks what the gap is made of

    def price(self, **settings):
        """Search for violated constraints; what is still violated is so at nearly the same place.

        ``settings`` are those of the pricing, with the effort of a round by default.
        """
        run = self.run
        known = run.diverse(_MOST_VIOLATED, above=run.alpha, max_cosine=_SAME)
        settings = {"effort": self.options.round_effort, **settings}
        run.price(self.pricing, known=known.directions, **settings)

    def confirm(self, status):
        """Thorough pricing, and a proof where that is quick, before a stop."""
        run, settings = self.run, {"effort": self.options.confirm_effort}
        if self.pricing.kind == "estimated":
            settings["enough"] = run.allowed_price(self.options.gap_goal)
        self.price(**settings)
        if self.gap_reached():
            run.prove(self.pricing)
        if run.certificate.relative_gap <= self.options.gap_goal:
            return Status.GAP
        self.pricing.widen()
        return None if status is Status.GAP else status

    def gap_reached(self):
        """Is the gap below its goal?"""
        return self.run.gap_reached()

    def successor(self):
        """The last phase goes on."""
        return self

    def end(self):
        """Where a solve for a smaller alpha goes on."""
        return Start(self.run.state.network, self.run.prices, self.width)
