"""Samples of rows: the same in any order, of all kinds of arrays; draws keep sums."""

import numpy as np
import pytest
from scipy import sparse

from sklearn_convexnn.core.problem.engines.coded import CodedRows, coded_if_cheaper
from sklearn_convexnn.core.problem.engines.in_memory import NumpyEngine
from sklearn_convexnn.core.problem.engines.part import PartEngine
from sklearn_convexnn.core.problem.engines.row_keys import as_fractions, device_keys, row_keys
from tests.places import each_place, engine_at

N = 400


def make(engine, X, Y, weights):
    if engine == "CSR":
        return NumpyEngine(sparse.csr_array(X), Y, weights)
    if engine == "part":
        stored = np.repeat(X, 2, axis=0)
        return PartEngine(stored, Y, weights, 2 * np.arange(len(X)))
    return NumpyEngine(X, Y, weights)


def data(seed=0, n=N):
    rng = np.random.default_rng(seed)
    X = np.where(rng.random((n, 5)) < 0.3, 0.0, np.round(rng.standard_normal((n, 5)), 1))
    return X, rng.standard_normal((n, 2)), rng.uniform(0.5, 1.5, n) / n


@pytest.mark.parametrize("engine", ["array", "CSR", "part"])
def test_the_same_rows_in_any_order(engine):
    X, Y, weights = data()
    order = np.random.default_rng(1).permutation(N)
    found = []
    for rows in (np.arange(N), order):
        sample = make(engine, X[rows], Y[rows], weights[rows]).sample(100, np.float32)
        assert sample.n_rows == 100
        assert sample.dtype == np.float32
        assert sample.weights.sum() == pytest.approx(1)
        features = sample.X.toarray() if sample.sparse else sample.X
        found.append({(*x, *y) for x, y in zip(features.tolist(), sample.Y.tolist(), strict=True)})
    assert found[0] == found[1]


def test_keys_of_equal_values():
    X, _, _ = data()
    X[0, 0] = -0.0
    keys = row_keys(X)
    np.testing.assert_array_equal(row_keys(sparse.csr_array(X)), keys)
    np.testing.assert_array_equal(row_keys(X.astype(np.float32).astype(float)).shape, keys.shape)
    assert len(np.unique(row_keys(np.arange(5000.0)[:, None] % 4096))) == 4096


@pytest.mark.parametrize("scale", [1.0, 1e-300, 2.0**40])
def test_keys_are_spread_evenly(scale):
    """Also those of small integers and of columns of two values."""
    grid = np.stack(np.meshgrid(*[np.arange(8.0)] * 4), axis=-1).reshape(-1, 4) * scale
    bits = ((np.arange(4096)[:, None] >> np.arange(12)) & 1) * scale
    for X in (grid, bits):
        counts = np.histogram(row_keys(X).astype(float), bins=16, range=(0, 2.0**64))[0]
        assert len(np.unique(row_keys(X))) == 4096
        assert np.all(np.abs(counts - 256) < 6 * np.sqrt(256))


def test_keys_of_coded_rows():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((20_000, 1))
    coded = coded_if_cheaper(np.hstack([x, x > np.linspace(-1, 1, 20)]))
    assert isinstance(coded, CodedRows)
    sample = NumpyEngine(coded, x, np.full(len(x), 1 / len(x))).sample(500, np.float32)
    assert sample.coded
    np.testing.assert_allclose(sample.X.toarray()[:, 0], sample.Y[:, 0], rtol=1e-6)


def test_draws_keep_sums():
    """Over many residuals the sums of a draw are those of all rows, without a bias."""
    X, _, weights = data()
    rng = np.random.default_rng(7)
    engine = NumpyEngine(X, np.zeros((N, 1)), weights)
    errors = []
    for _ in range(300):
        R = rng.standard_normal((N, 1)) ** 3
        sample, drawn = engine.draw(R, 150, np.float64)
        expected = np.minimum(1.0, 150 * np.abs(R) / np.abs(R).sum()).sum()
        assert abs(sample.n_rows - expected) < 6 * np.sqrt(expected)
        errors.append((X.T @ R - sample.X.T @ drawn)[0, 0])
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(len(errors))


def test_a_residual_of_zeros_draws_nothing():
    X, Y, weights = data()
    sample, drawn = NumpyEngine(X, Y, weights).draw(np.zeros((N, 1)), 100, np.float64)
    assert sample.n_rows == len(drawn) == 0


@pytest.mark.parametrize("block_bytes", [1 << 20, 1 << 10])
def test_signed_integers_have_the_bits_of_keys(block_bytes):
    """As other libraries compute them, in one block or in several; here in NumPy."""
    X, _, _ = data()
    X[0, 0] = -0.0
    signed = device_keys(np, X, block_bytes)
    assert signed.dtype == np.int64
    np.testing.assert_array_equal(signed.view(np.uint64), row_keys(X))
    expected = row_keys(X).astype(float) / 2.0**64
    np.testing.assert_allclose(as_fractions(np, signed), expected, rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@each_place
def test_keys_and_samples_of_a_device(make_place, dtype):
    """The same bits, and so the same rows."""
    X, Y, weights = data()
    X[0, 0] = -0.0
    engine, expected = (
        engine_at(make_place)(X.astype(dtype), Y, weights),
        make("array", X, Y, weights),
    )
    np.testing.assert_array_equal(engine.stored.host_keys(), row_keys(X.astype(dtype)))
    if dtype is np.float64:
        one, other = (rows.sample(50, np.float32) for rows in (engine, expected))
        np.testing.assert_array_equal(one.collect().X, other.X)
        R = np.abs(X[:, :1])
        (one, drawn), (other, expected_drawn) = (
            rows.draw(rows.kept(R), 50, np.float64) for rows in (engine, expected)
        )
        np.testing.assert_array_equal(one.collect().X, other.X)
        np.testing.assert_allclose(drawn, expected_drawn)
