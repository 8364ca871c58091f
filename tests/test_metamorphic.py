"""How the result must change, or must not, when the data or the parameters change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.utils import check_random_state

from sklearn_convexnn import ConvexReLUClassifier, ConvexReLURegressor, alpha_max
from tests.conftest import make_case

GAP = 2e-3  # gap_tol where two runs are compared by their objectives


def layers(model):
    return model.coefs_ + model.intercepts_


def assert_same_network(one, other):
    for ours, theirs in zip(layers(one), layers(other), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def assert_same_optimum(one, other, factor=1.0):
    """Objectives that agree up to the duality gaps, and predictions accordingly."""
    assert one.objective_ == pytest.approx(factor * other.objective_, rel=2 * GAP)


def outputs(model, X):
    return getattr(model, "decision_function", model.predict)(X)


def fixed_alpha(case, fraction=0.05, **kwargs):
    loss = "log_loss" if is_classifier(case.Estimator()) else "squared_error"
    return fraction * alpha_max(case.X, case.y, loss=loss, **kwargs)


# --------------------------------------------------------------------------- the rows as a multiset


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_integer_weights_are_repetitions(case, fit_intercept):
    counts = np.random.default_rng(0).integers(0, 4, len(case.X))
    alpha = "auto" if fit_intercept and case.kind == "multiclass" else "scale"
    model = case.Estimator(alpha, fit_intercept=fit_intercept, random_state=0)
    model.fit(case.X, case.y, sample_weight=counts)
    order = np.random.default_rng(1).permutation(counts.sum())
    rows = np.repeat(np.arange(len(case.X)), counts)[order]
    repeated = case.Estimator(alpha, fit_intercept=fit_intercept, random_state=0)
    repeated.fit(case.X[rows], case.y[rows])
    assert_same_network(model, repeated)
    assert model.objective_ == repeated.objective_
    assert model.dual_gap_ == repeated.dual_gap_


def test_weights_of_repeated_rows_add_up(case):
    weights = np.random.default_rng(0).integers(1, 8, len(case.X)) / 8
    twice = np.concatenate([weights, 0.5 * weights, 0 * weights])
    model = case.Estimator("scale", random_state=0).fit(case.X, case.y, sample_weight=1.5 * weights)
    tripled = case.Estimator("scale", random_state=0)
    tripled.fit(np.tile(case.X, (3, 1)), np.concatenate([case.y] * 3), sample_weight=twice)
    assert_same_network(model, tripled)


@settings(max_examples=3)
@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(["regression", "multiclass"]))
def test_order_of_rows(seed, kind):
    # The held-out rows of alpha="auto" as well.
    case = make_case(kind, n=24)
    order = np.random.default_rng(seed).permutation(len(case.X))
    model = case.Estimator(random_state=0).fit(case.X, case.y)
    permuted = case.Estimator(random_state=0).fit(case.X[order], case.y[order])
    assert_same_network(model, permuted)


def test_order_of_weighted_rows(case):
    weights = np.random.default_rng(0).integers(0, 4, len(case.X)) / 4
    order = np.random.default_rng(1).permutation(len(case.X))
    model = case.Estimator("scale", random_state=0).fit(case.X, case.y, sample_weight=weights)
    permuted = case.Estimator("scale", random_state=0)
    permuted.fit(case.X[order], case.y[order], sample_weight=weights[order])
    assert_same_network(model, permuted)


def test_order_of_sparse_rows(case):
    X = sparse.csr_array(np.where(case.X > 0, case.X, 0))
    order = np.random.default_rng(0).permutation(X.shape[0])
    model = case.Estimator("scale", random_state=0).fit(X, case.y)
    assert_same_network(model, case.Estimator("scale", random_state=0).fit(X[order], case.y[order]))


def test_scale_of_weights(case):
    weights = np.random.default_rng(0).uniform(0.5, 2, len(case.X))
    reference = case.Estimator("scale", random_state=0).fit(case.X, case.y, sample_weight=weights)
    model = case.Estimator("scale", random_state=0)
    model.fit(case.X, case.y, sample_weight=1024 * weights)
    assert_same_network(model, reference)
    model.fit(case.X, case.y, sample_weight=weights / 7)
    assert model.objective_ == pytest.approx(reference.objective_, rel=1e-2)


def test_unit_weights_are_none(case):
    model = case.Estimator("scale", random_state=0).fit(
        case.X, case.y, sample_weight=np.ones(len(case.X))
    )
    assert_same_network(model, case.Estimator("scale", random_state=0).fit(case.X, case.y))


# -------------------------------------------------------------------------------- units and columns


@pytest.mark.parametrize("factor", [1e-3])
def test_unit_of_targets(factor):
    case = make_case("multioutput")
    alpha, goals = fixed_alpha(case), {"gap_tol": GAP, "random_state": 0}
    model = ConvexReLURegressor(alpha, **goals).fit(case.X, case.y)
    scaled = ConvexReLURegressor(alpha * factor, **goals).fit(case.X, factor * case.y)
    assert_same_optimum(scaled, model, factor**2)
    assert scaled.alpha_max_ == pytest.approx(factor * model.alpha_max_, rel=1e-4)
    np.testing.assert_allclose(scaled.predict(case.X) / factor, model.predict(case.X), atol=0.05)


def test_scale_alpha_follows_the_unit_of_targets(regression):
    goals = {"alpha": "scale", "gap_tol": GAP, "random_state": 0}
    model = ConvexReLURegressor(**goals).fit(regression.X, regression.y)
    scaled = ConvexReLURegressor(**goals).fit(regression.X, 1000 * regression.y)
    assert scaled.alpha_ == pytest.approx(1000 * model.alpha_, rel=1e-6)
    assert_same_optimum(scaled, model, factor=1e6)
    np.testing.assert_allclose(
        scaled.predict(regression.X) / 1000, model.predict(regression.X), atol=0.05
    )


def test_shift_and_sign_of_targets(regression):
    goals = {"alpha": fixed_alpha(regression), "gap_tol": GAP, "random_state": 0}
    model = ConvexReLURegressor(**goals).fit(regression.X, regression.y)
    for sign, shift in [(1, 100.0), (-1, 0.0)]:
        moved = ConvexReLURegressor(**goals).fit(regression.X, sign * regression.y + shift)
        assert_same_optimum(moved, model)
        np.testing.assert_allclose(
            moved.predict(regression.X), sign * model.predict(regression.X) + shift, atol=0.05
        )


@pytest.mark.parametrize("factor", [1e-6, 1e4])
def test_unit_of_rows_without_intercept(simple_case, factor):
    alpha = fixed_alpha(simple_case, fit_intercept=False)
    goals = {"fit_intercept": False, "gap_tol": GAP, "random_state": 0}
    model = simple_case.Estimator(alpha, **goals).fit(simple_case.X, simple_case.y)
    scaled = simple_case.Estimator(alpha * factor, **goals).fit(
        factor * simple_case.X, simple_case.y
    )
    assert_same_optimum(scaled, model)
    Z = outputs(model, simple_case.X)
    np.testing.assert_allclose(outputs(scaled, factor * simple_case.X), Z, atol=0.1 * np.ptp(Z))


@pytest.mark.parametrize("change", ["permutation", "rotation", "zero column", "repeated column"])
def test_orthogonal_changes_of_columns(simple_case, change):
    X = simple_case.X
    if change == "permutation":
        other = X[:, [2, 0, 1]]
    elif change == "rotation":
        other = X @ np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    elif change == "zero column":
        other = np.column_stack([X, np.zeros(len(X))])
    else:  # the same inner products
        other = np.column_stack([X[:, :2], X[:, 2] / np.sqrt(2), X[:, 2] / np.sqrt(2)])
    goals = {"alpha": fixed_alpha(simple_case), "gap_tol": GAP, "random_state": 0}
    model = simple_case.Estimator(**goals).fit(X, simple_case.y)
    changed = simple_case.Estimator(**goals).fit(other, simple_case.y)
    assert_same_optimum(changed, model)
    assert changed.alpha_max_ == pytest.approx(model.alpha_max_, rel=1e-3)


def test_the_same_target_twice(regression):
    # c = (a, a) has norm sqrt(2) |a|: the problem of one output, twice.
    alpha = fixed_alpha(regression)
    goals = {"gap_tol": GAP, "random_state": 0}
    single = ConvexReLURegressor(alpha, **goals).fit(regression.X, regression.y)
    double = ConvexReLURegressor(np.sqrt(2) * alpha, **goals)
    double.fit(regression.X, np.column_stack([regression.y] * 2))
    assert_same_optimum(double, single, factor=2.0)


def test_two_classes_as_multinomial(binary):
    # Softmax scores (-z/2, z/2) for two classes: an empty third class must not be needed.
    goals = {"alpha": fixed_alpha(binary), "gap_tol": GAP, "random_state": 0}
    model = ConvexReLUClassifier(**goals).fit(binary.X, binary.y)
    spare = np.concatenate([binary.y, ["spare"]])
    weights = np.append(np.ones(len(binary.y)), 0)
    padded = ConvexReLUClassifier(**goals)
    padded.fit(np.vstack([binary.X, binary.X[:1]]), spare, sample_weight=weights)
    assert_same_network(model, padded)


# ------------------------------------------------------------------------- containers and precision


@pytest.mark.parametrize("density", [0.2, 1.0])
def test_sparse_is_dense(simple_case, density):
    mask = np.random.default_rng(0).uniform(size=simple_case.X.shape) < density
    X = simple_case.X * mask
    goals = {"alpha": 0.05, "gap_tol": GAP, "random_state": 0}
    dense = simple_case.Estimator(**goals).fit(X, simple_case.y)
    model = simple_case.Estimator(**goals).fit(sparse.csr_array(X), simple_case.y)
    assert_same_optimum(model, dense)
    assert model.alpha_max_ == pytest.approx(dense.alpha_max_, rel=1e-6)
    np.testing.assert_allclose(outputs(model, sparse.csr_array(X)), outputs(model, X), rtol=1e-9)


@pytest.mark.parametrize("layout", ["F", "reversed", "strided", "list", "big-endian"])
def test_memory_layout(simple_case, layout):
    X = {
        "F": lambda X: np.asfortranarray(X),
        "reversed": lambda X: X[::-1].copy()[::-1],
        "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        "list": lambda X: X.tolist(),
        "big-endian": lambda X: X.astype(">f8"),
    }[layout](simple_case.X)
    model = simple_case.Estimator("scale", random_state=0).fit(X, simple_case.y.tolist())
    reference = simple_case.Estimator("scale", random_state=0).fit(simple_case.X, simple_case.y)
    assert_same_network(model, reference)


def test_float32_has_the_same_optimum(simple_case):
    X = simple_case.X.astype(np.float32)
    goals = {"alpha": "scale", "gap_tol": 1e-2, "random_state": 0}
    single = simple_case.Estimator(**goals).fit(X, simple_case.y)
    double = simple_case.Estimator(**goals).fit(X.astype(np.float64), simple_case.y)
    assert single.objective_ == pytest.approx(double.objective_, rel=1e-2)
    assert single.alpha_max_ == pytest.approx(double.alpha_max_, rel=1e-3)


# ------------------------------------------------------------------------------------- random_state


def test_the_same_seed_gives_the_same_bits(case):
    alpha = "auto" if case.kind == "binary" else "scale"
    models = [
        case.Estimator(alpha, random_state=seed).fit(case.X, case.y)
        for seed in (7, 7, np.random.RandomState(7))
    ]
    assert_same_network(models[0], models[1])
    assert_same_network(models[0], models[2])
    # fit again on the same object: nothing of the first fit may leak into the second.
    before = layers(models[0])
    models[0].fit(case.X, case.y)
    for ours, theirs in zip(layers(models[0]), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_different_seeds_agree_up_to_the_gap(simple_case):
    alpha = fixed_alpha(simple_case)
    models = [
        simple_case.Estimator(alpha, gap_tol=GAP, random_state=seed).fit(
            simple_case.X, simple_case.y
        )
        for seed in range(2)
    ]
    objectives = np.array([model.objective_ for model in models])
    assert np.ptp(objectives) <= 2 * GAP * objectives.min()
    Z = np.stack([outputs(model, simple_case.X) for model in models])
    assert np.ptp(Z, axis=0).max() < 0.1 * np.ptp(Z)


def test_default_seed_varies_but_the_objective_hardly(simple_case):
    objectives = [
        simple_case.Estimator("scale", random_state=seed)
        .fit(simple_case.X, simple_case.y)
        .objective_
        for seed in range(5)
    ]
    assert np.ptp(objectives) <= 0.05 * min(objectives)


def test_global_random_state_is_not_touched_by_a_seed(simple_case):
    state = check_random_state(None).get_state()[1].copy()
    simple_case.Estimator("scale", random_state=0).fit(simple_case.X, simple_case.y)
    np.testing.assert_array_equal(check_random_state(None).get_state()[1], state)


def test_the_callers_arrays_are_not_changed(case):
    X, y, weights = case.X.copy(), case.y.copy(), np.arange(len(case.X)) % 3.0
    kept = weights.copy()
    case.Estimator("scale", random_state=0).fit(X, y, sample_weight=weights).predict(X)
    np.testing.assert_array_equal(X, case.X)
    np.testing.assert_array_equal(y, case.y)
    np.testing.assert_array_equal(weights, kept)
