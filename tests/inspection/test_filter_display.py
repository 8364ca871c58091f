"""Pictures of filters."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from sklearn_convexnn import ConvexCNNRegressor, ConvexReLURegressor
from sklearn_convexnn.inspection import FilterDisplay

mpl.use("Agg")


def fitted(shape, patch, **settings):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, *shape))
    y = np.abs(X.reshape(30, -1)[:, :4]).max(axis=1)
    return ConvexCNNRegressor(0.01, patch_size=patch, random_state=0, **settings).fit(X, y), X


@pytest.mark.parametrize(
    "shape, patch", [((9,), 3), ((9, 2), (3,)), ((6, 6), 2), ((6, 6, 3), (2, 2))]
)
def test_filters_and_maps(shape, patch):
    model, X = fitted(shape, patch)
    display = FilterDisplay.from_estimator(model, X[0], n_filters=3)
    assert len(display.filters) == 3
    assert len(display.axes_) == 6
    assert np.all(np.diff(display.sizes) <= 0)
    largest = np.argmax(np.sum(model.output_weights_.reshape(model.n_neurons_, -1) ** 2, axis=1))
    np.testing.assert_array_equal(display.filters[0], model.filters_[largest])
    np.testing.assert_array_equal(display.maps[0], model.feature_maps(X[:1])[0, largest])
    first = display.axes_[0]
    assert bool(first.images) == (len(model.filters_.shape) == 4)


def test_several_windows_on_given_axes():
    model, _ = fitted((9,), [2, 4])
    _, axes = plt.subplots(1, 2)
    display = FilterDisplay.from_estimator(model, n_filters=2, axes=axes)
    assert display.figure_ is axes[0].figure
    with pytest.raises(ValueError, match="2 axes are needed, got 1"):
        display.plot(axes=axes[:1])


def test_what_has_no_filters():
    X, y = np.arange(10.0)[:, None], np.arange(10.0)
    with pytest.raises(ValueError, match="ConvexReLURegressor has no filters"):
        FilterDisplay.from_estimator(ConvexReLURegressor(0.1).fit(X, y))
    model, _ = fitted((9,), 3)
    model.set_params(alpha=1e3).fit(np.ones((5, 9)), np.arange(5.0))
    with pytest.raises(ValueError, match="constant and has no filters"):
        FilterDisplay.from_estimator(model)


def test_filters_without_a_picture():
    """Three space axes; rows of panels that are not all needed are left empty."""
    with pytest.raises(ValueError, match="3 space axes are not drawn"):
        FilterDisplay(filters=[np.zeros((2, 2, 2, 1))], sizes=np.ones(1)).plot()
    display = FilterDisplay(filters=[np.ones((2, 1))] * 9, sizes=np.ones(9)).plot()
    assert len(display.figure_.axes) == 9
