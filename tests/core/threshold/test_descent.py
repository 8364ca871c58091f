"""Half-spaces of very many rows are found on samples first."""

import numpy as np
import pytest

from sklearn_convexnn.core.problem.solution import Status
from sklearn_convexnn.core.threshold import descent
from sklearn_convexnn.core.threshold.descent import ThresholdDescent
from sklearn_convexnn.core.threshold.problem import make_threshold_problem

GOALS = {"tol": 1e-2, "gap_tol": None, "max_iter": 50, "max_neurons": None}


def descent_of(n=700, **settings):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 4))
    y = (X[:, 0] + X[:, 1] > 0.3).astype(float) - (X[:, 2] > X[:, 3]) + 0.3 * rng.standard_normal(n)
    problem = make_threshold_problem(
        X, y[:, None], np.ones(n), loss="squared_error", options={}, **{"axis": False, **settings}
    )
    return ThresholdDescent(problem, np.random.default_rng(0), **GOALS)


class Seen:
    """A progress that keeps the rows of every round, and may ask for an end."""

    def __init__(self, end_on=None):
        self.rows, self.end_on = [], end_on

    def __call__(self, n_iter, row):
        self.rows.append(row.get("n_rows"))
        return row.get("n_rows") == self.end_on if self.end_on else False


def test_samples_lead_to_the_ordinary_objective(monkeypatch):
    ordinary, seen = descent_of(), Seen()
    alpha = 0.05 * ordinary.alpha_max
    whole = ordinary.solve(alpha, progress=seen)
    assert set(seen.rows) == {None}
    monkeypatch.setattr(descent, "_FIRST_ROWS", 28)
    path, seen = descent_of(), Seen()
    found = path.solve(alpha, progress=seen)
    assert [size for size in (28, 140) if size in seen.rows] == [28, 140]
    assert found.alpha == whole.alpha
    assert found.certificate.primal <= 1.01 * whole.certificate.primal
    seen.rows.clear()
    path.solve(0.5 * alpha, progress=seen)  # goes on from there
    assert set(seen.rows) == {None}


def test_an_end_that_is_asked_for_on_a_sample(monkeypatch):
    monkeypatch.setattr(descent, "_FIRST_ROWS", 28)
    path, seen = descent_of(), Seen(end_on=140)
    found = path.solve(0.05 * path.alpha_max, progress=seen)
    assert (found.status, seen.rows.count(140)) == (Status.INTERRUPTED, 1)
    # One round more, whose certificate is of all rows.
    state = path.problem.rows.settled(path.problem.rows.evaluate(found.network))
    assert found.certificate.primal == pytest.approx(state.objective(found.alpha))


def test_a_limit_of_work_is_told_and_a_gap_that_is_asked_for_has_none(monkeypatch):
    monkeypatch.setattr(descent, "_MOST_WORK", 1.0)
    path = descent_of(60)
    found = path.solve(0.2 * path.alpha_max)
    assert (found.status, found.n_iter) == (Status.LARGE, 1)
    assert not found.status.as_asked
    asked = ThresholdDescent(path.problem, np.random.default_rng(0), **GOALS | {"gap_tol": 0.02})
    assert asked.solve(0.2 * path.alpha_max).status is Status.GAP


@pytest.mark.parametrize("settings", [{"axis": True}, {}])
def test_where_there_are_no_samples(settings, monkeypatch):
    """Steps are exact and quick; a constant network needs none."""
    monkeypatch.setattr(descent, "_FIRST_ROWS", 28)
    path, seen = descent_of(300, **settings), Seen()
    path.solve((0.2 if settings else 1.1) * path.alpha_max, progress=seen)
    assert set(seen.rows) == {None}
