"""LinearCNNRegressor and LinearCNNClassifier: what the estimators add to their solver."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from sklearn_convexnn import LinearCNNClassifier, LinearCNNRegressor
from sklearn_convexnn.inspection import FilterDisplay
from tests.conftest import make_rows


@pytest.fixture(scope="module")
def edges():
    """What a difference of neighbours finds, whose weights alternate."""
    X = make_rows(150, 25)
    y = np.diff(X, axis=1) @ (np.hanning(24) * (-1.0) ** np.arange(24))
    return X, y + 0.1 * make_rows(150, 1, seed=1)[:, 0]


def test_held_out_rows_choose_alpha_and_the_filter_is_found(edges):
    X, y = edges
    model = LinearCNNRegressor(patch_size=2).fit(X[:100], y[:100])
    filter_ = model.filters_[0, :, 0]
    assert abs(filter_ @ [-1, 1]) > 0.99 * np.sqrt(2) * np.linalg.norm(filter_)
    assert model.score(X[100:], y[100:]) > 0.98
    assert (model.status_, model.certificate_) == ("gap", "exact")
    assert model.dual_gap_ <= 1e-8
    assert model.alpha_ == model.alphas_[np.argmin(model.validation_losses_)]
    # As pooled features are linear in the row, the network is as well.
    features = model.transform(X) @ model.output_weights_.reshape(-1, 1) + model.intercept_
    np.testing.assert_allclose(features[:, 0], model.predict(X), atol=1e-10)


def test_digits_with_both_losses():
    X, y = load_digits(return_X_y=True)
    X, settings = X / 16, {"image_shape": (8, 8), "patch_size": 3}
    train, test = train_test_split(np.arange(len(X)), train_size=600, random_state=0)
    for loss, least in [("squared_error", 0.92), ("log_loss", 0.94)]:
        model = LinearCNNClassifier(3e-3, loss=loss, **settings).fit(X[train], y[train])
        assert model.status_ == "gap"
        assert model.dual_gap_ <= 1e-6
        assert model.score(X[test], y[test]) > least
        assert hasattr(model, "predict_proba") == (loss == "log_loss")


def test_images_are_their_flat_rows(edges):
    X, y = edges
    settings = {"patch_size": (2, 3), "padding": "same", "pool_grid": (2, 3)}
    flat = LinearCNNRegressor(0.05, image_shape=(5, 5), **settings).fit(X, y)
    images = LinearCNNRegressor(0.05, **settings).fit(X.reshape(-1, 5, 5), y)
    np.testing.assert_array_equal(flat.effective_coef_, images.effective_coef_)
    np.testing.assert_array_equal(images.predict(X.reshape(-1, 5, 5)), flat.predict(X))
    assert images.filters_.shape == (images.n_neurons_, 2, 3, 1)
    assert images.output_weights_.shape == (images.n_neurons_, 2, 3, 1)
    maps = images.feature_maps(X)
    assert maps.shape == (len(X), images.n_neurons_, 5, 5)
    np.testing.assert_allclose(
        maps[:, :, :3, :2].mean(axis=(2, 3)), images.transform(X)[:, ::6], atol=1e-12
    )
    display = FilterDisplay.from_estimator(images, X[0], n_filters=1)
    assert len(display.axes_) == 2


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"patch_size": [2, 3]}, r"one window, but patch_size=\[2, 3\] and dilation=1 ask for 2"),
        ({"patch_size": 26}, "more than images of shape"),
        ({"image_shape": (5, 4)}, r"has 20 entries, but a row of X has 25"),
        ({"pool_grid": 40}, "more cells than there are positions"),
    ],
)
def test_windows_that_do_not_fit(edges, settings, message):
    with pytest.raises(ValueError, match=message):
        LinearCNNRegressor(0.1, **settings).fit(*edges)


def test_weights_are_repetitions(edges):
    X, y = edges
    repeats = 1 + np.arange(len(X)) % 3
    settings = {"patch_size": 3, "tol": 1e-10}
    weighted = LinearCNNRegressor(0.02, **settings).fit(X, y, sample_weight=repeats)
    rows = np.repeat(X, repeats, 0), np.repeat(y, repeats)
    repeated = LinearCNNRegressor(0.02, **settings).fit(*rows)
    np.testing.assert_allclose(weighted.effective_coef_, repeated.effective_coef_, atol=1e-6)


def test_float32_stays(edges):
    X, y = edges
    model = LinearCNNRegressor(0.02, patch_size=3).fit(X.astype(np.float32), y)
    names = ("effective_coef_", "intercept_", "filters_", "output_weights_", "sizes_")
    assert {getattr(model, name).dtype for name in names} == {np.dtype(np.float32)}
    for method in (model.predict, model.transform, model.feature_maps):
        assert method(X.astype(np.float32)).dtype == np.float32
    assert model.objective_ == pytest.approx(
        LinearCNNRegressor(0.02, patch_size=3).fit(X, y).objective_
    )


def test_one_round_is_too_few(edges):
    X, y = edges
    with pytest.warns(ConvergenceWarning, match="after 1 round .*Increase max_iter"):
        model = LinearCNNRegressor(1e-5, patch_size=8, max_iter=1, tol=1e-15).fit(X, y)
    assert model.status_ == "max_iter"


def test_alpha_zero_is_refused(edges):
    with pytest.raises(ValueError, match="alpha=0 is refused"):
        LinearCNNRegressor(0).fit(*edges)
