"""Decision regions: hand-computable cases, and agreement with ``predict`` everywhere."""

import sys
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits, load_iris, make_moons
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)

from sklearn_convexnn import (
    ConvexReLUClassifier,
    ConvexReLURegressor,
    ConvexThresholdClassifier,
    DeepLinearClassifier,
    DeepReLUClassifier,
    SplineReLUClassifier,
)
from sklearn_convexnn.inspection import (
    DecisionRegionDisplay,
    decision_intervals,
    decision_regions,
)


def network(W, bias, C, b0, classes=None):
    """A classifier with the given layers, as if it had been fitted."""
    W, bias, C, b0 = (np.asarray(part, dtype=float) for part in (W, bias, C, b0))
    model = ConvexReLUClassifier()
    model.coefs_, model.intercepts_ = [W, C], [bias, b0]
    model.n_features_in_ = len(W)
    model.classes_ = np.arange(max(2, C.shape[1])) if classes is None else np.array(classes)
    model.n_outputs_ = C.shape[1]
    return model


def random_network(seed, n_features=2, n_neurons=12, n_outputs=1, *, integers=False):
    rng = np.random.default_rng(seed)
    if integers:  # parallel and concurrent lines, flat parts, ties
        parts = [
            rng.integers(-2, 3, shape)
            for shape in [(n_features, n_neurons), n_neurons, (n_neurons, n_outputs), n_outputs]
        ]
        return network(*parts)
    W, bias = rng.standard_normal((n_features, n_neurons)), rng.standard_normal(n_neurons)
    return network(
        W, bias, rng.standard_normal((n_neurons, n_outputs)), 0.3 * rng.standard_normal(n_outputs)
    )


def fixed_rows(points, features, row):
    X = np.tile(np.asarray(row, dtype=float), (len(points), 1))
    X[:, features] = points
    return X


def margins(model, X):
    """By how much the largest score leads, relative to the scores."""
    Z = model.decision_function(X)
    size = max(np.abs(Z).max(), 1e-300)
    if Z.ndim == 1:
        return np.abs(Z) / size
    Z = np.sort(Z, axis=1)
    return (Z[:, -1] - Z[:, -2]) / size


def inside(points, ring):
    """Which points a closed ring encloses, by the number of crossings to the right."""
    (x, y), after = ring.T, np.roll(ring, -1, axis=0).T
    odd = np.zeros(len(points), dtype=bool)
    for x0, y0, x1, y1 in zip(x, y, *after, strict=True):
        spans = (y0 > points[:, 1]) != (y1 > points[:, 1])
        with np.errstate(divide="ignore", invalid="ignore"):
            at = x0 + (points[:, 1] - y0) / (y1 - y0) * (x1 - x0)
        odd ^= spans & (points[:, 0] < at)
    return odd


def label_by_regions(found, points):
    labels, times = np.empty(len(points), dtype=object), np.zeros(len(points), dtype=int)
    for region in found.regions:
        within = inside(points, region.boundary)
        for hole in region.holes:
            within &= ~inside(points, hole)
        labels[within] = region.label
        times += within
    assert np.all(times == 1)
    return labels


def assert_exact(found, predict, margin, seed=0, n=400):
    """The regions tile the rectangle and every point in them is predicted as they say."""
    left, right, bottom, top = found.extent
    rectangle = (right - left) * (top - bottom)
    tolerance = 1e-11 * rectangle
    assert abs(found.areas.sum() - rectangle) < tolerance
    assert abs(found.cell_areas.sum() - rectangle) < tolerance
    assert np.all(found.cell_areas > -tolerance)
    for k, label in enumerate(found.classes):
        area = sum(r.area for r in found.regions if r.label == label)
        assert abs(area - found.areas[k]) < tolerance
    rng = np.random.default_rng(seed)
    # A random point of every cell.
    points = np.array([rng.dirichlet(np.ones(len(c))) @ c for c in found.cells])
    clear = margin(points) > 1e-9
    np.testing.assert_array_equal(predict(points)[clear], found.cell_labels[clear])
    # Random points of the rectangle.
    points = rng.uniform([left, bottom], [right, top], (n, 2))
    clear = margin(points) > 1e-9
    np.testing.assert_array_equal(predict(points)[clear], label_by_regions(found, points)[clear])


def assert_exact_on_line(found, predict, margin, seed=0):
    rng = np.random.default_rng(seed)
    assert np.all(np.diff(found.breakpoints) > 0)
    assert np.all(found.labels[1:] != found.labels[:-1])
    reach = 1 + np.abs([*found.breakpoints, *found.kinks]).max(initial=0)
    t = np.concatenate(
        [
            rng.uniform(-2 * reach, 2 * reach, 300),
            *[rng.uniform(max(a, -9 * reach), min(b, 9 * reach), 5) for _, a, b in found.intervals],
        ]
    )
    clear = margin(t) > 1e-9
    expected = found.labels[np.searchsorted(found.breakpoints, t)]
    np.testing.assert_array_equal(predict(t)[clear], expected[clear])


# --------------------------------------------------------------------------------- cases by hand


def test_one_neuron_by_hand():
    """z = (x + y)_+ - 1/2 on the unit square: all but a triangle of area 1/8."""
    found = decision_regions(network([[1], [1]], [0], [[1]], [-0.5]), extent=(0, 1, 0, 1))
    np.testing.assert_allclose(found.areas, [1 / 8, 7 / 8], rtol=1e-14)
    assert [region.label for region in found.regions] == [0, 1]
    triangle = found.regions[0].boundary
    np.testing.assert_allclose(sorted(triangle.tolist()), [[0, 0], [0, 0.5], [0.5, 0]])
    np.testing.assert_allclose(np.sort(found.boundary[0], axis=0), [[0, 0], [0.5, 0.5]])
    assert found.n_linear_pieces == 1  # the neuron's line touches the square in a corner
    assert len(found.neuron_lines) == 0


def test_diamond_by_hand():
    """|x| + |y| < 1 in [-2, 2]^2: a hole of area 2, four neurons on two lines."""
    W = np.array([[1.0, -1, 0, 0], [0, 0, 1, -1]])
    model = network(W, np.zeros(4), np.ones((4, 1)), [-1], classes=["in", "out"])
    found = decision_regions(model, extent=(-2, 2, -2, 2))
    np.testing.assert_allclose(found.areas, [2, 14], rtol=1e-14)
    diamond, outside = found.regions
    assert (diamond.label, outside.label) == ("in", "out")
    assert len(diamond.boundary) == 4
    (hole,) = outside.holes
    np.testing.assert_allclose(
        sorted(hole.tolist()), [[-1, 0], [0, -1], [0, 1], [1, 0]], atol=1e-15
    )
    assert found.n_linear_pieces == 4
    assert len(found.cells) == 8
    np.testing.assert_array_equal(found.neurons, [0, 1, 2, 3])
    lengths = np.linalg.norm(found.boundary[:, 1] - found.boundary[:, 0], axis=1)
    assert lengths.sum() == pytest.approx(4 * np.sqrt(2))
    gradients, constants = found.affine_scores()
    np.testing.assert_allclose(np.abs(gradients[:, 1]), 1)
    np.testing.assert_allclose(constants, np.tile([0, -1], (8, 1)))


def test_three_classes_by_hand():
    """Scores x, y, 0 by pairs of neurons: three sectors that meet in the origin."""
    W = np.array([[1.0, -1, 0, 0], [0, 0, 1, -1]])
    C = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
    found = decision_regions(network(W, np.zeros(4), C, np.zeros(3)), extent=(-1, 1, -1, 1))
    np.testing.assert_allclose(found.areas, [1.5, 1.5, 1.0], rtol=1e-14)
    assert len(found.regions) == 3
    assert all(not region.holes for region in found.regions)


def test_a_flat_part_belongs_to_the_first_class():
    """Where every neuron sleeps the log-odds are exactly 0, and predict says the first class."""
    model = network([[1.0], [0.3]], [0], [[1]], [0])
    found = decision_regions(model, extent=(-1, 1, -1, 1))
    np.testing.assert_allclose(found.areas, [2, 2], rtol=1e-14)
    assert model.predict([[-0.5, 0.1]])[0] == 0


def test_constant_network():
    found = decision_regions(
        network(np.zeros((2, 0)), [], np.zeros((0, 3)), [0, 2, 1]), extent=(0, 2, 0, 3)
    )
    np.testing.assert_array_equal(found.areas, [0, 6, 0])
    assert len(found.regions) == len(found.cells) == 1
    assert len(found.boundary) == len(found.neuron_lines) == 0


def test_intervals_by_hand():
    """|x| > 2 and its kink; a constant; a neuron that does not bend."""
    found = decision_regions(network([[1, -1]], [0, 0], [[1], [1]], [-2]))
    np.testing.assert_array_equal(found.breakpoints, [-2, 2])
    np.testing.assert_array_equal(found.labels, [1, 0, 1])
    np.testing.assert_array_equal(found.kinks, [0])
    assert found.intervals == [(1, -np.inf, -2.0), (0, -2.0, 2.0), (1, 2.0, np.inf)]
    np.testing.assert_array_equal(found.scores([3.0]), [[0, 1]])
    constant = decision_regions(network([[0.0]], [1], [[1]], [0.5]))
    assert constant.intervals == [(1, -np.inf, np.inf)]


def test_flat_parts_of_intervals():
    """(x - 1)_+ is 0 left of 1 and touches 0 there: one breakpoint, the kink itself."""
    found = decision_regions(network([[3.0]], [-3], [[0.1]], [0]))
    np.testing.assert_array_equal(found.breakpoints, [1])
    np.testing.assert_array_equal(found.labels, [0, 1])
    # |x - 1/3| touches 0 in a single point: no interval.
    third = 1 / 3
    assert len(decision_intervals([third], [1.0, 1.0]).breakpoints) == 0
    # A hat (|x| < 1) minus 0: zero outside, up to rounding of three neurons.
    hat = decision_intervals([-0.1, 0.2, 0.5], [1, -2, 1, 0, 0, 0])
    np.testing.assert_allclose(hat.breakpoints, [-0.1, 0.5])
    np.testing.assert_array_equal(hat.labels, [0, 1, 0])


def test_intervals_of_several_classes_by_hand():
    """Scores 0, x - 1 and 2 x - 4: changes at 1 and 3."""
    found = decision_intervals(
        [0.0], [[0, 1, 2], [0, -1, -2]], [0, -1, -4], classes=["a", "b", "c"]
    )
    np.testing.assert_allclose(found.breakpoints, [1, 3])
    assert found.labels.tolist() == ["a", "b", "c"]
    # One class is skipped when two others overtake at the same place.
    found = decision_intervals([0.0], [[0, 1, 2], [0, -1, -2]], [0, -1, -2])
    np.testing.assert_array_equal(found.breakpoints, [1])
    np.testing.assert_array_equal(found.labels, [0, 2])


def test_kernel_form_is_the_network_of_its_hinges():
    rng = np.random.default_rng(0)
    knots, coef = np.sort(rng.standard_normal(9)), rng.standard_normal((18, 3))
    intercept = rng.standard_normal(3)
    found = decision_intervals(knots, coef, intercept)

    t = rng.uniform(-4, 4, 200)
    kernel = np.maximum(np.hstack([t[:, None] - knots, knots - t[:, None]]), 0)
    np.testing.assert_allclose(found.scores(t), kernel @ coef + intercept, atol=1e-12)
    np.testing.assert_array_equal(found.kinks, knots)
    assert_exact_on_line(
        found,
        lambda t: found.scores(t).argmax(axis=1),
        lambda t: np.diff(np.sort(found.scores(t), axis=1)[:, -2:], axis=1)[:, 0],
    )


# ------------------------------------------------------------------------- agreement with predict


@pytest.mark.parametrize("integers", [False, True])
@pytest.mark.parametrize("n_outputs", [1, 3, 6])
@pytest.mark.parametrize("seed", range(3))
def test_random_networks(seed, n_outputs, integers):
    model = random_network(seed, n_outputs=n_outputs, integers=integers)
    found = decision_regions(model, extent=(-3, 2, -2, 4))
    assert_exact(found, model.predict, lambda p: margins(model, p), seed)


@given(st.integers(0, 10**6), st.integers(0, 9), st.sampled_from([1, 3, 4]), st.booleans())
def test_random_lines(seed, n_neurons, n_outputs, integers):
    model = random_network(seed, 1, n_neurons, n_outputs, integers=integers)
    assert_exact_on_line(
        decision_regions(model),
        lambda t: model.predict(t[:, None]),
        lambda t: margins(model, t[:, None]),
        seed,
    )


@given(st.integers(0, 10**6), st.integers(0, 7), st.sampled_from([1, 3]))
def test_random_regions_of_small_integers(seed, n_neurons, n_outputs):
    model = random_network(seed, 2, n_neurons, n_outputs, integers=True)
    found = decision_regions(model, extent=(-2, 2, -2, 2))
    assert_exact(found, model.predict, lambda p: margins(model, p), seed, n=50)


@pytest.mark.parametrize("size", [1e-13, 1e-12, 1e-11, 1e-9])
@pytest.mark.parametrize("seed", range(4))
def test_nearly_concurrent_lines(seed, size):
    """Clusters of crossings closer to each other than rounding resolves."""
    model = random_network(seed, 2, 30, 1 + 2 * (seed % 2), integers=True)
    model.coefs_[0] = model.coefs_[0] + size * np.random.default_rng(0).standard_normal((2, 30))
    found = decision_regions(model, extent=(-2, 2, -2, 2))
    assert_exact(found, model.predict, lambda p: margins(model, p), seed, n=50)


@pytest.mark.parametrize("scale, shift", [(1e-8, 0.0), (1e6, 0.0), (1.0, 1e4)])
def test_units_do_not_matter(scale, shift):
    """The same network in other units has the same relative areas."""
    model = random_network(3, n_outputs=3)
    expected = decision_regions(model, extent=(-3, 2, -2, 4)).areas / 30
    (W, C), (bias, b0) = model.coefs_, model.intercepts_
    other = network(W / scale, bias - shift * W.sum(axis=0) / scale, C, b0)
    extent = tuple(scale * np.array([-3, 2, -2, 4]) + shift)
    found = decision_regions(other, extent=extent)
    np.testing.assert_allclose(found.areas / scale**2 / 30, expected, atol=1e-7 if shift else 1e-12)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_convex_classifier(fit_intercept, dtype):
    X, y = make_moons(noise=0.25, random_state=0)
    model = ConvexReLUClassifier(fit_intercept=fit_intercept, random_state=0)
    model.fit(X.astype(dtype), y)
    found = decision_regions(model, X)
    np.testing.assert_allclose(
        found.extent, np.column_stack([X.min(axis=0) - 1, X.max(axis=0) + 1]).ravel()
    )
    assert_exact(found, model.predict, lambda p: margins(model, p))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.filterwarnings("ignore:lbfgs failed")
def test_scikit_learns_perceptron(n_classes):
    X, y = load_iris(return_X_y=True)
    X, y = X[y < n_classes][:, [0, 2]], y[y < n_classes]
    y = np.array(["setosa", "versicolor", "virginica"])[y]
    model = MLPClassifier((25,), solver="lbfgs", random_state=0).fit(X, y)

    def margin(points):
        P = np.sort(model.predict_proba(points), axis=1)
        return P[:, -1] - P[:, -2]

    assert_exact(decision_regions(model, X), model.predict, margin)


@pytest.mark.filterwarnings("ignore:.*very unequal:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "scalers",
    [
        (StandardScaler(),),
        (StandardScaler(with_mean=False),),
        (StandardScaler(with_std=False),),
        (MinMaxScaler((-1, 2)),),
        (MaxAbsScaler(),),
        (RobustScaler(),),
        (RobustScaler(with_centering=False, with_scaling=False),),
        ("passthrough", RobustScaler(), MinMaxScaler()),
    ],
    ids=lambda scalers: "-".join(str(s) for s in scalers),
)
def test_pipelines_of_scalers(scalers):
    iris = load_iris(as_frame=True)
    X = iris.data * [1, 10, 100, 0.1] + [0, 3, -1000, 0]
    model = make_pipeline(*scalers, ConvexReLUClassifier(alpha=0.01, random_state=0))
    model.fit(X, iris.target)
    names = list(X.columns)
    found = decision_regions(model, X, features=names[2:])
    assert found.names == tuple(names[2:])
    row = X.median()

    def rows(points):
        return pd.DataFrame(fixed_rows(points, [2, 3], row), columns=names)

    assert_exact(found, lambda p: model.predict(rows(p)), lambda p: margins(model, rows(p)), n=100)


def test_chosen_features_and_fixed_values():
    model = random_network(0, n_features=4, n_outputs=3)
    row = np.array([0.3, -1.0, 0.5, 2.0])

    def rows(points):
        return fixed_rows(points, [3, 1], row)

    by_row = decision_regions(model, features=[3, 1], fixed=row, extent=(-2, 2, -2, 2))
    assert by_row.names == ("x3", "x1")
    assert_exact(by_row, lambda p: model.predict(rows(p)), lambda p: margins(model, rows(p)))
    by_dict = decision_regions(
        model, features=[3, 1], fixed={0: 0.3, 2: 0.5}, extent=(-2, 2, -2, 2)
    )
    np.testing.assert_array_equal(by_dict.areas, by_row.areas)
    X = np.array([[0.3, 0, 0, 0], [9, 9, 0.5, 9], [-9, -9, 7, -9]])
    by_median = decision_regions(model, X, features=[3, 1], extent=(-2, 2, -2, 2))
    np.testing.assert_array_equal(by_median.areas, by_row.areas)
    swapped = decision_regions(model, features=[1, 3], fixed=row, extent=(-2, 2, -2, 2))
    np.testing.assert_allclose(swapped.areas, by_row.areas, atol=1e-12)
    one = decision_regions(model, features=2, fixed=row)
    assert_exact_on_line(
        one,
        lambda t: model.predict(fixed_rows(t[:, None], [2], row)),
        lambda t: margins(model, fixed_rows(t[:, None], [2], row)),
    )


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_names_of_data_frames(library):
    frame = pytest.importorskip(library).DataFrame({"a": [0.0, 1], "b": [2.0, 3], "c": [4.0, 5]})
    found = decision_regions(random_network(0, 3), frame, features=["c", "a"])
    assert found.names == ("c", "a")
    assert found.extent == (3, 6, -1, 2)


def test_along_the_line_of_rank_one_data():
    """Rows c_i a: what the network says along a, from the projection of the data."""
    rng = np.random.default_rng(0)
    a, c = np.array([1.0, -2.0, 0.5]), rng.standard_normal(40)
    X, y = np.outer(c, a), np.abs(c) > 0.6
    model = ConvexReLUClassifier(alpha=1e-3, random_state=0).fit(X, y)
    found = decision_regions(model, X, line=(np.zeros(3), a))
    np.testing.assert_allclose(found.extent, [c.min() - 1, c.max() + 1])
    assert found.labels.tolist() == [True, False, True]
    assert np.all(np.abs(np.abs(found.breakpoints) - 0.6) < 0.2)
    assert_exact_on_line(
        found,
        lambda t: model.predict(np.outer(t, a)),
        lambda t: margins(model, np.outer(t, a)),
    )


def test_many_neurons_and_classes_take_seconds():
    """200 neurons whose lines all cross the rectangle, 10 classes."""
    rng = np.random.default_rng(0)
    angle, through = rng.uniform(0, 2 * np.pi, 200), rng.uniform(-0.5, 0.5, (200, 2))
    W = np.stack([np.cos(angle), np.sin(angle)])
    model = network(
        W, -(through * W.T).sum(axis=1), rng.standard_normal((200, 10)), rng.standard_normal(10)
    )
    start = time.process_time()
    found = decision_regions(model, extent=(-1, 1, -1, 1))
    assert time.process_time() - start < 10
    assert found.n_linear_pieces > 10_000
    assert_exact(found, model.predict, lambda p: margins(model, p), n=100)


def test_digits_of_all_classes_in_a_plane():
    X, y = load_digits(return_X_y=True)
    model = make_pipeline(MinMaxScaler(), ConvexReLUClassifier(max_neurons=40, random_state=0))
    model.fit(X[:300], y[:300])
    found = decision_regions(model, X, features=[20, 43])
    assert_exact(
        found,
        lambda p: model.predict(fixed_rows(p, [20, 43], np.median(X, axis=0))),
        lambda p: margins(model, fixed_rows(p, [20, 43], np.median(X, axis=0))),
    )


# -------------------------------------------------------------------------------- what is refused


def fitted(model, n_features=2):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, n_features))
    return model.fit(X, X[:, 0] > 0)


@pytest.mark.parametrize(
    "model, message",
    [
        (LogisticRegression(), "has no coefs_"),
        (MLPClassifier((5, 5), solver="lbfgs"), "2 hidden layers"),
        (MLPClassifier(5, solver="lbfgs", activation="tanh"), "activation='tanh'"),
        (ConvexReLURegressor(), "not a classifier"),
        (DeepLinearClassifier(), "are linear, no ReLUs"),
        (ConvexThresholdClassifier(0.1), "are 0 or 1, no ReLUs"),
        (make_pipeline(PolynomialFeatures(), ConvexReLUClassifier()), "pipeline\\[:-1\\]"),
        (make_pipeline(MinMaxScaler(clip=True), ConvexReLUClassifier()), "without clip"),
    ],
)
@pytest.mark.filterwarnings("ignore:lbfgs failed")
def test_other_estimators_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        decision_regions(fitted(model), extent=(0, 1, 0, 1))


def test_networks_that_are_more_than_their_two_layers():
    x = np.linspace(-1, 1, 40)[:, None]
    spline = SplineReLUClassifier(1e-3, loss="hinge", skip_connection=True).fit(x, x[:, 0] > 0.2)
    assert np.any(spline.skip_coef_)
    with pytest.raises(ValueError, match="skip connection besides its neurons"):
        decision_regions(spline, extent=(0, 1))
    X = np.random.default_rng(0).standard_normal((6, 8))
    whitened = DeepReLUClassifier(n_layers=2, whiten=True).fit(X, np.arange(6) % 2)
    with pytest.raises(ValueError, match="see whitened rows"):
        decision_regions(whitened, features=(0, 1), X=X)


def test_several_labels_per_row_are_refused():
    X = np.random.default_rng(0).standard_normal((60, 2))
    model = MLPClassifier(3, max_iter=2000, tol=1e-2, random_state=0).fit(X, X[:, [0, 1, 0]] > 0)
    with pytest.raises(ValueError, match="one class per row"):
        decision_regions(model, X)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({}, "extent="),
        ({"extent": (0, 1)}, "left, right, bottom, top"),
        ({"extent": (0, 0, 1, 2)}, "increasing"),
        ({"extent": (0, np.inf, 1, 2)}, "finite"),
        ({"features": [0, 0], "extent": (0, 1, 0, 1)}, "different"),
        ({"features": [0, 1, 0], "extent": (0, 1, 0, 1)}, "one or two"),
        ({"features": [0, 5], "extent": (0, 1, 0, 1)}, "from 0 to 1"),
        ({"features": [0, "b"], "extent": (0, 1, 0, 1)}, "no feature 'b'"),
        ({"features": 0}, "fixed="),
        ({"features": 0, "fixed": [1.0]}, "2 values"),
        ({"X": np.zeros((3, 5))}, "2 features"),
        ({"X": np.full((3, 2), np.nan)}, "NaN"),
        ({"X": np.zeros((3, 2)), "eps": -1}, "eps"),
        ({"line": ([0, 0], [0, 0])}, "direction"),
        ({"line": ([0, 0], [1])}, "2 values each"),
        ({"line": ([0, 0], [1, 1]), "features": 0}, "not both"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        decision_regions(random_network(0), **settings)


def test_unfitted_and_undecided():
    with pytest.raises(NotFittedError):
        decision_regions(ConvexReLUClassifier(), extent=(0, 1, 0, 1))
    with pytest.raises(ValueError, match="choose one or two"):
        decision_regions(random_network(0, 3), extent=(0, 1, 0, 1))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (([0.0], [1.0]), "two rows"),
        (([0.0], [1.0, np.nan]), "finite"),
    ],
)
def test_bad_kernel_forms_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        decision_intervals(*arguments)
    with pytest.raises(ValueError, match="2 classes but 3"):
        decision_intervals([0.0], [1.0, 1.0], classes=[1, 2, 3])


# ---------------------------------------------------------------------------------------- pictures


def pixels(display):
    display.figure_.canvas.draw()
    return np.asarray(display.figure_.canvas.buffer_rgba())[:, :, :3] / 255.0


def test_display_colours_are_the_predictions():
    """Every pixel of a picture without lines has the colour of the class predicted there."""
    model = random_network(1, n_outputs=3)
    figure = plt.figure(figsize=(2, 2), dpi=100)
    ax = figure.add_axes([0, 0, 1, 1])
    bare = {"show_neurons": False, "boundary_kw": {"linewidths": 0}, "legend": False}
    display = DecisionRegionDisplay.from_estimator(model, extent=(-3, 2, -2, 4), ax=ax, **bare)
    ax.set_axis_off()
    x = -3 + 5 * (np.arange(200) + 0.5) / 200
    y = 4 - 6 * (np.arange(200) + 0.5) / 200
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    expected = (0.5 * display.colors_[:, :3] + 0.5)[model.predict(points)].reshape(200, 200, 3)
    same = np.abs(pixels(display) - expected).max(axis=2) < 0.01
    assert same.mean() > 0.97  # all but the pixels on a boundary
    near = margins(model, points).reshape(200, 200) < 0.05
    assert np.all(same | near)


def test_display_in_two_dimensions():
    X, y = make_moons(noise=0.2, random_state=0)
    frame = pd.DataFrame(X, columns=["a", "b"])
    model = ConvexReLUClassifier(alpha=0.01, random_state=0).fit(frame, y)
    display = DecisionRegionDisplay.from_estimator(model, frame, eps=0.5, alpha=0.3)
    assert display.figure_ is display.ax_.figure
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("a", "b")
    assert display.ax_.get_xlim() + display.ax_.get_ylim() == display.regions.extent
    assert len(display.patches_) == 2
    assert len(display.neurons_.get_segments()) == len(display.regions.neuron_lines) > 0
    assert len(display.boundary_.get_segments()) == len(display.regions.boundary) > 0
    assert display.scores_ == []
    again = display.plot(multiclass_colors=["red", "blue"], show_neurons=False, xlabel="c")
    assert again.neurons_ is None
    assert again.ax_.get_xlabel() == "c"
    np.testing.assert_array_equal(again.colors_[:, :3], [[1, 0, 0], [0, 0, 1]])
    with pytest.raises(ValueError, match="2 colours"):
        display.plot(multiclass_colors=["red"])
    with pytest.raises(ValueError, match="alpha"):
        display.plot(alpha=2)


@pytest.mark.parametrize("n_outputs", [1, 3, 12])
def test_display_in_one_dimension(n_outputs):
    model = random_network(2, 1, 8, n_outputs)
    display = DecisionRegionDisplay.from_estimator(model, extent=(-3, 3))
    found = display.regions
    assert len(display.scores_) == n_outputs
    assert len(display.patches_) == sum(b > -3 and a < 3 for _, a, b in found.intervals)
    assert display.ax_.get_xlim() == (-3, 3)
    line = display.scores_[0]
    expected = found.scores(line.get_xdata())
    expected = expected[:, 1] if n_outputs == 1 else expected[:, 0]
    np.testing.assert_allclose(line.get_ydata(), expected)
    pixels(display)


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"needs matplotlib: .*sklearn_convexnn\[plot\]"):
        DecisionRegionDisplay.from_estimator(random_network(0), extent=(0, 1, 0, 1))


def test_display_names_classes_and_says_where_it_cuts():
    """A legend of the classes that are seen; a section says which features it holds fixed."""
    iris = load_iris(as_frame=True)
    words = iris.target_names[iris.target]
    model = ConvexReLUClassifier(alpha=0.01, random_state=0).fit(iris.data, words)
    petals = {"features": iris.feature_names[2:], "eps": 0.4}
    display = DecisionRegionDisplay.from_estimator(model, iris.data, **petals)
    named = [text.get_text() for text in display.legend_.get_texts()]
    assert named == sorted(set(words))
    medians = iris.data.median()
    assert display.regions.fixed == {name: medians[name] for name in iris.feature_names[:2]}
    assert "sepal length (cm) = 5.8, sepal width (cm) = 3" in display.note_.get_text()
    along = DecisionRegionDisplay.from_estimator(model, iris.data, features=2)
    assert len(along.regions.fixed) == 3
    whole = DecisionRegionDisplay.from_estimator(random_network(1), extent=(0, 1, 0, 1))
    assert whole.note_ is None
    many = ConvexReLUClassifier(alpha=1.0).fit(np.eye(6), np.arange(6) > 2)
    many = DecisionRegionDisplay.from_estimator(many, np.eye(6), features=[0, 1], legend=False)
    assert many.note_.get_text() == "section: 4 other features fixed"
    assert many.legend_ is None
