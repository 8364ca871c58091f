"""The squared hinge, smooth, and the hinge, whose kink is rounded and whose gap is its own."""

import time

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale

from sklearn_convexnn import ConvexReLUClassifier, alpha_max, convexnn_path
from sklearn_convexnn.core.problem.losses import Hinge
from sklearn_convexnn.inspection import optimality_report
from tests.conftest import make_case
from tests.problems import Known, finite_program, loss_values

HINGES = ["squared_hinge", "hinge"]


def classifier(loss, **parameters):
    return ConvexReLUClassifier(loss=loss, random_state=0, **parameters)


def random_problem(seed, n, d, intercept, alpha):
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((n, d)), np.tile([[0.0], [1.0]], (n, 1))[:n]
    weights = rng.uniform(0.5, 1.5, n)
    return Known("", X, Y, weights / weights.sum(), "hinge", intercept, alpha)


@pytest.mark.parametrize(
    "problem",
    [
        random_problem(0, 12, 1, True, 0.05),
        random_problem(1, 10, 2, True, 0.03),
        random_problem(2, 10, 2, False, 0.05),
        random_problem(3, 9, 3, False, 0.02),
    ],
)
def test_the_hinge_against_the_program_of_all_patterns(problem):
    """The optimum from outside lies between the dual value and the objective of the fit."""
    model = classifier(
        "hinge", alpha=problem.alpha, fit_intercept=problem.intercept, gap_tol=1e-4, max_iter=200
    )
    model.fit(problem.X, problem.Y[:, 0], sample_weight=problem.weights)
    optimum = finite_program(problem)[0]
    assert model.status_ == "gap"
    assert optimum * (1 - 1e-7) <= model.objective_ <= optimum * (1 + 2e-4)
    assert model.objective_ - model.dual_gap_abs_ <= optimum * (1 + 1e-6)


@pytest.mark.parametrize("loss", HINGES)
@pytest.mark.parametrize("kind", ["binary", "multiclass"])
@pytest.mark.parametrize("parameters", [{}, {"gap_tol": 0.02}])
def test_objective_and_gap(loss, kind, parameters, outputs_of):
    case = make_case(kind, n=24)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(case.X))
    model = classifier(loss, alpha=0.03, **parameters).fit(case.X, case.y, sample_weight=weights)
    Y = (case.y[:, None] == model.classes_).astype(float)
    Y = Y[:, 1:] if kind == "binary" else Y
    losses = loss_values(loss, Y, outputs_of(model, case.X))
    decay = 0.5 * sum((part**2).sum() for part in (*model.coefs_, model.intercepts_[0]))
    expected = weights @ losses / weights.sum() + 0.03 * decay
    assert model.objective_ == pytest.approx(expected, rel=1e-6)
    assert 0 <= model.dual_gap_ <= parameters.get("gap_tol", 1.0)
    assert model.score(case.X, case.y) > 0.85
    assert not hasattr(model, "predict_proba")
    assert model.out_activation_ == "identity"
    assert len(model.history_["objective"]) == model.n_iter_
    assert model.alpha_max_ > 0.03
    constant = classifier(loss, alpha=1.01 * model.alpha_max_)
    outputs = constant.fit(case.X, case.y, sample_weight=weights).decision_function(case.X)
    np.testing.assert_allclose(outputs, np.broadcast_to(outputs[:1], outputs.shape))


def test_the_two_ways_to_the_hinge_agree():
    """Exact patterns and a conic solver, or neurons and a rounded kink."""
    case = make_case("binary", n=16, d=2)
    program = classifier("hinge", alpha=0.02, refinement=None, patterns="exact")
    program.fit(case.X, case.y)
    model = classifier("hinge", alpha=0.02, gap_tol=1e-4, max_iter=200).fit(case.X, case.y)
    assert model.objective_ == pytest.approx(program.objective_, rel=2e-4)
    started = classifier("hinge", alpha=0.02, patterns=5).fit(case.X, case.y)
    assert started.objective_ <= program.objective_ * 1.05


def test_rounding_stays_below_and_its_residuals_are_feasible():
    rng = np.random.default_rng(0)
    Y, Z = rng.integers(0, 2, (200, 1)) * 1.0, 2 * rng.standard_normal((200, 1))
    hinge = Hinge()
    for width in (1.0, 0.1, 1e-3):
        rounded = hinge.smoothed(width)
        difference = hinge.value(Y, Z) - rounded.value(Y, Z)
        assert difference.min() >= -1e-12
        assert difference.max() <= 0.5 * width + 1e-12
        rho = -rounded.gradient(Y, Z)
        gap = hinge.value(Y, Z) - hinge.dual(Y, rho) + (rho * Z)[:, 0]
        assert gap.min() >= -1e-12
        assert gap.max() <= 0.25 * width + 1e-12  # what rounding adds to a gap


def test_rounds_that_are_used_up_are_told():
    case = make_case("binary")
    with pytest.warns(UserWarning, match=r"stopped after 3 rounds.*gap_tol"):
        model = classifier("hinge", alpha=0.005, gap_tol=1e-6, max_iter=3).fit(case.X, case.y)
    assert model.n_iter_ == 3
    assert model.status_ == "max_iter"
    assert model.dual_gap_ > 1e-6


def test_squared_hinge_has_a_path_and_a_report():
    case = make_case("binary")
    path = convexnn_path(case.X, case.y, loss="squared_hinge", alphas=4, eps=0.05, random_state=0)
    assert np.all(np.diff(path.objectives) < 0)
    largest = alpha_max(case.X, case.y, loss="squared_hinge")
    assert path.alpha_max == pytest.approx(largest, rel=1e-6)
    model = classifier("squared_hinge", alpha=0.02, gap_tol=1e-3).fit(case.X, case.y)
    report = optimality_report(model, case.X, case.y, method="estimated")
    assert report.objective == pytest.approx(model.objective_, rel=1e-9)
    assert report.relative_gap < 1e-2


@pytest.mark.slow
def test_time_beside_the_log_loss():
    """CPU seconds on 569 x 30 rows: 3 and 20 times those of the log-loss at most."""
    X, y = load_breast_cancer(return_X_y=True)
    X, seconds = scale(X), {}
    for loss in ("log_loss", *HINGES):
        times = []
        for _ in range(3):
            start = time.process_time()
            classifier(loss).fit(X, y)
            times.append(time.process_time() - start)
        seconds[loss] = min(times)
    assert seconds["squared_hinge"] <= 3 * seconds["log_loss"]
    assert seconds["hinge"] <= 20 * seconds["log_loss"]
