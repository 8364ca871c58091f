"""The passes over the rows against plain formulas on one dense matrix.

Every pass is run on every kind of input (dense, CSR, row-blocked, rescaled) and must give the
numbers of :class:`Plain`, which writes the formulas with one product and no blocks.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sklearn_convexnn.core.problem.engines.in_memory import NumpyEngine
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.neurons import relu, smooth_relu
from sklearn_convexnn.core.problem.rows import Rows

N_ROWS, N_FEATURES, N_NEURONS = 129, 4, 5  # two blocks of 64 rows and one row more
WIDTH = 0.3


def smoothed(h, width):
    """:func:`smooth_relu` as a function of the pre-activation."""
    value, slope = smooth_relu(np, (h + width) / (2 * width))
    return width * value, slope


class Plain:
    """The formulas of ``Rows`` for rows ``A`` (with their scale and constant)."""

    def __init__(self, A, Y, weights, loss):
        self.A, self.Y, self.weights, self.loss = A, Y, weights, loss

    def hidden(self, U):
        return np.maximum(self.A @ U.T, 0)

    def outputs(self, U, C, b0):
        return self.hidden(U) @ C + b0

    def moments(self, U):
        H, w = self.hidden(U), self.weights
        return w @ H, (H.T * w) @ H, (H.T * w) @ self.Y

    def loss_and_gradients(self, U, C, b0, smoothing=None):
        H = self.A @ U.T
        if smoothing is None:
            activations, slope = np.maximum(H, 0), (H > 0).astype(float)
        else:
            slope = np.clip((H + smoothing) / (2 * smoothing), 0, 1)
            activations = smoothing * slope**2 + np.maximum(H - smoothing, 0)
        Z = activations @ C + b0
        E = self.weights[:, None] * self.loss.gradient(self.Y, Z)
        value = self.weights @ self.loss.value(self.Y, Z)
        return value, (slope * (E @ C.T)).T @ self.A, activations.T @ E, E.sum(axis=0)

    def prices(self, U, R):
        return self.hidden(U).T @ R

    def prices_and_ascent(self, U, Q, R):
        slope = self.A @ U.T > 0
        return self.prices(U, R), (slope * (R @ Q.T)).T @ self.A

    def smooth_ascent(self, U, Q, R, width, band):
        H, r = self.A @ U.T, R @ Q.T
        bends = (np.abs(H) < band) & (r < 0)
        slope = np.where(bends, (H + width) / (2 * width), H > 0)
        curvature = bends * np.abs(r) / (2 * width)
        return (slope * r).T @ self.A, np.einsum("nj,np,nq->jpq", curvature, self.A, self.A)


def _data(loss="squared_error", n_outputs=2, n=N_ROWS, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, N_FEATURES)) * (rng.random((n, N_FEATURES)) < 0.6)
    if loss == "squared_error":
        Y = rng.standard_normal((n, n_outputs))
    elif n_outputs == 1:
        Y = rng.integers(0, 2, (n, 1)).astype(float)
    else:
        Y = np.eye(n_outputs)[rng.integers(0, n_outputs, n)]
    weights = rng.uniform(0.1, 1, n)
    return X, Y, weights / weights.sum(), get_loss(loss, n_outputs), rng


def _arguments(rng, n_columns, n_outputs):
    U = rng.standard_normal((N_NEURONS, n_columns))
    C = rng.standard_normal((N_NEURONS, n_outputs))
    R = rng.standard_normal((N_ROWS, n_outputs)) / N_ROWS
    Q = rng.standard_normal((N_NEURONS, n_outputs))
    return {
        "hidden": (U,),
        "outputs": (U, C, rng.standard_normal(n_outputs)),
        "moments": (U,),
        "loss_and_gradients": (U, C, rng.standard_normal(n_outputs)),
        "smoothed": (U, C, rng.standard_normal(n_outputs), np.linspace(0.05, 0.5, N_NEURONS)),
        "prices": (U, R),
        "prices_and_ascent": (U, Q, R),
        "smooth_ascent": (U, Q, R, WIDTH, 2 * WIDTH),
    }


PASSES = list(_arguments(np.random.default_rng(0), 2, 1))
INPUTS = {
    "dense": np.asarray,
    "Fortran order": np.asfortranarray,
    "CSR array": sparse.csr_array,
    "CSR matrix": sparse.csr_matrix,
}
LOSS_SHAPES = [("squared_error", 1), ("squared_error", 2), ("log_loss", 1), ("log_loss", 3)]


def _both(pass_name, loss, n_outputs, intercept, scale, make_input, **settings):
    """The results of a pass and of the plain formula, as lists of arrays."""
    X, Y, weights, loss, rng = _data(loss, n_outputs)
    arguments = _arguments(rng, N_FEATURES + intercept, n_outputs)[pass_name]
    rows = Rows.of(make_input(X), Y, weights, loss, intercept=intercept, scale=scale, **settings)
    A = scale * (np.column_stack([X, np.ones(len(X))]) if intercept else X)
    method = "loss_and_gradients" if pass_name == "smoothed" else pass_name
    results = (
        getattr(rows, method)(*arguments),
        getattr(Plain(A, Y, weights, loss), method)(*arguments),
    )
    return [part if isinstance(part, tuple) else (part,) for part in results]


def _assert_close(found, expected, tolerance):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert np.shape(one) == np.shape(other)
        size = np.abs(other).max()
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * size)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("loss, n_outputs", LOSS_SHAPES)
@pytest.mark.parametrize("pass_name", PASSES)
def test_passes_equal_the_plain_formulas(pass_name, loss, n_outputs, intercept):
    """In one block, for every loss, with and without the constant column."""
    found, expected = _both(pass_name, loss, n_outputs, intercept, 1.7, np.asarray)
    _assert_close(found, expected, 1e-12)


@pytest.mark.parametrize("block_bytes", [1, 10**6])
@pytest.mark.parametrize("make_input", INPUTS.values(), ids=INPUTS)
@pytest.mark.parametrize("pass_name", PASSES)
def test_passes_do_not_depend_on_storage_or_blocks(pass_name, make_input, block_bytes):
    """Dense or CSR, in one block or in three (the last of one row)."""
    found, expected = _both(
        pass_name, "log_loss", 3, True, 0.4, make_input, block_bytes=block_bytes
    )
    _assert_close(found, expected, 1e-12)


def test_tiny_block_bytes_do_cut_the_rows():
    """The test above is about several blocks only if there are several, without gaps."""
    X, Y, weights, *_ = _data()
    for stored in (X, sparse.csr_array(X)):
        for block_bytes, n_blocks in ((1, 3), (10**6, 1)):
            engine, seen = NumpyEngine(stored, Y, weights, block_bytes=block_bytes), []

            def record(xp, block, seen=seen):
                seen.append((block.X.shape[0], block.Y, block.w))
                return (block.Y.sum(axis=0),), block.Y

            sums, kept = engine.map_reduce(
                record, width=N_NEURONS, dtype=np.dtype(float), keep=True
            )
            assert [len(Y) for _, Y, _ in seen] == [len(w) for _, _, w in seen]
            assert [rows for rows, _, _ in seen] == [len(w) for _, _, w in seen]
            assert len(seen) == n_blocks
            np.testing.assert_array_equal(np.concatenate([Y for _, Y, _ in seen]), Y)
            np.testing.assert_array_equal(kept, Y)
            np.testing.assert_allclose(sums[0], Y.sum(axis=0), rtol=1e-12)


@pytest.mark.parametrize("make_input", [np.asarray, sparse.csr_array], ids=["dense", "CSR"])
@pytest.mark.parametrize("pass_name", PASSES)
def test_single_precision_is_close(pass_name, make_input):
    """Products in float32 give half the digits; sums over rows and gradients come in float64."""
    found, expected = _both(
        pass_name, "log_loss", 3, True, 0.4, make_input, dtype=np.float32, block_bytes=1
    )
    _assert_close(found, expected, 5e-5)
    wanted = np.float32 if pass_name == "hidden" else np.float64
    assert all(np.asarray(part).dtype == wanted for part in found)


@pytest.mark.parametrize("make_input", [np.asarray, sparse.csr_array], ids=["dense", "CSR"])
def test_single_precision_rows_stay_single(make_input):
    """float32 data is used in float32 unless asked otherwise."""
    X, Y, weights, loss, rng = _data()
    U = rng.standard_normal((N_NEURONS, N_FEATURES))
    rows = Rows.of(make_input(X.astype(np.float32)), Y, weights, loss, intercept=False)
    assert rows.hidden(U).dtype == np.float32
    assert rows.with_dtype(np.float64).hidden(U).dtype == np.float64
    assert rows.dense().dtype == np.float64


def test_with_dtype_keeps_everything_else():
    X, Y, weights, loss, _ = _data()
    rows = Rows.of(X, Y, weights, loss, intercept=True, scale=0.3, block_bytes=77)
    other = rows.with_dtype(np.float32)
    assert other.dtype == np.float32
    assert rows.dense() is other.dense()
    assert {**vars(rows), "dtype": None} == {**vars(other), "dtype": None}


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("make_input", [np.asarray, sparse.csr_array], ids=["dense", "CSR"])
def test_dense_rows(make_input, intercept):
    """``scale * [X, 1]``, and the sizes that go with it."""
    X, Y, weights, loss, _ = _data()
    rows = Rows.of(make_input(X), Y, weights, loss, intercept=intercept, scale=2.5)
    expected = np.column_stack([X, np.ones(len(X))]) if intercept else X
    np.testing.assert_allclose(rows.dense(), 2.5 * expected, rtol=1e-15)
    assert (rows.n_rows, rows.n_columns, rows.n_outputs) == (*expected.shape, 2)


@pytest.mark.parametrize("smoothing", [None, np.full(N_NEURONS, 0.2)], ids=["ReLU", "smoothed"])
@pytest.mark.parametrize("loss, n_outputs", LOSS_SHAPES)
def test_gradients_are_derivatives_of_the_loss(loss, n_outputs, smoothing):
    """Central differences in each of the three arguments."""
    X, Y, weights, loss, rng = _data(loss, n_outputs)
    rows = Rows.of(X, Y, weights, loss, intercept=True, scale=0.7)
    point = _arguments(rng, N_FEATURES + 1, n_outputs)["outputs"]
    gradients = rows.loss_and_gradients(*point, smoothing)[1:]
    for k in range(3):
        step = [1e-6 * rng.standard_normal(part.shape) * (i == k) for i, part in enumerate(point)]
        ahead, behind = (
            rows.loss_and_gradients(
                *(part + sign * move for part, move in zip(point, step, strict=True)), smoothing
            )[0]
            for sign in (1, -1)
        )
        np.testing.assert_allclose(ahead - behind, 2 * np.vdot(gradients[k], step[k]), rtol=1e-5)


def test_ascent_is_the_derivative_of_the_price():
    """Central differences of ``<q_j, R^T (X u_j)_+>``."""
    X, Y, weights, loss, rng = _data()
    rows = Rows.of(X, Y, weights, loss, intercept=True, scale=0.7)
    U, Q, R = _arguments(rng, N_FEATURES + 1, 2)["prices_and_ascent"]
    step = 1e-6 * rng.standard_normal(U.shape)
    change = np.sum((rows.prices(U + step, R) - rows.prices(U - step, R)) * Q, axis=1)
    slope = np.sum(rows.prices_and_ascent(U, Q, R)[1] * step, axis=1)
    np.testing.assert_allclose(change, 2 * slope, rtol=1e-5)


def test_smooth_ascent_belongs_to_a_concave_minorant():
    """Tangents for r > 0 and parabolas for r < 0 stay below the price.

    G and -K are the first and second derivative of that minorant.
    """
    X, Y, weights, loss, rng = _data()
    rows = Rows.of(X, Y, weights, loss, intercept=True)
    A = rows.dense()
    U, Q, R = _arguments(rng, N_FEATURES + 1, 2)["prices_and_ascent"]
    G, K = rows.smooth_ascent(U, Q, R, WIDTH, WIDTH)
    for u, q, g, k in zip(U, Q, G, K, strict=True):
        r = R @ q
        tangent = np.where(r > 0, A @ u > 0, 0)

        def minorant(v, r=r, tangent=tangent):
            H = A @ v
            return np.where(r > 0, r * tangent * H, r * smoothed(H, WIDTH)[0]).sum()

        for _ in range(5):
            v = u + rng.standard_normal(u.shape)
            assert minorant(v) <= r @ np.maximum(A @ v, 0) + 1e-12
        d = 1e-4 * rng.standard_normal(u.shape)
        np.testing.assert_allclose(minorant(u + d) - minorant(u - d), 2 * g @ d, rtol=1e-3)
        second = minorant(u + d) + minorant(u - d) - 2 * minorant(u)
        np.testing.assert_allclose(second, -d @ k @ d, rtol=0.05)


def test_one_row_and_no_neurons():
    """The smallest inputs: one row; a network without neurons."""
    X, Y, weights, loss, rng = _data(n=1)
    rows = Rows.of(X, Y, weights, loss, intercept=True)
    U = rng.standard_normal((N_NEURONS, N_FEATURES + 1))
    assert rows.hidden(U).shape == (1, N_NEURONS)
    empty, b0 = (np.zeros((0, N_FEATURES + 1)), np.zeros((0, 2))), np.array([1.0, -1.0])
    np.testing.assert_array_equal(rows.outputs(*empty, b0), b0[None])
    value, dU, dC, db0 = rows.loss_and_gradients(*empty, b0)
    np.testing.assert_allclose(value, loss.value(Y, b0[None])[0])
    assert (dU.shape, dC.shape) == (empty[0].shape, empty[1].shape)
    np.testing.assert_allclose(db0, b0 - Y[0])


# -------------------------------------------------------------------------------------- activations


def test_relu_works_in_place():
    H = np.array([-1.0, 0.0, 2.0])
    A, slope = relu(np, H)
    assert A is H
    np.testing.assert_array_equal(A, [0, 0, 2])
    np.testing.assert_array_equal(slope, [False, False, True])


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    h=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20),
    width=st.floats(1e-3, 1e2),
)
def test_smooth_relu(h, width):
    """Between the ReLU and ``width / 4`` above, equal outside the band, convex, with its slope."""
    h = np.sort(h)
    value, slope = smoothed(h, width)
    rounding = 1e-12 * (1 + np.abs(h).max() + width)
    above = value - np.maximum(h, 0)
    assert above.min() >= -rounding
    assert above.max() <= width / 4 + rounding
    assert np.all(np.abs(above[np.abs(h) >= width]) <= rounding)
    assert np.all((slope >= 0) & (slope <= 1))
    assert np.all(np.diff(slope) >= 0), "convex: the slope rises"
    step = 1e-3 * width
    difference = smoothed(h + step, width)[0] - smoothed(h - step, width)[0]
    # The slope changes by at most step / (2 width) on either side.
    np.testing.assert_allclose(difference / (2 * step), slope, atol=1e-3 + 1e4 * rounding / width)
