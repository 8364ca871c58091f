"""Column generation: the cutting-plane method in the dual of the training problem.

Rows ``x_i`` (with a constant feature when there is an intercept), weights ``w_i > 0`` of sum 1, C
outputs.  The two-layer ReLU network with weight decay solves ::

    (P)  min   sum_i w_i * loss(y_i, z_i) + alpha * sum_j ||c_j||_2
         over finite sets of unit directions u_j, output weights c_j in R^C, intercept b0 in R^C,
         Z = sum_j (X u_j)_+ c_j^T + 1 b0^T

a convex problem in the measure ``sum_j c_j delta(u_j)``.  Its dual has one constraint per
direction, ``||R^T (X u)_+||_2 <= alpha``.  Each round prices directions (finds violated
constraints), adds them as neurons, slides all neurons downhill, refits the output weights, which
drops neurons, and takes the duality gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_convexnn.core.column_generation.descent import refit, slide
from sklearn_convexnn.core.pricing.wall_crossing import last_digits
from sklearn_convexnn.core.problem.certificates import allowed_price, certify, optimal_intercept
from sklearn_convexnn.core.problem.constant import constant_network
from sklearn_convexnn.core.problem.directions import Prices, joined, select_diverse
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.problem.solution import Solution, Start, Status
from sklearn_convexnn.core.programs.neuron_program import NeuronProgram

# Relative gap below which every round prices as thoroughly as a confirmation.
_LAST_DIGITS = 1e-3
# Networks up to this size are offered twice to a refit, before and after the slide.
_MOST_KEPT = 250
# Candidates of the alpha before that a solve on a path prices first.
_MOST_KNOWN = 64
# Violated constraints of the round before that a program's pricing climbs again, and the cosine at
# which two of them are one.
_MOST_VIOLATED, _SAME = 400, 0.999
# Least angle between the neurons that enter a slide, in widths of the smoothed kinks: closer ones
# are two pictures of one neuron.
_ANGLE_IN_WIDTHS = 0.2
# The program takes over at this gap, or at this decrease of a round.
_PROGRAM_GAP, _PROGRAM_DECREASE = 5e-3, 1e-3
# A program is solved to this share of the gap, but to a gap no larger than the second.
_PROGRAM_SHARE, _LOOSEST_PROGRAM = 0.1, 1e-3
# A decrease beside the gap that is little.
_LITTLE = 0.03
# How much more tightly it is solved where it gains nothing.
_TIGHTER = (1.0, 1e-2, 1e-4, 1e-6)
# Growing angles at which neurons are joined where there are too many.
_CUT_ANGLES = (0.1, 0.2, 0.4, 0.8)


@dataclass(frozen=True)
class Options:
    """Goals and effort of a solve; the defaults are those of a thorough one."""

    # Goals: rounds at most; least decrease of a round; relative duality gap; neurons at most.
    max_iter: int = 50
    tol: float = 1e-3
    gap_tol: float | None = None
    max_neurons: int | None = None
    # Neurons added at the start and in every later round, and how much they must differ.
    first_neurons: int = 100
    new_neurons: int = 40
    max_cosine: float = 0.98
    # Iterations of a slide, the relative decrease in one of them at which it ends, and iterations
    # of a refit.
    slide_iter: int = 60
    slide_tol: float = 1e-12
    refit_iter: int = 400
    # Of a refit: optimality relative to alpha, whether it uses Newton's method for every loss, and
    # whether it also gets the directions as they were before the slide.
    refit_tol: float = 1e-4
    newton: bool = True
    keep_columns: bool = True
    # Smoothing of the kinks in the slides, shrinking from round to round.
    first_width: float = 0.2
    width_decay: float = 0.7
    last_width: float = 5e-4
    # Least width at the start of a solve that goes on from the network of a larger alpha.
    tracking_width: float = 0.01
    # Neurons closer than this angle become one before a slide, whatever the width.
    merge_angle: float = 0.0
    # Effort of the pricing in a round and before a stop.
    round_effort: int = 1
    confirm_effort: int = 3
    # Whether climbs across the walls of patterns confirm a gap, and whether the program of the
    # neurons' patterns takes over for its last digits.
    crossing: bool = False
    program: bool = False
    # Precision of slides and refits.
    dtype: type = np.float64
    # Bytes that the hidden activations of all rows may take in a refit.
    memory: int = 256 << 20


@dataclass(frozen=True)
class _State:
    """A network with what is known about it: outputs, objective and residual."""

    network: Network
    Z: np.ndarray
    objective: float

    @classmethod
    def of(cls, rows, network, alpha):
        """Evaluate a network in full precision, with its best intercept."""
        Z = rows.outputs(network.U, network.C, network.b0)
        if rows.intercept:
            shift = optimal_intercept(rows, Z)
            Z += shift
            network = network.with_outputs(network.C, network.b0 + shift)
        loss = float(rows.weights @ rows.loss.value(rows.Y, Z))
        return cls(network, Z, loss + alpha * network.penalty())

    def residual(self, rows):
        return -rows.weights[:, None] * rows.loss.gradient(rows.Y, self.Z)


def solve(rows, alpha, pricing, *, options, start=None, confirm=True, progress=None):
    """Solve (P) for one ``alpha``; see :class:`Options` for when it stops.

    Parameters
    ----------
    rows : RowPass
    alpha : float
    pricing : callable
        Finds violated constraints: ``pricing(rows, R, network, effort=..., known=...) -> Prices``,
        with ``known`` directions to price first or None; its ``kind`` says what certificate its
        best price gives.
    options : Options
    start : Start, optional
        Where to begin; at the constant network otherwise.
    confirm : bool
        Refit tightly and price thoroughly before a stop.
    progress : callable, optional
        Called after every round with its number and a dict: a row of ``history`` and the kind of
        certificate.  Something true in return stops the solve.

    Returns
    -------
    Solution
    """
    run = _Run(rows, alpha, pricing, options, start or Start(constant_network(rows)))
    n_iter, status = 0, None
    run.complete = run.state, run.certificate
    try:
        while status is None:
            n_iter += 1
            run.improve()
            status = run.why_stop(n_iter)
            if status is None or not confirm:
                run.price()
                status = Status.GAP if run.gap_reached() else status
            if status is not None and confirm:
                status = run.confirm(status)
            run.record()
            if status is None and n_iter >= options.max_iter:
                status = Status.MAX_ITER
            if progress is not None:
                latest = {name: values[-1] for name, values in run.history.items()}
                latest["certificate"] = run.certificate.kind
                if progress(n_iter, latest) and status is None:
                    status = Status.INTERRUPTED
    except KeyboardInterrupt:
        run.restore()
        n_iter, status = max(1, len(run.history["objective"])), Status.INTERRUPTED
    return Solution(
        run.state.network, run.certificate, status, alpha, n_iter, run.history, run.end()
    )


class _Run:
    """The state of one solve; every step leaves it consistent and never raises the objective."""

    def __init__(self, rows, alpha, pricing, options, start):
        self.alpha, self.pricing, self.options = alpha, pricing, options
        self.thorough_pricing = last_digits(pricing) if options.crossing else pricing
        # Objectives and certificates are always taken in double precision.
        self.rows, self.fast = rows.with_dtype(np.float64), rows.with_dtype(options.dtype)
        self.tracking = start.width is not None
        self.width = (
            max(start.width, options.tracking_width) if self.tracking else options.first_width
        )
        network = start.network
        if self._too_large(network):  # a start from elsewhere
            network = self._refitted(self.rows, network)
        self.state = _State.of(self.rows, network, alpha)
        if self.tracking:
            self._accept(self._refitted(self.fast, network))
        self.history = {"objective": [], "dual_gap": [], "n_neurons": [], "violation": []}
        self.complete = self.program = None
        self.effort = options.round_effort
        self.caution = 1.0  # how much larger the gap of a round may turn out to be
        self.decrease = np.inf  # of the last round, relative to the objective
        self.prices = start.prices
        if self.prices is None:
            self.price()
        else:
            self.certificate = self._certified()

    # ------------------------------------------------------------------ steps

    def price(self, *, effort=None, pricing=None):
        """Search for violated constraints at the present network and take its duality gap."""
        known = None
        if effort is None:
            effort = self.effort
            if self.tracking and self.prices is not None:
                known = select_diverse(self.prices, _MOST_KNOWN).directions
        if self.program is not None:
            # What is still violated is so at nearly the same place.
            known = select_diverse(
                self.prices, _MOST_VIOLATED, above=self.alpha, max_cosine=_SAME
            ).directions
        residual = self.state.residual(self.rows)
        self.prices = (pricing or self.pricing)(
            self.rows, residual, self.state.network, effort=effort, known=known
        )
        self.certificate = self._certified()

    def _certified(self):
        network, largest = self.state.network, self.prices.largest
        return certify(
            self.rows, self.state.Z, network.penalty(), self.alpha, largest, self.pricing.kind
        )

    def improve(self):
        """Add the priced directions, slide, refit; keep what came out only if it is better."""
        options, before = self.options, self.state.objective
        self.caution = max(1.0, 0.7 * self.caution)
        if self.program is None and self._program_due():
            self.program = NeuronProgram.of(self.rows, self.state.network, self.state.Z)
            self.pricing = self.thorough_pricing
        if self.program is not None:
            self._solve_program()
            return
        extended = self._extended()
        slid = self._slid(extended)
        self.width = max(self.width * options.width_decay, options.last_width)
        if options.keep_columns and extended.n_neurons <= _MOST_KEPT:
            # The slide moves directions off the kinks they were priced on: offer both to the refit.
            slid = slid.extended(extended.U, np.zeros_like(extended.C))
        self._accept(self._refitted(self.fast, slid))
        if self.state.objective >= before:
            # Over fixed directions the problem is convex: this cannot fail but by its tolerance.
            self._accept(self._refitted(self.rows, extended))
        self.decrease = (before - self.state.objective) / max(before, np.finfo(float).tiny)

    def _solve_program(self):
        """Solve the program of the neurons and of the priced directions; cross walls."""
        options = self.options
        found = select_diverse(
            self.prices, options.new_neurons, above=self.alpha, max_cosine=options.max_cosine
        )
        program = self.program.extended(self.rows, found.directions, found.values[:, 0])
        gap = self.certificate.relative_gap
        least, before = _PROGRAM_SHARE * self._gap_goal(), self.state.objective
        tol = max(min(_PROGRAM_SHARE * gap, _LOOSEST_PROGRAM), least)
        # New neurons may gain less than the gap of the program: then it is solved more tightly.
        for tightness in _TIGHTER:
            network, self.program = program.solved(self.rows, self.alpha, tightness * tol)
            if self._accept(network) or tightness * tol < 1e-2 * least:
                break
        self.decrease = (before - self.state.objective) / max(before, np.finfo(float).tiny)
        if self.decrease < _LITTLE * gap:
            self.pricing.widen()  # the light search overlooks what the gap is made of

    def confirm(self, status):
        """Tight refit and thorough pricing before a stop: the status if that bears it out."""
        if self.program is not None:
            return self._confirm_program(status)
        options, gap_before = self.options, self.certificate.relative_gap
        self._accept(self._refitted(self.rows, self.state.network, effort=4))
        self.price(effort=options.confirm_effort, pricing=self.thorough_pricing)
        gap = self.certificate.relative_gap
        if gap <= self._gap_goal():  # no caution: this search was thorough
            return Status.GAP
        if status is Status.GAP:
            status = Status.PROGRESS if self._no_progress() else None
        # The costliest search in every round is for the last digits.
        costly = options.confirm_effort > 1 and gap > _LAST_DIGITS
        effort = max(self.effort, min(self.effort + 1, options.confirm_effort - costly))
        overlooked = gap > max(2.0 * gap_before, 10.0 * options.tol)
        if status is Status.PROGRESS and overlooked and effort > self.effort:
            # Little progress is no sign of convergence where the search had overlooked neurons; a
            # round seldom gains more than a tenth of the gap.
            status = None
        if status is None:
            self.effort = effort
            self.caution = 10.0 if gap > 10.0 * gap_before else max(1.0, gap / gap_before)
        return status

    def _confirm_program(self, status):
        """Thorough pricing, and a proof where that is quick, before a stop."""
        self.price(effort=self.options.confirm_effort)
        if self.gap_reached():
            self._prove()
        if self.certificate.relative_gap <= self._gap_goal():
            return Status.GAP
        self.pricing.widen()
        return None if status is Status.GAP else status

    def _prove(self):
        """Replace the estimate by a bound, or by a direction that shows it to be wrong."""
        state, penalty = self.state, self.state.network.penalty()
        # Not quite the whole of it: a proof that ends at its goal adds what rounding may hide.
        goal = allowed_price(self.rows, state.Z, penalty, self.alpha, 0.99 * self._gap_goal())
        residual = state.residual(self.rows)
        proof = self.pricing.prove(self.rows, residual, goal)
        if proof is None:
            return
        upper, direction = proof
        bound = certify(self.rows, state.Z, penalty, self.alpha, upper, "proven")
        if bound.relative_gap <= self._gap_goal():
            self.certificate = bound
            return
        values = self.rows.prices(direction[None], residual)
        found = Prices(direction[None], values, np.linalg.norm(values, axis=1))
        self.prices = joined(self.prices, found)
        self.certificate = self._certified()

    def restore(self):
        """Back to the last complete round, whose certificate belongs to its network."""
        if self.complete is not None:
            self.state, self.certificate = self.complete

    # ------------------------------------------------------------------ decisions

    def end(self):
        """Where a solve for a smaller alpha goes on."""
        return Start(self.state.network, self.prices, self.width)

    def why_stop(self, n_iter):
        """A status if the solve should stop here whatever the gap is, else None."""
        if self._no_progress():
            return Status.PROGRESS
        return Status.MAX_ITER if n_iter >= self.options.max_iter else None

    def gap_reached(self):
        """Is the gap, with caution if it is that of a light search, below its goal?"""
        if self.options.program and self.program is None and self.state.network.n_neurons:
            return False  # the gap that the slides are told is too small
        return self.certificate.relative_gap * self.caution <= self._gap_goal()

    def _program_due(self):
        """Have the slides done what they do best?"""
        gap = self.certificate.relative_gap
        near = gap <= max(_PROGRAM_GAP, self._gap_goal()) or self.decrease < _PROGRAM_DECREASE
        return self.options.program and near and self.state.network.n_neurons > 0

    def _no_progress(self):
        return self.options.gap_tol is None and self.decrease < self.options.tol

    def _gap_goal(self):
        return self.options.tol if self.options.gap_tol is None else self.options.gap_tol

    def record(self):
        """Append a row to the history; the round is complete."""
        self.complete = self.state, self.certificate
        row = {
            "objective": self.state.objective,
            "dual_gap": self.certificate.relative_gap,
            "n_neurons": self.state.network.n_neurons,
            "violation": max(0.0, self.certificate.kappa / self.alpha - 1.0),
        }
        for name, value in row.items():
            self.history[name].append(value)

    # ------------------------------------------------------------------ helpers

    def _extended(self):
        """The network with the most violated directions at small weight."""
        network, options = self.state.network, self.options
        if network.n_neurons:
            found = select_diverse(
                self.prices, options.new_neurons, above=self.alpha, max_cosine=options.max_cosine
            )
        elif self.prices.largest > self.alpha:
            residual = self.state.residual(self.rows)
            found = self.pricing.seeds(self.rows, residual, options.first_neurons)
        else:
            return network
        size = 0.1 * np.median(network.sizes) if network.n_neurons else 1e-3
        return network.extended(found.directions, size * found.values / found.norms[:, None])

    def _slid(self, network):
        options = self.options
        network = network.condensed(max(options.merge_angle, _ANGLE_IN_WIDTHS * self.width))
        return slide(
            self.fast,
            network,
            self.alpha,
            max_iter=options.slide_iter,
            width=self.width,
            tol=options.slide_tol,
        )

    def _refitted(self, rows, network, *, effort=1):
        options = self.options
        settings = {
            "max_iter": effort * options.refit_iter,
            "tol": options.refit_tol / effort**2,
            "newton": options.newton,
            "memory": options.memory,
        }
        network = refit(rows, network.merged(), self.alpha, **settings)
        if self._too_large(network):
            network = refit(rows, self._slid(self._cut(network)), self.alpha, **settings)
        return network

    def _cut(self, network):
        """At most ``max_neurons`` neurons: close ones joined, then the largest."""
        for angle in _CUT_ANGLES:
            if self._too_large(network):
                network = network.condensed(angle)
        return network.largest(self.options.max_neurons)

    def _too_large(self, network):
        limit = self.options.max_neurons
        return limit is not None and network.n_neurons > limit

    def _accept(self, network):
        """Go on with the network if its objective is lower."""
        state = _State.of(self.rows, network, self.alpha)
        lower = state.objective < self.state.objective
        if lower:
            self.state = state
        return lower
