"""Refit of the output weights of a network: a convex problem, solved to exact zeros."""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.column_generation.faces import finish_on_face, newton_on_face, proximal
from sklearn_convexnn.core.column_generation.proximal_newton import proximal_newton
from sklearn_convexnn.core.problem.output_layer import OutputLayer

# Changes of face in a refit.
_FACES = 4
# Iterations on moments that take as long as a step on all rows.
_ITERATIONS_PER_STEP = 10


def refit(rows, network, alpha, *, max_iter, tol=1e-4, gain=0.0, newton=True, memory=256 << 20):
    """Group lasso in the output weights over the fixed directions of ``network``.

    A group is what one neuron has: ``n_outputs`` weights for each of its features.

    Proximal steps find the face, the set of weights that are not zero; Newton's method finds the
    minimum on it.  For the squared error both work on moments, whose cost does not depend on n, and
    the steps are those of FISTA; for other losses they are proximal Newton steps, of which one
    counts as ten of ``max_iter``.  Stops when no optimality condition, of a group or of the
    intercept, is off by more than ``tol * alpha``, and proximal Newton steps where the next one
    promises a decrease by less than ``gain`` times the loss.

    ``newton=False`` leaves out the second part, except for one output with the squared error, a
    lasso, where it costs next to nothing.  ``memory`` is what the features of all rows may take, in
    bytes: beyond, they are computed again in every pass.
    """
    if network.n_neurons == 0:
        return network
    if rows.loss.quadratic:
        return _refit_by_moments(rows, network, alpha, max_iter, tol, newton)
    layer = OutputLayer(rows, network.U, memory)
    newton = newton and layer.features is not None
    C, b0, steps = network.C, network.b0, max(1, max_iter // _ITERATIONS_PER_STEP)
    for _ in range(_FACES if newton else 1):
        C, b0, off = proximal_newton(layer, C, b0, alpha, max_steps=steps, tol=tol, gain=gain)
        if not newton or off <= tol:
            break
        C, b0 = newton_on_face(RowModel(layer), C, b0, alpha)
    return network.with_outputs(C, b0).pruned()


def _refit_by_moments(rows, network, alpha, max_iter, tol, newton):
    cells = rows.neurons.n_cells
    mean, gram, cross = rows.moments(network.U)
    if rows.intercept:
        # What a neuron adds that is constant on these rows, up to rounding, is the intercept's.
        varying = np.diag(gram) - mean**2 > 4 * np.finfo(float).eps * np.diag(gram)
        varying = varying.reshape(-1, cells).any(axis=1)
        kept = np.repeat(varying, cells)
        network, mean, cross = network.keep(varying), mean[kept], cross[kept]
        gram = gram[np.ix_(kept, kept)]
        if not varying.any():
            return network.with_outputs(network.C, rows.mean_target())
    model = _MomentModel(rows, network, mean, gram, cross)
    lasso = network.C.shape[1] == 1
    # One number per neuron, or its group would not remain one in scaled weights.
    squares = np.diag(gram).reshape(-1, cells).max(axis=1)
    norms = np.sqrt(np.maximum(squares, np.finfo(float).tiny))
    # Neurons that are never active on these rows only cost: they start, and stay, at zero.
    C, b0 = np.where(squares[:, None] > 0, network.C, 0.0), network.b0
    for _ in range(_FACES if newton and not lasso else 1):
        C, off = _accelerated_prox(model, C, norms, alpha, max_iter, tol)
        if lasso:
            C = finish_on_face(model.gram, model.cross, C, alpha)
        elif newton:
            C, _ = newton_on_face(model, C, b0, alpha)
        if off <= tol:
            break
    return network.with_outputs(*model.finish(C, b0)).pruned()


class _MomentModel:
    """Squared error of the output weights through centred moments; the intercept is eliminated.

    Moments are those of features, of which a neuron has ``cells``; weights ``C`` have one row for
    each neuron.
    """

    def __init__(self, rows, network, mean, gram, cross):
        target = rows.mean_target()
        self.has_intercept, self.cells = rows.intercept, rows.neurons.n_cells
        self.mean, self.target, self.fixed = mean, target, network.b0
        if rows.intercept:
            gram = gram - np.outer(mean, mean)
            cross = cross - np.outer(mean, target)
        elif np.any(network.b0):
            cross = cross - np.outer(mean, network.b0)
        self.gram, self.cross = gram, cross

    def _by_feature(self, C):
        return C.reshape(len(self.mean), len(self.target))

    def value(self, C, b0):
        C = self._by_feature(C)
        return 0.5 * np.vdot(C, self.gram @ C) - np.vdot(C, self.cross)

    def gradient(self, C, b0):
        slopes = self.gram @ self._by_feature(C) - self.cross
        return slopes.reshape(C.shape), np.zeros_like(b0)

    def face_hessian(self, support, C, b0):
        """Second derivatives in the weights of ``support``, then in the intercept (if free)."""
        chosen = (support[:, None] * self.cells + np.arange(self.cells)).ravel()
        return np.kron(self.gram[np.ix_(chosen, chosen)], np.eye(len(b0)))

    def smoothness(self, norms):
        norms = np.repeat(norms, self.cells)
        return np.linalg.norm(self.gram / np.outer(norms, norms), 2)

    def finish(self, C, b0):
        if self.has_intercept:
            b0 = self.target - self.mean @ self._by_feature(C)
        return C, b0 if self.has_intercept else self.fixed


class RowModel:
    """Any loss, through the features, for Newton's method on a face."""

    def __init__(self, layer):
        self.layer = layer

    def value(self, C, b0):
        return self.layer.loss(C, b0)

    def gradient(self, C, b0):
        return self.layer.loss_and_gradients(C, b0)[1:]

    def face_hessian(self, support, C, b0):
        """Second derivatives in the weights of ``support``, then in the intercept (if free)."""
        return self.layer.hessian(support, C, b0)

    def finish(self, C, b0):
        return C, b0


def _accelerated_prox(model, C, norms, alpha, max_iter, tol):
    """FISTA with the gradient restart of O'Donoghue & Candes in the weights ``norms * C``.

    Returns the weights and the largest violation of an optimality condition, relative to alpha.
    """
    scale = norms[:, None]
    step = 1.0 / max(model.smoothness(norms), np.finfo(float).tiny)
    threshold = alpha / norms  # penalty of a group in scaled weights
    x = z = C * scale
    momentum, worst = 1.0, np.inf
    for _ in range(max_iter):
        gradient = model.gradient(z / scale, np.zeros(0))[0]
        x_next = proximal(z - step * gradient / scale, step * threshold)
        worst = np.max(np.linalg.norm(z - x_next, axis=1) / (step * threshold))
        if np.vdot(z - x_next, x_next - x) > 0:
            momentum = 1.0
        momentum_next = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
        z = x_next + (momentum - 1.0) / momentum_next * (x_next - x)
        x, momentum = x_next, momentum_next
        if worst <= tol:
            break
    return x / scale, worst
