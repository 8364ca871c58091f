"""``alpha="auto"`` of deep linear networks."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone, is_classifier

from sklearn_convexnn import DeepLinearClassifier, DeepLinearRegressor

MODELS = [
    DeepLinearRegressor(),
    DeepLinearRegressor(n_layers=3),
    DeepLinearRegressor(penalty="layer_norm", n_layers=4, fit_intercept=False),
    DeepLinearClassifier(),
    DeepLinearClassifier(loss="log_loss"),
]


def noisy(model, n=120, d=30, K=1, seed=0):
    """Rows of many columns, of which the targets know three, and much noise."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    Y = X[:, :3] @ np.ones((3, K)) + 2.0 * rng.standard_normal((n, K))
    if is_classifier(model):
        return X, np.digitize(Y[:, 0], [-1.0, 1.0])
    return X, Y[:, 0] if K == 1 else Y


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_the_choice_and_its_attributes(model):
    X, y = noisy(model)
    auto = clone(model).fit(X, y)
    assert auto.alphas_[0] == auto.alpha_max_
    assert np.all(np.diff(auto.alphas_) < 0)
    best = auto.validation_losses_.argmin()
    if getattr(model, "loss", "squared_error") == "squared_error":
        assert auto.alpha_ == auto.alphas_[best]
    else:  # a parabola through alphas that are farther apart
        steps = np.log2(auto.alphas_[:-1] / auto.alphas_[1:])
        assert sorted(steps.round(9))[:3] == [1.0, 1.0, 2.0]
        assert 0.5 < auto.alpha_ / auto.alphas_[best] < 2.0
    scale = clone(model).set_params(alpha="scale").fit(X, y)
    assert not hasattr(scale, "alphas_")
    assert scale.alpha_ == pytest.approx(0.01 * scale.alpha_max_)
    X_test, y_test = noisy(model, 3000, seed=1)
    assert auto.score(X_test, y_test) > scale.score(X_test, y_test)
    fixed = clone(model).set_params(alpha=auto.alpha_).fit(X, y)
    np.testing.assert_array_equal(fixed.effective_coef_, auto.effective_coef_)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_weights_are_repetitions_and_order_does_not_matter(model):
    X, y = noisy(model, 60, 8)
    counts = np.random.default_rng(0).integers(0, 3, len(y))
    order = np.random.default_rng(1).permutation(np.repeat(np.arange(len(y)), counts))
    one = clone(model).fit(X, y, sample_weight=counts)
    two = clone(model).fit(X[order], y[order])
    np.testing.assert_allclose(one.alphas_, two.alphas_, rtol=1e-9)
    np.testing.assert_allclose(one.validation_losses_, two.validation_losses_, rtol=1e-6)
    assert one.alpha_ == pytest.approx(two.alpha_)


def test_the_constant_network_is_judged_by_the_mean_of_the_others():
    """A fifth of the rows is held out, up to three times."""
    X, y = noisy(MODELS[0], 1000, 4)
    model = DeepLinearRegressor().fit(X, y)
    assert model.validation_losses_[0] == pytest.approx(np.var(y) / 2, rel=0.2)
    assert model.validation_losses_.min() == pytest.approx(2.0, rel=0.2)  # the noise


@pytest.mark.parametrize("n_layers", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_several_outputs(n_layers):
    X, Y = noisy(MODELS[0], K=3)
    auto = DeepLinearRegressor(n_layers).fit(X, Y)
    scale = DeepLinearRegressor(n_layers, "scale").fit(X, Y)
    X_test, Y_test = noisy(MODELS[0], 2000, K=3, seed=1)
    assert auto.score(X_test, Y_test) > scale.score(X_test, Y_test) + 0.05


def test_sparse_rows_are_judged_alike():
    X, y = noisy(MODELS[0])
    X = np.where(np.abs(X) > 0.7, X, 0.0)
    dense = DeepLinearRegressor().fit(X, y)
    model = DeepLinearRegressor().fit(sparse.csr_array(X), y)
    np.testing.assert_allclose(model.validation_losses_, dense.validation_losses_, rtol=1e-6)


@pytest.mark.parametrize("n_layers", [2, 3])
def test_noise_alone_leaves_a_constant(n_layers):
    X = np.random.default_rng(0).standard_normal((300, 20))
    y = np.random.default_rng(1).standard_normal(300)
    assert (
        DeepLinearRegressor(n_layers).fit(X, y).alpha_
        > 0.2 * DeepLinearRegressor(n_layers, "scale").fit(X, y).alpha_max_
    )


def test_without_noise_alpha_is_small():
    X, _ = noisy(MODELS[0])
    model = DeepLinearRegressor().fit(X, X[:, 0])
    assert model.alpha_ < 1e-3 * model.alpha_max_


def test_class_weights_train_and_do_not_judge():
    X, y = noisy(MODELS[4], 200, 4)
    y = np.minimum(y, 1)
    weight = {0: 1.0, 1: 9.0}
    one = clone(MODELS[4]).set_params(class_weight=weight).fit(X, y)
    two = clone(MODELS[4]).fit(X, y, sample_weight=np.where(y == 1, 9.0, 1.0))
    assert one.alpha_max_ == pytest.approx(two.alpha_max_)
    assert one.validation_losses_[0] > 1.1 * two.validation_losses_[0]


def test_few_rows_and_constant_targets_are_given_scale():
    X, y = noisy(MODELS[0], 15, 3)
    model = DeepLinearRegressor().fit(X, y)
    assert model.alpha_ == pytest.approx(0.01 * model.alpha_max_)
    constant = DeepLinearRegressor().fit(noisy(MODELS[0])[0], np.full(120, 2.0))
    assert (constant.rank_, constant.alpha_max_) == (0, 0.0)
    assert not hasattr(model, "alphas_")
    assert not hasattr(constant, "alphas_")


def test_the_log_loss_of_a_narrow_network_is_chosen_among_those_that_fit():
    X, y = noisy(MODELS[4], 300, 4)
    model = DeepLinearClassifier(loss="log_loss", hidden_width=1).fit(X, y)
    assert model.rank_ == 1
