"""The three arrays of a network: every rearrangement keeps the function and never costs more."""

import numpy as np
import pytest
from scipy import sparse

from sklearn_convexnn.core.problem import network as network_module
from sklearn_convexnn.core.problem.network import Network, hidden_activations, network_outputs


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def random_network(rng, n_neurons=6, n_columns=4, n_outputs=2):
    U = rng.standard_normal((n_neurons, n_columns))
    U /= np.linalg.norm(U, axis=1, keepdims=True)
    return Network(U, rng.standard_normal((n_neurons, n_outputs)), rng.standard_normal(n_outputs))


def outputs(A, U, C, b0):
    return np.maximum(A @ U.T, 0) @ C + b0


def test_from_factors_moves_lengths_to_the_outputs(rng):
    """Unit directions, the same function; neurons that do nothing are left out."""
    U, C, b0 = rng.standard_normal((5, 3)), rng.standard_normal((5, 2)), rng.standard_normal(2)
    U[1], C[3] = 0, 0
    network = Network.from_factors(U, C, b0)
    assert network.n_neurons == 3
    np.testing.assert_allclose(np.linalg.norm(network.U, axis=1), 1)
    A = rng.standard_normal((20, 3))
    np.testing.assert_allclose(
        outputs(A, network.U, network.C, network.b0), outputs(A, U, C, b0), rtol=1e-12, atol=1e-12
    )


def test_penalty_is_half_the_sum_of_squares_of_balanced_weights(rng):
    """AM-GM: ``1/2 (||u||^2 + ||c||^2) >= ||u|| ||c||``, with equality at equal norms."""
    network = random_network(rng)
    U, C = network.balanced()
    np.testing.assert_allclose(np.linalg.norm(U, axis=1), np.linalg.norm(C, axis=1), rtol=1e-12)
    np.testing.assert_allclose(network.penalty(), 0.5 * ((U**2).sum() + (C**2).sum()), rtol=1e-12)
    A = rng.standard_normal((20, 4))
    expected = outputs(A, network.U, network.C, network.b0)
    np.testing.assert_allclose(outputs(A, U, C, network.b0), expected, rtol=1e-12, atol=1e-12)
    for t in (0.5, 2.0):
        assert 0.5 * (((t * U) ** 2).sum() + ((C / t) ** 2).sum()) > network.penalty()
    again = Network.from_factors(U, C, network.b0)
    np.testing.assert_allclose(again.U, network.U, atol=1e-14)
    np.testing.assert_allclose(again.C, network.C, rtol=1e-12)


def test_balanced_with_a_dead_neuron_has_no_division_by_zero(rng):
    network = random_network(rng)
    network.C[2] = 0
    U, C = network.balanced()
    assert not U[2].any()
    assert not C[2].any()


def test_merged_joins_equal_directions(rng):
    """The function stays, the penalty does not rise; opposite directions are different neurons."""
    network = random_network(rng)
    U = np.concatenate([network.U, network.U[[4, 0]], -network.U[[1]]])
    C = np.concatenate([network.C, rng.standard_normal((3, 2))])
    doubled = Network(U, C, network.b0)
    merged = doubled.merged()
    assert merged.n_neurons == 7
    A = rng.standard_normal((20, 4))
    np.testing.assert_allclose(
        outputs(A, merged.U, merged.C, merged.b0), outputs(A, U, C, network.b0), atol=1e-12
    )
    assert merged.penalty() <= doubled.penalty() + 1e-12
    assert merged.merged() is merged


def test_merged_tolerance_is_one_minus_the_cosine():
    """Directions that differ by the angle t have ``1 - cos t`` of about ``t^2 / 2``."""
    angles = np.array([0.0, 1e-5, 1e-2])
    U = np.column_stack([np.cos(angles), np.sin(angles)])
    network = Network(U, np.ones((3, 1)), np.zeros(1))
    merged = network.merged(tolerance=1e-9)
    np.testing.assert_array_equal(merged.U, U[[0, 2]])
    np.testing.assert_array_equal(merged.C, [[2.0], [1.0]])
    assert network.merged(tolerance=1e-3).n_neurons == 1
    assert network.merged(tolerance=1e-12).n_neurons == 3


def test_pruned_largest_keep_and_extended(rng):
    """Selections of neurons keep their order and the intercept."""
    network = random_network(rng)
    network.C[[1, 4]] = 0
    pruned = network.pruned()
    np.testing.assert_array_equal(pruned.U, network.U[[0, 2, 3, 5]])
    np.testing.assert_array_equal(pruned.b0, network.b0)
    largest = pruned.largest(2)
    expected = np.sort(np.argsort(-pruned.sizes)[:2])
    np.testing.assert_array_equal(largest.U, pruned.U[expected])
    np.testing.assert_array_equal(largest.C, pruned.C[expected])
    assert pruned.largest(4) is pruned
    extended = largest.extended(network.U[:1], network.C[:1])
    assert extended.n_neurons == 3
    np.testing.assert_array_equal(extended.U[2], network.U[0])


def test_constant_network():
    network = Network.constant([1, 2], 3)
    assert network.n_neurons == 0
    assert network.penalty() == 0
    np.testing.assert_array_equal(
        outputs(np.ones((4, 3)), network.U, network.C, network.b0)[0], [1, 2]
    )
    assert network.merged() is network
    assert network.pruned().n_neurons == 0


# ---------------------------------------------------------------------------------- lists of layers


@pytest.fixture
def layers(rng):
    coefs = [rng.standard_normal((4, 6)), rng.standard_normal((6, 2))]
    return coefs, [rng.standard_normal(6), rng.standard_normal(2)]


@pytest.mark.parametrize("budget", [1, 300, 1 << 20])
@pytest.mark.parametrize("make_input", [np.asarray, sparse.csr_array, sparse.csr_matrix])
def test_network_outputs_in_blocks(rng, layers, make_input, budget, monkeypatch):
    """The same numbers whatever the block size, dense or sparse."""
    monkeypatch.setattr(network_module, "_PREDICT_BYTES", budget)
    (W, V), (bias, b0) = layers
    X = rng.standard_normal((23, 4)) * (rng.random((23, 4)) < 0.5)
    expected = np.maximum(X @ W + bias, 0) @ V + b0
    np.testing.assert_allclose(network_outputs(make_input(X), *layers), expected, rtol=1e-12)
    np.testing.assert_allclose(
        hidden_activations(make_input(X), W, bias), np.maximum(X @ W + bias, 0), rtol=1e-12
    )


def test_network_outputs_keep_single_precision(rng, layers):
    single = [[part.astype(np.float32) for part in layer] for layer in layers]
    X = rng.standard_normal((5, 4))
    found = network_outputs(X.astype(np.float32), *single)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, network_outputs(X, *layers), rtol=1e-4, atol=1e-5)


def test_network_outputs_without_neurons(rng):
    coefs, intercepts = [np.zeros((4, 0)), np.zeros((0, 2))], [np.zeros(0), np.array([1.0, 2.0])]
    np.testing.assert_array_equal(network_outputs(np.ones((3, 4)), coefs, intercepts)[0], [1, 2])


# ------------------------------------------------------------------------------- close neurons join


def test_condensed_joins_only_close_neurons():
    rng = np.random.default_rng(0)
    far = np.eye(4)
    near = far + 0.01 * rng.standard_normal((4, 4))
    U = np.concatenate([far, near])
    C = np.abs(rng.standard_normal((8, 2)))
    network = Network.from_factors(U, C, np.zeros(2))
    condensed = network.condensed(0.1)
    assert condensed.n_neurons == 4
    np.testing.assert_allclose(np.linalg.norm(condensed.U, axis=1), 1.0)
    # Outputs add up; a direction lies between those that it stands for.
    np.testing.assert_allclose(condensed.C.sum(axis=0), network.C.sum(axis=0))
    assert np.max(condensed.U @ far.T, axis=1).min() > np.cos(0.1)
    assert condensed.penalty() <= network.penalty() * (1 + 1e-12)
    assert network.condensed(1e-4) is network
    assert network.condensed(0.0) is network


def test_condensed_keeps_clusters_without_weight():
    network = Network(np.eye(3), np.zeros((3, 1)), np.zeros(1))
    twice = network.extended(network.U, network.C)
    assert twice.condensed(0.1).n_neurons == 3


def test_condensed_is_no_chain():
    """Neurons join a larger one, not each other: a row of close ones does not become one."""
    angles = np.linspace(0, 1, 21)
    U = np.column_stack([np.cos(angles), np.sin(angles)])
    network = Network(U, np.linspace(2, 1, 21)[:, None], np.zeros(1))
    assert 4 <= network.condensed(0.11).n_neurons <= 10
