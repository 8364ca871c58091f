"""Sliding and refitting a network: both go downhill, and the refit ends at the group lasso."""

import cvxpy as cp
import numpy as np
import pytest
from scipy import sparse

from sklearn_convexnn.core.column_generation.descent import _finish_on_face, refit, slide
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.problem.rows import Rows
from tests.problems import loss_values

LOSS_SHAPES = [("squared_error", 1), ("squared_error", 3), ("log_loss", 1), ("log_loss", 3)]
each_loss = pytest.mark.parametrize("loss, n_outputs", LOSS_SHAPES)
each_intercept = pytest.mark.parametrize("intercept", [False, True], ids=["no b0", "b0"])
ALPHA = 0.02


def make_rows(loss, n_outputs, intercept, *, n=40, d=3, seed=0, **settings):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    if loss == "squared_error":
        Y = np.sin(X @ rng.standard_normal((d, n_outputs))) + 0.5
    else:
        classes = np.digitize(X[:, 0] + 0.5 * rng.standard_normal(n), [0.0, 0.7][: n_outputs - 1])
        classes = classes if n_outputs > 1 else (X[:, 0] > 0).astype(int)
        Y = np.eye(n_outputs)[classes] if n_outputs > 1 else classes[:, None].astype(float)
    weights = rng.uniform(0.5, 1.5, n)
    weights /= weights.sum()
    return Rows.of(X, Y, weights, get_loss(loss, n_outputs), intercept=intercept, **settings)


def make_network(rows, n_neurons=8, seed=1):
    rng = np.random.default_rng(seed)
    U = rng.standard_normal((n_neurons, rows.n_columns))
    U /= np.linalg.norm(U, axis=1, keepdims=True)
    C = 0.3 * rng.standard_normal((n_neurons, rows.n_outputs))
    return Network(U, C, 0.1 * rng.standard_normal(rows.n_outputs) * rows.intercept)


def objective(rows, network, alpha=ALPHA):
    """(P), from its formula."""
    Z = np.maximum(rows.dense() @ network.U.T, 0) @ network.C + network.b0
    name = rows.loss.name.split()[0]
    return rows.weights @ loss_values(name, rows.Y, Z) + alpha * network.penalty()


# -------------------------------------------------------------------------------------------- slide


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


# -------------------------------------------------------------------------------------------- refit


def group_lasso(rows, U, b0):
    """Optimal value and weights over fixed directions, by CVXPY."""
    A, (n, n_outputs) = np.maximum(rows.dense() @ U.T, 0), rows.Y.shape
    C = cp.Variable((len(U), n_outputs))
    offset = cp.Variable((1, n_outputs)) if rows.intercept else b0[None]
    Z, w = A @ C + np.ones((n, 1)) @ offset, rows.weights
    if rows.loss.name == "squared_error":
        loss = 0.5 * cp.sum(cp.multiply(w, cp.sum(cp.square(Z - rows.Y), axis=1)))
    elif n_outputs == 1:
        loss = w @ cp.logistic(Z[:, 0]) - (w * rows.Y[:, 0]) @ Z[:, 0]
    else:
        loss = w @ cp.log_sum_exp(Z, axis=1) - cp.sum(cp.multiply(w[:, None] * rows.Y, Z))
    program = cp.Problem(cp.Minimize(loss + ALPHA * cp.sum(cp.norm(C, 2, axis=1))))
    precise = {"tol_gap_abs": 1e-11, "tol_gap_rel": 1e-11, "tol_feas": 1e-11}
    program.solve(solver="CLARABEL", **precise)
    return program.value, C.value


@each_intercept
@each_loss
def test_refit_is_the_group_lasso(loss, n_outputs, intercept):
    """The optimal value to 1e-6, and zeros that are exact: the neuron is gone."""
    rows = make_rows(loss, n_outputs, intercept)
    network = make_network(rows, n_neurons=15)
    value, C = group_lasso(rows, network.U, network.b0)
    fitted = refit(rows, network, ALPHA, max_iter=5000, tol=1e-7)
    np.testing.assert_allclose(objective(rows, fitted), value, rtol=1e-6)
    assert fitted.sizes.min() > 0
    support = np.linalg.norm(C, axis=1) > 1e-5
    assert 0 < support.sum() < 15, "a test without zeros would say little"
    np.testing.assert_array_equal(fitted.U, network.U[support])
    np.testing.assert_allclose(fitted.C, C[support], atol=1e-4)


def test_refit_without_intercept_keeps_the_given_one():
    """Rows without intercept, but outputs that start elsewhere than at zero."""
    rows = make_rows("squared_error", 1, False)
    network = make_network(rows).with_outputs(np.ones((8, 1)), np.array([0.4]))
    fitted = refit(rows, network, ALPHA, max_iter=5000, tol=1e-7)
    np.testing.assert_array_equal(fitted.b0, [0.4])
    value, _ = group_lasso(rows, network.U, network.b0)
    np.testing.assert_allclose(objective(rows, fitted), value, rtol=1e-6)


@pytest.mark.parametrize("max_iter", [1, 3, 10, 100])
@each_intercept
@each_loss
def test_refit_never_raises_the_objective(loss, n_outputs, intercept, max_iter):
    """However early it stops, from a poor and from its own optimum."""
    rows = make_rows(loss, n_outputs, intercept)
    optimum = refit(rows, make_network(rows), ALPHA, max_iter=5000, tol=1e-9)
    for seed in range(3):
        for network in (make_network(rows, seed=seed), optimum):
            fitted = refit(rows, network, ALPHA, max_iter=max_iter)
            assert objective(rows, fitted) <= objective(rows, network) * (1 + 1e-12)


@pytest.mark.parametrize("make_input", [np.asarray, sparse.csr_array], ids=["dense", "CSR"])
@pytest.mark.parametrize("n_outputs", [1, 3])
@each_intercept
def test_refit_without_memory_gives_the_same(n_outputs, intercept, make_input):
    """Activations computed again in every iteration, or kept: the same iterates of FISTA."""
    rows = make_rows("log_loss", n_outputs, intercept)
    X, Y, weights = make_input(rows.X), rows.Y, rows.weights
    rows = Rows.of(X, Y, weights, rows.loss, intercept=intercept)
    network = make_network(rows)
    kept, computed = (
        refit(rows, network, ALPHA, max_iter=40, newton=False, memory=memory)
        for memory in (1 << 20, 0)
    )
    for one, other in zip(vars(kept).values(), vars(computed).values(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@each_loss
def test_refit_in_single_precision(loss, n_outputs):
    """Products in float32: the same optimum to half the digits."""
    rows = make_rows(loss, n_outputs, True)
    network = make_network(rows)
    double, single = (
        refit(rows.with_dtype(dtype), network, ALPHA, max_iter=500)
        for dtype in (np.float64, np.float32)
    )
    np.testing.assert_allclose(objective(rows, single), objective(rows, double), rtol=1e-5)


@each_loss
def test_refit_drops_neurons_that_are_never_active(loss, n_outputs):
    """They cost and do nothing; no division by their zero norm."""
    rows = make_rows(loss, n_outputs, True)
    network = make_network(rows)
    network.U[3] = [0, 0, 0, -1]  # only the constant, with a negative sign
    fitted = refit(rows, network, ALPHA, max_iter=300)
    assert 0 < fitted.n_neurons < 8
    assert np.all(fitted.U[:, 3] > -1)
    assert np.isfinite(fitted.C).all()


@each_loss
def test_refit_to_nothing_under_a_large_penalty(loss, n_outputs):
    """A penalty above the largest price leaves the best constant."""
    rows = make_rows(loss, n_outputs, True)
    fitted = refit(rows, make_network(rows), 100.0, max_iter=2000, tol=1e-8)
    assert fitted.n_neurons == 0
    gradient = rows.loss.gradient(rows.Y, np.broadcast_to(fitted.b0, rows.Y.shape))
    np.testing.assert_allclose(rows.weights @ gradient, 0, atol=1e-4)


def test_refit_leaves_what_is_constant_to_the_intercept():
    """The variance of such a neuron is lost to rounding: no division by it."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((40, 2)) + 1e9, rng.standard_normal((40, 1))
    rows = Rows.of(X, Y, np.full(40, 1 / 40), get_loss("squared_error", 1), intercept=True)
    network = Network(np.array([[0.0, 0.0, 1.0]]), np.array([[0.3]]), np.zeros(1))
    refitted = refit(rows, network, 1e-5, max_iter=100)
    assert refitted.n_neurons == 0
    np.testing.assert_allclose(refitted.b0, Y.mean(axis=0), rtol=1e-12)


def test_refit_of_no_neurons_is_the_same_network():
    rows = make_rows("squared_error", 1, True)
    network = Network.constant([0.5], rows.n_columns)
    assert refit(rows, network, ALPHA, max_iter=10) is network


# ------------------------------------------------------------------------------ the exact last step


def _lasso_value(gram, cross, C, alpha):
    return 0.5 * np.sum(C * (gram @ C)) - np.sum(C * cross) + alpha * np.abs(C).sum()


@pytest.mark.parametrize("repeated", [False, True], ids=["regular", "singular"])
@pytest.mark.parametrize("seed", range(10))
def test_finish_on_face_goes_down_and_is_stationary_there(seed, repeated):
    """The signs stay or become zero; on what is left ``cross - gram c = alpha sign(c)``."""
    rng = np.random.default_rng(seed)
    A = np.maximum(rng.standard_normal((30, 6)), 0)
    if repeated:
        A[:, 3:] = A[:, :3]
    gram, cross = A.T @ A / 30, A.T @ rng.standard_normal((30, 1)) / 30
    C = rng.standard_normal((6, 1)) * (rng.random((6, 1)) < 0.8)
    found = _finish_on_face(gram, cross, C, ALPHA)
    assert np.all((np.sign(found) == np.sign(C)) | (found == 0))
    before, after = (_lasso_value(gram, cross, part, ALPHA) for part in (C, found))
    assert after <= before + 1e-12
    support = np.flatnonzero(found)
    slack = (cross - gram @ found - ALPHA * np.sign(found))[support]
    np.testing.assert_allclose(slack, 0, atol=1e-9)
