"""Long tails: the formula, its inverse, and the rows that it takes."""

import numpy as np
import pytest
from scipy import sparse

from sklearn_convexnn import TailCompressor
from tests.conftest import make_rows


def heavy(n=200, d=3):
    return np.sinh(3 * make_rows(n, d))


def test_the_formula():
    z = np.array([[-6.0, -2.5, -1.0, 0.0, 2.0, 2.5, 30.0]])
    expected = [[-2.5 - np.log(4.5), -2.5, -1.0, 0.0, 2.0, 2.5, 2.5 + np.log(28.5)]]
    np.testing.assert_allclose(TailCompressor().fit_transform(z), expected, rtol=1e-14)


@pytest.mark.parametrize("start", [0.0, 1.0, np.inf])
def test_order_is_kept_and_the_way_back_is_known(start):
    X = heavy()
    model = TailCompressor(start=start).fit(X)
    found = model.transform(X)
    np.testing.assert_array_equal(np.argsort(found, axis=0), np.argsort(X, axis=0))
    assert np.all(np.abs(found) <= np.abs(X))
    np.testing.assert_array_equal(found[np.abs(X) <= start], X[np.abs(X) <= start])
    np.testing.assert_allclose(model.inverse_transform(found), X, rtol=1e-12)


def test_infinite_start_changes_nothing():
    X = heavy()
    np.testing.assert_array_equal(TailCompressor(start=np.inf).fit_transform(X), X)


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_matrix])
def test_sparse_rows_stay_sparse(kind):
    X = heavy()
    X[np.abs(X) < 1] = 0
    rows = kind(X)
    found = TailCompressor().fit_transform(rows)
    assert type(found) is kind
    np.testing.assert_array_equal(found.toarray(), TailCompressor().fit_transform(X))
    np.testing.assert_array_equal(rows.toarray(), X)


def test_missing_values_stay_missing():
    X = heavy().astype(np.float32)
    X[3, 1] = np.nan
    found = TailCompressor().fit_transform(X)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(found), np.isnan(X))


def test_names_of_data_frames():
    frame = pytest.importorskip("pandas").DataFrame(heavy(), columns=["a", "b", "c"])
    model = TailCompressor().set_output(transform="pandas").fit(frame)
    assert list(model.transform(frame).columns) == ["a", "b", "c"]


@pytest.mark.parametrize("start", [-1.0, np.nan, "far"])
def test_bad_start(start):
    with pytest.raises(ValueError, match="start"):
        TailCompressor(start=start).fit(heavy())
