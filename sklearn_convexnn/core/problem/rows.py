"""Rows, targets and weights of one training problem: everything in the package that costs O(n).

:class:`Rows` is what solvers see.  It puts together where rows live
(:mod:`sklearn_convexnn.core.problem.engines`), what a neuron does to a row
(:mod:`sklearn_convexnn.core.problem.neurons`) and the loss; its passes are written once, as kernels
over one block (:mod:`sklearn_convexnn.core.problem.kernels`).  A new kind of array (a GPU
namespace, an out-of-core or distributed collection) is a new engine, a new architecture a new class
of neurons, and nothing else.

Directions ``U`` have shape (m, p), with a last column for the constant feature when ``intercept``
is true.  What a neuron sees of a row is taken as ``scale * [x_i, 1]``: the scale makes the typical
norm 1, which keeps the descent well conditioned for any units of ``X``, without a copy of ``X``.

Arrays of n rows, outputs ``Z`` and residuals ``R``, are opaque handles that stay where the rows
are.  With rows in memory a handle is the NumPy array, and any array of n rows is one.
"""

from __future__ import annotations

from copy import copy

import numpy as np

from sklearn_convexnn.core.problem import kernels
from sklearn_convexnn.core.problem.engines.in_memory import BLOCK_BYTES, NumpyEngine
from sklearn_convexnn.core.problem.neurons import ReLU
from sklearn_convexnn.core.problem.row_state import DualPoint, RowState


class Rows:
    """The rows of one training problem and the passes over them.

    Parameters
    ----------
    engine : object
        See :mod:`sklearn_convexnn.core.problem.engines`.
    neurons : object
        See :mod:`sklearn_convexnn.core.problem.neurons`.
    loss : Loss
    intercept : bool
        Append a constant feature to what neurons see, and a free intercept to the outputs.
    scale : float
        Multiplies what neurons see.
    dtype : dtype of the products, by default that of the features; sums over rows are accumulated
        in float64.
    """

    def __init__(self, engine, neurons, loss, *, intercept, scale=1.0, dtype=None):
        self.engine, self.neurons, self.loss = engine, neurons, loss
        self.intercept, self.scale = intercept, scale
        self.dtype = np.dtype(engine.dtype if dtype is None else dtype)
        self._dense = []  # of all rows, once; shared by the copies in other dtypes

    @classmethod
    def of(
        cls,
        X,
        Y,
        weights,
        loss,
        *,
        intercept,
        scale=1.0,
        dtype=None,
        neurons=None,
        block_bytes=BLOCK_BYTES,
    ):
        """Rows in memory, of ReLU neurons by default; see :class:`NumpyEngine` for the arrays."""
        engine = NumpyEngine(X, Y, weights, block_bytes=block_bytes)
        neurons = ReLU() if neurons is None else neurons
        return cls(engine, neurons, loss, intercept=intercept, scale=scale, dtype=dtype)

    # ------------------------------------------------------------------ sizes

    @property
    def n_rows(self):
        return self.engine.n_rows

    @property
    def n_features(self):
        """Columns of ``X``."""
        return self.engine.n_features

    @property
    def n_columns(self):
        """Length p of a direction."""
        neurons = self.neurons
        return neurons.n_units * (neurons.n_weights(self.engine.n_features) + self.intercept)

    @property
    def n_outputs(self):
        return self.engine.n_outputs

    @property
    def n_weights(self):
        """Output weights of a neuron: ``n_outputs`` for each of its features."""
        return self.neurons.n_cells * self.engine.n_outputs

    # ------------------------------------------------------------------ other rows

    def _with_engine(self, engine):
        other = copy(self)
        other.engine, other._dense = engine, []
        return other

    def with_dtype(self, dtype):
        """The same rows with products in another precision."""
        other = copy(self)
        other.dtype = np.dtype(dtype)
        return other

    def with_weights(self, weights):
        """The same rows, weighted otherwise; the weights are positive and sum to 1."""
        return self._with_engine(self.engine.with_weights(weights))

    def take(self, index):
        """Some of the rows with their weights as they are: they do not sum to 1."""
        return self._with_engine(self.engine.take(index))

    def sample(self, count, dtype):
        """Some of the rows, the same in any order of them, in memory and in another dtype.

        Their weights are of sum 1.
        """
        return self._with_engine(self.engine.sample(count, dtype)).with_dtype(dtype)

    def screen(self, count, R, dtype):
        """About ``count`` rows, mostly those of large residuals, and residuals for their prices.

        Sums over them are those over all rows but for the noise of the draw; that of the residuals
        is zero with an intercept.
        """
        engine, R = self.engine.draw(R, count, dtype)
        if self.intercept:
            sizes = np.abs(R)
            R = R - sizes * (R.sum(axis=0) / np.maximum(sizes.sum(axis=0), np.finfo(float).tiny))
        return self._with_engine(engine).with_dtype(dtype), engine.kept(R)

    def with_targets(self, Y):
        """The same rows with other targets (n, C)."""
        return self._with_engine(self.engine.with_targets(Y))

    def with_loss(self, loss):
        """The same rows with another loss."""
        other = copy(self)
        other.loss = loss
        return other

    # ------------------------------------------------------------------ rows in memory

    def collect(self, limit=None):
        """The same rows in memory; a ValueError where there are more than ``limit``."""
        engine = self.engine.collect(limit)
        return self if engine is self.engine else self._with_engine(engine)

    def fetch(self, handle):
        """What a pass has kept, (n, ..), in memory."""
        return self.engine.fetch(handle)

    @property
    def in_memory(self):
        """Whether all rows are in the memory of this process, or so few that they might be."""
        return self.engine.in_memory

    @property
    def at_hand(self):
        """Whether targets and weights are in memory."""
        return self.engine.in_memory and not self.engine.in_file

    @property
    def X(self):
        """Features in memory, dense or CSR."""
        engine = self.engine.collect()
        return engine.X.toarray() if engine.coded else engine.X

    @property
    def Y(self):
        return self.engine.targets()[0]

    @property
    def weights(self):
        return self.engine.targets()[1]

    @property
    def sparse(self):
        return self.engine.collect().sparse

    def dense(self):
        """The scaled rows with their constant in memory, (n, p) in float64, read-only."""
        if not self.neurons.acts_on_rows:
            raise ValueError(
                "These neurons do not act on rows as they are, and programs over activation "
                "patterns of rows do not apply to them: train them by column generation."
            )
        if not self._dense:
            X = self.X.toarray() if self.sparse else self.X
            parts = [X, np.ones((len(X), 1))] if self.intercept else [X]
            A = self.scale * np.concatenate(parts, axis=1).astype(np.float64)
            A.flags.writeable = False
            self._dense.append(A)
        return self._dense[0]

    def few(self, count):
        """At most ``count`` of the rows, in memory."""
        return self._with_engine(self.engine.first(count).collect())

    # ------------------------------------------------------------------ how passes are run

    def _map(self, kernel, *small, width, rowwise=(), keep=False):
        """A pass that reads features; ``width`` activations for each input of a row."""
        inputs = self.neurons.n_inputs(self.engine.n_features)
        return self.engine.map_reduce(
            kernel,
            *small,
            width=inputs * width,
            dtype=self.dtype,
            rowwise=rowwise,
            keep=keep,
        )

    def _directions(self, U, shift=0.0):
        """Weights (d, m * n_units) and biases of their units, scaled, in the working dtype."""
        W = (self.scale * self.neurons.units(U)).astype(self.dtype)
        if self.intercept:
            return np.ascontiguousarray(W[:, :-1].T), W[:, -1] + self.dtype.type(shift)
        return np.ascontiguousarray(W.T), (shift or None)

    def _joined(self, U, parts):
        """Gradients in the directions, (m, p), from those in weights and biases of their units."""
        slopes = np.empty((len(parts[0]), parts[0].shape[1] + self.intercept))
        np.multiply(self.scale, parts[0], out=slopes[:, : parts[0].shape[1]])
        if self.intercept:
            np.multiply(self.scale, parts[1], out=slopes[:, -1])
        return self.neurons.pull_units(U, slopes)

    def _widths(self, width):
        """One number for all directions, or one for each, (m,), in the working dtype."""
        return float(width) if np.ndim(width) == 0 else np.asarray(width, dtype=self.dtype)

    def _by_feature(self, C):
        """Output weights (m, n_weights) as (m * n_cells, C)."""
        return C.reshape(len(C) * self.neurons.n_cells, self.n_outputs)

    # ------------------------------------------------------------------ networks on the rows

    def evaluate(self, network):
        """The :class:`RowState` of a network, in double precision."""
        Z = self.with_dtype(np.float64).outputs(network.U, network.C, network.b0)
        return self.at(Z, network)

    def settled(self, state):
        """A state with the best intercept; itself where there is none."""
        return state.shifted(state.best_shift()) if self.intercept else state

    def at(self, Z, network=None):
        """The :class:`RowState` of outputs ``Z``."""
        return RowState(self.engine, self.loss, Z, network)

    def dual_point(self, R):
        """The :class:`DualPoint` of a residual ``R`` whose columns sum to zero."""
        return DualPoint(self.engine, self.loss, R)

    def constant(self):
        """The best constant output, (C,)."""
        if not self.intercept:
            return np.zeros(self.n_outputs)
        if self.loss.constant_of_mean:
            return self.loss.constant(self.mean_target()[None], np.ones(1))
        if self.at_hand:
            return self.loss.constant(self.Y, self.weights)
        none = np.zeros((0, self.n_columns)), np.zeros((0, self.n_weights))
        return self.at(self.outputs(*none, np.zeros(self.n_outputs))).best_shift()

    def balanced_residual(self):
        """Handle of the residual (n, C) of the best constant, for a loss of classes with a kink."""
        factors = np.ones((2, self.n_outputs))
        if self.intercept:
            factors = self.loss.balance(self.mean_target())
        arguments = kernels.balanced_residual, self.loss, factors
        return self.engine.map_reduce(*arguments, width=self.n_outputs, keep=True)[1]

    def mean_target(self):
        """The weighted mean of the targets, (C,)."""
        return self.engine.map_reduce(kernels.mean_target, width=self.n_outputs)[0][0]

    def hidden(self, U):
        """Handle of the features (n, m * n_cells) of neurons, in the working dtype."""
        W, bias = self._directions(U)
        return self._map(kernels.features, self.neurons, W, bias, width=len(U), keep=True)[1]

    def on_features(self, kernel, U, features, *small, width, rowwise=(), keep=False):
        """A pass over the features of directions ``U``: kept ones, or with None computed again."""
        if features is not None:
            rowwise = features, *rowwise
            return self.engine.map_reduce(kernel, *small, width=width, rowwise=rowwise, keep=keep)
        W, bias = self._directions(U)
        arguments = kernels.on_features, kernel, self.neurons, W, bias, *small
        return self._map(*arguments, width=len(U), rowwise=rowwise, keep=keep)

    def outputs(self, U, C, b0):
        """Handle of the outputs of a network, (n, C) in float64."""
        if not len(U):
            width = {"width": self.n_outputs, "keep": True}
            return self.engine.map_reduce(kernels.constant_outputs, b0, **width)[1]
        W, bias = self._directions(U)
        C = self._by_feature(C).astype(self.dtype)
        arguments = self.neurons, W, bias, C, b0
        return self._map(kernels.outputs, *arguments, width=len(U), keep=True)[1]

    def lengths(self):
        """Handle of the lengths (n, 1) of the scaled rows with their constant."""
        arguments = self.neurons, self.intercept, self.scale
        return self._map(kernels.lengths, *arguments, width=self.n_columns, keep=True)[1]

    def second_moments(self, T):
        """``T^T A^T diag(w) A T`` for the scaled rows ``A`` with their constant, in float64."""
        (moments,), _ = self.with_dtype(np.float64)._map(
            kernels.second_moments,
            self.neurons,
            self.intercept,
            self.scale,
            T,
            width=self.n_columns,
        )
        return moments

    def moments(self, U):
        """Weighted sums over rows of the features ``a`` and targets ``y``.

        Returns ``(mean a, a a^T, a y^T)`` in float64: all that the squared error needs to know
        about the rows once the directions are fixed.
        """
        W, bias = self._directions(U)
        return tuple(self._map(kernels.moments, self.neurons, W, bias, width=len(U))[0])

    def curvature_moments(self, U, state, least):
        """``(mean a, a a^T)`` where a row weighs as much as the loss bends at its outputs.

        The bend is the mean of all outputs, and ``least`` times its mean over rows is added.
        """
        mean_hessian = state.of_shift(np.zeros(self.n_outputs))[2]
        floor = float(least * np.trace(mean_hessian) / self.n_outputs + np.finfo(float).tiny)
        W, bias = self._directions(U)
        (total, mean, gram), _ = self._map(
            kernels.curvature_moments,
            self.neurons,
            self.loss,
            floor,
            W,
            bias,
            width=len(U),
            rowwise=(state.Z,),
        )
        return mean / total, gram / total

    def curvature_factors(self, U, C, b0):
        """What the loss bends by in a network of ReLUs, factor by factor, in float64.

        With ``h_ic``, at least the second derivative of the loss of row i in output c, and ``h_i``
        their sum: ``sum_i w_i h_ic`` (C,), ``sum_i w_i h_i x_i x_i^T`` (p, p), and ``sum_i w_i v_i
        v_i^T`` (m, m) for the activations ``v_i`` of the neurons and for their slopes, 0 or 1.
        """
        W, bias = self._directions(U)
        C, b0 = C.astype(self.dtype), b0.astype(self.dtype)
        arguments = self.neurons, self.loss, self.intercept, self.scale, W, bias, C, b0
        width = max(len(U), self.n_columns)
        return self._map(kernels.curvature_factors, *arguments, width=width)[0]

    def loss_and_gradients(self, U, C, b0, smoothing=None):
        """``F(Z)`` and its gradients with respect to ``U``, ``C`` and ``b0``.

        ``smoothing`` (m,) replaces the kink of each neuron by a parabola, see
        :func:`~sklearn_convexnn.core.problem.neurons.smooth_relu`.
        """
        smooth = smoothing is not None
        # The division by the widths is folded into the directions, the product with them into the
        # output weights: the passes over the activations are scalar ones.
        gain = smoothing[:, None] if smooth else 1.0
        W, bias = self._directions(U / (2.0 * gain), shift=0.5) if smooth else self._directions(U)
        (value, dC, db0, *parts), _ = self._map(
            kernels.loss_and_gradients,
            self.neurons,
            self.loss,
            smooth,
            self.intercept,
            W,
            bias,
            self._by_feature(gain * C).astype(self.dtype),
            self._by_feature(C).astype(self.dtype),
            b0.astype(self.dtype),
            width=len(U),
        )
        return float(value), self._joined(U, parts), gain * dC.reshape(C.shape), db0

    # ------------------------------------------------------------------ prices

    def prices(self, U, R):
        """``R^T h(u_j)`` for every direction, shape (m, n_weights)."""
        W, bias = self._directions(U)
        (V,), _ = self._map(kernels.prices, self.neurons, W, bias, width=len(U), rowwise=(R,))
        return V.reshape(len(U), self.n_weights)

    def prices_and_ascent(self, U, Q, R, width=None):
        """Prices and the ascent directions (m, p) of ``<q_j, R^T h(u_j)>``.

        With a ``width`` kinks are parabolas, as in :meth:`loss_and_gradients`.
        """
        smooth = width is not None
        gain = width if smooth else 1.0
        W, bias = self._directions(U / (2.0 * gain), shift=0.5) if smooth else self._directions(U)
        (V, *parts), _ = self._map(
            kernels.prices_and_ascent,
            self.neurons,
            smooth,
            self.intercept,
            W,
            bias,
            self._by_feature(Q).astype(self.dtype),
            width=len(U),
            rowwise=(R,),
        )
        return gain * V.reshape(len(U), self.n_weights), self._joined(U, parts)

    def smooth_ascent(self, U, Q, R, width, band):
        """Ascent direction (m, p) and curvature (m, p, p) of a concave minorant of the price.

        Along ``<q_j, R^T (X u)_+> = sum_i r_i (x_i^T u)_+`` a row with ``r_i > 0`` bends upwards
        and its tangent stays below it; a row with ``r_i < 0`` bends downwards at its kink, where
        maxima sit, and is smoothed over ``|x_i^T u| <= width``.  The curvature is that of the rows
        in the band ``|x_i^T u| < band``: ``sum_i |r_i| / (2 width) x_i x_i^T``.  Where ``band`` is
        wider than ``width`` the rows between keep the parabola of the inner ones.  Both may be
        arrays (m,).
        """
        W, bias = self._directions(U)
        (K, *parts), _ = self._map(
            kernels.smooth_ascent,
            self.neurons,
            self.intercept,
            self.scale,
            self._widths(width),
            self._widths(band),
            W,
            bias,
            self._by_feature(Q).astype(self.dtype),
            width=len(U),
            rowwise=(R,),
        )
        return self._joined(U, parts), kernels.as_matrices(K, self.n_columns)
