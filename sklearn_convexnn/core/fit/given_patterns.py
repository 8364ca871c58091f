"""Training on given activation patterns: choose patterns and alpha, solve the program, price.

The program over given patterns is solved to a proven gap, but that gap is the program's.  About
(P), the network over all patterns, it says something only where the patterns are all there are and
there is one output; otherwise the network is priced like any other.  The gates of a gated network
are part of the model, so that its program is all there is to know.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral

import numpy as np

from sklearn_convexnn.core.fit.cutting_plane import constant_start, make_pricing
from sklearn_convexnn.core.patterns.enumeration import (
    count_bound,
    distinct,
    distinct_lines,
    enumerate_patterns,
    reduce_rank,
)
from sklearn_convexnn.core.problem.alphas import scale_alpha
from sklearn_convexnn.core.problem.certificates import Certificate
from sklearn_convexnn.core.problem.constant import constant_residual
from sklearn_convexnn.core.problem.metric import Metric
from sklearn_convexnn.core.problem.solution import Solution, Start, Status, end_of_history
from sklearn_convexnn.core.programs.free_groups import FreeGroups
from sklearn_convexnn.core.programs.gated_layers import active_gates, gated_neurons
from sklearn_convexnn.core.programs.gated_network import train_gated
from sklearn_convexnn.core.programs.nuclear_newton import gate_prices
from sklearn_convexnn.core.programs.solve import train_relu

# Sampled patterns where the caller names no number; see doc/patterns.rst for the measurements.
GATED_PATTERNS, RELU_PATTERNS = 1000, 100
# alpha="scale" of gated networks, as a multiple of that of ReLU networks: without cones a neuron
# fits more, at the same price.
GATED_SCALE = 2.0
# Relative gap of a program where none is asked for, and of one that is a start for others.
PROGRAM_TOL, START_TOL = 1e-6, 1e-3

# All patterns are written out up to this number, and this number of entries.
MAX_PATTERNS, _MAX_ENTRIES = 100_000, 50_000_000
# Sparse rows become an array of at most so many bytes.
_DENSE_BYTES = 1 << 30
# Vectors of a conic solver, relative to the largest, that stand for zero.
_CONIC_ZERO = 1e-7
# Neurons of the same direction become one if the objective rises by less than this fraction of tol.
_JOINED = 0.1
# Relative gaps below this are zero but for rounding.
_ROUNDING = 1e-14
# Columns whose spread is below this fraction of their size are constant.
_CONSTANT = 1e-12


@dataclass(frozen=True)
class PatternSolution(Solution):
    """A Solution with the certificate of its program and, if gated, one gate for each neuron."""

    gates: np.ndarray | None = None
    program: Certificate | None = None

    @property
    def reached(self):
        return self.program


@dataclass(frozen=True)
class PatternSettings:
    """Which program: ``patterns`` is an array (d or p, P), "exact", or a number to be sampled.

    ``penalty`` is that of gated networks with several outputs.
    """

    gated: bool
    patterns: object = None
    solver: str = "newton"
    penalty: str = "group"
    gap_tol: float | None = None
    max_iter: int | None = None

    @property
    def all_patterns(self):
        return isinstance(self.patterns, str)  # "exact", the only word there is

    @property
    def count(self):
        """How many patterns are sampled; None where they are given."""
        if self.patterns is None:
            return GATED_PATTERNS if self.gated else RELU_PATTERNS
        return int(self.patterns) if isinstance(self.patterns, Integral) else None

    @property
    def goals(self):
        tol = PROGRAM_TOL if self.gap_tol is None else self.gap_tol
        return {"tol": tol, "max_iter": self.max_iter, "solver": self.solver}

    @property
    def zero(self):
        """The fraction of the largest neuron up to which others stand for none."""
        # Zeros of the package's own solver are exact.
        return 0.0 if self.solver == "newton" else max(_CONIC_ZERO, self.goals["tol"])


# ------------------------------------------------------------------------------------ the program


class PatternProgram:
    """The program over given patterns of one problem, for any alpha.

    Parameters
    ----------
    problem : Problem
    rng : numpy Generator
    settings : PatternSettings
    """

    def __init__(self, problem, rng, settings):
        self.problem, self.settings = problem, settings
        rows = problem.rows
        self.patterns = choose_patterns(rows, settings, rng)
        self.pricing = None if settings.gated else make_pricing(rows, rng)
        if settings.gated:
            largest = _gated_alpha_max(rows, self.gated_groups, settings.penalty)
        else:
            largest = constant_start(rows, self.pricing).prices.largest
        self.alpha_max = largest * problem.alpha_unit

    @property
    def scale(self):
        """``alpha="scale"`` in the units of the data."""
        # With a constant target every alpha gives the same constant network.
        factor = GATED_SCALE if self.settings.gated else 1.0
        return factor * scale_alpha(self.problem.rows, self.alpha_max) or self.problem.alpha_unit

    @cached_property
    def gated_groups(self):
        """The maps of the gated program over the patterns."""
        return FreeGroups(self.problem.rows.dense(), self.patterns.without_idle().active)

    def solve(self, alpha):
        """The PatternSolution for ``alpha`` in the units of the data."""
        rows, alpha = self.problem.rows, alpha / self.problem.alpha_unit
        if self.settings.gated:
            found = _solve_gated(rows, self.patterns, alpha, self.settings)
        else:
            found = _solve_relu(rows, self.patterns, alpha, self.settings, self.pricing)
        program, network, gates, certificate = found
        history = end_of_history(
            certificate,
            n_neurons=network.n_neurons,
            violation=max(0.0, certificate.kappa / alpha - 1.0),
        )
        return PatternSolution(
            network,
            certificate,
            program.status,
            alpha,
            max(1, program.n_iter),
            history,
            gates=gates,
            program=program.certificate,
        )

    def advance(self, alpha, enough=None):
        """``coefs, intercepts`` of the network for the next alpha of a path, solved to the end."""
        return self.problem.layers(self.solve(alpha).network)


def _solve_gated(rows, patterns, alpha, settings):
    """The program, its network with the gates of its neurons, and the certificate."""
    program = train_gated(rows, patterns, alpha, penalty=settings.penalty, **settings.goals)
    gates, network = gated_neurons(program.network)
    kept = _above(network, settings.zero)
    gates, network = gates[:, kept], network.keep(kept)
    activations = active_gates(rows.X, gates) * (rows.dense() @ network.U.T)
    Z = activations @ network.C + network.b0
    network, certificate = _evaluated(rows, rows.at(Z, network), alpha, program.certificate)
    return _of_network(program, certificate, settings), network, gates, certificate


def _solve_relu(rows, patterns, alpha, settings, pricing):
    """The same for ReLU networks, which have no gates; the certificate is about (P)."""
    program = train_relu(rows, patterns, alpha, **settings.goals)
    network = program.network.keep(_above(program.network, settings.zero))
    network, certificate = _joined(rows, network, alpha, settings, program.certificate)
    program = _of_network(program, certificate, settings)
    if not settings.all_patterns or rows.n_outputs > 1:
        certificate = _priced(rows, network, certificate, alpha, pricing, program.R)
    return program, network, None, certificate


def _of_network(program, certificate, settings):
    """The solution with the gap of its network, which rounding may have made worse."""
    if settings.solver != "newton":
        return program  # the gap is that of its vectors, before those near zero are dropped
    missed = certificate.relative_gap > 1.01 * settings.goals["tol"] + _ROUNDING
    inaccurate = missed and program.status is Status.GAP
    status = Status.INACCURATE if inaccurate else program.status
    return replace(program, certificate=certificate, status=status)


def _joined(rows, network, alpha, settings, program):
    """The network with neurons of the same direction as one, and its certificate."""
    rows = rows.with_dtype(np.float64)

    def evaluated(network):
        return _evaluated(rows, rows.evaluate(network), alpha, program)

    found, joined = evaluated(network), evaluated(network.merged())
    # In columns of small units neurons of nearly the same direction may be far apart in the data.
    rise = joined[1].primal - found[1].primal
    return joined if rise <= _JOINED * settings.goals["tol"] * found[1].size else found


def start_from_patterns(problem, alpha, settings, *, rng):
    """A Start for the cutting plane: the solution of the program over given patterns.

    ``alpha`` is in the units of the data.
    """
    rows = problem.rows
    patterns = choose_patterns(rows, settings, rng)
    alpha = alpha / problem.alpha_unit
    program = train_relu(rows, patterns, alpha, tol=START_TOL, solver=settings.solver)
    return Start(program.network.merged(), width=0.0)


# ----------------------------------------------------------------------------------- the patterns


def choose_patterns(rows, settings, rng):
    """The Patterns of the rows that the settings name.

    Gates are evaluated in the units and in the precision of the data, as in prediction.
    """
    _check_dense(rows)
    if settings.all_patterns:
        patterns = _all_patterns(rows)
        if not settings.gated:
            return patterns
        gates = patterns.gates
    elif settings.count is not None:
        gates = sample_gates(rows, settings.count, rng, gated=settings.gated)
    else:
        gates = _given_gates(rows, settings.patterns)
    gates = gates.astype(rows.X.dtype)
    return distinct(gates, active_gates(rows.X, gates))


def sample_gates(rows, n_patterns, rng, *, gated=True):
    """Random gates (p, n_patterns), isotropic for standardised columns and a constant.

    The patterns then depend neither on the units of the columns nor, with an intercept, on their
    origin.  Gates cost nothing, but the neurons of ReLU networks are penalised in the units of the
    columns, which may favour other patterns: for them every second direction is isotropic in these
    units.  Directions do not depend on the number or order of rows, and more of them begin with
    the same ones.
    """
    d = rows.n_features
    directions = rng.standard_normal((n_patterns, rows.n_columns))
    centre, spread = _moments(rows)
    slopes = directions[:, :d] * spread
    gates = slopes
    if rows.intercept:
        gates = np.column_stack([slopes, directions[:, d] - slopes @ centre])
    if not gated:
        gates[1::2] = directions[1::2]
    # Rows of length 1 may have entries in any units: the length of a gate has no meaning.
    largest = np.abs(gates).max(axis=1, keepdims=True)
    return (gates / np.where(largest > 0, largest, 1.0)).T


def _moments(rows):
    """Means of the columns (zeros without an intercept), and one over their deviations, or zero."""
    X, w = _plain_rows(rows), rows.weights
    size = np.abs(X).max(axis=0, initial=0.0)
    scaled = X / np.where(size > 0, size, 1.0)
    centre = w @ scaled if rows.intercept else np.zeros(X.shape[1])
    deviation = np.sqrt(w @ (scaled - centre) ** 2)
    varies = deviation > _CONSTANT
    with np.errstate(divide="ignore", over="ignore"):
        spread = np.where(varies, 1.0 / np.where(varies, deviation * size, 1.0), 0.0)
    return centre * size, spread


def _all_patterns(rows):
    even, T = Metric.of(rows).even(rows.dense())
    reduced, _ = reduce_rank(distinct_lines(even))
    bound = count_bound(*reduced.shape)
    if bound > MAX_PATTERNS or bound * len(even) > _MAX_ENTRIES:
        raise ValueError(
            f"patterns='exact' needs all activation patterns, of which {len(reduced)} distinct "
            f"rows of rank {reduced.shape[1]} may have {bound:.3g}, more than can be written out: "
            "give a number of patterns to sample, use the cutting plane of ConvexReLURegressor or "
            "ConvexReLUClassifier, or fewer features."
        )
    found = enumerate_patterns(even, MAX_PATTERNS)
    return found._replace(gates=T @ found.gates)


def _given_gates(rows, gates):
    d = rows.n_features
    if len(gates) == d and rows.intercept:
        return np.vstack([gates, np.zeros((1, gates.shape[1]))])
    if len(gates) != rows.n_columns:
        wanted = f"{d} or {d + 1} rows (one per feature, and one for the constant)"
        raise ValueError(
            f"patterns of shape {gates.shape} do not fit: gates for {d} features have "
            f"{wanted if rows.intercept else f'{d} rows, one per feature'}."
        )
    return gates


def _plain_rows(rows):
    X = rows.X.toarray() if rows.sparse else rows.X
    return X.astype(np.float64, copy=False)


def _check_dense(rows):
    size = 8 * rows.n_rows * rows.n_columns
    if rows.sparse and size > _DENSE_BYTES:
        raise ValueError(
            f"A program over given patterns needs X as an array, and this sparse X would take "
            f"{size / 2**30:.1f} GB: use the cutting plane of ConvexReLURegressor or "
            "ConvexReLUClassifier, or fewer columns."
        )


# -------------------------------------------------------------------------------------- the alpha


def _gated_alpha_max(rows, groups, penalty):
    """The largest price of a gate, ``X^T D_j R``: a column of it, or its largest singular value."""
    R = constant_residual(rows)
    if penalty == "nuclear" and rows.n_outputs > 1:
        sizes = np.linalg.norm(gate_prices(groups, R), ord=2, axis=(1, 2))
    else:
        sizes = np.concatenate([groups.screen(u, 1.0)[0] for u in R.T])
    largest = float(sizes.max(initial=0.0))
    return largest if largest > rows.dual_point(R).noise() else 0.0


# -------------------------------------------------------------------------------------- the result


def _above(network, fraction):
    """Which neurons have more than this fraction of the largest size."""
    return network.sizes > fraction * network.sizes.max(initial=0.0)


def _evaluated(rows, state, alpha, program):
    """The network with its best intercept; its own objective with the dual value of the program."""
    if rows.loss.smooth:
        state = rows.settled(state)
    size = state.size(alpha)
    primal = state.objective(alpha)
    return state.network, Certificate(primal, program.dual, program.kappa, "exact", size)


def _priced(rows, network, of_program, alpha, pricing, R):
    """The certificate of a network about (P), from the dual variable ``R`` of its program."""
    kappa = pricing(rows, R, network, effort=2).largest
    point = rows.dual_point(R)
    return point.certify(of_program.primal, alpha, kappa, pricing.kind, of_program.size)
