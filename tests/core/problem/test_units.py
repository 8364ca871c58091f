"""Canonical rows, working units and the way back to the units of the data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sklearn_convexnn.core.problem.canonical_rows import canonical_rows, row_hashes
from sklearn_convexnn.core.problem.network import Network, network_outputs
from sklearn_convexnn.core.problem.units import make_problem
from tests.problems import loss_values

for_many = settings(max_examples=60, deadline=None, derandomize=True)

# ----------------------------------------------------------------------------------- canonical rows

values_of = {
    "continuous": lambda rng, size: rng.standard_normal(size),
    # Values whose bits are mostly zero, and many equal rows: hard for a hash.
    "binary": lambda rng, size: rng.integers(0, 2, size).astype(float),
    "integer": lambda rng, size: rng.integers(-2, 3, size).astype(float),
    "one-hot": lambda rng, size: 2.0 * np.eye(size[1])[rng.integers(0, size[1], size[0])],
}


def _same_arrays(one, other):
    for a, b in zip(one, other, strict=True):
        a, b = (part.toarray() if sparse.issparse(part) else part for part in (a, b))
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", values_of)
@for_many
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 40), d=st.integers(1, 6))
def test_canonical_rows_depend_on_the_weighted_set_only(kind, seed, n, d):
    """Permuted rows, and rows repeated instead of weighted, give identical arrays."""
    rng = np.random.default_rng(seed)
    X, Y = values_of[kind](rng, (n, d)), rng.integers(0, 2, (n, 1)).astype(float)
    weights = rng.integers(1, 4, n)
    canonical = canonical_rows(X, Y, weights.astype(float))
    order = rng.permutation(n)
    _same_arrays(canonical_rows(X[order], Y[order], weights[order].astype(float)), canonical)
    repeated = rng.permutation(np.repeat(np.arange(n), weights))
    _same_arrays(canonical_rows(X[repeated], Y[repeated], np.ones(len(repeated))), canonical)


@pytest.mark.parametrize("kind", values_of)
@for_many
@given(seed=st.integers(0, 2**32 - 1))
def test_canonical_rows_are_the_distinct_rows(kind, seed):
    """Every distinct row of (X, Y) occurs once, with the sum of its weights."""
    rng = np.random.default_rng(seed)
    X, Y = values_of[kind](rng, (30, 3)), rng.integers(0, 2, (30, 2)).astype(float)
    weights = rng.integers(1, 4, 30).astype(float)
    rows, place = np.unique(np.hstack([X, Y]), axis=0, return_inverse=True)
    X_new, Y_new, weights_new = canonical_rows(X, Y, weights)
    found = np.column_stack([X_new, Y_new, weights_new])
    expected = np.column_stack([rows, np.bincount(place.ravel(), weights)])
    np.testing.assert_array_equal(np.unique(found, axis=0), np.unique(expected, axis=0))
    assert len(found) == len(expected)


@pytest.mark.parametrize("kind", values_of)
def test_dense_and_sparse_rows_agree(kind):
    """The same hashes, hence the same order, whatever the storage and precision."""
    rng = np.random.default_rng(0)
    X = values_of[kind](rng, (50, 8)) * (rng.random((50, 8)) < 0.5)
    hashes = row_hashes(X)
    np.testing.assert_array_equal(row_hashes(sparse.csr_array(X)), hashes)
    np.testing.assert_array_equal(row_hashes(sparse.csr_matrix(X)), hashes)
    with_zeros = sparse.csr_array(X)
    with_zeros.data[::3] = 0
    np.testing.assert_array_equal(row_hashes(with_zeros), row_hashes(with_zeros.toarray()))
    single = X.astype(np.float32)
    np.testing.assert_array_equal(row_hashes(single), row_hashes(single.astype(np.float64)))
    Y, weights = rng.integers(0, 2, (50, 1)).astype(float), np.ones(50)
    _same_arrays(canonical_rows(sparse.csr_array(X), Y, weights), canonical_rows(X, Y, weights))


def test_negative_zero_is_zero():
    """-0.0 == 0.0, though their bits differ."""
    X = np.array([[0.0, 1.0], [-0.0, 1.0]])
    hashes = row_hashes(X)
    assert hashes[0] == hashes[1]
    assert len(canonical_rows(X, np.zeros((2, 1)), np.ones(2))[0]) == 1
    assert row_hashes(np.array([[-0.0, 0.0]]))[0] == 0


@pytest.mark.parametrize("value", [1.0, 2.0, 3.0, -2.0, 0.5])
def test_hashes_tell_columns_apart(value):
    """``value`` in one of 300 columns: 300 different rows, 300 different hashes."""
    assert len(np.unique(row_hashes(value * np.eye(300)))) == 300


def test_hashes_tell_targets_from_features():
    """The same number as a feature and as a target are different things."""
    X = np.array([[1.5]])
    assert row_hashes(X)[0] != row_hashes(X, salt=1)[0]


def test_rows_with_equal_features_and_different_targets_stay_apart():
    X, Y, weights = np.ones((3, 2)), np.array([[0.0], [1.0], [0.0]]), np.array([1.0, 2, 4])
    X_new, Y_new, weights_new = canonical_rows(X, Y, weights)
    assert dict(zip(Y_new[:, 0], weights_new, strict=True)) == {0.0: 5.0, 1.0: 2.0}
    assert X_new.shape == (2, 2)


# -------------------------------------------------------------------------------------------- units


def _data(loss, n_outputs, seed=0, n=40, d=3):
    rng = np.random.default_rng(seed)
    X = 50 * rng.standard_normal((n, d)) + 20
    if loss == "squared_error":
        Y = 1e3 * rng.standard_normal((n, n_outputs)) + 5e3
    elif n_outputs == 1:
        Y = rng.integers(0, 2, (n, 1)).astype(float)
    else:
        Y = np.eye(n_outputs)[rng.integers(0, n_outputs, n)]
    return X, Y, rng.integers(1, 4, n).astype(float), rng


each_setting = pytest.mark.parametrize(
    "loss, n_outputs, intercept",
    [
        (loss, n_outputs, intercept)
        for loss in ("squared_error", "log_loss")
        for n_outputs in (1, 3)
        for intercept in (False, True)
    ],
)


def _network(rng, problem, n_neurons=5):
    p, n_outputs = problem.rows.n_columns, problem.rows.n_outputs
    b0 = rng.standard_normal(n_outputs) * problem.rows.intercept
    factors = rng.standard_normal((n_neurons, p)), rng.standard_normal((n_neurons, n_outputs))
    return Network.from_factors(*factors, b0)


@each_setting
def test_layers_and_network_are_inverse(loss, n_outputs, intercept):
    """network -> layers -> network; the layers have the documented shapes and are balanced."""
    X, Y, weights, rng = _data(loss, n_outputs)
    problem = make_problem(X, Y, weights, loss=loss, intercept=intercept)
    network = _network(rng, problem)
    coefs, intercepts = problem.layers(network)
    assert [part.shape for part in coefs] == [(3, 5), (5, n_outputs)]
    assert [part.shape for part in intercepts] == [(5,), (n_outputs,)]
    incoming = np.linalg.norm(np.vstack([coefs[0], intercepts[0]]), axis=0)
    np.testing.assert_allclose(incoming, np.linalg.norm(coefs[1], axis=1), rtol=1e-12)
    if not intercept:
        assert not intercepts[0].any()
    again = problem.network(coefs, intercepts)
    np.testing.assert_allclose(again.U, network.U, atol=1e-13)
    np.testing.assert_allclose(again.C, network.C, rtol=1e-11)
    np.testing.assert_allclose(again.b0, network.b0, atol=1e-12)


@each_setting
def test_objective_in_the_units_of_the_data(loss, n_outputs, intercept):
    """Working objective times its unit = the formula on ``coefs_`` and ``intercepts_``.

    ``sum_i w_i loss(y_i, z_i) + alpha/2 * (sum of squared weights and hidden biases)`` with
    weights of sum 1.
    """
    X, Y, weights, rng = _data(loss, n_outputs)
    alpha = 0.37
    problem = make_problem(X, Y, weights, loss=loss, intercept=intercept)
    network, rows = _network(rng, problem), problem.rows
    coefs, intercepts = problem.layers(network)
    Z = network_outputs(X, coefs, intercepts)
    squares = sum((part**2).sum() for part in (*coefs, intercepts[0]))
    expected = weights / weights.sum() @ loss_values(loss, Y, Z) + 0.5 * alpha * squares
    working = rows.weights @ rows.loss.value(rows.Y, rows.outputs(*vars(network).values()))
    working += alpha / problem.alpha_unit * network.penalty()
    np.testing.assert_allclose(working * problem.objective_unit, expected, rtol=1e-10)


@each_setting
@pytest.mark.parametrize("make_input", [np.asarray, sparse.csr_array], ids=["dense", "CSR"])
def test_working_units(loss, n_outputs, intercept, make_input):
    """Rows of root mean square norm 1, targets of deviation 1, weights of sum 1."""
    X, Y, weights, _ = _data(loss, n_outputs)
    rows = make_problem(make_input(X), Y, weights, loss=loss, intercept=intercept).rows
    np.testing.assert_allclose(rows.weights.sum(), 1)
    np.testing.assert_allclose(rows.weights @ (rows.dense() ** 2).sum(axis=1), 1)
    if loss == "squared_error":
        np.testing.assert_allclose(rows.weights @ (rows.Y**2).sum(axis=1), 1)
        if intercept:
            np.testing.assert_allclose(rows.weights @ rows.Y, 0, atol=1e-12)
    else:
        assert set(np.unique(rows.Y)) <= {0.0, 1.0}


def test_units_of_a_constant_target():
    """Nothing to scale by: the scale is 1, with or without rounding in the target."""
    X, _, weights, _ = _data("squared_error", 1)
    for Y in (np.full((40, 1), 0.1), np.zeros((40, 1)), np.full((40, 1), 1e8)):
        problem = make_problem(X, Y, weights, loss="squared_error", intercept=True)
        assert problem.y_scale == 1.0
        np.testing.assert_allclose(problem.y_shift, Y[0])


@pytest.mark.parametrize("factor", [1e-140, 1e140])
def test_units_of_extreme_data(factor):
    """No overflow or underflow on the way to working units (warnings are errors)."""
    X, Y, weights, _ = _data("squared_error", 1)
    problem = make_problem(factor * X, factor * Y, weights, loss="squared_error", intercept=False)
    rows = problem.rows
    np.testing.assert_allclose(rows.weights @ (rows.dense() ** 2).sum(axis=1), 1)
    np.testing.assert_allclose(rows.weights @ rows.Y**2, 1)
    np.testing.assert_allclose(problem.objective_unit, factor**2 * (weights @ Y**2) / weights.sum())


def test_units_of_impossible_data():
    """Features that are all zero have no scale; targets whose squares overflow are refused."""
    X, Y, weights, _ = _data("squared_error", 1)
    settings = {"loss": "squared_error", "intercept": False}
    assert make_problem(0 * X, Y, weights, **settings).rows.scale == 1
    with pytest.raises(ValueError, match="scale y"):
        make_problem(X, 1e155 * Y, weights, **settings)


@pytest.mark.parametrize("make_input", [np.asarray, sparse.csr_array], ids=["dense", "CSR"])
@pytest.mark.parametrize("memory", [0, 1 << 20], ids=["as given", "canonical"])
def test_rows_of_weight_zero_are_dropped(make_input, memory):
    """They change nothing, not even the arrays; ``memory=0`` leaves the order alone."""
    X, Y, weights, _ = _data("squared_error", 1)
    settings = {"loss": "squared_error", "intercept": True, "memory": memory}
    expected = make_problem(make_input(X), Y, weights, **settings).rows
    extra_X, extra_Y = np.vstack([X[:5] + 1e3, X]), np.vstack([Y[:5] - 1e6, Y])
    extra_weights = np.concatenate([np.zeros(5), weights])
    found = make_problem(make_input(extra_X), extra_Y, extra_weights, **settings).rows
    _same_arrays(
        (found.X, found.Y, found.weights, [found.scale]),
        (expected.X, expected.Y, expected.weights, [expected.scale]),
    )
    if memory == 0:
        np.testing.assert_array_equal(expected.weights, weights / weights.sum())


def test_layers_keep_the_precision_of_the_data():
    X, Y, weights, rng = _data("squared_error", 1)
    problem = make_problem(X.astype(np.float32), Y, weights, loss="squared_error", intercept=True)
    coefs, intercepts = problem.layers(_network(rng, problem))
    assert {part.dtype for part in (*coefs, *intercepts)} == {np.dtype(np.float32)}


def test_no_positive_weight():
    with pytest.raises(ValueError, match="No training row has a positive weight"):
        make_problem(np.eye(3), np.eye(3), np.zeros(3), loss="squared_error", intercept=True)
