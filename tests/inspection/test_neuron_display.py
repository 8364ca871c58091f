"""The picture of the heaviest neurons."""

import numpy as np
import pytest
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_convexnn import ConvexReLURegressor
from sklearn_convexnn.inspection import NeuronDisplay
from tests.exported import ROWS, SIGNAL, fitted

plt = pytest.importorskip("matplotlib.pyplot")


def test_the_numbers_are_those_of_the_network():
    model = fitted("relu")
    display = NeuronDisplay.from_estimator(model, ROWS, max_neurons=4)
    (W, C), (bias, _) = model.coefs_, model.intercepts_
    parts = model.hidden_activations(ROWS) * C[:, 0]
    sizes = np.abs(parts).mean(axis=0)
    np.testing.assert_array_equal(display.neurons, np.argsort(-sizes, kind="stable")[:4])
    np.testing.assert_allclose(display.shares, (sizes / sizes.sum())[display.neurons])
    np.testing.assert_allclose(display.active, (parts != 0).mean(axis=0)[display.neurons])
    # A step of a feature where the neuron is active moves the output by the slope.
    row = ROWS[parts[:, display.neurons[0]] != 0][:1]
    step = np.array([[1e-6, 0.0, 0.0]])[:, : ROWS.shape[1]]
    first = display.neurons[0]
    moved = (np.maximum((row + step) @ W + bias, 0) - np.maximum(row @ W + bias, 0)) * C[:, 0]
    assert moved[0, first] == pytest.approx(1e-6 * display.slopes[0, 0], rel=1e-6)
    # The median of the distances is positive where most rows are active.
    assert np.array_equal(display.positions[:, 2] > 0, display.active > 0.5)
    assert display.axes_[0].get_title(loc="left").startswith(f"4 of {len(bias)} neurons")


def test_pipelines_perceptrons_and_several_outputs():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(ROWS, columns=[f"c{k}" for k in range(ROWS.shape[1])])
    network = ConvexReLURegressor(alpha=0.01, random_state=0)
    model = make_pipeline(StandardScaler(), network).fit(frame, SIGNAL)
    through = NeuronDisplay.from_estimator(model, frame, max_features=2)
    assert len(through.names) == 2
    assert set(through.names) <= set(frame.columns)
    alone = NeuronDisplay.from_estimator(model[-1], model[:-1].transform(frame), max_features=2)
    np.testing.assert_array_equal(through.slopes, alone.slopes)
    several = NeuronDisplay.from_estimator(fitted("relu, several"), ROWS, max_neurons=99)
    assert several.shares.sum() == pytest.approx(1)
    mlp = MLPRegressor(hidden_layer_sizes=(5,), solver="lbfgs", random_state=0)
    mlp = mlp.set_params(max_iter=1000).fit(ROWS, SIGNAL)
    axes = plt.subplots(1, 3)[1]
    assert NeuronDisplay.from_estimator(mlp, ROWS, axes=axes).axes_[2] is axes[2]


def test_what_it_refuses():
    with pytest.raises(ValueError, match="ConvexReLURegressor is a constant"):
        NeuronDisplay.from_estimator(fitted("relu, constant"), ROWS)
    with pytest.raises(ValueError, match="drawn in three axes, got 2"):
        NeuronDisplay.from_estimator(fitted("relu"), ROWS, axes=plt.subplots(2)[1])
    with pytest.raises(ValueError, match="at least 1"):
        NeuronDisplay.from_estimator(fitted("relu"), ROWS, max_neurons=0)
    with pytest.raises(ValueError, match="gated network"):
        NeuronDisplay.from_estimator(fitted("gated"), ROWS)
