"""Gated networks as layers: gates, activations, outputs in blocks, the ReLU network behind them."""

import numpy as np
import pytest
from scipy import sparse

from sklearn_convexnn.core.programs import gated_layers
from sklearn_convexnn.core.programs.gated_layers import (
    active_gates,
    gated_activations,
    gated_neurons,
    gated_outputs,
    relu_of_layers,
)
from sklearn_convexnn.core.programs.gated_network import GatedNetwork


def make_layers(intercept=True, n_outputs=2, d=3, m=6, seed=0):
    rng = np.random.default_rng(seed)
    gates = rng.standard_normal((d + intercept, m))
    W, C = rng.standard_normal((d, m)), np.eye(n_outputs)[np.arange(m) % n_outputs]
    C *= rng.choice([-2.0, 3.0], m)[:, None]
    bias = rng.standard_normal(m) if intercept else np.zeros(m)
    return gates, [W, C], [bias, rng.standard_normal(n_outputs)]


@pytest.mark.parametrize("intercept", [True, False])
def test_outputs_are_the_formula(intercept):
    gates, coefs, intercepts = make_layers(intercept)
    X = np.random.default_rng(1).standard_normal((11, 3))
    A = np.column_stack([X, np.ones(11)]) if intercept else X
    hidden = (A @ gates > 0) * (X @ coefs[0] + intercepts[0])
    np.testing.assert_allclose(gated_activations(X, gates, coefs[0], intercepts[0]), hidden)
    expected = hidden @ coefs[1] + intercepts[1]
    np.testing.assert_allclose(gated_outputs(X, gates, coefs, intercepts), expected)
    rows = sparse.csr_array(X)
    np.testing.assert_allclose(gated_outputs(rows, gates, coefs, intercepts), expected)


def test_blocks_change_nothing(monkeypatch):
    gates, coefs, intercepts = make_layers()
    X = np.random.default_rng(1).standard_normal((50, 3))
    whole = gated_outputs(X, gates, coefs, intercepts)
    monkeypatch.setattr(gated_layers, "_PREDICT_BYTES", 700)
    np.testing.assert_allclose(gated_outputs(X, gates, coefs, intercepts), whole, rtol=1e-13)


def test_a_gate_through_a_row_is_closed_there():
    """A threshold at a value of the data: rounding must not open it."""
    X = np.array([[0.1], [0.3], [0.7]])
    for threshold in X[:, 0]:
        gate = np.array([[1.0], [-threshold]])
        np.testing.assert_array_equal(active_gates(X, gate)[:, 0], X[:, 0] > threshold)


def test_gates_in_double_precision():
    """Rows and gates of single precision: the sum of their products is not rounded to it."""
    X = np.array([[1.0, 1.0 + 2.0**-23]], dtype=np.float32)
    gates = np.array([[1.0 + 2.0**-23], [-1.0]], dtype=np.float32)
    assert not active_gates(X, gates).any()
    assert active_gates(X, gates * np.array([[1 + 2.0**-22], [1]], dtype=np.float32)).all()


def test_neurons_of_a_network():
    """One for every gate and output with a vector, with the outputs and the penalty of it."""
    rng = np.random.default_rng(0)
    V = rng.standard_normal((4, 3, 2))
    V[1, :, 0] = V[2] = 0.0
    network = GatedNetwork(rng.standard_normal((3, 4)), V, np.zeros(2))
    gates, neurons = gated_neurons(network)
    assert neurons.n_neurons == gates.shape[1] == 5
    assert neurons.penalty() == pytest.approx(network.penalty())
    A = rng.standard_normal((20, 3))
    Z = ((A @ gates > 0) * (A @ neurons.U.T)) @ neurons.C
    np.testing.assert_allclose(Z, network.outputs(A))


@pytest.mark.parametrize("intercept", [True, False])
def test_relu_of_layers(intercept):
    gates, coefs, intercepts = make_layers(intercept)
    X = np.random.default_rng(1).standard_normal((15, 3))
    (W, C), (bias, b0), price = relu_of_layers(X, gates, coefs, intercepts)
    Z = np.maximum(X @ W + bias, 0) @ C + b0
    np.testing.assert_allclose(Z, gated_outputs(X, gates, coefs, intercepts), atol=1e-9)
    inner = np.linalg.norm(np.vstack([W, bias]), axis=0)
    np.testing.assert_allclose(inner, np.linalg.norm(C, axis=1))
    before = np.linalg.norm(np.vstack([coefs[0], intercepts[0]]), axis=0)
    penalty = before @ np.linalg.norm(coefs[1], axis=1)
    assert price == pytest.approx((inner**2).sum() / penalty)
    assert price >= 1


def test_cones_too_narrow_for_rounding():
    """Agreement on the rows is what is promised: no network without it is returned."""
    gates, coefs, intercepts = make_layers()
    X = np.random.default_rng(1).standard_normal((15, 3))
    gates[3], X = gates[3] * 1e6, X * 1e6
    with pytest.raises(ValueError, match="standardise X"):
        relu_of_layers(X, gates, coefs, intercepts)
