"""CircularLinearRegressor: what the estimator adds to its solver."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from sklearn_convexnn import CircularLinearRegressor
from tests.conftest import make_rows


@pytest.fixture
def waves():
    X = make_rows(120, 24)
    place = np.arange(24) / 24
    y = X @ (np.cos(2 * np.pi * 3 * place) - 0.5 * np.sin(2 * np.pi * 5 * place))
    return X, y + 0.1 * make_rows(120, 1, seed=1)[:, 0]


def test_held_out_rows_choose_alpha_and_frequencies_are_found(waves):
    X, y = waves
    model = CircularLinearRegressor().fit(X[:80], y[:80])
    assert sorted(model.frequencies_[:2, 0]) == [3, 5]
    assert model.score(X[80:], y[80:]) > 0.98
    assert model.status_ == "gap"
    assert model.dual_gap_ <= 1e-6
    assert model.certificate_ == "exact"
    assert model.alpha_ in model.alphas_
    assert model.alphas_[np.argmin(model.validation_losses_)] == model.alpha_


def test_images_are_their_flat_rows(waves):
    X, y = waves
    flat = CircularLinearRegressor(0.05, image_shape=(4, 6)).fit(X, y)
    images = CircularLinearRegressor(0.05).fit(X.reshape(-1, 4, 6), y)
    assert flat.image_shape_ == images.image_shape_ == (4, 6)
    np.testing.assert_array_equal(flat.effective_coef_, images.effective_coef_)
    np.testing.assert_array_equal(images.predict(X.reshape(-1, 4, 6)), flat.predict(X))
    assert images.filters_.shape == (images.n_neurons_, 4, 6)
    assert images.output_weights_.shape == (images.n_neurons_, 4, 6, 1)
    with pytest.raises(ValueError, match=r"images of shape \(6, 4\), but they must have \(4, 6\)"):
        images.predict(X.reshape(-1, 6, 4))


@pytest.mark.parametrize(
    "image_shape, message",
    [
        ((4, 5), r"image_shape=\(4, 5\) has 20 entries, but a row of X has 24"),
        ((4, 0), "image_shape must have whole numbers from 1 on"),
        ((), "image_shape must have whole numbers from 1 on"),
    ],
)
def test_shapes_that_do_not_fit(waves, image_shape, message):
    with pytest.raises(ValueError, match=message):
        CircularLinearRegressor(0.1, image_shape=image_shape).fit(*waves)


def test_weights_are_repetitions(waves):
    X, y = waves
    repeats = 1 + np.arange(len(X)) % 3
    weighted = CircularLinearRegressor(0.02).fit(X, y, sample_weight=repeats)
    repeated = CircularLinearRegressor(0.02).fit(np.repeat(X, repeats, 0), np.repeat(y, repeats))
    np.testing.assert_allclose(weighted.effective_coef_, repeated.effective_coef_, atol=1e-9)


def test_shifted_rows_have_the_same_network_shifted(waves):
    X, y = waves
    model, shifted = (CircularLinearRegressor(0.02).fit(rows, y) for rows in (X, np.roll(X, 5, 1)))
    assert shifted.objective_ == pytest.approx(model.objective_, rel=1e-6)
    np.testing.assert_allclose(
        shifted.effective_coef_, np.roll(model.effective_coef_, 5, axis=0), atol=1e-3
    )


def test_float32_stays(waves):
    X, y = waves
    model = CircularLinearRegressor(0.02).fit(X.astype(np.float32), y)
    names = ("effective_coef_", "intercept_", "filters_", "output_weights_", "sizes_")
    assert {getattr(model, name).dtype for name in names} == {np.dtype(np.float32)}
    assert model.predict(X.astype(np.float32)).dtype == np.float32
    assert model.objective_ == pytest.approx(CircularLinearRegressor(0.02).fit(X, y).objective_)


def test_one_step_is_too_few(waves):
    with pytest.warns(ConvergenceWarning, match="after 1 round .*Increase max_iter"):
        model = CircularLinearRegressor(1e-4, max_iter=1).fit(*waves)
    assert model.status_ == "max_iter"


def test_alpha_zero_is_refused(waves):
    with pytest.raises(ValueError, match="alpha=0 is refused"):
        CircularLinearRegressor(0).fit(*waves)
