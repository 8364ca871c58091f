"""Deep ReLU networks in closed form: values, conditions, and searches that find none better."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris

from sklearn_convexnn import DeepReLUClassifier, DeepReLURegressor
from tests.linear_problems import best_network

# ---------------------------------------------------------------------------------- known solutions

# In the units of the tables the loss is not divided by n.
T3 = {
    2: {0.1: 0.574161925, 0.5: 2.670809626, 1: 4.841619253},
    3: {0.1: 0.604098868, 0.5: 2.913146529, 1: 5.523853324},
    4: {0.1: 0.675167966, 0.5: 3.297273966, 1: 6.147008044},
}


def relu_objective(model, X, Y, weights=None):
    """The objective from the layers alone."""
    weights = np.ones(len(X)) if weights is None else weights
    A = X if model.whitening_ is None else X @ model.whitening_
    last = len(model.coefs_) - 2
    for i, (W, b) in enumerate(zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True)):
        Z = A @ W + b
        if model.batch_norm_ is not None and i == last:
            bn = model.batch_norm_
            Z = bn["gamma"] * (Z - bn["mean"]) / bn["std"] + bn["shift"]
        A = np.maximum(Z, 0)
    Z = A @ model.coefs_[-1]
    if model.batch_norm_ is None:
        decay = 0.5 * sum(np.sum(W**2) for W in model.coefs_)
    else:
        bn = model.batch_norm_
        decay = 0.5 * sum(np.sum(a**2) for a in (bn["gamma"], bn["shift"], model.coefs_[-1]))
    w = weights / weights.sum()
    return 0.5 * w @ np.sum((Y.reshape(len(X), -1) - Z) ** 2, axis=1) + model.alpha_ * decay


def orthogonal_rows(n, d, lengths=None, seed=0):
    Q = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, n)))[0].T
    return Q if lengths is None else Q * np.asarray(lengths)[:, None]


@pytest.mark.parametrize("n_layers", T3)
@pytest.mark.parametrize("beta", [0.1, 0.5, 1])
def test_scalar_targets_on_whitened_rows(n_layers, beta):
    X, y = orthogonal_rows(4, 6), np.array([3.0, -1, 2, -2])
    model = DeepReLURegressor(n_layers, beta / 4).fit(X, y)
    assert 4 * model.objective_ == pytest.approx(T3[n_layers][beta], rel=1e-8)
    assert relu_objective(model, X, y) == pytest.approx(model.objective_, rel=1e-12)
    assert model.condition_ == "orthogonal_rows"
    assert model.certificate_ == ("exact" if n_layers == 2 else "proven")
    # Directions X^T (y)_+ and X^T (-y)_+.
    # (A small path vanishes where depth makes it not worth its penalty.)
    parts = (np.maximum(y, 0), np.maximum(-y, 0))
    for u, part in zip(model.coefs_[0].T, parts, strict=model.n_paths_ == 2):
        direction = X.T @ part
        cosine = u @ direction / np.linalg.norm(u) / np.linalg.norm(direction)
        assert cosine == pytest.approx(1.0)


@pytest.mark.parametrize("beta, value", [(0.1, 0.367842712), (0.5, 1.539213562), (1.2, 2.45411255)])
def test_class_indicators_on_whitened_rows(beta, value):
    X, y = orthogonal_rows(5, 5), np.array([0, 0, 1, 2, 2])
    model = DeepReLUClassifier(2, beta / 5).fit(X, y)
    assert 5 * model.objective_ == pytest.approx(value, rel=1e-8)
    assert model.certificate_ == "exact"
    assert model.dual_gap_ <= 1e-13


@pytest.mark.parametrize("beta, value", [(0.1, 0.4092640687), (0.5, 1.7463203436)])
@pytest.mark.parametrize("n_layers", [2, 3, 5])
def test_batch_normalisation(beta, value, n_layers):
    X, y = np.random.default_rng(0).standard_normal((6, 7)), np.repeat([0, 1, 2], 2)
    model = DeepReLUClassifier(n_layers, beta / np.sqrt(6), batch_norm=True, random_state=0)
    model.fit(X, y)
    assert 6 * model.objective_ == pytest.approx(value, rel=1e-9)
    size = model.coefs_[-1].max()  # scale and shift are balanced with the output weights
    np.testing.assert_allclose(model.batch_norm_["gamma"] / size, 0.81649658, rtol=1e-7)
    np.testing.assert_allclose(model.batch_norm_["shift"] / size, 0.57735027, rtol=1e-7)


def test_rows_on_a_line_in_two_layers():
    """Soft thresholding of the two features (c)_+ and (-c)_+."""
    rng = np.random.default_rng(0)
    c, y, a = rng.standard_normal(7), rng.standard_normal(7), np.array([3.0, 4.0])
    alpha, value = 0.02, 0.5 * np.mean(y**2)
    for h in (np.maximum(5 * c, 0), np.maximum(-5 * c, 0)):
        correlation, curvature = h @ y / 7, h @ h / 7
        s = max(abs(correlation) - alpha, 0) / curvature
        value += 0.5 * curvature * s**2 - s * abs(correlation) + alpha * s
    model = DeepReLURegressor(2, alpha).fit(c[:, None] * a, y)
    assert model.objective_ == pytest.approx(value, rel=1e-12)
    assert model.condition_ == "rank_one"
    assert relu_objective(model, c[:, None] * a, y) == pytest.approx(value, rel=1e-12)


# ------------------------------------------------------------------------------- against searches


def searched(X, Y, alpha, n_layers, width, *, weights=None, starts=20):
    w = np.full(len(X), 1 / len(X)) if weights is None else weights / weights.sum()

    def loss(Z):
        return 0.5 * w @ np.sum((Z - Y) ** 2, axis=1), w[:, None] * (Z - Y)

    shapes = [(X.shape[1], width), *[(width, width)] * (n_layers - 2), (width, Y.shape[1])]
    return best_network(loss, shapes, alpha, relu=X, starts=starts)


@pytest.mark.parametrize("n_layers", [2, 3, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["whitened", "lengths and weights", "indicators", "line"])
def test_no_search_finds_a_better_network(n_layers, kind):
    rng = np.random.default_rng(1)
    weights = np.ones(5)
    X, Y = orthogonal_rows(5, 5), rng.standard_normal((5, 1))
    if kind == "lengths and weights":
        X, weights = orthogonal_rows(5, 5, [1, 2, 0.5, 1.5, 1]), rng.uniform(0.5, 2, 5)
    elif kind == "indicators":
        Y = np.eye(3)[[0, 0, 1, 2, 2]]
    elif kind == "line":
        X, Y = np.abs(rng.standard_normal((5, 1))) @ [[1.0, -2.0]], rng.standard_normal((5, 2))
    alpha = 0.02
    model = DeepReLURegressor(n_layers, alpha).fit(X, Y, sample_weight=weights)
    best = searched(X, Y, alpha, n_layers, 5, weights=weights)
    assert model.n_paths_ > 0
    assert model.objective_ <= best * (1 + 1e-8)
    assert model.objective_ - model.dual_gap_abs_ <= best
    if n_layers == 2 or kind == "line":
        assert model.objective_ == pytest.approx(best, rel=1e-6)
        assert model.dual_gap_ <= 1e-12
    assert relu_objective(model, X, Y, weights) == pytest.approx(model.objective_, rel=1e-11)


def through_a_simplex():
    """Four targets, the two unit vectors and their opposites, from three neurons."""
    corners = np.array([[1.0, 0.0], [-0.5, np.sqrt(0.75)], [-0.5, -np.sqrt(0.75)]])
    a, b = 2 / np.sqrt(3), 1 / np.sqrt(3)
    mixtures = np.array([[1, 0, 0], [0, 1, 1], [b, a, 0], [b, 0, a]])
    return [mixtures, np.eye(3), corners]


def through_a_circle(n_classes=6, n_layers=12):
    """Classes as points of a cone in three dimensions, told apart by the last but one layer."""
    angles = 2 * np.pi * np.arange(n_classes) / n_classes
    circle, edge = np.column_stack([np.cos(angles), np.sin(angles)]), np.cos(angles[1])
    points = np.column_stack([1 + circle, np.ones(n_classes)])
    detectors = np.column_stack([circle, -edge - circle.sum(axis=1)]).T / (1 - edge)
    return [points, *[np.eye(3)] * (n_layers - 3), detectors, np.eye(n_classes)]


@pytest.mark.parametrize("layers", [through_a_simplex(), through_a_circle()], ids=len)
def test_shared_neurons_may_beat_independent_chains_but_not_the_bound(layers):
    """Where the certificate is only "proven" the closed form need not be the optimum."""
    n_layers, Y = len(layers), np.eye(len(layers[0]))
    for W in layers[:-1]:
        Y = np.maximum(Y @ W, 0.0)
    Y = (Y @ layers[-1]).round(12)
    sizes = [np.linalg.norm(W) for W in layers]
    alpha = 1e-3 * DeepReLURegressor(n_layers).fit(np.eye(len(Y)), Y).alpha_max_
    model = DeepReLURegressor(n_layers, alpha).fit(np.eye(len(Y)), Y)
    # These layers fit perfectly; balanced, they have the same length.
    shared = alpha * n_layers / 2 * np.prod(sizes) ** (2 / n_layers)
    assert model.certificate_ == "proven"
    assert shared <= 0.97 * model.objective_
    assert shared >= model.objective_ - model.dual_gap_abs_


@pytest.mark.parametrize("n_layers", [2, 3])
def test_no_search_finds_a_better_network_with_batch_normalisation(n_layers):
    """Scale, shift and output weights of neurons whose activations lie anywhere on the sphere."""
    rng = np.random.default_rng(0)
    X, y, alpha = rng.standard_normal((5, 6)), rng.standard_normal(5), 0.05
    model = DeepReLURegressor(n_layers, alpha, batch_norm=True, random_state=0).fit(X, y)
    # ||.||_w-whitened rows: the two-layer problem on sqrt(n) I.
    best = searched(np.sqrt(5) * np.eye(5), y[:, None], alpha, 2, 5)
    assert model.objective_ == pytest.approx(best, rel=1e-7)
    assert relu_objective(model, X, y) == pytest.approx(model.objective_, rel=1e-11)


# -------------------------------------------------------------------------------------- the forward


@pytest.mark.parametrize("settings", [{"whiten": True}, {"batch_norm": True, "random_state": 0}])
@pytest.mark.parametrize("n_layers", [2, 3, 4])
def test_outputs_are_those_of_the_formula(settings, n_layers):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 30)), rng.standard_normal(20)
    for alpha in (0, 0.01):
        model = DeepReLURegressor(n_layers, alpha, **settings).fit(X, y)
        assert relu_objective(model, X, y) == pytest.approx(model.objective_, rel=1e-10, abs=1e-20)
    interpolation = DeepReLURegressor(n_layers, 0, **settings).fit(X, y)
    np.testing.assert_allclose(interpolation.predict(X), y, atol=1e-10)
    assert interpolation.objective_ <= 1e-20
    two = DeepReLURegressor(2, 0.01, **settings).fit(X, y)
    # Two layers: every path is shrunk towards zero by its norm.
    norms = np.where(y > 0, *[np.sqrt(np.mean(np.maximum(s * y, 0) ** 2)) for s in (1, -1)])
    alpha = 0.01 if "batch_norm" in settings else 0.01 * np.sqrt(20)
    np.testing.assert_allclose(two.predict(X), y * (1 - alpha / norms), atol=1e-10)


def test_digits_collapse():
    X, y = load_digits(return_X_y=True)
    X, y = X[:400], y[:400]
    model = DeepReLUClassifier(batch_norm=True, random_state=0).fit(X, y)
    H = model.hidden_activations(X)
    np.testing.assert_allclose(H, H[[np.argmax(y == c) for c in y]], atol=1e-10)
    sizes = np.sqrt(np.bincount(y) / len(y))
    expected = np.eye(10)[y] * (1 - model.alpha_ / sizes)
    np.testing.assert_allclose(model._outputs(X), expected, atol=1e-10)
    assert model.score(X, y) == 1.0
    assert model.predict(X[:1] + 0.01).shape == (1,)


def test_new_rows_are_whitened_like_the_old_ones():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((4, 9)), rng.standard_normal(4)
    model = DeepReLURegressor(whiten=True).fit(X, y)
    np.testing.assert_allclose(X @ model.whitening_, np.eye(4), atol=1e-12)
    mixture = 0.5 * X[[np.argmax(y)]] + 0.5 * X[[np.argmin(y)]]
    paths = model.predict(X)
    expected = 0.5 * (paths.max() + paths.min())
    assert model.predict(mixture)[0] == pytest.approx(expected)


def test_two_classes():
    X, y = load_iris(return_X_y=True)
    y = np.where(y == 2, "virginica", "other")
    model = DeepReLUClassifier(batch_norm=True, random_state=0).fit(X, y)
    assert model.n_outputs_ == 2
    assert model.decision_function(X).shape == (150,)
    assert not hasattr(model, "predict_proba")
    assert model.score(X, y) == 1.0


@pytest.mark.parametrize("settings", [{}, {"whiten": True}, {"batch_norm": True}])
def test_weights_are_repetitions(settings):
    rng = np.random.default_rng(0)
    X, y = orthogonal_rows(8, 9), rng.standard_normal(8)
    counts = np.array([1, 2, 0, 3, 1, 1, 2, 1])
    # Of two equal rows the closed forms keep one, with the sum of the weights.
    a = DeepReLURegressor(2, 0.01, random_state=0, **settings).fit(X, y, sample_weight=counts)
    b = DeepReLURegressor(2, 0.01, random_state=0, **settings)
    b.fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    assert a.objective_ == pytest.approx(b.objective_, rel=1e-12)
    np.testing.assert_allclose(a.predict(X), b.predict(X), atol=1e-9)


@pytest.mark.parametrize("n_layers", [2, 3])
@pytest.mark.parametrize("settings", [{}, {"batch_norm": True}])
def test_alpha_max(n_layers, settings):
    X, y = orthogonal_rows(6, 6), np.array([1.0, -2, 3, 0, 1, -1])
    largest = DeepReLURegressor(n_layers, **settings).fit(X, y).alpha_max_
    assert DeepReLURegressor(n_layers, 1.001 * largest, **settings).fit(X, y).n_paths_ == 0
    if n_layers == 2 or settings:
        assert DeepReLURegressor(n_layers, 0.999 * largest, **settings).fit(X, y).n_paths_ == 1


def test_rows_that_are_zero_keep_their_loss():
    X = np.vstack([orthogonal_rows(3, 4), np.zeros((1, 4))])
    y = np.array([1.0, 2.0, -1.0, 5.0])
    model = DeepReLURegressor(2, 0.01).fit(X, y)
    assert model.predict(X)[3] == 0.0
    assert relu_objective(model, X, y) == pytest.approx(model.objective_, rel=1e-12)


# -------------------------------------------------------------------------------------- conditions


def refused(match, X, y, n_layers=3, Estimator=DeepReLURegressor, **settings):
    with pytest.raises(ValueError, match=match):
        Estimator(n_layers, 0.01, **settings).fit(X, y)


def test_rows_without_a_closed_form_are_refused():
    rng = np.random.default_rng(0)
    tall, wide = rng.standard_normal((10, 3)), rng.standard_normal((4, 6))
    refused("10 different rows in 3 dimensions", tall, tall[:, 0])
    refused(r"two of them have the cosine [0-9.e-]+ ", wide, wide[:, 0])
    refused("10 rows and 3 features", tall, tall[:, 0], whiten=True)
    dependent = np.vstack([wide, wide[:1] + wide[1:2]])
    refused(r"X X\^\+ differs from the identity", dependent, dependent[:, 0], whiten=True)
    refused("distance of .*n_layers >= 3", tall, tall[:, 0], n_layers=2, batch_norm=True)
    refused("at least as wide", tall, tall[:, 0], batch_norm=True, hidden_width=9)
    refused("needs no whitened rows", wide, wide[:, 0], batch_norm=True, whiten=True)
    refused("more than one|at most one non-zero", wide, wide[:, :2], whiten=True)
    refused("one side of the origin", tall[:, :1], tall[:, 1])


def test_equal_rows_with_different_targets_are_refused():
    X = np.random.default_rng(0).standard_normal((6, 3))[[0, 1, 2, 3, 4, 4]]
    refused("distance", X, np.arange(6.0), batch_norm=True)


def test_a_small_violation_is_measured():
    X = orthogonal_rows(4, 5)
    X[0] += 1e-6 * X[1]
    refused("1.0e-06", X, np.arange(4.0))
    X = orthogonal_rows(4, 5)
    X[0] += 1e-13 * X[1]
    DeepReLURegressor().fit(X, np.arange(4.0))


@pytest.mark.parametrize("size", [1e-200, 1e200])
@pytest.mark.parametrize("name", ["X", "y"])
@pytest.mark.parametrize("settings", [{}, {"whiten": True}, {"batch_norm": True}])
def test_sizes_whose_squares_are_no_numbers_are_refused(size, name, settings):
    data = {"X": np.eye(3), "y": np.array([1.0, 2.0, -3.0])}
    data[name] = size * data[name]
    with pytest.raises(ValueError, match=f"scale {name} to a size"):
        DeepReLURegressor(**settings).fit(**data)
