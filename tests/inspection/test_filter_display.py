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


def test_maps_lie_where_their_positions_are():
    """Windows of three, every other place: their middles are 1, 3, 5, ..."""
    model, X = fitted((11,), 3, stride=2)
    display = FilterDisplay.from_estimator(model, X[0], n_filters=1)
    np.testing.assert_array_equal(display.places[0], [1, 3, 5, 7, 9])
    drawn = display.axes_[1].collections[0].get_paths()[0].vertices
    assert (drawn[:, 0].min(), drawn[:, 0].max()) == (1, 9)
    model, X = fitted((6, 8), (2, 3), stride=(2, 1))
    display = FilterDisplay.from_estimator(model, X[0], n_filters=1)
    picture, fired = display.axes_[1].images
    assert picture.get_extent() == [-0.5, 7.5, 5.5, -0.5]
    assert tuple(fired.get_extent()) == (0.5, 6.5, 5, -1)  # rows 0, 2, 4; columns 1 to 6
    alone = FilterDisplay(
        filters=display.filters, sizes=display.sizes, image=display.image, maps=display.maps
    ).plot()
    assert tuple(alone.axes_[1].images[1].get_extent()) == (0.5, 6.5, 4, 1)


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
    model, X = fitted((9,), 3)
    with pytest.raises(ValueError, match="n_filters must be 1 or more, got 0"):
        FilterDisplay.from_estimator(model, n_filters=0)
    with pytest.raises(ValueError, match=r"one row, with the 9 entries of shape \(9,\); got shape"):
        FilterDisplay.from_estimator(model, X[:2])
    model.set_params(alpha=1e3).fit(np.ones((5, 9)), np.arange(5.0))
    with pytest.raises(ValueError, match="constant and has no filters"):
        FilterDisplay.from_estimator(model)


def test_filters_without_a_picture():
    """Three space axes; rows of panels that are not all needed are left empty."""
    with pytest.raises(ValueError, match="3 space axes are not drawn"):
        FilterDisplay(filters=[np.zeros((2, 2, 2, 1))], sizes=np.ones(1)).plot()
    display = FilterDisplay(filters=[np.ones((2, 1))] * 9, sizes=np.ones(9)).plot()
    assert len(display.figure_.axes) == 9
