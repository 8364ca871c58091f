"""The log-loss: logistic for one output, cross-entropy of the softmax for several."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit, xlogy

from sklearn_convexnn.core.problem.losses.loss import Loss

_LEAST_PROBABILITY = 1e-14


class BinaryLogLoss(Loss):
    """``log(1 + exp(z)) - y * z`` for one output and ``y`` in [0, 1]."""

    name = "log_loss"
    separable = True
    probabilities = True
    score = "log_likelihood"

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

    def constant(self, Y, weights):
        p = weights @ Y
        return np.log(p) - np.log1p(-p)

    def conic(self, cp, Y, weights, z):
        return cp.sum(cp.multiply(weights, cp.logistic(z[0]) - cp.multiply(Y[:, 0], z[0])))


class MultinomialLogLoss(Loss):
    """``logsumexp(z) - <y, z>`` for C outputs and ``y`` in the simplex (one-hot)."""

    name = "log_loss"
    probabilities = True
    score = "log_likelihood"

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

    def constant(self, Y, weights):
        logits = np.log(weights @ Y)
        return logits - logits.mean()

    def conic(self, cp, Y, weights, z):
        Z = cp.vstack(z)
        total = cp.sum(cp.multiply(weights, cp.log_sum_exp(Z, axis=0)))
        return total - cp.sum(cp.multiply(weights * Y.T, Z))
