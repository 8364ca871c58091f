"""Parallel networks: the program they solve, their layers, refusals, and what depth is good for."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from sklearn_convexnn import (
    ConvexReLURegressor,
    ParallelReLUClassifier,
    ParallelReLURegressor,
)
from sklearn_convexnn.inspection import prune
from tests.conftest import make_rows, make_signal
from tests.parallel_program import BOTH, LINE, PLANE, parallel_optimum

PENALTIES = ["path", "decay"]
X = make_rows(50)
Y = make_signal(X)
QUICK = {"alpha": 0.01, "tol": 0.05, "random_state": 0}

# ------------------------------------------------------------------------------------- the optimum

# Optima of the finite programs, to nine digits: problem, alpha, the units' signs (None: decay).
REFERENCES = [
    (PLANE, 0.01, (1.0,), 0.065098256),
    (PLANE, 0.01, BOTH, 0.062649919),
    (PLANE, 0.03, BOTH, 0.097045239),
    (PLANE, 0.01, None, 0.065098256),
    pytest.param(PLANE, 0.001, None, 0.012112135, marks=pytest.mark.slow),
    (LINE, 0.003, (1.0,), 0.009778299),
    (LINE, 0.003, BOTH, 0.006892936),
    (LINE, 0.003, None, 0.009170086),
]


@pytest.mark.parametrize("problem, alpha, signs, optimum", REFERENCES)
def test_the_program_over_all_pairs_of_patterns(problem, alpha, signs, optimum):
    assert parallel_optimum(*problem, alpha, signs) == pytest.approx(optimum, abs=5e-9)


def test_equal_units_share_their_cost():
    """Two units that are added are, with the norm of paths, one at alpha over the root of two."""
    optimum = parallel_optimum(*PLANE, 0.01, (1.0, 1.0))
    assert optimum == pytest.approx(0.058175969, abs=5e-9)
    assert parallel_optimum(*PLANE, 0.01 / np.sqrt(2), (1.0,)) == pytest.approx(optimum, abs=5e-9)


@pytest.mark.parametrize("problem, alpha, signs, optimum", REFERENCES)
def test_column_generation_reaches_the_optimum(problem, alpha, signs, optimum):
    settings = {"hidden_units": 4, "penalty": "decay"} if signs is None else {}
    settings = {"hidden_units": len(signs or BOTH * 2), "penalty": "path"} | settings
    model = ParallelReLURegressor(
        alpha, fit_intercept=False, gap_tol=1e-3, random_state=0, **settings
    ).fit(*problem)
    assert (model.certificate_, model.status_) == ("estimated", "gap")
    assert optimum * (1 - 1e-7) <= model.objective_ <= optimum * (1 + 2e-3)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_one_unit_is_the_two_layer_network(penalty):
    settings = {"alpha": 0.03, "gap_tol": 1e-3, "random_state": 0}
    deep = ParallelReLURegressor(hidden_units=1, penalty=penalty, **settings).fit(X, Y)
    plain = ConvexReLURegressor(**settings).fit(X, Y)
    assert deep.objective_ == pytest.approx(plain.objective_, rel=2e-3)
    assert deep.alpha_max_ == pytest.approx(plain.alpha_max_, rel=1e-3)


# --------------------------------------------------------------------------------------- the layers


def norms(model):
    """Of the sub-networks, from their layers."""
    units = np.vstack([model.coefs_[0], model.intercepts_[0]])
    lengths = np.linalg.norm(units, axis=0).reshape(model.n_neurons_, -1)
    return lengths.sum(axis=1) if model.penalty == "decay" else np.linalg.norm(lengths, axis=1)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_attributes_are_a_perceptron(penalty):
    targets = np.column_stack([Y, X[:, 0]])
    model = ParallelReLURegressor(hidden_units=3, penalty=penalty, **QUICK).fit(X, targets)
    m = model.n_neurons_
    assert [part.shape for part in model.coefs_] == [(3, 3 * m), (3 * m, m), (m, 2)]
    assert [part.shape for part in model.intercepts_] == [(3 * m,), (m,), (2,)]
    np.testing.assert_array_equal(
        model.coefs_[1][:6, :2].T, [[1, 1, -1, 0, 0, 0], [0, 0, 0, 1, 1, -1]]
    )
    H = X
    for coefs, intercepts in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        H = np.maximum(H @ coefs + intercepts, 0)
    np.testing.assert_allclose(model.hidden_activations(X), H, atol=1e-12)
    Z = H @ model.coefs_[2] + model.intercepts_[2]
    np.testing.assert_allclose(model.predict(X), Z, atol=1e-12)
    # Balanced, and the objective is what it is said to be.
    sizes = np.linalg.norm(model.coefs_[2], axis=1)
    np.testing.assert_allclose(norms(model), sizes, rtol=1e-9)
    objective = 0.5 * np.mean(np.sum((Z - targets) ** 2, axis=1)) + 0.01 * np.sum(sizes**2)
    assert objective == pytest.approx(model.objective_, rel=1e-9)


def test_importances():
    model = ParallelReLURegressor(**QUICK).fit(np.column_stack([X[:, :2], np.zeros(50)]), Y)
    paths = np.abs(model.coefs_[0]) @ np.abs(model.coefs_[1]) @ np.abs(model.coefs_[2][:, 0])
    np.testing.assert_allclose(model.feature_importances_, paths / paths.sum())
    assert model.feature_importances_[2] < 1e-3  # nothing but the penalty takes it down


def test_a_constant_network():
    largest = ParallelReLURegressor("scale", tol=0.5, random_state=0).fit(X, Y).alpha_max_
    model = ParallelReLURegressor(1.01 * largest, warm_start=True, random_state=0).fit(X, Y)
    assert [part.shape for part in model.coefs_] == [(3, 0), (0, 0), (0, 1)]
    assert model.hidden_activations(X).shape == (50, 0)
    np.testing.assert_allclose(model.predict(X), Y.mean())
    assert model.set_params(alpha=0.5 * largest).fit(X, Y).n_neurons_ > 0


# --------------------------------------------------------------------------------- rows and weights


@pytest.mark.parametrize("penalty", PENALTIES)
def test_weights_are_repetitions(penalty):
    weights = np.arange(50) % 3
    model = ParallelReLURegressor(penalty=penalty, **QUICK)
    weighted = clone(model).fit(X, Y, sample_weight=weights)
    repeated = clone(model).fit(np.repeat(X, weights, axis=0), np.repeat(Y, weights))
    for one, other in zip(weighted.coefs_, repeated.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)


def test_sparse_rows_are_dense_ones():
    A = np.where(np.abs(X) > 0.5, X, 0.0)
    dense = ParallelReLURegressor(**QUICK).fit(A, Y)
    model = ParallelReLURegressor(**QUICK).fit(sparse.csr_array(A), Y)
    assert model.objective_ == pytest.approx(dense.objective_, rel=1e-6)
    np.testing.assert_allclose(model.predict(sparse.csr_array(A)), model.predict(A), atol=1e-12)


def test_single_precision_stays():
    model = ParallelReLUClassifier(**QUICK).fit(X.astype(np.float32), Y > 0)
    assert {part.dtype for part in model.coefs_ + model.intercepts_} == {np.dtype(np.float32)}
    assert model.predict_proba(X.astype(np.float32)).dtype == np.float32


def test_class_weights_are_weights_of_rows():
    labels = Y > 0.5
    weighted = ParallelReLUClassifier(**QUICK, class_weight={0: 1, 1: 3}).fit(X, labels)
    rows = ParallelReLUClassifier(**QUICK).fit(X, labels, sample_weight=np.where(labels, 3, 1))
    np.testing.assert_array_equal(weighted.predict_proba(X), rows.predict_proba(X))


def test_alpha_is_chosen_by_held_out_rows():
    model = ParallelReLUClassifier(hidden_units=2, tol=0.1, random_state=0).fit(X, Y > 0)
    assert len(model.alphas_) == len(model.validation_losses_) > 1
    assert model.temperature_ > 0
    same = clone(model).set_params(alpha=model.alpha_).fit(X, Y > 0)
    for one, other in zip(model.coefs_, same.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)


# ------------------------------------------------------------------------------------- warm starts


@pytest.mark.parametrize("penalty", PENALTIES)
def test_warm_start(penalty):
    model = ParallelReLURegressor(penalty=penalty, warm_start=True, **QUICK).fit(X, Y)
    first = model.objective_
    assert model.fit(X, Y).objective_ <= first * (1 + 1e-9)
    with pytest.raises(ValueError, match="warm_start=True needs the features, units"):
        model.set_params(hidden_units=3).fit(X, Y)


# ----------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"alpha": 0}, "alpha=0 is refused: without a penalty"),
        ({"alpha": np.inf}, "Got inf instead"),
        ({"hidden_units": 0}, "'hidden_units' parameter of ParallelReLURegressor must be an int"),
        ({"hidden_units": 2.0}, "'hidden_units' parameter of ParallelReLURegressor must be an int"),
        ({"penalty": "l1"}, "'penalty' parameter of ParallelReLURegressor must be a str among"),
    ],
)
def test_what_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ParallelReLURegressor(**settings).fit(X, Y)


def test_tools_for_two_layers_refuse_three():
    model = ParallelReLURegressor(**QUICK).fit(X, Y)
    with pytest.raises((TypeError, ValueError), match="ParallelReLURegressor"):
        prune(model, X, Y)
