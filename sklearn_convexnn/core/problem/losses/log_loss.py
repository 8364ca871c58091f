"""The log-loss: logistic for one output, cross-entropy of the softmax for several."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from sklearn_convexnn.core.problem.losses.loss import (
    EPS,
    Loss,
    entropy_term,
    identity,
    namespace,
    row_products,
    where_inside,
)

_LEAST_PROBABILITY = 1e-14


def _logistic(Z):
    return expit(Z) if isinstance(Z, np.ndarray) else 1.0 / (1.0 + namespace(Z).exp(-Z))


class BinaryLogLoss(Loss):
    """``log(1 + exp(z)) - y * z`` for one output and ``y`` in [0, 1]."""

    name = "log_loss"
    separable = constant_of_mean = True
    probabilities = True
    score = "log_likelihood"

    def value(self, Y, Z):
        xp = namespace(Z)
        return (xp.logaddexp(xp.zeros_like(Z), Z) - Y * Z)[:, 0]

    def gradient(self, Y, Z):
        return _logistic(Z) - Y

    def value_and_gradient(self, Y, Z):
        # One exponential serves both; exp(-|z|) cannot overflow.
        xp = namespace(Z)
        decay = xp.exp(-xp.abs(Z))
        positive = xp.clip(Z, 0.0, xp.inf)
        value = xp.log1p(decay) + positive - Y * Z
        gradient = xp.where(positive > 0, 1.0, decay) / (1.0 + decay) - Y
        return value[:, 0], gradient

    def hessian(self, Y, Z):
        return self.majorant(Y, Z)[:, :, None]

    def majorant(self, Y, Z):
        return _logistic(Z) * _logistic(-Z)

    def smoothness(self):
        return 0.25

    def dual(self, Y, rho):
        # -loss*(y, -rho) is the entropy of the probability p = y - rho.
        P, xp = Y - rho, namespace(rho)
        inside = (P >= 0.0) & (P <= 1.0)
        P = xp.clip(P, 0.0, 1.0)
        entropy = -entropy_term(P) - entropy_term(1.0 - P)
        return xp.sum(where_inside(inside, entropy), axis=1)

    def outputs(self, Y, rho):
        return logit(np.clip(Y - rho, _LEAST_PROBABILITY, 1.0 - _LEAST_PROBABILITY))

    def longest_step(self, Y, rho, change):
        return _longest_step(Y - rho, -change)

    def constant(self, Y, weights):
        p = weights @ Y
        return np.log(p) - np.log1p(-p)

    def conic(self, cp, Y, weights, z):
        return cp.sum(cp.multiply(weights, cp.logistic(z[0]) - cp.multiply(Y[:, 0], z[0])))


class MultinomialLogLoss(Loss):
    """``logsumexp(z) - <y, z>`` for C outputs and ``y`` in the simplex (one-hot)."""

    name = "log_loss"
    constant_of_mean = True
    probabilities = True
    score = "log_likelihood"

    def value(self, Y, Z):
        return self.value_and_gradient(Y, Z)[0]

    def gradient(self, Y, Z):
        return self.value_and_gradient(Y, Z)[1]

    def value_and_gradient(self, Y, Z):
        if not isinstance(Z, np.ndarray):
            return self._value_and_gradient(namespace(Z), Y, Z)
        Y = Y.astype(Z.dtype, copy=False)
        # One row per class: NumPy reduces along the long axis several times faster.
        P = np.array(Z.T, order="C")
        largest = P.max(axis=0)
        P -= largest
        np.exp(P, out=P)
        total = P.sum(axis=0)
        P /= total
        value = np.log(total) + largest - np.einsum("ij,ij->i", Y, Z)
        return value, P.T - Y

    def _value_and_gradient(self, xp, Y, Z):
        Y = xp.astype(Y, Z.dtype, copy=False)
        largest = xp.max(Z, axis=1, keepdims=True)
        P = xp.exp(Z - largest)
        total = xp.sum(P, axis=1, keepdims=True)
        return (xp.log(total) + largest)[:, 0] - row_products(Y, Z), P / total - Y

    def hessian(self, Y, Z):
        P = self.gradient(Y, Z) + Y
        return P[:, :, None] * identity(Z) - P[:, :, None] * P[:, None, :]

    def curvature(self, Y, Z):
        # Classes that are ruled out keep a trace of it: the square root is divided by.
        P = np.maximum(self.gradient(Y, Z) + Y, _LEAST_PROBABILITY)
        P /= P.sum(axis=1, keepdims=True)
        return P, P

    def majorant(self, Y, Z):
        # diag(p) - p p^T is at most diag(p), and by Gershgorin's theorem at most diag(2 p (1 - p)),
        # which is next to nothing where the class is beyond doubt.
        P, xp = self.gradient(Y, Z) + Y, namespace(Z)
        sure = xp.max(P, axis=1, keepdims=True) > 0.5
        return P * xp.where(sure, 2.0 - 2.0 * P, xp.ones_like(P))

    def mean_hessian(self, Y, Z, weights):
        return self.mean_derivatives(Y, Z, weights)[2]

    def mean_derivatives(self, Y, Z, weights):
        # One exponential serves all, without the (n, C, C) array: this is called for all rows.
        values, gradients = self.value_and_gradient(Y, Z)
        P = gradients + Y
        weighted = weights[:, None] * P
        sums = namespace(Z).sum(weighted, axis=0)
        hessian = sums * identity(Z) - weighted.T @ P
        return weights @ values, weights @ gradients, hessian

    def smoothness(self):
        return 0.5

    def dual(self, Y, rho):
        # The entropy of the probabilities p = y - rho; their sum is 1 iff rho sums to 0.
        P, xp = Y - rho, namespace(rho)
        tolerance = 64 * EPS * Y.shape[1]
        inside = xp.min(P, axis=1) >= -tolerance
        inside = inside & (xp.abs(xp.sum(rho, axis=1)) <= tolerance)
        return where_inside(inside, -xp.sum(entropy_term(xp.clip(P, 0.0, 1.0)), axis=1))

    def outputs(self, Y, rho):
        logits = np.log(np.maximum(Y - rho, _LEAST_PROBABILITY))
        return logits - logits.mean(axis=1, keepdims=True)

    def longest_step(self, Y, rho, change):
        return _longest_step(Y - rho, -change)

    def constant(self, Y, weights):
        logits = np.log(weights @ Y)
        return logits - logits.mean()

    def conic(self, cp, Y, weights, z):
        Z = cp.vstack(z)
        total = cp.sum(cp.multiply(weights, cp.log_sum_exp(Z, axis=0)))
        return total - cp.sum(cp.multiply(weights * Y.T, Z))


def _longest_step(P, change):
    """The largest ``t`` with all of ``P + t * change`` between 0 and 1."""
    room = np.where(change < 0, P, 1.0 - P)
    moving = change != 0
    return float(np.min(room[moving] / np.abs(change[moving]), initial=np.inf))
