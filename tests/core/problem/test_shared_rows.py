"""Training problems on parts of one array of rows: those of the parts alone, without copies."""

import numpy as np
import pytest
from scipy import sparse

from sklearn_convexnn.core.problem.shared_rows import SharedRows
from sklearn_convexnn.core.problem.units import make_problem

SETTINGS = {"loss": "squared_error", "intercept": True}


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 3))
    X[30:] = X[:10]  # repeated rows, in other parts
    y = X[:, 0] ** 2
    return X, y, rng.integers(0, 3, 40)


def problem_of_part(shared, y, rows, weights):
    sums = shared.sums(rows, weights)
    index = np.flatnonzero(sums)
    targets = y[shared.origin[index]][:, None]
    return shared.problem(index, targets, sums[index], options={}, **SETTINGS)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_problem_of_a_part_is_that_of_its_rows(data, kind):
    X, y, parts = data
    shared = SharedRows.of(kind(X), y, parts)
    rows = np.flatnonzero(parts != 1)
    weights = np.random.default_rng(1).uniform(0.5, 2, len(rows))
    part = problem_of_part(shared, y, rows, weights)
    alone = make_problem(X[rows], y[rows][:, None], weights, **SETTINGS)
    assert part.rows.n_rows == alone.rows.n_rows  # repeated rows count once
    for name in ("y_shift", "y_scale", "alpha_unit", "objective_unit"):
        np.testing.assert_allclose(getattr(part, name), getattr(alone, name))
    np.testing.assert_allclose(part.rows.scale, alone.rows.scale)
    U = np.random.default_rng(2).standard_normal((4, 4))
    found, expected = (
        problem.rows.prices(U, problem.rows.Y * problem.rows.weights[:, None])
        for problem in (part, alone)
    )
    np.testing.assert_allclose(found, expected)


def test_parts_share_one_array_in_an_order_of_values(data):
    X, y, parts = data
    shared = SharedRows.of(X, y, parts)
    problems = [
        problem_of_part(shared, y, rows, np.ones(len(rows)))
        for rows in (np.flatnonzero(parts == 0), np.flatnonzero(parts != 0))
    ]
    for problem in problems:
        assert problem.rows.engine.stored is shared.X
    order = np.random.default_rng(3).permutation(40)
    again = SharedRows.of(X[order], y[order], parts[order])
    np.testing.assert_array_equal(again.X, shared.X)
    np.testing.assert_array_equal(again.of_row, shared.of_row[order])
    assert len(shared.X) == 30


def test_rows_of_one_part_lie_side_by_side(data):
    X, y, parts = data
    shared = SharedRows.of(X[:30], y[:30], parts[:30])
    assert np.all(np.diff(parts[shared.origin]) >= 0)


def test_rows_that_no_part_has_are_not_stored(data):
    X, y, parts = data
    parts = np.where(np.arange(40) % 4 == 0, -1, parts)
    shared = SharedRows.of(X, y, parts)
    stored = {tuple(row) for row in X[parts >= 0]}
    assert {tuple(row) for row in shared.X} == stored
    assert shared.sums(np.arange(40), parts >= 0).sum() == np.sum(parts >= 0)


def test_large_rows_stay_where_they_are(data):
    X, y, parts = data
    shared = SharedRows.of(X, y, parts, memory=0)
    assert shared.X is X
    np.testing.assert_array_equal(shared.of_row, np.arange(40))


def test_few_rows_are_of_all_parts(data):
    X, y, parts = data
    shared = SharedRows.of(X, y, parts)
    problem = problem_of_part(shared, y, np.arange(40), np.ones(40))
    few = problem.rows.few(10)
    assert few.n_rows == 10
    where = [int(np.flatnonzero((row == shared.X).all(axis=1))[0]) for row in few.X]
    assert where[0] == 0
    assert where[-1] == 29
    assert problem.rows.few(100).n_rows == 30
