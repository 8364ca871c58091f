"""Activation patterns: all of them are found, each with a gate that has it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import linprog

from sklearn_convexnn.core.patterns.enumeration import (
    count_bound,
    enumerate_patterns,
    from_directions,
    sample,
)
from tests.problems import patterns as patterns_by_rays
from tests.problems import sine_data


def as_set(active):
    """Patterns as a set; asserts that none comes twice."""
    found = {column.tobytes() for column in active.T}
    assert len(found) == active.shape[1]
    return found


def assert_consistent(X, found):
    """Every gate has its pattern, with a margin."""
    products = X @ found.gates
    np.testing.assert_array_equal(found.active, products > 0)
    np.testing.assert_allclose(np.linalg.norm(found.gates, axis=0), 1.0)
    as_set(found.active)


def realisable(X, pattern):
    """Whether some u has ``S X u >= 1``, by a linear program."""
    signs = np.where(pattern, 1.0, -1.0)
    result = linprog(
        np.zeros(X.shape[1]), A_ub=-signs[:, None] * X, b_ub=-np.ones(len(X)), bounds=(None, None)
    )
    return result.status == 0


@pytest.mark.parametrize(
    "n, rank, count",
    [(6, 2, 12), (8, 2, 16), (8, 3, 58), (10, 3, 92), (9, 4, 186), (40, 3, 1562), (9, 5, None)],
)
def test_counts_in_general_position(n, rank, count):
    """The formula, and values of it from a table."""
    X = np.random.default_rng(n).standard_normal((n, rank))
    found = enumerate_patterns(X)
    assert found.n_patterns == count_bound(n, rank)
    if count is not None:
        assert found.n_patterns == count
    assert_consistent(X, found)


def test_every_pattern_of_few_rows_by_linear_programs():
    """All 2^n patterns tried, n = 6 rows of rank 3."""
    X = np.random.default_rng(1).standard_normal((6, 3))
    tried = np.arange(2**6)[:, None] >> np.arange(6) & 1 == 1
    expected = {p.tobytes() for p in tried if realisable(X, p)}
    assert as_set(enumerate_patterns(X).active) == expected


@pytest.mark.parametrize("n, d", [(1, 3), (3, 3), (4, 6)])
def test_independent_rows_have_every_pattern(n, d):
    X = np.random.default_rng(0).standard_normal((n, d))
    found = enumerate_patterns(X)
    assert found.n_patterns == 2**n
    assert_consistent(X, found)


def test_rank_of_the_rows_counts_not_their_length():
    """Data in 6 columns but of rank 2, in extreme units."""
    X, _ = sine_data(8, 6)
    for scale in (1.0, 1e-200, 1e200):
        found = enumerate_patterns(scale * X)
        assert found.n_patterns == 16
        assert_consistent(scale * X, found)


def test_zero_and_parallel_rows():
    """Zero rows are never active, parallel ones are active together or in turn."""
    base = np.random.default_rng(2).standard_normal((5, 3))
    X = np.concatenate([base, np.zeros((2, 3)), 3 * base[:2], -0.1 * base[3:]])
    found = enumerate_patterns(X)
    assert found.n_patterns == count_bound(5, 3)
    assert_consistent(X, found)
    assert not found.active[5:7].any()
    np.testing.assert_array_equal(found.active[7:9], found.active[:2])
    np.testing.assert_array_equal(found.active[9:], ~found.active[3:5])


@pytest.mark.parametrize("d", [2, 3, 4, 5])
def test_orthogonal_rows_and_their_negatives(d):
    """Directions on several hyperplanes at once belong to no cell: one of a row and its negative
    is active."""
    turned = np.linalg.qr(np.random.default_rng(d).standard_normal((d, d)))[0]
    for rows in (np.eye(d), turned):
        found = enumerate_patterns(np.concatenate([rows, -rows]))
        assert found.n_patterns == 2**d
        np.testing.assert_array_equal(found.active[:d], ~found.active[d:])


@pytest.mark.parametrize("X", [np.zeros((3, 2)), np.zeros((0, 2)), np.zeros((3, 0))])
def test_nothing_to_enumerate(X):
    found = enumerate_patterns(X)
    assert found.active.shape == (len(X), 1)
    assert not found.active.any()
    assert found.without_idle().n_patterns == 0


@given(
    st.integers(1, 4).flatmap(
        lambda d: st.lists(st.lists(st.integers(-2, 2), min_size=d, max_size=d), max_size=7)
    )
)
def test_rows_of_small_integers(rows):
    """Degenerate positions against an enumeration by extreme rays."""
    if not rows or not np.any(rows):
        return
    X = np.array(rows, dtype=float)
    found = enumerate_patterns(X)
    assert_consistent(X, found)
    nonzero = X[np.any(X != 0, axis=1)]
    expected = {p.tobytes() for p in patterns_by_rays(nonzero)}
    assert as_set(found.active[np.any(X != 0, axis=1)]) == expected


def test_too_many_patterns_are_refused_at_once():
    X = np.random.default_rng(0).standard_normal((2000, 30))
    with pytest.raises(ValueError, match=r"2000 distinct rows of rank 30 .* max_patterns=100000"):
        enumerate_patterns(X)
    with pytest.raises(ValueError, match="may have 12 activation patterns"):
        enumerate_patterns(X[:6, :2], max_patterns=11)
    assert enumerate_patterns(X[:6, :2], max_patterns=12).n_patterns == 12


def test_sampled_gates_do_not_depend_on_the_rows():
    X = np.random.default_rng(0).standard_normal((30, 4))
    found = sample(X, 50, np.random.default_rng(3))
    repeated = sample(np.repeat(X, 2, axis=0)[::-1], 50, np.random.default_rng(3))
    np.testing.assert_array_equal(found.gates, repeated.gates)
    more = sample(X, 80, np.random.default_rng(3))
    np.testing.assert_array_equal(found.gates, more.gates[:, : found.n_patterns])
    assert_consistent(X, found)


def test_equal_patterns_are_taken_once_in_order():
    X = np.eye(2)
    gates = np.array([[1.0, 2.0, -1.0, 1.0], [1.0, 1.0, 1.0, 3.0]])
    found = from_directions(X, gates)
    np.testing.assert_array_equal(found.gates, gates[:, [0, 2]])
    np.testing.assert_array_equal(found.active, [[True, False], [True, True]])


def test_sparse_rows():
    X = np.random.default_rng(0).standard_normal((10, 3))
    X[np.abs(X) < 0.5] = 0
    expected = enumerate_patterns(X)
    found = enumerate_patterns(sparse.csr_array(X))
    np.testing.assert_array_equal(found.active, expected.active)
    random = sample(sparse.csr_array(X), 20, np.random.default_rng(0))
    np.testing.assert_array_equal(random.active, sample(X, 20, np.random.default_rng(0)).active)
