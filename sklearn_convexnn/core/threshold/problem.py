"""From data to the training problem of a threshold network, and back.

Thresholds have no scale: the problem is the same for any affine map of the rows, and for steps in
single features for any increasing map of each.  Half-spaces are searched for among standardised
columns; that is not a part of the problem.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sklearn_convexnn.core.problem.canonical_rows import distinct_rows
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.problem.rows import Rows
from sklearn_convexnn.core.problem.training_set import TrainingSet
from sklearn_convexnn.core.threshold.complete import complete_arrangement
from sklearn_convexnn.core.threshold.neurons import Threshold, threshold_outputs
from sklearn_convexnn.core.threshold.representatives import middle_bias, widest
from sklearn_convexnn.core.threshold.step_network import ShapeFunction, StepNetwork
from sklearn_convexnn.core.threshold.step_rows import StepRows


@dataclass(frozen=True)
class ThresholdProblem:
    """Rows with targets in working units, and the way back to the units of the data.

    An output is ``(z - y_shift) / y_scale`` in working units; columns keep their penalty.
    """

    rows: object
    y_shift: np.ndarray
    y_scale: float
    residual_unit: float
    objective_offset: float
    spread: np.ndarray | None
    data: TrainingSet

    def part(self, index):
        """The training problem of some of the distinct rows, in units of its own."""
        return type(self).of(self.data.take(index))

    @classmethod
    def of(cls, data):
        """The training problem of a :class:`.TrainingSet` of dense rows."""
        weights = data.weights / data.weights.sum()
        units = data.named_loss().standardise(data.Y, weights, True)
        rows = cls._rows(data.X, units.Y, weights, units.loss)
        return cls(rows, *units.way_back, data)

    @property
    def alpha_unit(self):
        """Working alpha = alpha / alpha_unit."""
        return self.residual_unit

    @property
    def objective_unit(self):
        """A difference of objectives = that of working objectives * objective_unit."""
        return self.y_scale * self.residual_unit

    def objective(self, working):
        """The objective in the units of the data."""
        return working * self.objective_unit + self.objective_offset

    @cached_property
    def _group(self):
        """The number of every row among those that differ in ``X``."""
        return distinct_rows(self.data.X, np.zeros((len(self.data.Y), 0)))[1]

    def lower_bound(self, solution):
        """What no threshold network goes below, proven, in working units; and its outputs."""
        rows = self.rows
        residual = rows.settled(rows.evaluate(solution.network)).residual
        return complete_arrangement(
            rows.engine, rows.loss, self._group, solution.alpha, rows.engine.fetch(residual)
        )

    def _output_layer(self, C, b0):
        dtype = self.data.X.dtype
        return (self.y_scale * C).astype(dtype), (b0 * self.y_scale + self.y_shift).astype(dtype)

    def _working_outputs(self, C, b0):
        return (
            np.asarray(C, dtype=np.float64) / self.y_scale,
            (np.asarray(b0, dtype=np.float64) - self.y_shift) / self.y_scale,
        )


class StepProblem(ThresholdProblem):
    """Steps in single features."""

    @staticmethod
    def _rows(X, Y, weights, loss):
        return StepRows(X, Y, weights, loss)

    def constant(self, b0):
        return StepNetwork.constant(b0)

    def thresholds(self, network):
        """Of every step, in the middle between two neighbouring values, in the dtype of ``X``."""
        thresholds = np.empty(network.n_neurons, dtype=self.data.X.dtype)
        for j, (k, place) in enumerate(network.steps):
            low, high = self.rows.values[k][place : place + 2]
            middle = low / 2 + high / 2
            thresholds[j] = middle if low <= middle < high else low
        return thresholds

    def layers(self, network, representative="middle"):
        """``coefs, intercepts``: a hidden neuron is ``1[x_k - t > 0]``, whatever is asked for."""
        m, dtype = network.n_neurons, self.data.X.dtype
        W = np.zeros((self.rows.n_features, m), dtype=dtype)
        W[network.steps[:, 0], np.arange(m)] = 1.0
        C, b0 = self._output_layer(network.C, network.b0)
        return [W, C], [-self.thresholds(network), b0]

    def network(self, coefs, intercepts):
        """The network in working units from the layers of :meth:`layers`, of these or other rows.

        Steps that are constant on these rows join the intercept.
        """
        C, b0 = self._working_outputs(coefs[1], intercepts[1])
        features = np.argmax(coefs[0] != 0, axis=0)
        steps = np.empty((len(C), 2), dtype=np.intp)
        kept = np.zeros(len(C), dtype=bool)
        for j, (k, threshold) in enumerate(zip(features, -intercepts[0], strict=True)):
            place = int(np.searchsorted(self.rows.values[k], threshold, side="right")) - 1
            steps[j] = k, place
            kept[j] = 0 <= place < len(self.rows.values[k]) - 1
            if place < 0:
                b0 = b0 + C[j]
        return StepNetwork(steps[kept], C[kept], b0).merged()

    def outputs(self, X, coefs, intercepts):
        """Outputs of layers on any rows."""
        return threshold_outputs(X, coefs, intercepts)

    def shape_functions(self, coefs, intercepts):
        """One :class:`ShapeFunction` for each feature, and the outputs they add to, (C,)."""
        features = np.argmax(coefs[0] != 0, axis=0) if coefs[0].shape[1] else np.zeros(0, int)
        base, shapes = np.array(intercepts[1]), []
        weights, thresholds = self.rows.weights, -intercepts[0]
        for k, column in enumerate(self.data.X.T):
            own = np.flatnonzero(features == k)
            own = own[np.argsort(thresholds[own], kind="stable")]
            values = np.concatenate([np.zeros_like(base)[None], np.cumsum(coefs[1][own], axis=0)])
            mass = np.bincount(
                np.searchsorted(thresholds[own], column), weights=weights, minlength=len(values)
            )
            mean = (mass @ values).astype(values.dtype)
            shapes.append(ShapeFunction(thresholds[own], values - mean))
            base = base + mean
        return shapes, base.astype(coefs[1].dtype)


class HalfSpaceProblem(ThresholdProblem):
    """Half-spaces of all features."""

    @staticmethod
    def _rows(X, Y, weights, loss):
        centre, size = _centre_and_size(X, weights)
        A = (X.astype(np.float64) - centre) / size
        return Rows.of(A, Y, weights, loss, intercept=True, neurons=Threshold())

    @cached_property
    def _units(self):
        return _centre_and_size(self.data.X, self.rows.weights)

    def constant(self, b0):
        return Network.constant(b0, self.rows.n_columns)

    def layers(self, network, representative="middle"):
        """``coefs, intercepts``: hidden neurons of unit length, their planes between the rows.

        "middle": half way between the nearest rows of either side.  "margin": with the largest
        distance to them, in standard deviations of the columns.
        """
        X, (centre, size) = self.data.X, self._units
        on = self.rows.hidden(network.U) > 0
        U = network.U
        if representative == "margin":
            A = np.column_stack([self.rows.X, np.ones(self.rows.n_rows)])
            U = np.array([widest(A, on[:, j], u) for j, u in enumerate(U)]).reshape(U.shape)
        # In units of the smallest column: those of the data may be extreme.
        unit = size.min()
        W, shift = _unit_rows(U[:, :-1] / (size / unit))
        bias = (U[:, -1] * unit) / shift - W @ centre
        W, bias = W.T.astype(X.dtype), bias.astype(X.dtype)
        bias = np.array(
            [
                middle_bias(h, on[:, j], b)
                for j, (h, b) in enumerate(zip((X @ W).T, bias, strict=True))
            ],
            dtype=X.dtype,
        )
        C, b0 = self._output_layer(network.C, network.b0)
        return [np.ascontiguousarray(W), C], [bias, b0]

    def network(self, coefs, intercepts):
        """The network in working units from layers, of these or other rows."""
        C, b0 = self._working_outputs(coefs[1], intercepts[1])
        centre, size = self._units
        W, bias = (np.asarray(part, dtype=np.float64) for part in (coefs[0], intercepts[0]))
        U, _ = _unit_rows(np.column_stack([W.T * size, bias + centre @ W]))
        on = self.rows.hidden(U) > 0
        always, varying = on.all(axis=0), on.any(axis=0) & ~on.all(axis=0)
        return Network(U[varying], C[varying], b0 + C[always].sum(axis=0))

    def outputs(self, X, coefs, intercepts):
        """Outputs of layers on any rows."""
        return threshold_outputs(X, coefs, intercepts)


def _unit_rows(U):
    """Rows of unit length, and their lengths, without overflow of squares."""
    largest = np.abs(U).max(axis=1, initial=np.finfo(float).tiny)
    U = U / largest[:, None]
    lengths = np.linalg.norm(U, axis=1)
    return U / lengths[:, None], largest * lengths


def _centre_and_size(X, weights):
    """Mean and standard deviation of the columns; 1 where they are constant."""
    X = X.astype(np.float64)
    largest = np.abs(X).max(axis=0, initial=np.finfo(float).tiny)
    # In parts of the largest value sums and squares are numbers in any units.
    parts = X / largest
    first = parts[0]
    centre = first + weights @ (parts - first)
    reach = np.abs(parts - centre).max(axis=0)
    reach = np.where(reach > 0, reach, 1.0)
    spread = reach * np.sqrt(weights @ ((parts - centre) / reach) ** 2)
    return centre * largest, np.where(spread > 0, spread * largest, 1.0)


def make_threshold_problem(X, Y, weights, *, axis, **settings):
    """Build the training problem; settings are those of :meth:`.TrainingSet.of`."""
    data = TrainingSet.of(X, Y, weights, intercept=True, **settings)
    family = StepProblem if axis or X.shape[1] == 1 else HalfSpaceProblem
    return family.of(data)
