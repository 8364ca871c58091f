"""Measures of Neural Collapse and their picture."""

import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import RidgeClassifier
from sklearn.neural_network import MLPClassifier

from sklearn_convexnn import DeepReLUClassifier
from sklearn_convexnn.inspection import NeuralCollapseDisplay, neural_collapse


def simplex(K=4, d=6, seed=0):
    """Centred points with equal norms and cosines -1 / (K - 1)."""
    Q = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, K)))[0]
    return (np.eye(K) - 1 / K) @ Q.T


def test_a_simplex_is_collapsed():
    M = simplex()
    y = np.repeat(["a", "b", "c", "d"], [3, 5, 4, 6])
    H = M[np.unique(y, return_inverse=True)[1]] + 7.0  # anywhere in space
    result = neural_collapse(H, y, 3 * M.T, intercept=-21 * M.sum(axis=1))
    assert result.nc1 < 1e-25
    assert result.nc2_norms < 1e-14
    assert result.nc2_angles < 1e-14
    assert result.nc3 < 1e-14
    assert result.nc4 == 0.0
    assert result.nearest_mean_accuracy == 1.0
    np.testing.assert_allclose(result.cosines[np.triu_indices(4, 1)], -1 / 3)


def test_variability_is_relative_to_the_distance_between_classes():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(4), 50)
    noise = rng.standard_normal((200, 6))
    small, large = (neural_collapse(simplex()[y] + s * noise, y).nc1 for s in (0.01, 0.1))
    assert large == pytest.approx(100 * small, rel=0.1)
    # By its definition, trace(S_W pinv(S_B)) / K.
    H = simplex()[y] + 0.1 * noise
    means = np.array([H[y == k].mean(axis=0) for k in range(4)])
    within = (H - means[y]).T @ (H - means[y]) / 200
    between = np.cov(means.T, bias=True)
    expected = np.trace(within @ np.linalg.pinv(between, rcond=1e-10)) / 4
    assert large == pytest.approx(expected)


def test_norms_angles_and_duality():
    y = np.repeat(np.arange(3), 2)
    M = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
    result = neural_collapse(M[y], y, M.T)
    assert result.nc2_norms == pytest.approx(np.std([1, 1, 0]) / (2 / 3))
    assert np.isnan(result.cosines[2, 2])
    assert result.nc3 == pytest.approx(0.0)
    opposite = neural_collapse(M[y], y, -M.T)
    assert opposite.nc3 == pytest.approx(2.0)
    assert opposite.nc4 == 1.0
    assert np.isnan(result.nc2_angles)


def test_one_output_column_for_two_classes():
    y = np.repeat([0, 1], 3)
    H = np.where(y == 1, 1.0, -1.0)[:, None]
    one = neural_collapse(H, y, [[2.0]], intercept=[0.0])
    two = neural_collapse(H, y, [[-1.0, 1.0]])
    assert (one.nc3, one.nc4) == (two.nc3, two.nc4) == (0.0, 0.0)


@pytest.mark.parametrize(
    "arguments, match",
    [
        ((np.zeros((3, 2)), [0, 0, 0]), "two classes"),
        ((np.zeros((3, 2)), [0, 1]), "inconsistent"),
        ((np.eye(3), [0, 1, 2], np.eye(2)), r"shape \(3, 3\)"),
    ],
)
def test_input_that_is_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        neural_collapse(*arguments)


def test_an_estimator_is_no_features():
    with pytest.raises(TypeError, match=r"pass estimator\.hidden_activations\(X\)"):
        neural_collapse(DeepReLUClassifier(), [0, 1])


# ------------------------------------------------------------------------------------- the picture


@pytest.fixture
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:300] / 16, y[:300]


@pytest.fixture
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def test_display_of_both_kinds_of_estimators(digits, pyplot):
    X, y = digits
    exact = DeepReLUClassifier(batch_norm=True, class_weight="balanced", random_state=0).fit(X, y)
    display = NeuralCollapseDisplay.from_estimator(exact, X, y)
    assert display.collapse.nc1 < 1e-20
    assert display.collapse.nc2_angles < 1e-9
    title = display.ax_.get_title()
    assert all(part in title for part in ("DeepReLUClassifier", "NC1, spread", "NC4, rows"))
    assert display.colorbar_.ax.get_ylabel() == "cosine between centred class means"
    assert display.figure_ is display.ax_.figure
    trained = MLPClassifier((30,), solver="lbfgs", alpha=1e-2, max_iter=1000, random_state=0)
    trained.fit(X, y)
    _, ax = pyplot.subplots()
    display = NeuralCollapseDisplay.from_estimator(trained, X, y, ax=ax, name="perceptron")
    assert display.ax_ is ax
    H = np.maximum(X @ trained.coefs_[0] + trained.intercepts_[0], 0)
    reference = neural_collapse(H, y, trained.coefs_[1], intercept=trained.intercepts_[1])
    assert display.collapse.nc1 == pytest.approx(reference.nc1)
    assert display.collapse.nc4 <= 0.05
    assert 1e-3 < display.collapse.nc1 < 10


def test_display_from_features_without_weights(pyplot):
    y = np.repeat(np.arange(4), 2)
    display = NeuralCollapseDisplay.from_features(simplex()[y], y)
    assert "NC3" not in display.ax_.get_title()
    np.testing.assert_allclose(display.im_.get_array(), display.collapse.cosines)


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    y = np.repeat(np.arange(4), 2)
    with pytest.raises(ImportError, match=r"sklearn_convexnn\[plot\]"):
        NeuralCollapseDisplay.from_features(simplex()[y], y)


def test_fitted_models_without_hidden_layers_are_told_what_is_taken():
    model = RidgeClassifier().fit(np.eye(3), [0, 1, 2])
    with pytest.raises(ValueError, match=r"has no hidden_activations.*MLPClassifier"):
        NeuralCollapseDisplay.from_estimator(model, np.eye(3), [0, 1, 2])
    with pytest.raises(NotFittedError):
        NeuralCollapseDisplay.from_estimator(DeepReLUClassifier(), np.eye(3), [0, 1, 2])


def test_classes_with_one_mean():
    """Nothing between the classes: infinite variability within, unless all rows are equal."""
    H, y = np.array([[1.0], [-1.0], [1.0], [-1.0]]), [0, 0, 1, 1]
    assert neural_collapse(H, y).nc1 == np.inf
    assert neural_collapse(np.ones((4, 1)), y).nc1 == 0.0
    assert neural_collapse(H, y, np.zeros((1, 2))).nc3 == pytest.approx(np.sqrt(2))


def test_an_output_of_two_classes_without_intercept():
    H, y = np.array([[1.0], [-1.0]]), [1, 0]
    result = neural_collapse(H, y, [[2.0]])
    assert result.nc3 == pytest.approx(0.0, abs=1e-12)
    assert result.nc4 == 0.0
