"""Convolutional estimators: shapes, windows, attributes, refusals, and what they are for."""

import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.svm import SVC

from sklearn_convexnn import (
    ConvexCNNClassifier,
    ConvexCNNClassifierCV,
    ConvexCNNRegressor,
    ConvexCNNRegressorCV,
    ConvexReLURegressor,
)
from tests.conftest import make_rows


def bumps(n=60, length=20, seed=0):
    """Signals with a wave up and down, or down and up, anywhere."""
    rng = np.random.default_rng(seed)
    X, y = 0.3 * rng.standard_normal((n, length)), rng.integers(2, size=n)
    for row, place, up in zip(X, rng.integers(0, length - 4, n), y, strict=True):
        row[place : place + 4] += np.array([1, 2, -2, -1]) * (1 if up else -1)
    return X, y


def images(n=40, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 5, 6, 2))
    return X, np.maximum(X[:, :-1, :, 0] - X[:, 1:, :, 1], 0).max(axis=(1, 2))


def by_hand(model, X):
    """Outputs from the attributes alone: valid windows of one size, max over one cell."""
    filters = model.filters_
    space = filters.shape[1:-1]
    windows = np.lib.stride_tricks.sliding_window_view(X, space, axis=tuple(range(1, X.ndim - 1)))
    windows = np.moveaxis(windows, len(space) + 1, -1)  # channels last
    windows = windows.reshape(len(X), -1, int(np.prod(filters.shape[1:])))
    H = windows @ filters.reshape(len(filters), -1).T + model.filter_intercepts_
    F = np.maximum(H, 0).max(axis=1)
    return F @ model.output_weights_.reshape(len(filters), -1) + model.output_intercepts_


# ----------------------------------------------------------------------------------- what they see


def test_attributes_are_the_network():
    X, y = images()
    model = ConvexCNNRegressor(0.02, patch_size=(2, 2), random_state=0).fit(X, y)
    m = model.n_neurons_
    assert model.filters_.shape == (m, 2, 2, 2)
    assert model.filter_intercepts_.shape == (m,)
    assert model.output_weights_.shape == (m, 1, 1, 1)
    assert (model.image_shape_, model.grid_shape_) == ((5, 6, 2), (1, 1))
    assert not hasattr(model, "coefs_")
    np.testing.assert_allclose(by_hand(model, X)[:, 0], model.predict(X), atol=1e-10)
    # Balanced: the objective is the loss and half of the squares of all weights.
    squares = np.sum(model.filters_**2) + np.sum(model.filter_intercepts_**2)
    squares += np.sum(model.output_weights_**2)
    loss = 0.5 * np.mean((model.predict(X) - y) ** 2)
    assert model.objective_ == pytest.approx(loss + 0.02 * squares / 2, rel=1e-9)


def test_images_and_flat_rows_are_the_same():
    X, y = images()
    settings = {"patch_size": (2, 2), "random_state": 0}
    model = ConvexCNNRegressor(0.05, **settings).fit(X, y)
    flat = ConvexCNNRegressor(0.05, image_shape=(5, 6, 2), **settings).fit(X.reshape(40, -1), y)
    np.testing.assert_array_equal(model.predict(X), flat.predict(X.reshape(40, -1)))
    np.testing.assert_array_equal(model.predict(X), flat.predict(X))
    np.testing.assert_array_equal(model.predict(X[:2].tolist()), model.predict(list(X[:2])))
    np.testing.assert_array_equal(model.predict(list(X[:2])), flat.predict(X[:2]))
    column = np.empty(2, dtype=object)
    column[:] = list(X[:2])
    np.testing.assert_array_equal(model.predict(column), flat.predict(X[:2]))
    assert model.n_features_in_ == 60


def test_one_hot_columns_as_signals():
    """Few distinct patches, most of them equal: letters at places are a signal of four channels."""
    rng = np.random.default_rng(0)
    letters = rng.integers(4, size=(60, 12))
    y = (letters[:, :-1] * 4 + letters[:, 1:] == 7).any(axis=1)  # the second letter, then the last
    model = ConvexCNNClassifier(0.01, patch_size=(2,), random_state=0).fit(np.eye(4)[letters], y)
    assert model.score(np.eye(4)[letters], y) == 1
    assert model.filters_.shape[1:] == (2, 4)


def test_one_window_of_the_whole_row_is_the_dense_network():
    X, y = bumps(40, 5)
    convolution = ConvexCNNRegressor(0.02, patch_size=5, gap_tol=1e-4, random_state=0).fit(X, y)
    dense = ConvexReLURegressor(0.02, gap_tol=1e-4, random_state=0).fit(X, y)
    assert convolution.objective_ == pytest.approx(dense.objective_, rel=1.1e-4)


def test_a_place_that_does_not_matter():
    X, y = bumps(60)
    X_new, y_new = bumps(300, seed=1)
    model = ConvexCNNClassifier("scale", random_state=0).fit(X, y)
    assert model.score(X_new, y_new) > 0.95 > 0.8 > SVC().fit(X, y).score(X_new, y_new)


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_cells(pooling):
    """The target depends on where: one cell cannot say, two can."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 12))
    y = np.maximum(X[:, :6], 0).max(axis=1) - np.maximum(X[:, 6:], 0).max(axis=1)
    settings = {"patch_size": 1, "pooling": pooling, "random_state": 0}
    one = ConvexCNNRegressor(0.02, **settings).fit(X, y)
    two = ConvexCNNRegressor(0.02, pool_grid=2, **settings).fit(X, y)
    assert two.output_weights_.shape == (two.n_neurons_, 2, 1)
    assert two.transform(X).shape == (40, 2 * two.n_neurons_)
    assert two.score(X, y) > one.score(X, y) + 0.3
    both = clone(two).set_params(pool_grid=[1, 2]).fit(X, y)
    assert both.output_weights_.shape == (both.n_neurons_, 3, 1)
    assert both.score(X, y) > one.score(X, y) + 0.3
    each = clone(two).set_params(pool_grid=None).fit(X, y)
    assert each.grid_shape_ == (12,)


def test_several_windows():
    X, y = bumps(60)
    settings = {"patch_size": [3, 5], "dilation": [1, 2], "padding": "same"}
    model = ConvexCNNClassifier("scale", random_state=0, **settings).fit(X, y)
    short, long = model.filters_
    assert (short.shape[1:], long.shape[1:]) == ((3, 1), (5, 1))
    assert len(short) + len(long) == model.n_neurons_ == len(model.filter_intercepts_)
    maps = model.feature_maps(X)
    assert maps.shape == (60, model.n_neurons_, 20)
    np.testing.assert_allclose(maps.max(axis=2), model.transform(X), atol=1e-12)
    Z = maps.max(axis=2) @ model.output_weights_[:, 0, :] + model.output_intercepts_
    np.testing.assert_allclose(Z[:, 0], model.decision_function(X), atol=1e-10)
    # More columns to choose from: no worse than either window alone.
    for patch, dilation in ((3, 1), (5, 2)):
        alone = {"patch_size": patch, "dilation": dilation, "padding": "same"}
        other = ConvexCNNClassifier(model.alpha_, random_state=0, **alone).fit(X, y)
        bound = other.objective_ * (1 + model.dual_gap_)
        assert model.objective_ <= bound


def test_maps_of_an_image():
    X, y = images()
    model = ConvexCNNRegressor(0.02, patch_size=(2, 3), pool_grid=(2, 2), random_state=0).fit(X, y)
    maps = model.feature_maps(X)
    assert maps.shape == (40, model.n_neurons_, 4, 4)
    cells = maps.reshape(40, -1, 2, 2, 2, 2).max(axis=(3, 5)).reshape(40, -1)
    np.testing.assert_allclose(cells, model.transform(X), atol=1e-12)


# ------------------------------------------------------------------------------------ as estimators


def test_losses_outputs_and_precision():
    X, y = bumps(40)
    Y = np.column_stack([y, 1 - y, X[:, 0]])
    model = ConvexCNNRegressor(0.01, loss="huber", pool_grid=2, random_state=0).fit(X, Y)
    assert model.predict(X).shape == (40, 3)
    assert model.output_weights_.shape == (model.n_neurons_, 2, 3)
    counts = ConvexCNNRegressor(0.01, loss="poisson", random_state=0).fit(X, y)
    assert np.all(counts.predict(X) > 0)
    hinge = ConvexCNNClassifier(0.05, loss="hinge", random_state=0).fit(X, y)
    assert hinge.score(X, y) > 0.9
    single = ConvexCNNRegressor(0.01, random_state=0).fit(X.astype(np.float32), y)
    assert single.filters_.dtype == single.predict(X.astype(np.float32)).dtype == np.float32


def test_threads_have_the_same_network():
    X, y = bumps(n=400, length=40)  # several blocks of rows
    one, two = (
        ConvexCNNClassifier(0.02, tol=0.2, n_jobs=n, random_state=0).fit(X, y) for n in (None, 2)
    )
    np.testing.assert_array_equal(one.filters_, two.filters_)


def test_weights_are_repetitions():
    X, y = bumps(30)
    weights = np.arange(30) % 3
    settings = {"alpha": 0.01, "random_state": 0}
    weighted = ConvexCNNClassifier(**settings).fit(X, y, sample_weight=weights)
    repeated = ConvexCNNClassifier(**settings).fit(np.repeat(X, weights, 0), np.repeat(y, weights))
    np.testing.assert_array_equal(weighted.filters_, repeated.filters_)


def test_warm_start():
    X, y = bumps(40)
    model = ConvexCNNClassifier(0.01, warm_start=True, random_state=0).fit(X, y)
    first = model.objective_
    assert model.fit(X, y).objective_ <= first * (1 + 1e-9)
    with pytest.raises(
        ValueError, match=r"warm_start=True needs.*windows: \(\(5, 1\),\), now \(\(3, 1\),\)"
    ):
        model.set_params(patch_size=3).fit(X, y)


def test_alpha_max_and_constant_images():
    X, y = bumps(40)
    largest = ConvexCNNRegressor("scale", random_state=0).fit(X, y).alpha_max_
    model = ConvexCNNRegressor(1.01 * largest, random_state=0).fit(X, y)
    assert (model.n_neurons_, model.filters_.shape) == (0, (0, 5, 1))
    assert model.transform(X).shape == (40, 0)
    np.testing.assert_allclose(model.predict(X), y.mean())
    constant = ConvexCNNRegressor(0.1, random_state=0).fit(np.ones((20, 9)), np.arange(20.0))
    np.testing.assert_allclose(constant.predict(np.ones((2, 9))), 9.5)
    nothing = ConvexCNNRegressor(patch_size=[2, 3], fit_intercept=False, random_state=0)
    nothing.fit(np.zeros((20, 9)), np.arange(20.0))
    assert (nothing.n_neurons_, nothing.dual_gap_) == (0, 0)


def test_a_proven_gap():
    X, y = bumps(30, 8)
    settings = {"patch_size": 3, "gap_tol": 1e-2, "random_state": 0}
    model = ConvexCNNRegressor(0.02, **settings).fit(X, y)
    assert (model.certificate_, model.status_) == ("proven", "gap")
    exact = ConvexCNNRegressor(0.02, **settings | {"patch_size": 1}).fit(X, y)
    assert exact.certificate_ == "exact"


@pytest.mark.parametrize("refit", ["both", "mean"])
def test_cross_validation(refit):
    X, y = bumps(40, 12)
    settings = {"alphas": 3, "eps": 1e-2, "cv": 2, "random_state": 0, "refit": refit}
    model = ConvexCNNClassifierCV(pool_grid=2, **settings).fit(X, y)
    assert model.score_path_.shape == (len(model.alphas_), 2)
    assert model.filters_.shape[1:] == (5, 1)
    assert model.score(X, y) > 0.9
    signals = X[:, :, None]
    values = ConvexCNNRegressorCV(**settings, patch_size=(4,), relax=(1, 0.5)).fit(signals, y)
    assert values.image_shape_ == (12, 1)
    assert values.predict(signals).shape == (40,)


def test_digits():
    X, y = load_digits(n_class=4, return_X_y=True)
    model = ConvexCNNClassifier("scale", image_shape=(8, 8), max_iter=3, random_state=0)
    with pytest.warns(match="The iterations were used up"):
        model.fit(X[:200] / 16, y[:200])
    # Of other seeds, and to the end of the fit, .965 to .973.
    assert model.score(X[200:] / 16, y[200:]) > 0.95


# ----------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"image_shape": (4, 4)}, "image_shape=.4, 4. has 16 entries, but a row of X has 20"),
        ({"image_shape": (4, 5), "patch_size": (2, 2, 2)}, "does not fit images of shape"),
        ({"patch_size": 21}, "The largest window spans .21,., more than images of shape .20,."),
        ({"patch_size": 6, "dilation": 5}, "The largest window spans .26,."),
        ({"patch_size": [3, 5], "dilation": [1, 2, 3]}, "of 2 and 3 do not go together"),
        ({"patch_size": [3, (3,)]}, "two equal windows"),
        ({"dilation": [1, 2.5]}, "dilation=2.5 needs one entry for each of the 1 space axes"),
        (
            {"image_shape": (4, 5), "patch_size": 4, "dilation": (1, 2)},
            r"or patch_size=\(4,\) if the last axis is that of the channels\.",
        ),
        ({"patch_size": (0,)}, "whole numbers from 1 on"),
        ({"padding": 7}, "would see nothing but zeros"),
        ({"pool_grid": 30}, "more cells than there are positions of the windows, .16,."),
        ({"pool_grid": []}, "pool_grid=.. has no grid"),
        ({"pool_grid": [1, (1,)]}, "two equal grids"),
        ({"stride": (2, 2)}, "needs one entry for each of the 1 space axes"),
        ({"alpha": 0}, "alpha=0 is refused"),
    ],
)
def test_what_is_refused(settings, message):
    X, y = bumps(20)
    with pytest.raises(ValueError, match=message):
        ConvexCNNRegressor(**settings).fit(X, y)


def test_images_of_another_shape_are_refused():
    X, y = images()
    model = ConvexCNNRegressor(0.05, patch_size=(2, 2), random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=r"X has images of shape \(6, 5, 2\)"):
        model.predict(X.transpose(0, 2, 1, 3))
    with pytest.raises(ValueError, match=r"X has images of shape \(5, 6, 2\)"):
        ConvexCNNRegressor(image_shape=(5, 12)).fit(X, y)
    with pytest.raises(ValueError, match=r"several shapes, \[\(4, 6, 2\), \(5, 6, 2\)\]"):
        model.predict([X[0], X[1, 1:]])
    with pytest.raises(ValueError, match="0 sample"):
        model.predict(X[:0])
    with pytest.raises(TypeError, match="Sparse data was passed"):
        model.predict(sparse.coo_array(X))


def test_files_have_nothing_of_the_core():
    """What a fitted estimator keeps are numbers, arrays and parameters."""
    X = make_rows(30, 16)
    model = ConvexCNNRegressor(0.1, image_shape=(4, 4), patch_size=[2, 3], padding="same")
    model.fit(X, X[:, 0])
    assert b"sklearn_convexnn.core" not in pickle.dumps(model)
    before = model.predict(X)
    model.set_params(patch_size=1, pooling="average")  # of the next fit
    np.testing.assert_array_equal(model.predict(X), before)
