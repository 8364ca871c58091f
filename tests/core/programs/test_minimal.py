"""Minimal networks: the same outputs and no larger penalty, with independent activations."""

import numpy as np
import pytest
from scipy import sparse

from sklearn_convexnn.core.column_generation import pruning
from sklearn_convexnn.core.column_generation.pruning import smaller_network
from sklearn_convexnn.core.problem.directions import normalise
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.problem.rows import Rows
from sklearn_convexnn.core.programs import minimal as minimal_networks
from sklearn_convexnn.core.programs.minimal import minimal_network
from tests.certificates import assert_optimal
from tests.conftest import make_rows
from tests.problems import Known, planted_problem


def make_row_pass(X, n_outputs=1, intercept=True, Y=None, loss="squared_error", **settings):
    n = X.shape[0]
    Y = np.zeros((n, n_outputs)) if Y is None else Y
    weights = np.random.default_rng(3).uniform(0.5, 1.5, n)
    return Rows.of(
        X, Y, weights / weights.sum(), get_loss(loss, n_outputs), intercept=intercept, **settings
    )


def random_network(rng, n_neurons, n_columns, n_outputs=1):
    U = normalise(rng.standard_normal((n_neurons, n_columns)))
    C = rng.standard_normal((n_neurons, n_outputs))
    return Network(U, C, rng.standard_normal(n_outputs))


def outputs(rows, network):
    return rows.outputs(network.U, network.C, network.b0)


def blocks(rows, network):
    """``(X u_j)_+ q_j^T`` as columns, and the constants of the intercept."""
    A, Q = rows.hidden(network.U), normalise(network.C)
    columns = np.einsum("ij,jc->icj", A, Q).reshape(-1, network.n_neurons)
    if not rows.intercept:
        return columns
    constants = np.kron(np.ones((rows.n_rows, 1)), np.eye(rows.n_outputs))
    return np.hstack([columns, constants])


def assert_minimal(rows, before, after, *, tol=1e-9):
    """What :func:`minimal_network` promises."""
    np.testing.assert_allclose(outputs(rows, after), outputs(rows, before), rtol=0, atol=tol)
    assert after.penalty() <= before.penalty() * (1 + 1e-12)
    np.testing.assert_allclose(np.linalg.norm(after.U, axis=1), 1, rtol=1e-12)
    assert np.all(after.sizes > 0)
    B = blocks(rows, after)
    B = B / np.linalg.norm(B, axis=0)
    assert np.linalg.matrix_rank(B, tol=1e-10) == B.shape[1]
    assert after.n_neurons <= (rows.n_rows - rows.intercept) * rows.n_outputs


# ------------------------------------------------------------------------------------ made by hand


def test_three_activations_in_one_cone_become_one():
    """On the unit vectors all directions without negative entries share a closed cone."""
    rows = make_row_pass(np.eye(2), intercept=False)
    U = np.array([[1.0, 0], [0, 1], [0.6, 0.8]])
    network = Network(U, np.array([[1.0], [2], [5]]), np.zeros(1))
    smallest = minimal_network(rows, network)
    assert_minimal(rows, network, smallest)
    total = np.array([1 + 3, 2 + 4.0])
    np.testing.assert_allclose(smallest.U * smallest.C, [total])
    np.testing.assert_allclose(smallest.penalty(), np.linalg.norm(total))


def test_one_cone_but_opposite_signs_stay():
    rows = make_row_pass(np.eye(2), intercept=False)
    network = Network(np.eye(2), np.array([[1.0], [-2]]), np.zeros(1))
    assert minimal_network(rows, network).n_neurons == 2


def ramps():
    """``x_+``, ``-(-x)_+`` and ``x + 2`` on points between -1 and 1."""
    U = np.array([[1.0, 0], [-1, 0], [1, 2]])
    return Network.from_factors(U, np.array([[1.0], [-1], [3]]), np.array([0.5]))


def test_a_relation_with_constants_needs_the_intercept():
    """``x_+ - (-x)_+ - (x + 2) = -2``: the longest of the three goes, the penalty falls."""
    X = np.linspace(-1, 1, 6)[:, None]
    rows, network = make_row_pass(X), ramps()
    smallest = minimal_network(rows, network)
    assert_minimal(rows, network, smallest)
    np.testing.assert_allclose(smallest.U, network.U[:2])
    np.testing.assert_allclose(smallest.C, [[4.0], [-4]])
    np.testing.assert_allclose(smallest.b0, [6.5])

    fixed = make_row_pass(np.column_stack([X, np.ones(6)]), intercept=False)
    assert minimal_network(fixed, network).n_neurons == 3


def test_without_a_relation_nothing_changes():
    rng = np.random.default_rng(0)
    rows, network = make_row_pass(make_rows(50, 3)), random_network(rng, 20, 4)
    smallest = minimal_network(rows, network)
    for part, same in zip(
        (smallest.U, smallest.C, smallest.b0), (network.U, network.C, network.b0), strict=True
    ):
        np.testing.assert_array_equal(part, same)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_split_neurons_come_together(n_outputs):
    rng = np.random.default_rng(1)
    rows = make_row_pass(make_rows(40, 3), n_outputs)
    network = random_network(rng, 7, 4, n_outputs)
    shares = rng.dirichlet(np.ones(3), 7).T
    pieces = Network(
        np.tile(network.U, (3, 1)), np.vstack(shares[..., None] * network.C), network.b0
    )
    pieces = pieces.keep(rng.permutation(21))
    smallest = minimal_network(rows, pieces)
    assert smallest.n_neurons == 7
    assert_minimal(rows, pieces, smallest)
    np.testing.assert_allclose(smallest.penalty(), network.penalty())


def test_one_direction_with_several_outputs_is_one_neuron():
    """Also where the output weights are not parallel: there is no relation between the blocks."""
    rows = make_row_pass(make_rows(10, 2), 2)
    u = normalise(np.array([[1.0, -1, 0.2]]))
    network = Network(np.vstack([u, u]), np.array([[1.0, 2], [3, -1]]), np.zeros(2))
    smallest = minimal_network(rows, network)
    np.testing.assert_allclose(smallest.C, [[4, 1]])
    assert_minimal(rows, network, smallest)


def test_opposite_copies_cancel():
    rows = make_row_pass(make_rows(10, 2))
    u = normalise(np.array([[1.0, -1, 0.2]]))
    network = Network(np.vstack([u, u]), np.array([[2.0], [-2]]), np.ones(1))
    assert minimal_network(rows, network).n_neurons == 0


@pytest.mark.parametrize("intercept", [True, False])
def test_silent_and_constant_neurons(intercept):
    """Silent on the rows: gone. Constant on them: the intercept's, if there is one."""
    X = np.column_stack([make_rows(9, 2), np.ones(9)])
    U = np.array([[0, 0, -1.0], [0, 0, 1], [1, 0.2, 0]])
    U = np.column_stack([U, np.zeros(3)]) if intercept else U
    network = Network.from_factors(U, np.ones((3, 1)), np.zeros(1))
    rows = make_row_pass(X, intercept=intercept)
    smallest = minimal_network(rows, network)
    assert smallest.n_neurons == (1 if intercept else 2)
    assert_minimal(rows, network, smallest)


def test_nothing_to_do():
    rows = make_row_pass(make_rows(5, 2), 2)
    assert minimal_network(rows, Network.constant(np.ones(2), 3)).n_neurons == 0
    idle = Network(np.eye(3), np.zeros((3, 2)), np.ones(2))
    assert minimal_network(rows, idle).n_neurons == 0


def test_weights_in_single_precision():
    """Copies of a neuron that were rounded apart."""
    rng = np.random.default_rng(4)
    rows = make_row_pass(make_rows(30, 3))
    network = random_network(rng, 6, 4)
    lengths = rng.uniform(0.1, 1, (18, 1))
    U = (lengths * np.tile(network.U, (3, 1))).astype(np.float32).astype(float)
    C = np.tile(network.C, (3, 1)).astype(np.float32).astype(float)
    pieces = Network.from_factors(U, C, network.b0)
    smallest = minimal_network(rows, pieces, tol=minimal_networks.SINGLE_RANK_TOL)
    assert smallest.n_neurons == 6
    assert_minimal(rows, pieces, smallest, tol=1e-5)


# ------------------------------------------------------------------------------ too many neurons


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_wide_networks_end_at_the_bound(seed, n_outputs, intercept):
    rng = np.random.default_rng(seed)
    rows = make_row_pass(make_rows(8, 3, seed), n_outputs, intercept)
    network = random_network(rng, 60, 3 + intercept, n_outputs)
    smallest = minimal_network(rows, network)
    assert_minimal(rows, network, smallest)
    # Random weights are far from optimal: the walk downhill gains much.
    assert smallest.penalty() < 0.9 * network.penalty()


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_hundreds_of_neurons(n_outputs):
    rng = np.random.default_rng(0)
    rows = make_row_pass(make_rows(100, 5), n_outputs)
    network = random_network(rng, 500, 6, n_outputs)
    assert_minimal(rows, network, minimal_network(rows, network), tol=1e-8)


def test_scaled_and_sparse_rows_and_small_parts(monkeypatch):
    rng = np.random.default_rng(2)
    X = make_rows(30, 4) * (rng.random((30, 4)) < 0.4)
    network = random_network(rng, 50, 5, 2)
    dense = make_row_pass(X, 2, scale=0.01)
    expected = minimal_network(dense, network)
    assert_minimal(dense, network, expected)
    monkeypatch.setattr(minimal_networks, "_BLOCK_BYTES", 8 * 51 * 7)
    for rows in (dense, make_row_pass(sparse.csr_array(X), 2, scale=0.01)):
        found = minimal_network(rows, network)
        assert found.n_neurons == expected.n_neurons
        assert_minimal(rows, network, found)


def test_repeated_calls_change_nothing():
    rng = np.random.default_rng(5)
    rows, network = make_row_pass(make_rows(8, 2), 2), random_network(rng, 40, 3, 2)
    once = minimal_network(rows, network)
    twice = minimal_network(rows, once)
    np.testing.assert_array_equal(once.U, twice.U)
    np.testing.assert_array_equal(once.C, twice.C)


# ----------------------------------------------------------------------------- optimal networks


def circle_problem(seed, n=8, alpha=0.05):
    """Equally spaced rows with equal residuals: a neuron between each two of them is optimal.

    The function ``t -> max(cos t, 0)`` has no odd harmonics but the first, and half-way between
    eight points the fourth has no values that alternate. So the activations of the n = 8 neurons, a
    circulant matrix, have rank 5: any sizes give an optimal network, and a minimal one has 5.
    """
    angles = 2 * np.pi * np.arange(n) / n
    X = np.column_stack([np.cos(angles), np.sin(angles)])
    U = np.column_stack([np.cos(angles + np.pi / n), np.sin(angles + np.pi / n)])
    C = np.random.default_rng(seed).uniform(0.2, 1, (n, 1))
    A = np.maximum(X @ U.T, 0)
    residual = alpha / A.sum(axis=0)[0]
    Y, weights = A @ C + n * residual, np.full(n, 1 / n)
    problem = Known("circle", X, Y, weights, "squared_error", False, alpha)
    return problem, Network(U, C, np.zeros(1))


@pytest.mark.parametrize("seed", range(3))
def test_optimal_networks_stay_optimal(seed):
    problem, network = circle_problem(seed)
    assert_optimal(problem, network, tol=1e-10)
    smallest = minimal_network(problem.rows(), network)
    assert smallest.n_neurons == 5
    assert_minimal(problem.rows(), network, smallest)
    assert_optimal(problem, smallest, tol=1e-10)
    np.testing.assert_allclose(smallest.penalty(), network.penalty(), rtol=1e-13)


@pytest.mark.parametrize("case", [(0, 12, 2, False), (32, 12, 2, True), (101, 12, 3, True)])
def test_split_optimal_networks_are_restored(case):
    problem = planted_problem(*case)
    network = Network(*problem.neurons)
    shares = np.random.default_rng(0).dirichlet(np.ones(10), 2).T
    pieces = Network(
        np.tile(network.U, (10, 1)), np.vstack(shares[..., None] * network.C), network.b0
    )
    smallest = minimal_network(problem.rows(), pieces)
    assert smallest.n_neurons == 2
    assert_optimal(problem, smallest, tol=1e-8)


# -------------------------------------------------------------------------------- approximate


def objective(rows, network, alpha):
    losses = rows.loss.value(rows.Y, outputs(rows, network))
    return rows.weights @ losses + alpha * network.penalty()


@pytest.mark.parametrize("seed", [32, 101])
def test_blurred_neurons_are_found_again(seed):
    """Each of two optimal neurons is given as twenty that scatter around it."""
    problem = planted_problem(seed, 12, 2 if seed == 32 else 3, True)
    planted, rng = Network(*problem.neurons), np.random.default_rng(0)
    U = normalise(
        np.tile(planted.U, (20, 1)) + 0.05 * rng.standard_normal((40, planted.U.shape[1]))
    )
    blurred = Network(U, np.tile(planted.C / 20, (20, 1)), planted.b0)
    rows = problem.rows()
    small = smaller_network(rows, blurred, problem.alpha, tolerance=1e-3)
    assert small.n_neurons == 2
    assert objective(rows, small, problem.alpha) <= 1.001 * objective(rows, blurred, problem.alpha)
    assert objective(rows, small, problem.alpha) >= problem.optimum() * (1 - 1e-12)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("tolerance", [1e-5, 0.01, 0.2])
def test_the_objective_stays_below_its_limit(loss, intercept, tolerance):
    rng = np.random.default_rng(1)
    X = make_rows(60, 3)
    if loss == "squared_error":
        Y = np.column_stack([np.abs(X[:, 0]), X[:, 1]])
    else:
        Y = np.eye(2)[(X[:, 0] > X[:, 1]).astype(int)]
    rows = make_row_pass(X, 2, intercept, Y, loss)
    network = random_network(rng, 40, 3 + intercept, 2)
    network = network.with_outputs(0.02 * network.C, np.zeros(2))
    small = smaller_network(rows, network, 0.01, tolerance=tolerance)
    assert small.n_neurons < 40
    assert objective(rows, small, 0.01) <= (1 + tolerance) * objective(rows, network, 0.01)
    if not intercept:
        assert not small.b0.any()


def test_no_smaller_network_leaves_the_given_one():
    problem = planted_problem(0, 12, 2, False)
    network = Network(*problem.neurons)
    small = smaller_network(problem.rows(), network, problem.alpha, tolerance=1e-9)
    np.testing.assert_array_equal(small.U, network.U)
    np.testing.assert_array_equal(small.C, network.C)


@pytest.mark.parametrize("intercept", [True, False])
def test_who_leaves_is_missed_least(intercept):
    """Squared error: the best of all choices of one neuron, and the others' best answer to it."""
    rng = np.random.default_rng(6)
    rows = make_row_pass(make_rows(30, 3), 2, intercept)
    network = random_network(rng, 6, 3 + intercept, 2)
    Z, w = outputs(rows, network), rows.weights

    def best_answer(kept):
        A = rows.hidden(network.U[kept])
        A = np.column_stack([A, np.ones(30)]) if intercept else A
        target = Z if intercept else Z - network.b0
        fit = A @ np.linalg.lstsq(np.sqrt(w)[:, None] * A, np.sqrt(w)[:, None] * target)[0]
        return 0.5 * w @ np.sum((fit - target) ** 2, axis=1)

    least = min(best_answer(np.delete(np.arange(6), j)) for j in range(6))
    smaller = pruning._without(rows, network, 1)
    assert smaller.n_neurons == 5
    change = 0.5 * w @ np.sum((outputs(rows, smaller) - Z) ** 2, axis=1)
    np.testing.assert_allclose(change, least, rtol=1e-6)
