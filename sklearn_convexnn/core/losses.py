"""Losses: value, derivative and dual value per row; the registry that names them.

Each loss is a convex function ``loss(y, z)`` of the output ``z`` (a row of ``C`` numbers).  The
training problem (P) (see :mod:`sklearn_convexnn.core.column_generation`) weighs the rows with ``w_i
>= 0``, ``sum_i w_i = 1``.  Its dual variable is ``rho_i = -gradient of loss(y_i, .)`` (without the
weight), and the value of the dual function at ``rho`` is::

    D(rho) = sum_i w_i * dual(y_i, rho_i),      dual(y, rho) = -loss*(y, -rho)

where ``loss*`` is the convex conjugate in ``z``.  By Fenchel-Young,
``loss(y, z) - dual(y, rho) + <rho, z> >= 0`` with equality at ``rho = -gradient(y, z)``: this
identity is what the tests check for every registered loss.

A new loss is one subclass and one line in :data:`LOSSES`.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit, xlogy

_LEAST_PROBABILITY = 1e-14


class Loss:
    """A convex loss of the network output, vectorised over rows.

    All methods take ``Y`` and ``Z`` of shape (n, C), in the working dtype of the rows.
    """

    name: str
    # Is the loss a quadratic function of the output?
    quadratic = False

    def value(self, Y, Z):
        """Loss of every row, shape (n,)."""
        raise NotImplementedError

    def gradient(self, Y, Z):
        """Derivative with respect to the output of every row, shape (n, C)."""
        raise NotImplementedError

    def value_and_gradient(self, Y, Z):
        """Both at once, for losses that share work between them."""
        return self.value(Y, Z), self.gradient(Y, Z)

    def hessian(self, Y, Z):
        """Second derivative of every row, shape (n, C, C)."""
        raise NotImplementedError

    def curvature(self, Y, Z):
        """``s`` and ``P``, (n, C), of the second derivatives ``diag(s) - s P^T`` of every row.

        ``P`` is None where the outputs do not meet.
        """
        return np.einsum("icc->ic", self.hessian(Y, Z)), None

    def mean_hessian(self, Y, Z, weights):
        """Weighted sum over rows of the second derivatives, shape (C, C)."""
        return np.einsum("i,icd->cd", weights, self.hessian(Y, Z))

    def smoothness(self):
        """Lipschitz constant of :meth:`gradient`: an upper bound on the second derivative."""
        raise NotImplementedError

    def dual(self, Y, rho):
        """``-loss*(y, -rho)`` of every row, shape (n,); ``-inf`` outside the domain."""
        raise NotImplementedError

    def outputs(self, Y, rho):
        """Outputs at which ``rho = -gradient``, for ``rho`` inside the domain of the dual."""
        raise NotImplementedError

    def longest_step(self, Y, rho, change):
        """The largest ``t`` with ``rho + t * change`` in the domain of the dual."""
        raise NotImplementedError

    def constant(self, Y, weights):
        """The output that minimises the weighted loss when every row gets the same, shape (C,)."""
        raise NotImplementedError

    def best_scale(self, Y, rho, weights, limit):
        """The ``s`` in ``[0, limit]`` to multiply the dual variable ``rho`` with.

        ``s * rho`` must stay in the domain of the dual.  Because ``0`` and ``rho`` are in that
        convex domain every ``s <= 1`` is safe; a loss whose dual is finite everywhere can do
        better than this default.
        """
        return min(1.0, limit)


class SquaredError(Loss):
    """``1/2 * ||y - z||^2``."""

    name = "squared_error"
    quadratic = True

    def value(self, Y, Z):
        D = Z - Y
        return 0.5 * np.einsum("ij,ij->i", D, D)

    def gradient(self, Y, Z):
        return Z - Y

    def value_and_gradient(self, Y, Z):
        D = Z - Y
        return 0.5 * np.einsum("ij,ij->i", D, D), D

    def hessian(self, Y, Z):
        n, C = Z.shape
        return np.broadcast_to(np.eye(C), (n, C, C))

    def smoothness(self):
        return 1.0

    def dual(self, Y, rho):
        # loss*(y, q) = 1/2 ||q||^2 + <q, y> at q = -rho
        return np.einsum("ij,ij->i", rho, Y - 0.5 * rho)

    def outputs(self, Y, rho):
        return Y - rho

    def constant(self, Y, weights):
        return weights @ Y

    def best_scale(self, Y, rho, weights, limit):
        # D(s rho) = s <y, rho>_w - s^2/2 ||rho||_w^2 is a parabola in s.
        curvature = weights @ np.einsum("ij,ij->i", rho, rho)
        if curvature <= 0.0:
            return 0.0
        return float(np.clip(weights @ np.einsum("ij,ij->i", rho, Y) / curvature, 0.0, limit))


class BinaryLogLoss(Loss):
    """``log(1 + exp(z)) - y * z`` for one output and ``y`` in [0, 1]."""

    name = "log_loss (binary)"

    def value(self, Y, Z):
        return (np.logaddexp(0.0, Z) - Y * Z).sum(axis=1)

    def gradient(self, Y, Z):
        return expit(Z) - Y

    def value_and_gradient(self, Y, Z):
        # One exponential serves both; exp(-|z|) cannot overflow.
        decay = np.exp(-np.abs(Z))
        positive = np.maximum(Z, 0.0)
        value = np.log1p(decay) + positive - Y * Z
        gradient = np.where(positive > 0, 1.0, decay) / (1.0 + decay) - Y
        return value.sum(axis=1), gradient

    def hessian(self, Y, Z):
        return (expit(Z) * expit(-Z))[:, :, None]

    def smoothness(self):
        return 0.25

    def dual(self, Y, rho):
        # -loss*(y, -rho) is the entropy of the probability p = y - rho.
        P = Y - rho
        inside = (P >= 0.0) & (P <= 1.0)
        P = np.clip(P, 0.0, 1.0)
        return np.where(inside, -xlogy(P, P) - xlogy(1.0 - P, 1.0 - P), -np.inf).sum(axis=1)

    def outputs(self, Y, rho):
        return logit(np.clip(Y - rho, _LEAST_PROBABILITY, 1.0 - _LEAST_PROBABILITY))

    def longest_step(self, Y, rho, change):
        return _longest_step(Y - rho, -change)

    def constant(self, Y, weights):
        p = weights @ Y
        return np.log(p) - np.log1p(-p)


class MultinomialLogLoss(Loss):
    """``logsumexp(z) - <y, z>`` for C outputs and ``y`` in the simplex (one-hot)."""

    name = "log_loss (multinomial)"

    def value(self, Y, Z):
        return self.value_and_gradient(Y, Z)[0]

    def gradient(self, Y, Z):
        return self.value_and_gradient(Y, Z)[1]

    def value_and_gradient(self, Y, Z):
        # One row per class: NumPy reduces along the long axis several times faster.
        P = np.array(Z.T, order="C")
        largest = P.max(axis=0)
        P -= largest
        np.exp(P, out=P)
        total = P.sum(axis=0)
        P /= total
        value = np.log(total) + largest - np.einsum("ij,ij->i", Y, Z)
        return value, P.T - Y

    def hessian(self, Y, Z):
        P = self.gradient(Y, Z) + Y
        return P[:, :, None] * np.eye(Z.shape[1]) - P[:, :, None] * P[:, None, :]

    def curvature(self, Y, Z):
        # Classes that are ruled out keep a trace of it: the square root is divided by.
        P = np.maximum(self.gradient(Y, Z) + Y, _LEAST_PROBABILITY)
        P /= P.sum(axis=1, keepdims=True)
        return P, P

    def mean_hessian(self, Y, Z, weights):
        # Without the (n, C, C) array: this one is called for all rows.
        P = self.gradient(Y, Z) + Y
        weighted = weights[:, None] * P
        return np.diag(weighted.sum(axis=0)) - weighted.T @ P

    def smoothness(self):
        return 0.5

    def dual(self, Y, rho):
        # The entropy of the probabilities p = y - rho; their sum is 1 iff rho sums to 0.
        P = Y - rho
        tolerance = 64 * np.finfo(P.dtype).eps * Y.shape[1]
        inside = (P.min(axis=1) >= -tolerance) & (np.abs(rho.sum(axis=1)) <= tolerance)
        P = np.clip(P, 0.0, 1.0)
        return np.where(inside, -xlogy(P, P).sum(axis=1), -np.inf)

    def outputs(self, Y, rho):
        logits = np.log(np.maximum(Y - rho, _LEAST_PROBABILITY))
        return logits - logits.mean(axis=1, keepdims=True)

    def longest_step(self, Y, rho, change):
        return _longest_step(Y - rho, -change)

    def constant(self, Y, weights):
        logits = np.log(weights @ Y)
        return logits - logits.mean()


def _longest_step(P, change):
    """The largest ``t`` with all of ``P + t * change`` between 0 and 1."""
    room = np.where(change < 0, P, 1.0 - P)
    moving = change != 0
    return float(np.min(room[moving] / np.abs(change[moving]), initial=np.inf))


class Hinge(Loss):
    """``max(0, 1 - (2 y - 1) z)`` for one output and ``y`` in {0, 1}.

    It has kinks, so that only the conic solvers (:mod:`sklearn_convexnn.core.conic`) take it.
    """

    name = "hinge"

    def value(self, Y, Z):
        return np.maximum(1.0 - (2.0 * Y - 1.0) * Z, 0.0).sum(axis=1)

    def gradient(self, Y, Z):
        signs = 2.0 * Y - 1.0
        return np.where(signs * Z < 1.0, -signs, 0.0)

    def dual(self, Y, rho):
        # max_z of -<rho, z> - loss is finite iff sign * rho lies in [0, 1].
        share = ((2.0 * Y - 1.0) * rho).sum(axis=1)
        tolerance = 64 * np.finfo(float).eps
        return np.where((share >= -tolerance) & (share <= 1 + tolerance), share, -np.inf)

    def constant(self, Y, weights):
        # Any number between -1 and 1 for classes of equal weight.
        return np.sign(weights @ (2.0 * Y - 1.0))


LOSSES = {
    "squared_error": lambda n_outputs: SquaredError(),
    "log_loss": lambda n_outputs: BinaryLogLoss() if n_outputs == 1 else MultinomialLogLoss(),
}


def get_loss(name, n_outputs):
    """The loss registered under ``name`` for a network with ``n_outputs`` outputs.

    The hinge loss is not in the registry of those that every solver takes.
    """
    if name == Hinge.name:
        return Hinge()
    return LOSSES[name](n_outputs)
