"""Sliding a network goes downhill in everything it has."""

import numpy as np
import pytest

from sklearn_convexnn.core.column_generation.options import LIGHT
from sklearn_convexnn.core.column_generation.run import Run
from sklearn_convexnn.core.column_generation.slide import slide
from sklearn_convexnn.core.column_generation.slide_phase import SlidePhase
from sklearn_convexnn.core.fit.cutting_plane import make_pricing
from sklearn_convexnn.core.problem.directions import normalise
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.metric import ISOTROPIC, Metric
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.problem.rows import Rows
from sklearn_convexnn.core.problem.solution import Start
from tests.small_networks import (
    ALPHA,
    each_intercept,
    each_loss,
    make_network,
    make_rows,
    objective,
)


class Recorder:
    """Rows that write down every evaluation of a slide."""

    def __init__(self, rows):
        self.rows, self.evaluations = rows, []

    def __getattr__(self, name):
        return getattr(self.rows, name)

    def loss_and_gradients(self, U, C, b0, smoothing=None):
        result = self.rows.loss_and_gradients(U, C, b0, smoothing)
        decay = 0.5 * ALPHA * ((U**2).sum() + (C**2).sum())
        self.evaluations.append((result[0] + decay, U.copy(), C.copy(), b0.copy()))
        return result


@each_intercept
@each_loss
def test_slide_lowers_the_objective(loss, n_outputs, intercept):
    """Without smoothing it minimises (P) itself: the weight decay of balanced neurons."""
    rows = make_rows(loss, n_outputs, intercept)
    network = make_network(rows)
    slid = slide(rows, network, ALPHA, max_iter=30)
    assert objective(rows, slid) < 0.9 * objective(rows, network)
    np.testing.assert_allclose(np.linalg.norm(slid.U, axis=1), 1)
    if not intercept:
        assert not slid.b0.any()


@pytest.mark.parametrize("width", [0.0, 1e-2, 0.3])
@each_loss
def test_slide_ends_at_the_lowest_point_it_saw(loss, n_outputs, width):
    """It starts from the balanced network and the result has the lowest (smoothed) objective."""
    recorder = Recorder(make_rows(loss, n_outputs, True))
    network = make_network(recorder)
    slid = slide(recorder, network, ALPHA, max_iter=20, width=width)
    values = [value for value, *_ in recorder.evaluations]
    start_U, start_C = network.balanced()
    np.testing.assert_allclose(recorder.evaluations[0][1], start_U)
    np.testing.assert_allclose(recorder.evaluations[0][2], start_C)
    best = Network.from_factors(*recorder.evaluations[int(np.argmin(values))][1:])
    assert min(values) < values[0]
    for one, other in zip(vars(slid).values(), vars(best).values(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_slide_with_a_small_width_is_close_to_the_objective():
    """A narrow parabola changes the outputs by ``width / 4`` at most: (P) itself goes down."""
    rows = make_rows("squared_error", 1, True)
    network = make_network(rows)
    slid = slide(rows, network, ALPHA, max_iter=30, width=1e-3)
    assert objective(rows, slid) < 0.9 * objective(rows, network)


@each_intercept
def test_slide_of_a_constant_network(intercept):
    """No neurons: the intercept is all there is to move."""
    rows = make_rows("log_loss", 3, intercept)
    slid = slide(rows, Network.constant(np.zeros(3), rows.n_columns), ALPHA, max_iter=50)
    assert slid.n_neurons == 0
    expected = rows.loss.constant(rows.Y, rows.weights) if intercept else np.zeros(3)
    np.testing.assert_allclose(slid.b0 - slid.b0.mean(), expected, atol=1e-4)


def test_slide_leaves_its_input_alone():
    rows = make_rows("squared_error", 1, True)
    network = make_network(rows)
    before = [part.copy() for part in vars(network).values()]
    slide(rows, network, ALPHA, max_iter=5)
    for one, other in zip(vars(network).values(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_units_of_curvature_help_with_correlated_columns():
    """Columns that share most of their variance: as many iterations come further."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 1)) + 0.1 * rng.standard_normal((300, 8))
    y = np.abs(X[:, :1] - X[:, 1:2]) + np.maximum(X[:, 2:3] - X[:, 3:4], 0)
    weights = np.full(300, 1 / 300)
    rows = Rows.of(X, y, weights, get_loss("squared_error", 1), intercept=True)
    metric = Metric.of(rows)
    assert metric.trivial
    U = rng.standard_normal((10, 9))
    network = Network(normalise(U), 0.01 * rng.standard_normal((10, 1)), np.zeros(1))

    def objective(metric):
        slid = slide(rows, network, 1e-4, max_iter=20, metric=metric)
        return rows.evaluate(slid).objective(1e-4)

    assert objective(metric) < 0.8 * objective(ISOTROPIC)


def test_kinks_are_smoothed_as_far_as_rows_reach():
    """Along features of little size, too: the start is near the objective without smoothing."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 6)) * [1.0, 1.0, 1.0, 0.02, 0.02, 0.02]
    Y = np.maximum(X[:, 3:], 0).sum(axis=1, keepdims=True) / 0.02
    rows = Rows.of(X, Y, np.full(300, 1 / 300), loss=get_loss("squared_error", 1), intercept=True)
    U = normalise(rng.normal(size=(5, 7)) * [0, 0, 0, 1, 1, 1, 0])
    network = Network(U, np.full((5, 1), 20.0), np.zeros(1))
    metric = Metric.of(rows)
    products = np.column_stack([X, np.ones(300)]) @ U.T
    np.testing.assert_allclose(
        metric.principal.reach(U), np.sqrt((products**2).mean(axis=0)), rtol=1e-6
    )
    recorder = Recorder(rows)
    slide(recorder, network, ALPHA, max_iter=1, width=0.1, metric=metric)
    assert recorder.evaluations[0][0] == pytest.approx(objective(rows, network), rel=0.1)


def test_new_neurons_enter_where_they_lower_the_objective():
    """All of them at once, of which each alone has the price it was chosen for."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    X[:4] *= 50.0
    Y = np.abs(X[:, :1])
    rows = Rows.of(X, Y, np.full(200, 1 / 200), loss=get_loss("squared_error", 1), intercept=True)
    run = Run(rows, ALPHA, LIGHT, ISOTROPIC)
    first = np.array([[1.0, 0.0, 0.0, 0.0]])
    start = Start(Network(first, np.array([[0.9]]), np.zeros(1)))
    phase = SlidePhase(run, make_pricing(rows, rng), start)
    # Three pictures of the neuron that is missing.
    away = normalise(np.array([[-1.0, 0.0, 0.0, 0.0], [-1.0, 0.1, 0, 0], [-1.0, 0, 0.1, 0]]))
    before = run.state.objective
    for size in (1e-4, 10.0):
        extended = phase._lower_with(away, np.full((3, 1), size))
        assert objective(rows, extended) < before
    assert np.all(extended.C[-3:] < 10.0)
