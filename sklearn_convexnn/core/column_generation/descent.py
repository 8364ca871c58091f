"""The two local improvements of a network: slide its neurons, refit its output weights.

Both lower the training objective (P); the first moves everything and is not convex, the second is
convex in the output weights over fixed directions and leaves exact zeros.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from sklearn_convexnn.core.problem.metric import ISOTROPIC
from sklearn_convexnn.core.problem.network import Network

# Pairs of vectors that L-BFGS may remember; matters for very many columns only.
_HISTORY_BYTES = 256 << 20
# Changes of face in a refit, and the number of weights up to which Newton's method is used on one.
_FACES = 4
# Halvings of a step until the loss is below its model.
_HALVINGS = 60
_LARGEST_FACE = 400
# Least curvature of a row, relative to the largest, in Newton's method on losses without any on
# whole stretches: a system without curvature has no solution.
_LEAST_CURVATURE = 1e-6


def slide(rows, network, alpha, *, max_iter, width=0.0, tol=1e-12, metric=ISOTROPIC):
    """L-BFGS on the weight-decay form of (P): all directions, output weights and the intercept.

    ``F(Z) + alpha/2 * sum_j (||u_j||^2 + ||c_j||^2)`` has the minimum of (P) and is smooth but for
    the kinks, which ``width`` (relative to ``||u_j||``) replaces by parabolas.  Ends after
    ``max_iter`` iterations or with one that lowers the objective by less than ``tol`` times it.

    With a metric the unknowns are in its axes and in units of about one over the root of their
    curvature, ``c_j^2 s^2 + alpha`` for a direction.

    Returns the network; it need not be better under the true ReLU, the caller decides.
    """
    U, C = network.balanced()
    (m, p), n_outputs = U.shape, C.shape[1]
    end_U, end_C = m * p, m * (p + n_outputs)
    # The width is fixed during a slide: as a function of u it would enter the gradient.
    reach = metric.lengths(U)
    smoothing = width * reach if width > 0 else None
    if not metric.trivial:
        squares = np.sum(C**2, axis=1, keepdims=True)
        unit_U = np.sqrt(squares * metric.sizes**2 + alpha)
        unit_C = np.sqrt(np.sum((U @ metric.axes * metric.sizes) ** 2, axis=1) + alpha)[:, None]

    def parts(theta):
        Y, C = theta[:end_U].reshape(m, p), theta[end_U:end_C].reshape(m, n_outputs)
        if metric.trivial:
            return Y, C, theta[end_C:]
        return (Y / unit_U) @ metric.axes.T, C / unit_C, theta[end_C:]

    def objective(theta):
        U, C, b0 = parts(theta)
        value, dU, dC, db0 = rows.loss_and_gradients(U, C, b0, smoothing)
        factors = theta[:end_C]
        if not metric.trivial:
            dU, dC = ((dU + alpha * U) @ metric.axes) / unit_U, (dC + alpha * C) / unit_C
            factors = np.concatenate([U.ravel(), C.ravel()])
        gradient = np.concatenate([dU.ravel(), dC.ravel(), db0])
        if metric.trivial:
            gradient[:end_C] += alpha * factors
        if not rows.intercept:
            gradient[end_C:] = 0.0
        return value + 0.5 * alpha * (factors @ factors), gradient

    start = U, C
    if not metric.trivial:
        start = U @ metric.axes * unit_U, C * unit_C
    start = np.concatenate([start[0].ravel(), start[1].ravel(), network.b0])
    options = {
        "maxiter": max_iter,
        "maxfun": 2 * max_iter + 20,
        "maxcor": int(np.clip(_HISTORY_BYTES // (16 * len(start)), 3, 10)),
        "ftol": tol,
        "gtol": 0.0,
    }
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    return Network.from_factors(*(part.copy() for part in parts(found.x)))


def refit(rows, network, alpha, *, max_iter, tol=1e-4, newton=True, memory=256 << 20):
    """Group lasso in the output weights over the fixed directions of ``network``.

    A group is what one neuron has: ``n_outputs`` weights for each of its features.

    Accelerated proximal gradient (FISTA with restart) on activations scaled to unit norm finds the
    face, the set of weights that are not zero; Newton's method finds the minimum on it.  For the
    squared error both work on moments, whose cost does not depend on n.  Stops when no optimality
    condition, of a group or of the intercept, is off by more than ``tol * alpha``.

    ``newton=False`` leaves out the second part, except for one output with the squared error, a
    lasso, where it costs next to nothing.
    """
    if network.n_neurons == 0:
        return network
    cells = rows.neurons.n_cells
    mean, gram, cross = rows.moments(network.U)
    if rows.loss.quadratic:
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
    else:
        model = _RowModel(rows, network, mean, gram, memory)
        newton = newton and model.features is not None
    lasso = isinstance(model, _MomentModel) and network.C.shape[1] == 1
    # One number per neuron, or its group would not remain one in scaled weights.
    squares = np.diag(gram).reshape(-1, cells).max(axis=1)
    norms = np.sqrt(np.maximum(squares, np.finfo(float).tiny))
    # Neurons that are never active on these rows only cost: they start, and stay, at zero.
    C, b0 = np.where(squares[:, None] > 0, network.C, 0.0), network.b0
    for _ in range(_FACES if newton and not lasso else 1):
        C, b0, off = _accelerated_prox(model, C, b0, norms, alpha, max_iter, tol)
        if lasso:
            C, b0 = model.finish(_finish_on_face(model.gram, model.cross, C, alpha), b0)
        elif newton:
            C, b0 = _newton_on_face(model, C, b0, alpha)
        if off <= tol:
            break
    return network.with_outputs(C, b0).pruned()


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

    bounded = True

    def smoothness(self, norms, C, b0):
        norms = np.repeat(norms, self.cells)
        return np.linalg.norm(self.gram / np.outer(norms, norms), 2)

    def finish(self, C, b0):
        if self.has_intercept:
            b0 = self.target - self.mean @ self._by_feature(C)
        return C, b0 if self.has_intercept else self.fixed


class _RowModel:
    """Any loss, through the features: kept if they fit in ``memory``, else computed again."""

    def __init__(self, rows, network, mean, gram, memory):
        self.rows, self.U = rows, network.U
        self.mean, self.gram = mean, gram
        size = rows.n_rows * len(mean) * rows.dtype.itemsize
        self.features = rows.hidden(network.U) if size <= memory else None

    def value(self, C, b0):
        return self.rows.fitted_loss(self.features, C, b0)

    def gradient(self, C, b0):
        rows = self.rows
        if self.features is None:
            _, _, dC, db0 = rows.loss_and_gradients(self.U, C, b0)
        else:
            dC, db0 = rows.fitted_gradients(self.features, C, b0)
        return dC, (db0 if rows.intercept else np.zeros_like(b0))

    def face_hessian(self, support, C, b0):
        """Second derivatives in the weights of ``support``, then in the intercept (if free)."""
        loss = self.rows.loss
        least = _LEAST_CURVATURE * loss.smoothness() if loss.flat else 0.0
        return self.rows.fitted_hessian(self.features, support, C, b0, least)

    @property
    def bounded(self):
        """Is :meth:`smoothness` that of all points, not only of the one given?"""
        return np.isfinite(self.rows.loss.smoothness())

    def smoothness(self, norms, C, b0):
        norms = np.repeat(norms, self.rows.neurons.n_cells)
        scaled = self.gram / np.outer(norms, norms)
        if self.rows.intercept:
            edge = self.mean / norms
            scaled = np.block([[scaled, edge[:, None]], [edge[None, :], np.ones((1, 1))]])
        return self._largest_curvature(C, b0) * np.linalg.norm(scaled, 2)

    def _largest_curvature(self, C, b0):
        """Of the loss in its outputs; without a bound, the mean one here."""
        rows = self.rows
        if self.bounded:
            return rows.loss.smoothness()
        state = rows.at(rows.outputs(self.U, C, b0))
        return np.linalg.norm(state.of_shift(np.zeros_like(b0))[2], 2)

    def finish(self, C, b0):
        return C, b0


def _accelerated_prox(model, C, b0, norms, alpha, max_iter, tol):
    """FISTA with the gradient restart of O'Donoghue & Candes in the weights ``norms * C``.

    Where the curvature has no bound the step is halved until the loss stays below its model there
    (Beck & Teboulle's backtracking).
    """
    scale = norms[:, None]
    step = 1.0 / max(model.smoothness(norms, C, b0), np.finfo(float).tiny)
    threshold = alpha / norms  # penalty of a group in scaled weights
    x, xb = C * scale, b0
    z, zb, momentum, worst = x, xb, 1.0, np.inf
    for _ in range(max_iter):
        gradient, gradient_b0 = model.gradient(z / scale, zb)
        x_next = _proximal(z - step * gradient / scale, step * threshold)
        xb_next = zb - step * gradient_b0
        for _ in range(0 if model.bounded else _HALVINGS):
            ends = (z, zb), (x_next, xb_next)
            if _below_model(model, scale, ends, (gradient / scale, gradient_b0), step):
                break
            step *= 0.5
            x_next = _proximal(z - step * gradient / scale, step * threshold)
            xb_next = zb - step * gradient_b0
        off = np.linalg.norm(z - x_next, axis=1) / (step * threshold)
        if np.vdot(z - x_next, x_next - x) + np.vdot(zb - xb_next, xb_next - xb) > 0:
            momentum = 1.0
        momentum_next = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
        weight = (momentum - 1.0) / momentum_next
        z, zb = x_next + weight * (x_next - x), xb_next + weight * (xb_next - xb)
        x, xb, momentum = x_next, xb_next, momentum_next
        worst = max(off.max(), np.abs(gradient_b0).max() / alpha)
        if worst <= tol:
            break
    return (*model.finish(x / scale, xb), worst)


def _proximal(v, threshold):
    """Groups shrink by ``threshold``, to nothing if they are shorter."""
    lengths = np.linalg.norm(v, axis=1)
    excess = np.maximum(0.0, lengths - threshold)
    return v * (excess / np.where(excess > 0, lengths, 1.0))[:, None]


def _below_model(model, scale, ends, gradient, step):
    """Whether the loss at the second of ``ends`` is below its model at the first.

    The model is the parabola of curvature ``1 / step``.
    """
    before, after = (model.value(x / scale, b) for x, b in ends)
    moves = [new - old for old, new in zip(*ends, strict=True)]
    slope = sum(np.vdot(g, move) for g, move in zip(gradient, moves, strict=True))
    squares = sum(np.vdot(move, move) for move in moves)
    # Values in single precision; a step that is lost in their rounding is no longer tested.
    rounding = 16 * np.finfo(np.float32).eps * abs(before)
    return after <= before + slope + squares / (2.0 * step) + rounding


def _finish_on_face(gram, cross, C, alpha):
    """Lasso on the present support and signs, dropping weights that would change sign.

    Every move goes towards the minimiser of a convex quadratic on the face, so the objective never
    rises; at most one weight leaves per turn.
    """
    c = C[:, 0].copy()
    support = np.flatnonzero(c)
    for _ in range(len(support)):
        signs = np.sign(c[support])
        system = gram[np.ix_(support, support)]
        # Neurons whose activations coincide make the system singular; the ridge is at rounding
        # level.
        ridge = 1e-13 * np.trace(system) * np.eye(len(support))
        target = np.linalg.solve(system + ridge, cross[support, 0] - alpha * signs)
        reversing = target * signs <= 0
        if not reversing.any():
            c[support] = target
            break
        current = c[support]
        ratios = np.where(reversing, current / np.where(reversing, current - target, 1.0), np.inf)
        leaving = int(np.argmin(ratios))
        c[support] = current + ratios[leaving] * (target - current)
        c[support[leaving]] = 0.0
        support = np.delete(support, leaving)
        if not len(support):
            break
    return c[:, None]


def _newton_on_face(model, C, b0, alpha, max_iter=200):
    """Newton's method on the weights that are not zero; a weight that would turn round leaves.

    There ``alpha * ||c||`` is smooth, with the curvature ``alpha/||c|| * (I - c c^T / ||c||^2)``.
    """
    n_outputs = C.shape[1]
    value = model.value(C, b0) + alpha * np.linalg.norm(C, axis=1).sum()
    for _ in range(max_iter):
        lengths = np.linalg.norm(C, axis=1)
        support = np.flatnonzero(lengths)
        k = len(support)
        if k == 0 or k * n_outputs > _LARGEST_FACE:
            break
        unit = C[support] / lengths[support, None]
        gradient, gradient_b0 = model.gradient(C, b0)
        slope = (gradient[support] + alpha * unit).ravel()
        system = model.face_hessian(support, C, b0)
        if len(system) > len(slope):
            slope = np.concatenate([slope, gradient_b0])
        round_ = alpha / lengths[support, None, None] * np.eye(n_outputs)
        round_ = round_ - alpha / lengths[support, None, None] * unit[:, :, None] * unit[:, None, :]
        for j in range(k):
            block = slice(j * n_outputs, (j + 1) * n_outputs)
            system[block, block] += round_[j]
        # Neurons whose activations coincide make the system singular: a ridge at rounding level.
        system[np.diag_indices_from(system)] += 1e-13 * np.trace(system)
        step = -np.linalg.solve(system, slope)
        decrease = -float(slope @ step)
        if decrease <= 1e-15 * abs(value):
            break
        move = step[: k * n_outputs].reshape(k, n_outputs)
        move_b0 = step[k * n_outputs :] if len(step) > k * n_outputs else np.zeros_like(b0)
        fraction = 1.0
        if n_outputs == 1:
            # Straight to the first weight that turns round: on a face with too many weights the
            # step is long, and leaves through the corner where the activations are independent.
            turning = move[:, 0] * C[support, 0] < -(C[support, 0] ** 2)
            if turning.any():
                fraction = float(np.min(-C[support, 0][turning] / move[turning, 0]))
        least = 1e-6 * fraction
        while fraction > least:
            trial, trial_b0 = C.copy(), b0 + fraction * move_b0
            moved = C[support] + fraction * move
            moved[np.einsum("jc,jc->j", moved, C[support]) <= 1e-14 * lengths[support] ** 2] = 0.0
            trial[support] = moved
            trial_value = model.value(trial, trial_b0) + alpha * np.linalg.norm(moved, axis=1).sum()
            if trial_value <= value - 1e-4 * fraction * decrease:
                break
            fraction *= 0.5
        else:
            break
        C, b0, value = trial, trial_b0, trial_value
    return model.finish(C, b0)
