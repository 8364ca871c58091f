"""A two-layer ReLU network as three arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_convexnn.core.problem.metric import ISOTROPIC
from sklearn_convexnn.core.problem.neurons import ReLU


@dataclass(frozen=True)
class Network:
    """``z(x) = sum_j c_j (x^T u_j)_+ + b0`` with unit directions ``u_j``.

    Parameters
    ----------
    U : ndarray of shape (m, p), unit rows
    C : ndarray of shape (m, C)
    b0 : ndarray of shape (C,)
    """

    U: np.ndarray
    C: np.ndarray
    b0: np.ndarray

    @classmethod
    def constant(cls, b0, n_columns, n_weights=None):
        """The network without neurons, each of which would have ``n_weights`` (by default C)."""
        weights = np.zeros((0, len(b0) if n_weights is None else n_weights))
        return cls(np.zeros((0, n_columns)), weights, np.asarray(b0, dtype=float))

    @classmethod
    def from_factors(cls, U, C, b0):
        """From directions of any length: the lengths move to the output weights."""
        lengths = np.linalg.norm(U, axis=1)
        alive = (lengths > 0) & np.any(C != 0, axis=1)
        lengths = lengths[alive, None]
        return cls(U[alive] / lengths, C[alive] * lengths, b0)

    @property
    def n_neurons(self):
        return len(self.U)

    @property
    def sizes(self):
        """``||c_j||_2`` of every neuron."""
        return np.linalg.norm(self.C, axis=1)

    def penalty(self):
        """``sum_j ||c_j||_2``, equal to half the sum of squared weights when balanced."""
        return float(self.sizes.sum())

    def balanced(self):
        """Factors with ``||u_j|| = ||c_j||``: the minimum of the weight decay for this function."""
        root = np.sqrt(self.sizes)[:, None]
        return self.U * root, self.C / np.where(root > 0, root, 1.0)

    def pruned(self):
        """Without the neurons whose output weights are exactly zero."""
        return self.keep(self.sizes > 0)

    def keep(self, which):
        return Network(self.U[which], self.C[which], self.b0)

    def largest(self, count):
        """The ``count`` neurons of largest penalty, in their present order."""
        if self.n_neurons <= count:
            return self
        order = np.argsort(-self.sizes, kind="stable")[:count]
        return self.keep(np.sort(order))

    def with_outputs(self, C, b0):
        return Network(self.U, C, b0)

    def extended(self, U, C):
        return Network(np.concatenate([self.U, U]), np.concatenate([self.C, C]), self.b0)

    def merged(self, tolerance=1e-9, metric=ISOTROPIC):
        """Neurons with the same direction (``1 - cosine <= tolerance``) become one.

        The function changes by at most the rounding that the tolerance allows and the penalty does
        not rise (triangle inequality).
        """
        if self.n_neurons < 2:
            return self
        unit = metric.unit(self.U)
        cosines = unit @ unit.T
        same = cosines >= 1.0 - tolerance
        leader = np.argmax(same, axis=1)
        leaders = np.unique(leader)
        if len(leaders) == self.n_neurons:
            return self
        C = np.zeros_like(self.C)
        np.add.at(C, leader, self.C)
        return Network(self.U[leaders], C[leaders], self.b0)

    def condensed(self, angle, metric=ISOTROPIC):
        """Neurons within ``angle`` (radians) of a larger one join it, in a direction between them.

        The penalty does not rise, the function changes slightly: a start for a slide, which soon
        finds what the cluster was an awkward picture of.
        """
        if self.n_neurons < 2 or angle <= 0:
            return self
        order = np.argsort(-self.sizes, kind="stable")
        U, C, sizes = self.U[order], self.C[order], self.sizes[order]
        unit = metric.unit(U)
        near = np.cos(angle) - unit @ unit.T <= 0
        leader = np.full(len(U), -1)
        for j in range(len(U)):
            if leader[j] < 0:
                leader[near[j] & (leader < 0)] = j
        leaders = np.unique(leader)
        if len(leaders) == len(U):
            return self
        outputs, directions = np.zeros_like(C), np.zeros_like(U)
        np.add.at(outputs, leader, C)
        # Also a cluster of neurons without weight has a direction.
        np.add.at(directions, leader, np.maximum(sizes, 1e-9 * (sizes[0] or 1.0))[:, None] * U)
        directions = directions[leaders]
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        return Network(directions, outputs[leaders], self.b0)


# ---------------------------------------------------------------------- layers as lists of arrays

# Rows of hidden activations held at once by `network_outputs`, in bytes.
_PREDICT_BYTES = 64 << 20
_RELU = ReLU()


# For the flag of invalid numbers see NumpyEngine: those of finite rows that overflow still warn.
@np.errstate(invalid="ignore")
def hidden_activations(X, W, bias, neurons=_RELU, xp=np):
    """Features of neurons, ``(X W + bias)_+`` for ReLUs of rows ``X`` dense or sparse.

    ``xp`` is the array namespace of the rows, the weights and the result.
    """
    X = neurons.inputs(xp, X)
    if xp is not np and X.dtype != W.dtype:  # not every library multiplies what is unlike
        dtype = xp.result_type(X.dtype, W.dtype)
        X, W, bias = (xp.astype(part, dtype) for part in (X, W, bias))
    H = X @ W
    H += bias
    return neurons.activate(xp, H, False)[0]


def path_norms(coefs):
    """``sum_j |u_jk| ||c_j||`` of every input k, (d,): what the penalty spends on its paths."""
    first, last = coefs
    return np.abs(first) @ np.linalg.norm(last, axis=1)


def shares(sizes):
    """Numbers of sum 1 in proportion to ``sizes``, or zeros."""
    largest = sizes.max(initial=0.0)
    if largest == 0.0:
        return np.zeros_like(sizes)
    sizes = sizes / largest  # their sum could overflow
    return sizes / sizes.sum()


@np.errstate(invalid="ignore")
def network_outputs(X, coefs, intercepts, neurons=_RELU, xp=np):
    """Outputs of the layers ``coefs, intercepts``, in blocks of rows of bounded memory.

    ``xp`` is the array namespace of the rows, the layers and the result.
    """
    if xp is not np:
        return _outputs_elsewhere(xp, X, coefs, intercepts, neurons)
    (n, d), m = X.shape, len(coefs[1])
    last = coefs[1].reshape(m * neurons.n_cells, -1) if m else np.zeros((0, len(intercepts[1])))
    Z = np.zeros((n, last.shape[1]), dtype=np.result_type(X.dtype, coefs[0].dtype))
    size = Z.dtype.itemsize * max(1, m) * max(neurons.n_cells, neurons.n_inputs(d))
    step = max(1, _PREDICT_BYTES // size)
    for start in range(0, n if m else 0, step):
        block = slice(start, start + step)
        Z[block] = hidden_activations(X[block], coefs[0], intercepts[0], neurons) @ last
    Z += intercepts[1]
    return Z


def _outputs_elsewhere(xp, X, coefs, intercepts, neurons):
    """The same on a device, with blocks one after the other."""
    n, m, dtype = X.shape[0], coefs[0].shape[1], xp.result_type(X.dtype, coefs[0].dtype)
    last, bias = (xp.astype(part, dtype) for part in (coefs[1], intercepts[1]))
    if not m:
        return xp.zeros((n, bias.shape[0]), dtype=dtype, device=X.device) + bias
    step, parts = max(1, _PREDICT_BYTES // (8 * m)), []
    for start in range(0, n, step):
        block = X[start : min(start + step, n), :]
        A = hidden_activations(block, coefs[0], intercepts[0], neurons, xp)
        parts.append(xp.astype(A, dtype) @ last + bias)
    return xp.concat(parts)
