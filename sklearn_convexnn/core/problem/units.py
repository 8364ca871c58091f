"""From data in the user's units to one well-scaled training problem, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_convexnn.core.problem.engines.choice import engine_of, part_engine_of
from sklearn_convexnn.core.problem.engines.coded import coded_if_cheaper
from sklearn_convexnn.core.problem.engines.row_arrays import is_large, row_by_row
from sklearn_convexnn.core.problem.facts import Facts, each_block, row_lengths, row_scale
from sklearn_convexnn.core.problem.network import Network, network_outputs
from sklearn_convexnn.core.problem.rows import Rows
from sklearn_convexnn.core.problem.training_set import TrainingSet, stored_bytes

# Beyond these the descent is badly conditioned: the length of the mean row (with its constant) over
# the spread of the rows about it, and the largest weight of a row over the smallest.
_LARGEST_OFFSET = 8.0
_LARGEST_WEIGHT_RATIO = 1e3


@dataclass(frozen=True)
class Problem:
    """Rows in working units and the way back to the units of the data.

    In working units a row is ``x_scale * [x, 1]`` (typical norm 1) and an output is
    ``(z - y_shift) / y_scale``; the loss says which shift and scale, and in which unit residuals
    then are.  For the squared error targets have standard deviation 1, ``alpha`` becomes
    ``alpha * x_scale / y_scale`` and the objective shrinks by ``y_scale^2``.
    """

    rows: Rows
    y_shift: np.ndarray
    y_scale: float
    residual_unit: float
    objective_offset: float = 0.0
    spread: np.ndarray | None = None
    data: TrainingSet | None = None

    def part(self, index):
        """The training problem of some of the distinct rows, in units of its own."""
        return problem_of_part(self.data, index)

    @property
    def alpha_unit(self):
        """Working alpha = alpha / alpha_unit."""
        return self.residual_unit / self.rows.scale

    @property
    def objective_unit(self):
        """A difference of objectives = that of working objectives * objective_unit."""
        return self.y_scale * self.residual_unit

    def objective(self, working):
        """The objective in the units of the data."""
        return working * self.objective_unit + self.objective_offset

    def layers(self, network):
        """``coefs, intercepts`` as in scikit-learn's perceptrons, neurons balanced.

        ``coefs = [(d, m), (m, C)]``, ``intercepts = [(m,), (C,)]``, for neurons of several features
        with as many times C columns in the second, with
        ``||[coefs[0][:, j], intercepts[0][j]]|| = ||coefs[1][j]||`` for every neuron j: the sum of
        squares of these weights is twice the penalty of (P).  The first are those of the units,
        where neurons have several.
        """
        U, C = network.balanced()
        # In the user's units a neuron is longer by this factor, half of it in each layer.
        root = np.sqrt(self.rows.scale) * np.sqrt(self.y_scale)
        W, C = self.rows.neurons.units(root * U), root * C
        d, dtype = W.shape[1] - self.rows.intercept, self.rows.engine.dtype
        biases = W[:, d] if self.rows.intercept else np.zeros(len(W))
        coefs = [np.ascontiguousarray(W[:, :d].T, dtype=dtype), C.astype(dtype)]
        return coefs, [
            biases.astype(dtype),
            (network.b0 * self.y_scale + self.y_shift).astype(dtype),
        ]

    def outputs(self, X, coefs, intercepts):
        """Outputs of the layers on any rows."""
        return network_outputs(X, coefs, intercepts, self.rows.neurons)

    def network(self, coefs, intercepts):
        """The network in working units from the layers of :meth:`layers`."""
        W = np.asarray(coefs[0], dtype=np.float64).T
        if self.rows.intercept:
            W = np.column_stack([W, intercepts[0]])
        U = self.rows.neurons.of_units(W)
        C = np.asarray(coefs[1], dtype=np.float64) / (self.rows.scale * self.y_scale)
        b0 = (np.asarray(intercepts[1], dtype=np.float64) - self.y_shift) / self.y_scale
        return Network.from_factors(U, C, b0 if self.rows.intercept else np.zeros_like(b0))


def obstacle(rows):
    """What makes the descent on these rows badly conditioned, with its remedy; None if nothing.

    With features far from zero (or tiny ones beside the constant), neurons with a kink among the
    rows are nearly orthogonal to the mean row: a small change of their direction takes the kink
    away. Of extreme weights most add next to nothing to the loss, but carry constraints.
    """
    spread = mean_square_spread(rows)
    if 1.0 - spread >= spread * _LARGEST_OFFSET**2:
        return (
            "The rows, with a constant for the bias, differ little compared with their length: "
            + rows.neurons.remedy
        )
    statistics = rows.engine.statistics()
    if statistics.largest_weight > _LARGEST_WEIGHT_RATIO * statistics.least_weight:
        return "The weights of the rows differ extremely: use more even sample or class weights."
    return None


def mean_square_spread(rows):
    """The mean square distance of what neurons see from its mean, where its mean square is 1."""
    mean = rows.scale * rows.neurons.mean_input(rows.engine.statistics().mean_row)
    return max(0.0, 1.0 - mean @ mean - rows.intercept * rows.scale**2)


def make_problem(X, Y, weights, **settings):
    """Build the training problem; parameters are those of :meth:`.TrainingSet.of`."""
    return problem_of(TrainingSet.of(X, Y, weights, **settings))


def problem_of(data):
    """The training problem of a :class:`.TrainingSet`."""
    if _goes_by_parts(data):
        return _assembled_by_parts(data, data.Y, data.weights)
    X = coded_if_cheaper(data.X) if data.neurons.acts_on_rows else data.X
    return assembled(
        lambda Y, weights: engine_of(X, Y, weights),
        data.named_loss(),
        data.Y,
        data.weights,
        intercept=data.intercept,
        lengths=row_lengths(data.X, data.neurons.shares()),
        neurons=data.neurons,
        data=data,
    )


def problem_of_part(data, index, memory=256 << 20):
    """The training problem of some rows, ascending: of more than ``memory`` bytes not a copy."""
    if stored_bytes(data.X) <= memory:
        return problem_of(data.take(index))
    if _goes_by_parts(data):
        shape = (len(index), data.Y.shape[1])
        Y = row_by_row(data.X, lambda index: data.Y[index], index, shape=shape)
        weights = row_by_row(data.X, lambda index: data.weights[index], index)
        return _assembled_by_parts(data, Y, weights, index)
    return assembled(
        lambda Y, weights: part_engine_of(data.X, Y, weights, index),
        data.named_loss(),
        data.Y[index],
        data.weights[index],
        intercept=data.intercept,
        lengths=row_lengths(data.X, data.neurons.shares())[index],
        neurons=data.neurons,
    )


def assembled(make_engine, loss, Y, weights, *, intercept, lengths, neurons, data=None):
    """The training problem of rows of these ``lengths`` that ``make_engine(Y, weights)`` holds.

    ``loss`` and ``Y`` are in the units of the data, the engine's targets in working units.
    """
    weights = weights / weights.sum()
    units = loss.standardise(Y, weights, intercept)
    scale = row_scale(lengths, weights, intercept)
    engine = make_engine(units.Y, weights)
    rows = Rows(engine, neurons, units.loss, intercept=intercept, scale=scale)
    return Problem(rows, *units.way_back, data)


def _goes_by_parts(data):
    return is_large(data.X) and data.neurons.shares() is None


def _assembled_by_parts(data, Y, weights, index=None):
    """The same of very many rows of a file, or of those with the numbers ``index``.

    Nothing of their number is in memory.
    """
    X, loss = data.X, data.named_loss()
    facts = Facts(each_block(X, Y, weights, index))
    units = loss.standardise_facts(facts, data.intercept)
    scale = row_scale(*facts.lengths(), data.intercept)
    Y = row_by_row(X, lambda Y: loss.working_targets(Y, units), Y)
    weights = row_by_row(X, lambda weights: weights / facts.total, weights)
    engine = engine_of(X, Y, weights) if index is None else part_engine_of(X, Y, weights, index)
    rows = Rows(engine, data.neurons, units.loss, intercept=data.intercept, scale=scale)
    return Problem(rows, *units.way_back, data if index is None else None)
