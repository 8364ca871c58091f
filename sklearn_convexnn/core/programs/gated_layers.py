"""Gated ReLU networks as layers: neuron j is ``1[x^T g_j > 0] (x^T u_j + b_j)``, then ``c_j``.

The same two lists of arrays as for ReLU networks and one gate for each neuron; gates (d, m), or
(d + 1, m) with a last row for the constant.  With the lengths of ``(u_j, b_j)`` and ``c_j`` equal
the penalty is the weight decay of these layers.
"""

from __future__ import annotations

import numpy as np

from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.programs.gated_network import GatedNetwork

# Rows of hidden activations held at once, in bytes.
_PREDICT_BYTES = 64 << 20
# Difference of the outputs of a gated network and its ReLU network, relative to the largest.
_AGREEMENT = 1e-6


def active_gates(X, gates):
    """Which gates ``x^T g > 0`` are open, (n, m) of bool; rows dense or CSR, without constant.

    In double precision whatever the rows have: a gate that rounding opens moves the outputs by
    more than rounding.
    """
    gates = np.asarray(gates, dtype=np.float64)
    d = X.shape[1]
    H = np.asarray(X.astype(np.float64, copy=False) @ gates[:d])
    return (H + gates[d] if len(gates) > d else H) > 0


def gated_activations(X, gates, W, bias):
    """Activations of the hidden neurons, (n, m)."""
    H = np.asarray(X @ W)
    H += bias
    H *= active_gates(X, gates)
    return H


def gated_outputs(X, gates, coefs, intercepts):
    """Outputs of the layers ``coefs, intercepts``, in blocks of rows of bounded memory."""
    n, m = X.shape[0], coefs[0].shape[1]
    Z = np.empty((n, coefs[1].shape[1]), dtype=np.result_type(X.dtype, coefs[0].dtype))
    step = max(1, _PREDICT_BYTES // (16 * max(1, m)))
    for start in range(0, n, step):
        block = slice(start, start + step)
        Z[block] = gated_activations(X[block], gates, coefs[0], intercepts[0]) @ coefs[1]
    Z += intercepts[1]
    return Z


def gated_neurons(network):
    """The neurons of a GatedNetwork: their gates (p, m), and directions and outputs as a Network.

    One neuron for every gate and output with a vector, or for every singular value of a gate.
    """
    neurons = list(network.neurons())
    p, n_outputs = len(network.gates), len(network.b0)
    index = [j for j, _, _ in neurons]
    U = np.reshape([v for _, v, _ in neurons], (-1, p))
    C = np.reshape([c for _, _, c in neurons], (-1, n_outputs))
    return network.gates[:, index], Network.from_factors(U, C, network.b0)


def relu_of_layers(X, gates, coefs, intercepts):
    """A ReLU network with the outputs of gated layers on the rows ``X`` (n, d), and its price.

    See :meth:`~sklearn_convexnn.core.programs.gated_network.GatedNetwork.to_relu`.

    Returns
    -------
    coefs, intercepts : lists of two ndarrays
        Layers of balanced neurons.
    price : float
        The penalty over that of the gated layers.

    Raises
    ------
    ValueError
        If rounding makes the outputs differ.
    """
    d, intercept = X.shape[1], len(gates) > X.shape[1]
    A = np.column_stack([X, np.ones(len(X))]) if intercept else np.asarray(X)
    W = np.vstack([coefs[0], intercepts[0]]) if intercept else coefs[0]
    V = np.einsum("pm,mc->mpc", W.astype(np.float64), coefs[1].astype(np.float64))
    # Each neuron has rank one, whichever norm it was trained with.
    network = GatedNetwork(np.asarray(gates, dtype=np.float64), V, intercepts[1], "nuclear")
    A = A.astype(np.float64)
    relu, price = network.to_relu(A)
    _check_agreement(
        np.maximum(A @ relu.U.T, 0) @ relu.C, network.outputs(A) - network.b0, relu.penalty()
    )
    U, C = relu.balanced()
    dtype = coefs[0].dtype
    biases = U[:, d] if intercept else np.zeros(len(U))
    return (
        [np.ascontiguousarray(U[:, :d].T, dtype=dtype), C.astype(dtype)],
        [biases.astype(dtype), intercepts[1].copy()],
        price,
    )


def _check_agreement(Z, wanted, penalty):
    """Cones may be so narrow that their vectors are the differences of far longer ones."""
    if len(Z) and np.abs(Z - wanted).max() > _AGREEMENT * np.abs(wanted).max(initial=0.0):
        raise ValueError(
            "The cones of the gates are so narrow that rounding spoils the outputs of ReLU neurons "
            f"in them, whose penalty would be {penalty:.1e}: standardise X, or use fewer features."
        )
