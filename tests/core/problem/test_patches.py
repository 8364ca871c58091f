"""Windows of signals and images, and convolutions as neurons: passes, references, training."""

from itertools import product

import numpy as np
import pytest

from sklearn_convexnn.core.column_generation.loop import solve
from sklearn_convexnn.core.fit.cutting_plane import choose_options, constant_start, make_pricing
from sklearn_convexnn.core.problem import patches
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.network import Network, hidden_activations, network_outputs
from sklearn_convexnn.core.problem.patches import Convolution
from sklearn_convexnn.core.problem.rows import Rows
from sklearn_convexnn.core.problem.units import make_problem
from sklearn_convexnn.core.problem.windows import Windows

# ------------------------------------------------------------------------------------------ windows


def plain_patches(images, patch, dilation, starts):
    """(n, K, h) of images (n, *space, channels), by loops; zero beyond the border."""
    found = []
    for start in starts:
        one = []
        for offset in product(*(range(size) for size in patch)):
            place = [s + d * o for s, d, o in zip(start, dilation, offset, strict=True)]
            inside = all(0 <= a < b for a, b in zip(place, images.shape[1:-1], strict=True))
            one.append(images[(slice(None), *place)] if inside else 0.0 * images[:, 0, 0])
        found.append(np.concatenate(one, axis=1))
    return np.stack(found, axis=1)


@pytest.mark.parametrize("patch, dilation", [((2, 3), (1, 1)), ((2, 2), (2, 3))])
@pytest.mark.parametrize("padding", [(0, 0), (1, 2), "same"])
@pytest.mark.parametrize("strides", [(1, 1), (2, 1)])
def test_windows_of_an_image(patch, dilation, padding, strides):
    space, channels = (5, 6), 2
    X = np.random.default_rng(0).standard_normal((3, *space, channels))
    settings = {"strides": strides, "padding": padding, "grids": [(1, 1)]}
    windows = Windows.of(space, channels, [patch], [dilation], **settings)
    extent = [(size - 1) * d + 1 for size, d in zip(patch, dilation, strict=True)]
    before = [(e - 1) // 2 for e in extent] if padding == "same" else padding
    after = (
        [e - 1 - b for e, b in zip(extent, before, strict=True)] if padding == "same" else before
    )
    axes = [
        range(-b, size + a - e + 1, s)
        for b, a, e, s, size in zip(before, after, extent, strides, space, strict=True)
    ]
    starts = list(product(*axes))
    if padding == "same" and strides == (1, 1):
        assert len(starts) == 30  # a position at every place
    flat = np.concatenate([X.reshape(3, -1), np.zeros((3, 1))], axis=1)
    np.testing.assert_array_equal(
        flat[:, windows.index[0].T], plain_patches(X, patch, dilation, starts)
    )
    assert windows.shapes == ((*patch, channels),)
    centres = np.array(starts) + (np.array(extent) - 1) // 2
    np.testing.assert_array_equal(windows.centres, centres)


def test_windows_share_their_positions():
    settings = {"strides": (1,), "padding": (0,), "grids": [(1,)]}
    windows = Windows.of((9,), 1, [(5,), (3,), (2,)], [(1,), (1,), (2,)], **settings)
    assert windows.n_positions == 5
    first = [index[:, 0].tolist() for index in windows.index]
    assert first == [[0, 1, 2, 3, 4], [1, 2, 3], [1, 3]]


def test_cells_are_even_and_their_positions_side_by_side():
    settings = {"strides": (1, 1), "padding": (0, 0)}
    windows = Windows.of((6, 5), 1, [(2, 2)], [(1, 1)], grids=[(2, 2)], **settings)
    assert windows.n_positions == 20
    np.testing.assert_array_equal([cell.stop - cell.start for cell in windows.cells], [6, 6, 4, 4])
    for g, (low, high) in enumerate([((0, 0), (2, 1)), ((0, 2), (2, 3)), ((3, 0), (4, 1))]):
        inside = windows.centres[windows.cells[g]]
        assert (tuple(inside.min(axis=0)), tuple(inside.max(axis=0))) == (low, high)
    each = Windows.of((6, 5), 1, [(2, 2)], [(1, 1)], grids=[None], **settings)
    assert (each.n_cells, each.grid) == (20, (5, 4))


# ------------------------------------------------------------------------------------------- passes


def convolution(pooling, grid=1, *, length=7, sizes=(3, 2), dilations=(1, 2), padding=(1,)):
    patches, steps = [(k,) for k in sizes], [(k,) for k in dilations[: len(sizes)]]
    settings = {"strides": (1,), "padding": padding, "grids": [(k,) for k in np.atleast_1d(grid)]}
    return Convolution(Windows.of((length,), 1, patches, steps, **settings), pooling)


def plain_features(neurons, X, U, intercept):
    """(n, m, cells), by the definition, of directions with one window each."""
    windows = neurons.windows
    flat = np.concatenate([X, np.zeros((len(X), 1))], axis=1)
    F = np.zeros((len(X), len(U), windows.n_cells))
    for j, window in enumerate(neurons.window_of(U)):
        H = flat[:, windows.index[window].T] @ U[j, neurons.blocks[window]]
        H = np.maximum(H + (U[j, -1] if intercept else 0.0), 0)
        for g in range(windows.n_cells):
            cell = H[:, windows.cells[g]]
            F[:, j, g] = cell.max(axis=1) if neurons.pooling == "max" else cell.mean(axis=1)
    return F


def directions(rng, neurons, m, intercept):
    """Filters of all windows in turn."""
    U = np.zeros((m, neurons.n_weights(0) + intercept))
    for j in range(m):
        block = neurons.blocks[j % len(neurons.blocks)]
        U[j, block] = rng.standard_normal(block.stop - block.start)
    if intercept:
        U[:, -1] = rng.standard_normal(m)
    return U


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("pooling, grid", [("max", 1), ("max", 3), ("average", 2), ("max", (1, 2))])
@pytest.mark.parametrize("loss, n_outputs", [("squared_error", 2), ("log_loss", 3)])
def test_passes_equal_the_plain_formulas(loss, n_outputs, pooling, grid, intercept):
    rng, n, m = np.random.default_rng(0), 90, 5
    neurons = convolution(pooling, grid)
    X, Y = rng.standard_normal((n, 7)), np.eye(n_outputs)[rng.integers(n_outputs, size=n)]
    weights = np.full(n, 1 / n)
    settings = {"intercept": intercept, "neurons": neurons, "block_bytes": 1 << 10}
    rows = Rows.of(X, Y, weights, get_loss(loss, n_outputs), scale=0.7, **settings)
    grid = int(np.sum(grid))
    assert (rows.n_columns, rows.n_weights) == (5 + intercept, n_outputs * grid)
    U = directions(rng, neurons, m, intercept)
    C, Q = rng.standard_normal((2, m, rows.n_weights))
    b0, R = rng.standard_normal(n_outputs), rng.standard_normal((n, n_outputs))
    # The scale multiplies patches and their constant.
    features = plain_features(neurons, X, 0.7 * U, intercept)

    def outputs(U, C, b0):
        F = plain_features(neurons, X, 0.7 * U, intercept)
        return np.einsum("img,mgc->ic", F, C.reshape(m, grid, n_outputs)) + b0

    def prices(U):
        F = plain_features(neurons, X, 0.7 * U, intercept)
        return np.einsum("img,ic->mgc", F, R).reshape(m, -1)

    np.testing.assert_allclose(rows.fetch(rows.hidden(U)), features.reshape(n, -1), atol=1e-12)
    np.testing.assert_allclose(rows.outputs(U, C, b0), outputs(U, C, b0), atol=1e-12)
    np.testing.assert_allclose(rows.prices(U, R), prices(U), atol=1e-12)
    values, ascent = rows.prices_and_ascent(U, Q, R)
    np.testing.assert_allclose(values, prices(U), atol=1e-12)
    # Directions keep their window: all others have no gradient.
    moves = np.where(U != 0, rng.standard_normal(U.shape), 0.0)
    np.testing.assert_array_equal(ascent[U == 0], 0)
    change = np.sum((prices(U + 1e-6 * moves) - prices(U - 1e-6 * moves)) * Q, axis=1)
    np.testing.assert_allclose(change, 2e-6 * np.sum(ascent * moves, axis=1), rtol=1e-4, atol=1e-9)
    value, *gradients = rows.loss_and_gradients(U, C, b0)
    assert value == pytest.approx(np.mean(rows.loss.value(Y, outputs(U, C, b0))), rel=1e-12)
    steps = [1e-6 * moves, *(1e-6 * rng.standard_normal(part.shape) for part in (C, b0))]
    ahead, behind = (
        np.mean(rows.loss.value(Y, outputs(U + s * steps[0], C + s * steps[1], b0 + s * steps[2])))
        for s in (1, -1)
    )
    slope = sum(np.vdot(one, move) for one, move in zip(gradients, steps, strict=True))
    assert ahead - behind == pytest.approx(2 * slope, rel=1e-4)


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_smoothed_kinks(pooling):
    """Above the ReLU by at most a quarter of the width, with the gradient of what is above."""
    rng, neurons = np.random.default_rng(0), convolution(pooling)
    X, Y = rng.standard_normal((40, 7)), rng.standard_normal((40, 1))
    loss, weights = get_loss("squared_error", 1), np.full(40, 1 / 40)
    rows = Rows.of(X, Y, weights, loss, intercept=True, neurons=neurons)
    U, C, b0 = directions(rng, neurons, 3, True), rng.standard_normal((3, 1)), np.zeros(1)
    width = np.full(3, 0.3)
    value, dU, _, _ = rows.loss_and_gradients(U, C, b0, width)
    assert value != rows.loss_and_gradients(U, C, b0)[0]
    assert rows.loss_and_gradients(U, C, b0, 1e-9 * width)[0] == pytest.approx(
        rows.loss_and_gradients(U, C, b0)[0], rel=1e-7
    )
    moves = np.where(U != 0, rng.standard_normal(U.shape), 0.0)
    ahead, behind = (
        rows.loss_and_gradients(U + s * 1e-6 * moves, C, b0, width)[0] for s in (1, -1)
    )
    assert ahead - behind == pytest.approx(2e-6 * np.vdot(dU, moves), rel=1e-4)


def test_equal_patches_share_no_gradient():
    """Where several patches are the largest, one of them is the winner."""
    neurons = convolution("max", sizes=(2,), padding=(0,))
    rows = Rows.of(
        np.ones((1, 7)),
        np.zeros((1, 1)),
        np.ones(1),
        get_loss("squared_error", 1),
        intercept=False,
        neurons=neurons,
    )
    _, ascent = rows.prices_and_ascent(np.array([[1.0, 0.5]]), np.ones((1, 1)), np.ones((1, 1)))
    np.testing.assert_array_equal(ascent, [[1.0, 1.0]])


@pytest.mark.parametrize("grid", [1, 2])
def test_gradients_of_few_winners_are_those_of_all(grid, monkeypatch):
    rng = np.random.default_rng(0)
    windows = Windows.of((30,), 1, [(3,)], [(1,)], strides=(1,), padding=(0,), grids=[(grid,)])
    X, W = rng.standard_normal((7, 30)), rng.standard_normal((3, 4))
    found = []
    for few in (0, 1000):
        monkeypatch.setattr(patches, "_FEW_WINNERS", few)
        seen = Convolution(windows, "max").inputs(np, X)
        H = seen @ W
        found.append(seen.T @ np.cos(H))
    np.testing.assert_allclose(*found, rtol=1e-12)


def test_single_precision_stays():
    neurons = convolution("max")
    X = np.random.default_rng(0).standard_normal((9, 7)).astype(np.float32)
    rows = Rows.of(
        X,
        np.zeros((9, 1)),
        np.full(9, 1 / 9),
        get_loss("squared_error", 1),
        intercept=True,
        neurons=neurons,
    )
    U = directions(np.random.default_rng(1), neurons, 4, True)
    assert rows.hidden(U).dtype == np.float32


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_the_scale_is_that_of_patches(pooling):
    """The typical patch with its constant has the length one; layers are in units of the data."""
    rng, neurons = np.random.default_rng(0), convolution(pooling, 2)
    X, y = 5.0 * rng.standard_normal((30, 7)), rng.standard_normal((30, 1))
    settings = {"loss": "squared_error", "intercept": True, "neurons": neurons}
    problem = make_problem(X, y, np.ones(30), **settings)
    flat = np.concatenate([problem.data.X, np.zeros((30, 1))], axis=1)
    squares = [np.mean(np.sum(flat[:, index.T] ** 2, axis=2)) for index in neurons.windows.index]
    assert problem.rows.scale**2 * (np.mean(squares) + 1.0) == pytest.approx(1.0)
    U = directions(rng, neurons, 4, True)
    U /= np.linalg.norm(U, axis=1, keepdims=True)
    network = Network(U, rng.standard_normal((4, 2)), rng.standard_normal(1))
    layers = problem.layers(network)
    Z = network_outputs(problem.data.X, *layers, neurons)
    expected = problem.rows.outputs(network.U, network.C, network.b0)
    np.testing.assert_allclose(Z, expected * problem.y_scale + problem.y_shift, atol=1e-12)
    F = plain_features(neurons, X, np.column_stack([layers[0][0].T, layers[1][0]]), True)
    H = hidden_activations(X, layers[0][0], layers[1][0], neurons)
    np.testing.assert_allclose(H, F.reshape(30, -1), atol=1e-12)
    back = problem.network(*layers)
    np.testing.assert_allclose(back.U, network.U, atol=1e-12)
    np.testing.assert_allclose(back.C, network.C, atol=1e-12)


# --------------------------------------------------------------------------------------- references

# Optima of (P) for x_k = sin(k^2) as five signals of length 4, y = cos(1..5), windows of two: of
# finite programs over all patterns (CVXPY), to the digits in which descent from many starts agrees.
REFERENCES = [
    ("average", 1, 0.164370140, {0.003: 0.020824633, 0.01: 0.062283388, 0.03: 0.137764382}),
    ("average", 2, 0.251032468, {0.03: 0.099711422}),
    ("max", 1, 0.403837781, {0.01: 0.026135347, 0.03: 0.069781481}),
]


def signals():
    k = np.arange(1, 21)
    return np.sin(k * k).reshape(5, 4), np.cos(np.arange(1, 6))[:, None]


@pytest.mark.parametrize("pooling, grid, alpha_max, optima", REFERENCES)
def test_references(pooling, grid, alpha_max, optima):
    X, Y = signals()
    neurons = convolution(pooling, grid, length=4, sizes=(2,), padding=(0,))
    weights, loss = np.full(5, 0.2), get_loss("squared_error", 1)
    rows = Rows.of(X, Y, weights, loss, intercept=False, neurons=neurons)
    pricing = make_pricing(rows, np.random.default_rng(0))
    assert pricing.kind == "exact"
    assert constant_start(rows, pricing).prices.largest == pytest.approx(alpha_max, abs=1e-9)
    goals = {"tol": 1e-2, "gap_tol": 1e-6, "max_iter": 40, "max_neurons": None}
    for alpha, optimum in optima.items():
        solution = solve(rows, alpha, pricing, options=choose_options(rows, **goals))
        assert solution.certificate.kind == "exact"
        assert solution.certificate.relative_gap <= 1e-6
        assert solution.certificate.primal == pytest.approx(optimum, abs=1e-7)
        network = solution.network
        F = plain_features(neurons, X, network.U, False)
        Z = np.einsum("img,mg->i", F, network.C)[:, None]
        value = 0.5 * np.mean((Z - Y) ** 2) + alpha * network.penalty()
        assert value == pytest.approx(solution.certificate.primal, rel=1e-12)


def test_a_gap_is_proven_where_that_is_quick():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 10))
    Y = np.maximum(X[:, :-1] - X[:, 1:], 0).max(axis=1)[:, None]
    neurons = convolution("max", length=10, sizes=(3,), padding=(0,))
    settings = {"intercept": True, "neurons": neurons, "scale": 0.5}
    rows = Rows.of(X, Y - Y.mean(), np.full(40, 1 / 40), get_loss("squared_error", 1), **settings)
    pricing = make_pricing(rows, rng)
    goals = {"tol": 1e-2, "gap_tol": 1e-2, "max_iter": 40, "max_neurons": None}
    solution = solve(rows, 0.02, pricing, options=choose_options(rows, **goals))
    assert solution.certificate.kind == "proven"
    assert solution.certificate.relative_gap <= 1e-2
