"""Sub-networks are neurons: what they compute, their norms, and the derivatives of both."""

import numpy as np
import pytest
from scipy import sparse

from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.network import Network, network_outputs
from sklearn_convexnn.core.problem.neurons import ReLU
from sklearn_convexnn.core.problem.rows import Rows
from sklearn_convexnn.core.problem.sub_networks import SubNetworks
from sklearn_convexnn.core.problem.units import make_problem
from tests.places import each_place, engine_at

PENALTIES = ["path", "decay"]
N, D, UNITS, M, OUTPUTS = 20, 3, 3, 5, 2


def make_rows(penalty, *, n_units=UNITS, intercept=True, X=None, dtype=None):
    rng = np.random.default_rng(0)
    A, Y = rng.standard_normal((N, D)), rng.standard_normal((N, OUTPUTS))
    neurons = SubNetworks(n_units, penalty) if penalty else ReLU()
    loss, weights = get_loss("squared_error", OUTPUTS), rng.uniform(0.5, 1.0, N)
    settings = {"intercept": intercept, "scale": 0.7, "neurons": neurons, "dtype": dtype}
    return Rows.of(A if X is None else X, Y, weights / weights.sum(), loss, **settings)


def make_network(rows, seed=1):
    rng = np.random.default_rng(seed)
    C, b0 = rng.standard_normal((M, OUTPUTS)), rng.standard_normal(OUTPUTS)
    return rng.standard_normal((M, rows.n_columns)), C, b0


def by_hand(rows, U):
    """(n, m), by the definition."""
    A = rows.scale * np.column_stack([rows.X, np.ones(N)][: 1 + rows.intercept])
    signs, features = rows.neurons.signs, []
    for u in U:
        blocks = u.reshape(len(signs), A.shape[1])
        if rows.neurons.penalty == "decay":
            blocks = [b * np.linalg.norm(b) / np.linalg.norm(u) for b in blocks]
        total = sum(s * np.maximum(A @ b, 0) for s, b in zip(signs, blocks, strict=True))
        features.append(np.maximum(total, 0))
    return np.column_stack(features)


@pytest.mark.parametrize("n_units, signs", [(1, [1]), (2, [1, -1]), (3, [1, 1, -1])])
def test_half_of_the_units_rounded_up_are_added(n_units, signs):
    np.testing.assert_array_equal(SubNetworks(n_units, "path").signs, signs)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_features(penalty, intercept):
    rows = make_rows(penalty, intercept=intercept)
    U, C, b0 = make_network(rows)
    assert rows.n_columns == UNITS * (D + intercept)
    np.testing.assert_allclose(rows.fetch(rows.hidden(U)), by_hand(rows, U), atol=1e-12)
    Z = rows.fetch(rows.outputs(U, C, b0))
    np.testing.assert_allclose(Z, by_hand(rows, U) @ C + b0, atol=1e-12)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_length_of_a_direction_is_the_norm_of_its_units(penalty):
    neurons = SubNetworks(UNITS, penalty)
    U = np.random.default_rng(0).standard_normal((M, UNITS * D))
    U[0, :D] = 0.0  # a unit without weights
    W = neurons.units(U)
    lengths = np.linalg.norm(W, axis=1).reshape(M, UNITS)
    norms = lengths.sum(axis=1) if penalty == "decay" else np.linalg.norm(lengths, axis=1)
    np.testing.assert_allclose(norms, np.linalg.norm(U, axis=1))
    np.testing.assert_allclose(neurons.of_units(W), U, atol=1e-14)
    np.testing.assert_allclose(neurons.units(3 * U), 3 * W)
    assert not neurons.units(np.zeros((1, UNITS * D))).any()
    assert not neurons.pull_units(np.zeros((1, UNITS * D)), np.zeros((UNITS, D))).any()


def numerical(function, point, step=1e-6):
    gradient = np.zeros(point.shape)
    for index in np.ndindex(point.shape):
        move = np.zeros(point.shape)
        move[index] = step
        gradient[index] = (function(point + move) - function(point - move)) / (2 * step)
    return gradient


@pytest.mark.parametrize("width", [None, 0.5])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_gradients(penalty, intercept, width):
    rows = make_rows(penalty, intercept=intercept)
    U, C, b0 = make_network(rows)
    smoothing = None if width is None else np.full(M, width)
    _, dU, dC, db0 = rows.loss_and_gradients(U, C, b0, smoothing)

    def value(U=U, C=C, b0=b0):
        return rows.loss_and_gradients(U, C, b0, smoothing)[0]

    np.testing.assert_allclose(dU, numerical(value, U), atol=1e-7)
    np.testing.assert_allclose(dC, numerical(lambda C: value(C=C), C), atol=1e-7)
    np.testing.assert_allclose(db0, numerical(lambda b0: value(b0=b0), b0), atol=1e-7)


@pytest.mark.parametrize("width", [None, 0.5])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_ascent(penalty, width):
    rows = make_rows(penalty)
    U, Q, _ = make_network(rows)
    R = rows.Y * rows.weights[:, None]

    def price(U):
        return float(np.sum(Q * rows.prices_and_ascent(U, Q, R, width)[0]))

    V, G = rows.prices_and_ascent(U, Q, R, width)
    np.testing.assert_allclose(G, numerical(price, U), atol=1e-7)
    if width is None:
        np.testing.assert_allclose(V, by_hand(rows, U).T @ R, atol=1e-12)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_parabolas_close_in_on_the_kinks(penalty):
    rows = make_rows(penalty)
    U, C, b0 = make_network(rows)
    value = rows.loss_and_gradients(U, C, b0)[0]
    off = [
        abs(rows.loss_and_gradients(U, C, b0, np.full(M, width))[0] - value)
        for width in (0.3, 1e-3, 1e-5)
    ]
    # Sub-networks without an active unit sit on their kink, at a quarter of the width.
    assert off[0] > 10 * off[1] > 0
    assert off[2] < 0.02 * off[1]


@pytest.mark.parametrize("penalty", PENALTIES)
def test_one_unit_is_a_neuron(penalty):
    one, plain = make_rows(penalty, n_units=1), make_rows(None)
    U, C, b0 = make_network(one)
    for found, expected in zip(
        one.loss_and_gradients(U, C, b0), plain.loss_and_gradients(U, C, b0), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_sparse_rows_and_single_precision(penalty):
    rows = make_rows(penalty)
    U, C, b0 = make_network(rows)
    expected = rows.loss_and_gradients(U, C, b0, np.full(M, 0.1))
    others = make_rows(penalty, X=sparse.csr_array(rows.X)), make_rows(penalty, dtype=np.float32)
    for other, tolerance in zip(others, (1e-12, 1e-5), strict=True):
        assert other.fetch(other.hidden(U)).dtype == other.dtype
        found = other.loss_and_gradients(U, C, b0, np.full(M, 0.1))
        for one, two in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, two, atol=tolerance)


@each_place
def test_arrays_of_other_libraries(make_place):
    rows = make_rows("decay")
    U, C, b0 = make_network(rows)
    engine = engine_at(make_place)(rows.X, rows.Y, rows.weights)
    settings = {"intercept": rows.intercept, "scale": rows.scale}
    there = Rows(engine, rows.neurons, rows.loss, **settings)
    for smoothing in (None, np.full(M, 0.1)):
        found = there.loss_and_gradients(U, C, b0, smoothing)
        for one, two in zip(found, rows.loss_and_gradients(U, C, b0, smoothing), strict=True):
            np.testing.assert_allclose(one, two, atol=1e-12)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_layers_and_back(penalty):
    rng = np.random.default_rng(0)
    X, Y = 5 * rng.standard_normal((N, D)), 3 + rng.standard_normal((N, OUTPUTS))
    neurons = SubNetworks(UNITS, penalty)
    settings = {"loss": "squared_error", "intercept": True, "neurons": neurons}
    problem = make_problem(X, Y, np.ones(N), **settings)
    network = Network.from_factors(*make_network(problem.rows))
    coefs, intercepts = problem.layers(network)
    assert [part.shape for part in coefs] == [(D, M * UNITS), (M, OUTPUTS)]
    lengths = np.linalg.norm(np.vstack([coefs[0], intercepts[0]]), axis=0).reshape(M, UNITS)
    norms = lengths.sum(axis=1) if penalty == "decay" else np.linalg.norm(lengths, axis=1)
    np.testing.assert_allclose(norms, np.linalg.norm(coefs[1], axis=1))
    again = problem.network(coefs, intercepts)
    np.testing.assert_allclose(again.U, network.U, atol=1e-12)
    np.testing.assert_allclose(again.C, network.C, atol=1e-12)
    Z = problem.rows.fetch(problem.rows.outputs(network.U, network.C, network.b0))
    Z = Z * problem.y_scale + problem.y_shift
    found = network_outputs(problem.data.X, coefs, intercepts, SubNetworks(UNITS, "path"))
    np.testing.assert_allclose(found, Z, atol=1e-10)
