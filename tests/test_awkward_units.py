"""Small problems in awkward units: nothing crashes, hangs, warns or is certified wrongly."""

import signal
import threading
import warnings
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from sklearn_convexnn import ConvexReLUClassifier, ConvexReLURegressor
from sklearn_convexnn.core.column_generation import run
from sklearn_convexnn.core.patterns.cones import GradedProjections
from sklearn_convexnn.core.problem.directions import random_starts
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.metric import ISOTROPIC, ROUND, Metric
from sklearn_convexnn.core.problem.rows import Rows

# Fits that took minutes, raised LinAlgError or warned of overflow before programs were solved in
# the metric of the data; a fit here takes two seconds.
LONGEST = [pytest.param(seed, marks=pytest.mark.slow) for seed in (18, 53, 93, 235)]
HARD = [*LONGEST, 121, 165, 345, 642, 967]
SECONDS = 30

# Units are what these tests are about.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*very unequal:sklearn.exceptions.ConvergenceWarning"
)


def awkward(seed):
    """Few rows with one of eight defects; keyword arguments of the estimator and of fit."""
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(3, 26)), int(rng.integers(1, 4))
    X, kind = rng.standard_normal((n, d)), int(rng.integers(0, 8))
    if kind == 1:
        X = np.round(X)
    if kind == 2:
        X = X * 10.0 ** rng.uniform(-6, 6)
    if kind == 3:
        X = X * 10.0 ** rng.uniform(-4, 4, size=d)
    if kind == 4:
        X = X + 10.0 ** rng.uniform(0, 4)
    if kind == 5:
        X = X[rng.integers(0, n, n)]
    if kind == 6 and d > 1:
        X[:, -1] = X[:, 0]
    if kind == 7:
        X = X * np.exp(2 * rng.standard_normal((n, 1)))
    s = X @ rng.standard_normal(d)
    s = s / (np.std(s) + 1e-300)
    bent = np.abs(s) + 0.1 * rng.standard_normal(n)
    noise, half = rng.standard_normal(n), np.maximum(s, 0) * 10.0 ** rng.uniform(-6, 6)
    y = (bent, noise, half)[rng.integers(0, 3)]
    w = None
    if rng.random() >= 0.6:
        w = rng.exponential(size=n) * (rng.random(n) > 0.2) + 1e-3
    classify, intercept = rng.random() < 0.35, bool(rng.random() < 0.6)
    fraction = 10.0 ** rng.uniform(-3, -0.3)
    y = (y > np.median(y)).astype(int) if classify else y
    Estimator = ConvexReLUClassifier if classify else ConvexReLURegressor
    return Estimator, X, y, w, intercept, fraction


class TooSlow(BaseException):
    """Raised by the timer: no handler of the package may swallow it."""


@pytest.fixture
def cpu_limit():
    """CPU seconds after which a test fails, where the platform can tell."""
    if not hasattr(signal, "SIGPROF") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_):
        raise TooSlow

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, before)


@pytest.mark.parametrize("seed", HARD)
def test_hard_problems_end_with_true_bounds(seed, cpu_limit):
    Estimator, X, y, w, intercept, fraction = awkward(seed)
    settings = {"fit_intercept": intercept, "random_state": 0}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        first = Estimator(alpha="scale", **settings).fit(X, y, sample_weight=w)
        settings["alpha"] = fraction * first.alpha_max_
        fits = [
            Estimator(gap_tol=gap_tol, **settings).fit(X, y, sample_weight=w)
            for gap_tol in (None, 1e-3, 1e-6)
        ]
    assert not [c for c in caught if issubclass(c.category, RuntimeWarning)]
    best = min(model.objective_ for model in fits)
    for model in fits:
        assert np.isfinite(model.objective_)
        slack = 1e-3 if model.certificate_ == "estimated" else 1e-6
        assert model.objective_ - model.dual_gap_abs_ <= best * (1 + slack) + 1e-14


@pytest.mark.parametrize("seed", [53, 107, 235, 261])
def test_programs_over_all_patterns_are_solved(seed, cpu_limit):
    """Cones that are thin in the units of the data, at a gap of which the bound is exact."""
    Estimator, X, y, w, intercept, fraction = awkward(seed)
    settings = {"fit_intercept": intercept, "random_state": 0}
    alpha = fraction * find_alpha_max(Estimator(**settings), X, y, w)
    model = Estimator(alpha, refinement=None, patterns="exact", **settings)
    model.fit(X, y, sample_weight=w)
    assert (model.certificate_, model.status_) == ("exact", "gap")
    assert model.dual_gap_ <= 1e-6


@pytest.mark.filterwarnings("ignore:.*badly conditioned:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("seed", [719, 835, 1426])
def test_the_estimate_of_a_default_fit_of_few_rows_is_true(seed):
    Estimator, X, y, w, intercept, fraction = awkward(seed)
    settings = {"fit_intercept": intercept, "random_state": 0}
    settings["alpha"] = fraction * find_alpha_max(Estimator(**settings), X, y, w)
    model = Estimator(**settings).fit(X, y, sample_weight=w)
    exact = Estimator(refinement=None, patterns="exact", **settings).fit(X, y, sample_weight=w)
    assert model.objective_ - model.dual_gap_abs_ <= exact.objective_ * (1 + 1e-3)


def find_alpha_max(model, X, y, w):
    """From a fit that is a constant network."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.set_params(alpha=1e9).fit(X, y, sample_weight=w).alpha_max_


@pytest.mark.parametrize("solver", ["newton", "clarabel"])
def test_programs_do_not_depend_on_the_unit_of_the_features(solver):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12, 2))
    y = np.abs(X[:, 0]) + 0.1 * rng.standard_normal(12)
    program = {"refinement": None, "patterns": "exact", "solver": solver}
    small, smaller = (
        ConvexReLURegressor(0.02 * unit, gap_tol=1e-6, **program).fit(unit * X, y)
        for unit in (1e-4, 1e-5)
    )
    assert smaller.objective_ == pytest.approx(small.objective_, rel=1e-6)


def test_the_unit_of_the_features_does_not_decide_whether_a_fit_ends(cpu_limit):
    """The bias is free of cost in small units: the limit of the objectives is the same."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 3))
    y = np.abs(X[:, 0]) + 0.1 * rng.standard_normal(40)
    small, smaller = (
        ConvexReLURegressor(alpha=0.02 * unit, gap_tol=1e-3, random_state=0).fit(unit * X, y)
        for unit in (1e-4, 1e-8)
    )
    assert small.status_ == smaller.status_ == "gap"
    assert smaller.objective_ == pytest.approx(small.objective_, rel=1e-3)
    assert smaller.alpha_max_ / 1e-8 == pytest.approx(small.alpha_max_ / 1e-4, rel=1e-2)


def test_a_fit_that_uses_up_its_work_says_so(monkeypatch):
    monkeypatch.setattr(run, "_PROGRAM_EVALUATIONS", 3)
    Estimator, X, y, w, intercept, _ = awkward(53)
    model = Estimator(gap_tol=1e-9, fit_intercept=intercept, random_state=0)
    with pytest.warns(match="programs over patterns was used up") as caught:
        model.fit(X, y, sample_weight=w)
    assert len(caught) == 1
    assert model.status_ == "work"
    assert model.dual_gap_ > 1e-9


# ------------------------------------------------------------------------------------- the metric


def rows_of(X, weights=None, intercept=True):
    n = len(X)
    weights = np.full(n, 1.0 / n) if weights is None else weights
    return Rows.of(X, np.zeros((n, 1)), weights, get_loss("squared_error", 1), intercept=intercept)


@pytest.mark.parametrize("unit", [1e-6, 1e-3])
def test_rows_are_as_long_every_way_in_the_coordinates(unit):
    rng = np.random.default_rng(0)
    rows = rows_of(unit * rng.standard_normal((50, 3)))
    metric = Metric.of(rows)
    reached = metric.factors * metric.sizes
    # Beyond the condition at which the factors have caught up they are all of the largest.
    if unit == 1e-6:
        np.testing.assert_allclose(reached, reached[0])
    A = np.sqrt(rows.weights)[:, None] * rows.dense() @ metric.axes
    np.testing.assert_allclose(A.T @ A, np.diag(metric.sizes**2), atol=1e-13)


def test_healthy_rows_have_no_metric():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 3)) * [1.0, 10.0, 1.0]
    assert Metric.of(rows_of(X)).trivial
    U = rng.standard_normal((4, 4))
    assert ISOTROPIC.unit(U) is U


def test_the_metric_has_no_step():
    """Just beyond the condition of healthy rows the factors are those of healthy rows, nearly."""
    factors = []
    for ratio in (1.001, 1.01, 2.0):
        X = np.diag([1.0, 1.0 / (ROUND * ratio)])
        factors.append(Metric.of(rows_of(X, intercept=False)).factors[1])
    np.testing.assert_allclose(factors, [1.001**3, 1.01**3, 8.0], rtol=1e-6)


def test_axes_without_rows_are_left_alone():
    X = np.random.default_rng(0).standard_normal((30, 2)) * [1.0, 1e-6]
    metric = Metric.of(rows_of(np.column_stack([X, X[:, 0]])))
    assert np.sum(metric.sizes == 0) == 1
    assert metric.factors[metric.sizes == 0] == 1.0


def test_weights_are_repetitions_to_the_metric():
    X = 1e-5 * np.random.default_rng(0).standard_normal((20, 2))
    counts = np.arange(20) % 3 + 1
    one = Metric.of(rows_of(X, counts / counts.sum()))
    other = Metric.of(rows_of(np.repeat(X, counts, axis=0)))
    np.testing.assert_allclose(one.sizes, other.sizes, rtol=1e-8)
    np.testing.assert_allclose(np.abs(np.sum(one.axes * other.axes, axis=0)), 1.0)


def test_starts_have_their_kinks_among_the_rows():
    X = 1e-6 * np.random.default_rng(0).standard_normal((40, 2))
    rows = rows_of(X)

    def share_split(metric):
        U = random_starts(np.random.default_rng(1), 400, 3, metric)
        active = (rows.dense() @ U.T > 0).mean(axis=0)
        return np.mean((active > 0) & (active < 1))

    assert share_split(ISOTROPIC) < 0.01
    assert share_split(Metric.of(rows)) > 0.3


def exact_projection(w, walls):
    """The projection on ``{v : walls v >= 0}`` in rational arithmetic."""
    w = [Fraction(float(x)) for x in w]
    walls = [[Fraction(float(x)) for x in wall] for wall in walls]

    def dot(a, b):
        return sum(x * y for x, y in zip(a, b, strict=True))

    for k in range(len(w)):
        for chosen in combinations(range(len(walls)), k):
            normals, foot = [], list(w)
            for i in chosen:  # Gram and Schmidt without roots
                normal = list(walls[i])
                for other in normals:
                    share = dot(normal, other) / dot(other, other)
                    normal = [x - share * y for x, y in zip(normal, other, strict=True)]
                normals.append(normal)
            if any(not any(normal) for normal in normals):
                continue
            for normal in normals:
                share = dot(foot, normal) / dot(normal, normal)
                foot = [x - share * y for x, y in zip(foot, normal, strict=True)]
            inside = all(dot(wall, foot) >= 0 for wall in walls)
            # It is the projection iff what was taken away is in the polar cone: <w, foot> is
            # largest, and with faces of growing codimension the first feasible one is tested.
            step = [x - y for x, y in zip(foot, w, strict=True)]
            if inside and _in_cone(step, [walls[i] for i in chosen]):
                return np.array([float(x) for x in foot])
    return np.zeros(len(w))


def _in_cone(step, normals):
    """Is ``step`` a non-negative combination of independent normals (it is a combination)?"""
    if not normals:
        return True
    A = [[sum(x * y for x, y in zip(a, b, strict=True)) for b in normals] for a in normals]
    b = [sum(x * y for x, y in zip(a, step, strict=True)) for a in normals]
    for i in range(len(A)):
        for j in range(len(A)):
            if j != i and A[j][i]:
                factor = A[j][i] / A[i][i]
                A[j] = [x - factor * y for x, y in zip(A[j], A[i], strict=True)]
                b[j] -= factor * b[i]
    return all(b[i] / A[i][i] >= 0 for i in range(len(A)))


@pytest.mark.parametrize("small", [1e-3, 1e-7])
def test_projections_on_thin_cones_keep_their_digits(small):
    rng = np.random.default_rng(0)
    sizes = np.array([1.0, small, 0.3 * small])
    X = np.column_stack([np.ones(9), rng.standard_normal((9, 2))]) * sizes
    # Patterns of directions with kinks among the rows, and vectors as residuals make them.
    U = rng.standard_normal((12, 3)) / sizes
    D = X @ U.T > 0
    W = (D * rng.standard_normal((9, 12))).T @ X
    cones = GradedProjections(X, D, np.arange(12), sizes)
    V = cones.project(W, np.arange(12))
    for j in range(12):
        signs = np.where(D[:, j], 1.0, -1.0)
        exact = exact_projection(W[j], X * signs[:, None])
        error = np.linalg.norm((V[j] - exact) * sizes)
        assert error <= 1e-9 * np.linalg.norm(exact * sizes) + 1e-14 * small**2
