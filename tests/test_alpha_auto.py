"""``alpha="auto"`` and temperatures through the public estimators."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.special import expit, softmax
from sklearn.metrics import log_loss

from sklearn_convexnn import ConvexReLUClassifier, ConvexReLURegressor


def noisy_regression(n, d=10, noise=2.0, seed=0, n_outputs=None):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    y = X[:, 0] + np.abs(X[:, 1]) + X[:, 2] * X[:, 3] / 2 + noise * rng.normal(size=n)
    if n_outputs:
        y = np.column_stack([y + k * rng.normal(size=n) for k in range(n_outputs)])
    return X, y


def flipped_labels(n, n_classes=2, flip=0.2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6))
    scores = np.column_stack([X[:, 0] + np.abs(X[:, 1]) - 0.8, np.zeros(n), X[:, 2]])
    y = scores[:, :n_classes].argmax(axis=1)
    other = rng.integers(n_classes, size=n)
    return X, np.where(rng.random(n) < flip, other, y)


@pytest.fixture(scope="module")
def noisy():
    X, y = noisy_regression(300)
    return X, y, ConvexReLURegressor(random_state=0).fit(X, y)


@pytest.fixture(scope="module", params=[2, 3])
def flipped(request):
    X, y = flipped_labels(500, request.param)
    return X, y, ConvexReLUClassifier(random_state=0).fit(X, y)


# ---------------------------------------------------------------------- alpha


def test_noise_is_left_alone(noisy):
    X, y, model = noisy
    X_new, y_new = noisy_regression(4000, seed=1)
    scale = ConvexReLURegressor("scale", random_state=0).fit(X, y)
    assert model.alpha_ > 4 * scale.alpha_
    assert model.score(X_new, y_new) > max(0.1, scale.score(X_new, y_new))
    assert model.n_neurons_ < 0.5 * scale.n_neurons_


def test_the_network_is_that_of_the_chosen_alpha(noisy):
    X, y, model = noisy
    again = ConvexReLURegressor(model.alpha_, random_state=0).fit(X, y)
    for one, other in zip(model.coefs_, again.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_the_path_saw_is_kept(noisy):
    _, y, model = noisy
    assert model.alphas_[0] == model.alpha_max_
    np.testing.assert_allclose(model.alphas_[1:-1] / model.alphas_[2:], 4.0)
    assert model.alphas_[-1] < model.alpha_ < model.alphas_[0]
    assert model.validation_losses_.shape == model.alphas_.shape
    # The constant network: half the variance of the targets.
    assert model.validation_losses_[0] == pytest.approx(0.5 * y.var(), rel=0.2)


def test_a_given_alpha_has_no_path(noisy):
    X, y, model = noisy
    given = ConvexReLURegressor(model.alpha_, random_state=0).fit(X, y)
    assert not hasattr(given, "alphas_")
    assert not hasattr(given, "validation_losses_")
    assert given.objective_ == pytest.approx(model.objective_, rel=2e-2)


def test_weights_are_repetitions_and_the_order_of_rows_is_free(noisy):
    X, y, _ = noisy
    rng = np.random.default_rng(3)
    times = rng.integers(0, 3, len(y))
    weighted = ConvexReLURegressor(random_state=0).fit(X, y, sample_weight=times)
    rows = rng.permutation(np.repeat(np.arange(len(y)), times))
    repeated = ConvexReLURegressor(random_state=0).fit(X[rows], y[rows])
    np.testing.assert_allclose(repeated.alphas_, weighted.alphas_, rtol=1e-9)
    np.testing.assert_allclose(repeated.validation_losses_, weighted.validation_losses_, rtol=1e-6)
    assert repeated.alpha_ == pytest.approx(weighted.alpha_, rel=1e-6)


@pytest.mark.parametrize("kind", ["float32", "sparse"])
def test_rows_of_any_kind(noisy, kind):
    X, y, model = noisy
    rows = X.astype(np.float32) if kind == "float32" else sparse.csr_array(X)
    found = ConvexReLURegressor(random_state=0).fit(rows, y)
    assert abs(np.log(found.alpha_ / model.alpha_)) < np.log(4)
    assert found.coefs_[0].dtype == rows.dtype


def test_several_outputs_share_an_alpha():
    X, y = noisy_regression(300, n_outputs=3)
    model = ConvexReLURegressor(random_state=0).fit(X, y)
    assert model.validation_losses_[0] == pytest.approx(0.5 * y.var(axis=0).sum(), rel=0.3)
    assert model.predict(X).shape == y.shape


@pytest.mark.parametrize("loss", ["huber", "poisson"])
def test_other_losses_judge_by_themselves(loss):
    X, y = noisy_regression(300, d=5, noise=0.5)
    y = np.exp(0.3 * y) if loss == "poisson" else y
    model = ConvexReLURegressor(loss=loss, random_state=0).fit(X, y)
    assert model.validation_losses_.min() < 0.7 * model.validation_losses_[0]


def test_few_rows_take_the_rule_of_thumb():
    X, y = noisy_regression(19)
    model = ConvexReLURegressor(random_state=0).fit(X, y)
    assert model.alpha_ == ConvexReLURegressor("scale", random_state=0).fit(X, y).alpha_
    assert not hasattr(model, "alphas_")


def test_one_row_of_each_class():
    X = np.random.default_rng(0).normal(size=(19, 3))
    model = ConvexReLUClassifier(random_state=0).fit(X, np.arange(19))
    assert not hasattr(model, "alphas_")
    assert model.temperature_ == 1.0


def test_a_rare_class_stays_in_training():
    X, y = flipped_labels(200)
    y[:2] = 7
    model = ConvexReLUClassifier(random_state=0).fit(X, y)
    assert model.predict_proba(X).shape == (200, 3)
    assert np.all(np.isfinite(model.validation_losses_))


def test_a_constant_target_has_nothing_to_choose():
    X = np.random.default_rng(0).normal(size=(50, 3))
    model = ConvexReLURegressor(random_state=0).fit(X, np.ones(50))
    assert model.n_neurons_ == 0
    assert model.alpha_max_ == 0


def test_warm_start_chooses_anew(noisy):
    X, y, model = noisy
    warm = ConvexReLURegressor(random_state=0, warm_start=True).fit(X, y)
    X_clean, y_clean = noisy_regression(300, noise=0.1, seed=2)
    warm.fit(X_clean, y_clean)
    cold = ConvexReLURegressor(random_state=0).fit(X_clean, y_clean)
    assert warm.alpha_ == cold.alpha_ < model.alpha_
    assert warm.objective_ == pytest.approx(cold.objective_, rel=0.05)


def test_random_state_draws_the_rows(noisy):
    X, y, model = noisy
    again = ConvexReLURegressor(random_state=0).fit(X, y)
    np.testing.assert_array_equal(again.validation_losses_, model.validation_losses_)
    other = ConvexReLURegressor(random_state=1).fit(X, y)
    assert not np.array_equal(other.validation_losses_[:3], model.validation_losses_[:3])


def test_verbose_names_the_alphas(noisy, capsys):
    X, y, _ = noisy
    model = ConvexReLURegressor(random_state=0, verbose=1).fit(X, y)
    assert capsys.readouterr().out.count("of held-out rows") == len(model.alphas_)


def test_programs_over_patterns_choose_too():
    X, y = noisy_regression(100, d=4, noise=1.0)
    model = ConvexReLURegressor(refinement=None, patterns=20, random_state=0).fit(X, y)
    assert len(model.alphas_) == len(model.validation_losses_) > 2
    assert model.certificate_ == "estimated"
    assert model.program_gap_ < 1e-5
    start = ConvexReLURegressor(patterns=20, random_state=0).fit(X, y)
    assert start.status_ in {"progress", "gap"}
    assert len(start.alphas_) > 2


@pytest.mark.parametrize("loss", ["squared_hinge", "hinge"])
def test_margins_are_judged_by_what_their_temperature_says(loss):
    X, y = flipped_labels(100)
    model = ConvexReLUClassifier(loss=loss, random_state=0).fit(X, y)
    assert model.validation_losses_.min() < model.validation_losses_[0] < 0.75
    assert not hasattr(model, "temperature_")


# ---------------------------------------------------------------------- temperature


def test_probabilities_are_those_of_tempered_outputs(flipped):
    X, _, model = flipped
    Z = model.decision_function(X) / model.temperature_
    expected = softmax(Z, axis=1) if Z.ndim > 1 else np.column_stack([expit(-Z), expit(Z)])
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-10)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), expected, rtol=1e-10)


def test_a_temperature_changes_probabilities_alone(flipped):
    X, y, model = flipped
    plain = ConvexReLUClassifier(random_state=0, calibrate=False).fit(X, y)
    assert not hasattr(plain, "temperature_")
    np.testing.assert_array_equal(plain.decision_function(X), model.decision_function(X))
    assert plain.objective_ == model.objective_
    assert plain.dual_gap_ == model.dual_gap_
    assert not np.array_equal(plain.predict_proba(X), model.predict_proba(X))


def test_probabilities_of_flipped_labels_are_worth_something(flipped):
    X, y, model = flipped
    n_classes = len(model.classes_)
    X_new, y_new = flipped_labels(4000, n_classes, seed=5)
    scale = ConvexReLUClassifier("scale", random_state=0).fit(X, y)
    found = log_loss(y_new, model.predict_proba(X_new))
    assert found < log_loss(y_new, scale.predict_proba(X_new))
    assert found < log_loss(y_new, np.full((4000, n_classes), 1 / n_classes))


def test_a_given_alpha_holds_out_no_rows_for_a_temperature(flipped):
    X, y, model = flipped
    assert ConvexReLUClassifier("scale", random_state=0).fit(X, y).temperature_ == 1.0
    given = ConvexReLUClassifier(model.alpha_, random_state=0).fit(X, y)
    assert given.temperature_ == 1.0
