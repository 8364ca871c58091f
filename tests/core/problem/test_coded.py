"""Coded columns: the same numbers and the same fits as with the dense rows."""

import numpy as np
import pytest
from scipy import sparse

from sklearn_convexnn import (
    ConvexReLUClassifier,
    ConvexReLURegressor,
    GatedReLURegressor,
    QuantileSteps,
)
from sklearn_convexnn.core.problem import units
from sklearn_convexnn.core.problem.engines import coded
from sklearn_convexnn.core.problem.engines.coded import CodedRows, coded_if_cheaper
from sklearn_convexnn.core.problem.engines.in_memory import NumpyEngine
from tests.conftest import make_rows
from tests.core.problem.test_engines import each_loss, every_pass, fitted_objective, on


@pytest.fixture
def eager(monkeypatch):
    """Code whatever can be coded, in short groups, so that small rows have several tables."""
    monkeypatch.setattr(coded, "LEAST_NUMBERS", 1)
    monkeypatch.setattr(coded, "LEAST_COLUMNS", 2)
    monkeypatch.setattr(coded, "ROWS_PER_LINE", 2)
    monkeypatch.setattr(coded, "MOST_LINES", 10)


def with_indicators(n=130, seed=0):
    """Steps, one-hot columns, a constant and plain columns, mixed."""
    X = make_rows(n, 3, seed)
    levels = np.random.default_rng(seed).integers(0, 5, n)
    parts = [
        QuantileSteps(n_steps=6, weight=0.7).fit_transform(X),
        (levels[:, None] == np.arange(5)) * 2.0 - 1.0,
        np.full((n, 1), 3.0),
        make_rows(n, 2, seed + 1),
    ]
    X = np.concatenate(parts, axis=1)
    return X[:, np.random.default_rng(1).permutation(X.shape[1])]


def make_coded(X, Y, weights):
    X = coded_if_cheaper(X)
    assert isinstance(X, CodedRows)
    assert len(X.tables) > 1
    return NumpyEngine(X, Y, weights, block_bytes=1)


# ---------------------------------------------------------------------------------------- the rows


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_rows_are_the_same(dtype):
    X = with_indicators().astype(dtype)
    compact = coded_if_cheaper(X)
    assert compact.shape == X.shape
    assert len(compact.columns) == 5
    some = np.array([5, 3, 3, 129])
    mask = np.arange(len(X)) % 3 == 0
    for rows in (slice(None), slice(7, 70), some, mask):
        found = compact[rows].toarray()
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, X[rows])
    np.testing.assert_array_equal(
        compact.astype(np.float32).toarray(), X.astype(np.float32), strict=True
    )


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-13), (np.float32, 1e-5)])
def test_products(dtype, rtol):
    X = with_indicators().astype(dtype)
    rng = np.random.default_rng(0)
    W = rng.standard_normal((X.shape[1], 4)).astype(dtype)
    R = rng.standard_normal((len(X), 3)).astype(dtype)
    compact = coded_if_cheaper(X)
    for product, expected in [
        (compact @ W, X @ W),
        (compact.T @ R, X.T @ R),
        (compact.T @ R[:, 0], X.T @ R[:, 0]),
        (compact[9:50] @ W, X[9:50] @ W),
    ]:
        assert product.dtype == dtype
        np.testing.assert_allclose(product, expected, rtol=0, atol=rtol * np.abs(expected).max())


def test_what_is_coded():
    """Steps and one-hot columns of many rows; nothing where it would not pay."""
    steps = QuantileSteps().fit_transform(make_rows(4000, 4))
    compact = coded_if_cheaper(steps)
    assert [len(table.columns) for table in compact.tables] == [30, 30]
    assert all(len(table.lines) <= 256 for table in compact.tables)
    assert compact.plain.nbytes + compact.codes.nbytes < steps.nbytes / 8
    levels = np.random.default_rng(0).integers(0, 40, 4000)
    (table,) = coded_if_cheaper((levels[:, None] == np.arange(40)).astype(float)).tables
    assert len(table.lines) == len(table.columns) == 40
    for X in (
        make_rows(40_000, 4),
        steps[:500],
        np.sign(make_rows(4000, 40)),  # eight independent signs have 256 lines
        np.random.default_rng(0).integers(0, 3, (4000, 40)).astype(float),
        np.round(make_rows(4000, 40)),
    ):
        assert coded_if_cheaper(X) is X


def test_a_value_that_comes_late_is_seen():
    X = np.repeat(np.eye(20), 400, axis=0)
    X[-1, 0] = 0.5
    compact = coded_if_cheaper(X)
    assert 0 in compact.columns
    np.testing.assert_array_equal(compact.toarray(), X)


# ------------------------------------------------------------------------------------------ passes


def arrays(loss, n_outputs, columns=slice(None)):
    X = with_indicators()[:, columns]
    Z = X @ make_rows(X.shape[1], 2 * n_outputs)
    Z = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    Y = np.abs(Z[:, :n_outputs]) - 0.5 * Z[:, n_outputs:] + 0.3 * make_rows(len(X), n_outputs)
    Y = (Y > 0.7).astype(float) if loss == "log_loss" else Y
    weights = np.random.default_rng(2).uniform(0.5, 1.5, len(X))
    return X, Y, weights / weights.sum()


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("columns", [slice(0, 10), slice(None)], ids=["short rows", "long rows"])
@pytest.mark.parametrize("intercept", [True, False])
@each_loss
def test_every_pass_gives_the_same_numbers(loss, n_outputs, intercept, columns):
    some = arrays(loss, n_outputs, columns)
    found, expected = (
        every_pass(on(make, some, loss, n_outputs, intercept)) for make in (make_coded, NumpyEngine)
    )
    for name, value in expected.items():
        rtol = 1e-8 if name == "allowed price" else 1e-12
        atol = rtol * np.abs(value).max(initial=1e-3)
        np.testing.assert_allclose(found[name], value, rtol=rtol, atol=atol, err_msg=name)


@pytest.mark.usefixtures("eager")
def test_passes_in_single_precision():
    some = arrays("squared_error", 1)
    rows, dense = (
        on(make, some, "squared_error", 1, True).with_dtype(np.float32)
        for make in (make_coded, NumpyEngine)
    )
    U = make_rows(6, rows.n_columns)
    C, b0 = np.ones((6, 1)), np.zeros(1)
    for one, other in zip(
        rows.loss_and_gradients(U, C, b0), dense.loss_and_gradients(U, C, b0), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * np.abs(other).max())
    np.testing.assert_array_equal(rows.X, dense.X)
    np.testing.assert_array_equal(rows.dense(), dense.dense())


# -------------------------------------------------------------------------------------------- fits


@pytest.mark.usefixtures("eager")
@each_loss
def test_a_round_of_a_fit_gives_the_same(loss, n_outputs):
    """With a short slide: a long one carries the last digit across kinks, on which it depends."""
    some = arrays(loss, n_outputs, slice(0, 10))
    one, other = (
        fitted_objective(make, loss, n_outputs, some, max_iter=1, slide_iter=10)
        for make in (make_coded, NumpyEngine)
    )
    assert one == pytest.approx(other, rel=1e-8)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    "loss", ["squared_error", pytest.param("log_loss", marks=pytest.mark.slow)]
)
def test_a_fit_to_the_last_digits_gives_the_same(loss):
    settings = {"gap_tol": 1e-9, "crossing": True, "program": True}
    some = arrays(loss, 1, slice(4, 12))
    one, other = (
        fitted_objective(make, loss, 1, some, **settings) for make in (make_coded, NumpyEngine)
    )
    assert one == pytest.approx(other, rel=1e-8)


PROGRAM = {"refinement": None, "patterns": 12}


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    "estimator",
    [
        ConvexReLURegressor(alpha=0.2, gap_tol=1e-6),
        ConvexReLUClassifier(alpha=0.05, gap_tol=1e-6),
        ConvexReLURegressor(alpha=0.05, **PROGRAM),
        GatedReLURegressor(alpha=0.05, patterns=8),
    ],
    ids=["regressor", "classifier", "program", "gated"],
)
def test_estimators_of_both_kinds_of_rows(estimator, monkeypatch):
    X, y = with_indicators(), make_rows(130, 1)[:, 0]
    y = (X[:, 0] + y > 0) if isinstance(estimator, ConvexReLUClassifier) else X[:, 0] + y
    weights = np.random.default_rng(3).integers(0, 3, 130)
    made, found = [], []
    for code in (coded_if_cheaper, lambda X: X):
        monkeypatch.setattr(
            units, "coded_if_cheaper", lambda X, code=code: made.append(code(X)) or made[-1]
        )
        model = estimator.set_params(random_state=0).fit(X, y, sample_weight=weights)
        found.append((model.objective_, model.alpha_max_, model.predict(X)))
        assert model.coefs_[0].shape[0] == X.shape[1]
    assert [type(rows) for rows in made] == [CodedRows, np.ndarray]
    (one, largest, predicted), (other, as_large, expected) = found
    assert one == pytest.approx(other, rel=3e-6)
    assert largest == pytest.approx(as_large, rel=1e-6)
    assert np.mean(np.abs(predicted.astype(float) - expected)) < 2e-3


@pytest.mark.usefixtures("eager")
def test_repeated_rows_and_their_order_do_not_matter():
    X = with_indicators()
    y = np.abs(X[:, 1]) + X[:, 2]
    times = np.random.default_rng(3).integers(1, 3, 130)
    again = np.random.default_rng(4).permutation(np.repeat(np.arange(130), times))
    one, other = (ConvexReLURegressor(alpha=0.02, random_state=0) for _ in range(2))
    one.fit(X, y, sample_weight=times)
    other.fit(X[again], y[again])
    assert one.objective_ == other.objective_
    np.testing.assert_array_equal(one.coefs_[0], other.coefs_[0])


def test_sparse_rows_stay_sparse():
    X = sparse.random_array((60_000, 40), density=0.02, format="csr", rng=np.random.default_rng(0))
    X.data[:] = 1.0
    problem = units.make_problem(
        X,
        np.ones((60_000, 1)) * np.arange(60_000)[:, None],
        np.ones(60_000),
        loss="squared_error",
        intercept=True,
    )
    assert problem.rows.sparse
