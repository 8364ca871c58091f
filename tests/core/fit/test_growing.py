"""Networks grown on samples: few passes over all rows, to the ordinary objective."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from sklearn_convexnn import ConvexCNNRegressor, ConvexReLUClassifier, ConvexReLURegressor
from sklearn_convexnn._images import windows_of
from sklearn_convexnn.core.fit import growing
from sklearn_convexnn.core.fit.cutting_plane import Descent
from sklearn_convexnn.core.fit.growing import sample_sizes
from sklearn_convexnn.core.pricing import screened
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.patches import Convolution
from sklearn_convexnn.core.problem.rows import Rows
from sklearn_convexnn.core.problem.solution import Status
from sklearn_convexnn.core.problem.sub_networks import SubNetworks
from sklearn_convexnn.core.problem.units import make_problem
from tests.core.pricing.test_search import make_rows

GOALS = {"tol": 1e-2, "gap_tol": None, "max_iter": 50, "max_neurons": None}


def teacher(n, d=10):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    Z = np.maximum(X @ rng.standard_normal((d, 5)) / np.sqrt(d), 0) @ rng.standard_normal((5, 1))
    return X, Z + 0.1 * rng.standard_normal((n, 1))


def problem_of(n, loss="squared_error"):
    X, Y = teacher(n)
    if loss == "log_loss":
        Y = (np.median(Y) < Y).astype(float)
    return make_problem(X, Y, np.ones(n), loss=loss, intercept=True)


@pytest.fixture
def small(monkeypatch):
    """Samples of thousands of rows."""
    monkeypatch.setattr(growing, "LEAST_ROWS", 4000)
    monkeypatch.setattr(screened, "LEAST_ROWS", 4000)
    monkeypatch.setattr(growing, "FIRST_ROWS", 1000)
    monkeypatch.setattr(growing, "_ROWS_PER_COLUMN", 80)


@pytest.mark.parametrize(
    "n, d, sizes",
    [
        (49_999, 3, []),
        (50_000, 3, [10_000]),
        (100_000, 50, [10_200]),
        (1_000_000, 50, [10_200, 51_000, 255_000]),
        (10_000_000, 50, [10_200, 51_000, 255_000]),  # in 128 MB, whatever is on disk
        (60_000, 200, []),  # a network of so many columns has thousands of parameters
    ],
)
def test_sizes(n, d, sizes):
    X = np.broadcast_to(np.float32(0), (n, d))
    rows = make_rows(X, 1, intercept=True)
    assert sample_sizes(rows) == sizes


def test_sizes_of_other_losses_are_even_steps_up_to_all_rows():
    for n, steps in ((49_999, 0), (50_000, 1), (50_001, 2), (100_000, 2), (2_000_000, 4)):
        X = np.broadcast_to(np.float32(0), (n, 3))
        rows = make_rows(X, 1, intercept=True).with_loss(get_loss("log_loss", 1))
        rows = rows.with_targets(np.tile([[0.0], [1.0]], (n, 1))[:n])
        sizes = sample_sizes(rows)
        assert len(sizes) == steps
        factors = np.array([*sizes[1:], n])[:steps] / sizes
        np.testing.assert_allclose(factors, factors.mean() if steps else 1, rtol=1e-3)
        assert np.all(factors <= 5.001)


@pytest.mark.parametrize("n, sizes", [(1999, []), (2000, [400]), (10_000, [400, 2000])])
def test_sizes_of_images(n, sizes):
    """A row of a convolution has many patches."""
    settings = {"image_shape": None, "stride": 1, "dilation": 1, "padding": 0, "pool_grid": 1}
    neurons = Convolution(windows_of((3, 3), patch_size=2, **settings), "max")
    X, Y = np.broadcast_to(np.float32(0), (n, 9)), np.zeros((n, 1))
    weights, loss = np.full(n, 1 / n), get_loss("squared_error", 1)
    assert sample_sizes(Rows.of(X, Y, weights, loss, intercept=True, neurons=neurons)) == sizes


def test_sizes_of_parallel_networks():
    """Their sub-networks see a row once: as many rows as of ReLUs."""
    for n, sizes in ((49_999, []), (50_000, [10_000])):
        X, Y = np.broadcast_to(np.float32(0), (n, 3)), np.zeros((n, 1))
        weights, loss = np.full(n, 1 / n), get_loss("squared_error", 1)
        rows = Rows.of(X, Y, weights, loss, intercept=True, neurons=SubNetworks(2, "path"))
        assert sample_sizes(rows) == sizes


def test_images_begin_with_a_sample(capsys):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 4, 4)).astype(np.float32)
    y = X[:, :2, :2].sum(axis=(1, 2)).clip(0) + X.max(axis=(1, 2))
    settings = {"alpha": "scale", "patch_size": 2, "tol": 0.2, "random_state": 0}
    model = ConvexCNNRegressor(**settings, verbose=1).fit(X, y)
    assert "round 1 on 400 of the rows" in capsys.readouterr().out
    again = ConvexCNNRegressor(**settings).fit(X[::-1], y[::-1])
    assert again.objective_ == pytest.approx(model.objective_, rel=1e-9)


def test_passes_over_all_rows():
    """The reference fit: every pass over all rows is counted where they are read."""
    problem = problem_of(60_000)
    descent = Descent(problem, np.random.default_rng(0), **GOALS)
    solution = descent.solve(descent.scale)
    assert solution.status is Status.PROGRESS
    assert 0 < problem.rows.engine.passes <= 60


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_ordinary_objective(small, monkeypatch, loss):
    problem = problem_of(6000, loss)
    rng = np.random.default_rng
    alpha = 2e-3 * problem.alpha_unit
    grown = Descent(problem, rng(0), **GOALS).solve(alpha)
    monkeypatch.setattr(growing, "LEAST_ROWS", 10_000)
    monkeypatch.setattr(screened, "LEAST_ROWS", 10_000)
    ordinary = Descent(problem, rng(0), **GOALS).solve(alpha)
    # A round gains 1 % or is the last.
    assert grown.certificate.primal <= 1.02 * ordinary.certificate.primal
    assert grown.certificate.kind == "estimated"
    primal = problem.rows.settled(problem.rows.evaluate(grown.network)).objective(grown.alpha)
    assert grown.certificate.primal == pytest.approx(primal)


def test_rare_classes_are_not_sampled(small):
    X, _ = teacher(6000)
    Y = np.zeros((6000, 1))
    Y[:3] = 1.0
    rows = make_problem(X, Y, np.ones(6000), loss="log_loss", intercept=True).rows
    assert sample_sizes(rows) == []


def test_verbose_names_the_sample(small, capsys):
    X, Y = teacher(6000)
    ConvexReLURegressor(alpha=0.01, random_state=0, verbose=1).fit(X, Y[:, 0])
    lines = capsys.readouterr().out.splitlines()
    assert "on 1000 of the rows" in lines[0]
    assert "of the rows" not in lines[-1]


def test_stop_within_a_sample(small, monkeypatch):
    """What is kept has a certificate of all rows."""
    X, Y = teacher(6000)
    problem = make_problem(X, Y, np.ones(6000), loss="squared_error", intercept=True)
    seen = []

    def stop(n_iter, row):
        seen.append(row)
        return True

    descent = Descent(problem, np.random.default_rng(0), **GOALS)
    solution = descent.solve(descent.scale, progress=stop)
    assert solution.status is Status.INTERRUPTED
    assert "n_rows" in seen[0]
    assert solution.n_iter == 1
    state = problem.rows.settled(problem.rows.evaluate(solution.network))
    assert solution.certificate.primal == pytest.approx(state.objective(solution.alpha))


def test_keyboard_within_a_sample(small, monkeypatch):
    """No round on all rows is complete: the estimator stays as it was."""
    X, Y = teacher(6000)
    model = ConvexReLUClassifier(alpha=0.01, random_state=0)

    def interrupt(*args, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("sklearn_convexnn.core.column_generation.slide_phase.slide", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y[:, 0] > 0)
    assert not hasattr(model, "coefs_")


def test_weights_are_repetitions(small):
    """Of rows that are sorted: the same arrays, so the same samples and the same network."""
    X, Y = teacher(4500)
    weights = 1.0 + (np.arange(4500) < 300)
    X2, Y2 = np.concatenate([X, X[:300]]), np.concatenate([Y, Y[:300]])
    fits = [
        ConvexReLURegressor(alpha=0.01, random_state=0).fit(X, Y[:, 0], sample_weight=weights),
        ConvexReLURegressor(alpha=0.01, random_state=0).fit(X2, Y2[:, 0]),
    ]
    np.testing.assert_array_equal(fits[0].coefs_[0], fits[1].coefs_[0])


def test_a_gap_out_of_reach_ends_early(monkeypatch):
    """With the gap that was reached, and what to do."""
    monkeypatch.setattr("sklearn_convexnn.core.column_generation.run._MANY_ROWS", 600)
    # Beyond the rows whose last digits programs find; noise has neurons without end.
    monkeypatch.setattr("sklearn_convexnn.core.fit.cutting_plane.MAX_CROSSING_ROWS", 500)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((600, 8)), rng.standard_normal(600)
    model = ConvexReLURegressor(alpha=2e-3, gap_tol=1e-3, max_iter=20, random_state=0)
    with pytest.warns(ConvergenceWarning, match="alpha is small.*Increase alpha or gap_tol"):
        model.fit(X, y)
    assert model.status_ == "slow"
    assert model.n_iter_ < 20
    assert model.dual_gap_ > 1e-3
