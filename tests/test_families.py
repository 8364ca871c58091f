"""What every estimator of every family does alike: how a fit ends, what it tells, and to whom."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_convexnn import (
    CircularReLURegressor,
    ConvexCNNClassifier,
    ConvexCNNRegressor,
    ConvexCNNRegressorCV,
    ConvexReLUClassifier,
    ConvexReLUClassifierCV,
    ConvexReLURegressor,
    ConvexReLURegressorCV,
    ConvexThresholdClassifier,
    ConvexThresholdRegressor,
    DeepLinearClassifier,
    DeepLinearRegressor,
    DeepLinearRegressorCV,
    DeepReLUClassifier,
    DeepReLURegressor,
    GatedReLUClassifier,
    GatedReLURegressor,
    LinearCNNClassifier,
    LinearCNNRegressor,
    ParallelReLUClassifier,
    ParallelReLURegressor,
    SplineReLUClassifier,
    SplineReLURegressor,
    convexnn_path,
)
from tests.conftest import make_rows

FAMILIES = [
    ConvexReLURegressor(random_state=0),
    ConvexReLUClassifier(random_state=0),
    ConvexReLURegressor("scale", refinement=None, patterns=8, random_state=0),
    ConvexReLURegressorCV(alphas=2, cv=2, random_state=0),
    ConvexReLUClassifierCV(alphas=2, cv=2, random_state=0),
    ConvexCNNRegressor("scale", random_state=0),
    ConvexCNNClassifier("scale", random_state=0),
    ConvexCNNRegressorCV(alphas=2, cv=2, random_state=0),
    GatedReLURegressor(patterns=20, random_state=0),
    GatedReLUClassifier(patterns=20, random_state=0),
    ConvexThresholdRegressor(random_state=0),
    ConvexThresholdClassifier(directions="axis", random_state=0),
    ParallelReLURegressor("scale", random_state=0),
    ParallelReLUClassifier("scale", penalty="decay", random_state=0),
    CircularReLURegressor("scale", random_state=0),
    LinearCNNRegressor(),
    LinearCNNClassifier(loss="log_loss"),
    SplineReLURegressor(),
    SplineReLURegressor(alpha=0),
    SplineReLUClassifier(),
    SplineReLUClassifier(loss="hinge"),
    DeepLinearRegressor(),
    DeepLinearRegressor(n_layers=3),
    DeepLinearClassifier(loss="log_loss"),
    DeepLinearRegressorCV(alphas=3),
    DeepReLURegressor(batch_norm=True, random_state=0),
    DeepReLUClassifier(batch_norm=True, random_state=0),
]
STATUS = {"progress", "gap", "stationary", "closed_form", "separable"}


def data(model):
    X = make_rows(30, 1, seed=1)
    y = np.sin(2 * X[:, 0]) + 0.1 * np.random.default_rng(0).standard_normal(30)
    return X, np.where(y > 0, "yes", "no") if is_classifier(model) else y


@pytest.fixture(params=FAMILIES, ids=repr)
def model(request):
    return clone(request.param)


def test_how_a_fit_ended(model, capsys):
    X, y = data(model)
    model.fit(X, y)
    assert capsys.readouterr().out == ""
    assert model.status_ in STATUS
    assert model.certificate_ in {"exact", "proven", "estimated"}
    assert {"objective", "lower_bound", "dual_gap"} <= set(model.history_)
    lengths = {len(values) for values in model.history_.values()}
    assert lengths in ({model.n_iter_}, {1})
    assert model.history_["objective"][-1] == pytest.approx(model.objective_, rel=1e-9)
    assert model.history_["dual_gap"][-1] == pytest.approx(model.dual_gap_, rel=1e-6, abs=1e-12)
    assert np.all(np.diff(model.history_["objective"]) <= 1e-12 * model.objective_)
    bound = model.objective_ - model.dual_gap_abs_
    assert model.history_["lower_bound"][-1] == pytest.approx(bound, rel=1e-9, abs=1e-12)


def test_verbose_tells_every_round_with_its_count(model, capsys):
    X, y = data(model)
    lines = model.set_params(verbose=1).fit(X, y) and capsys.readouterr().out.splitlines()
    rounds = [line for line in lines if " round " in line]
    assert len(rounds) == len(model.history_["objective"])
    assert all(line.startswith(f"[{type(model).__name__}] round ") for line in rounds)
    count = {"n_neurons", "n_knots", "n_paths", "rank"} & set(model.history_)
    assert f"{model.history_[count.pop()][-1]} " in rounds[-1].split(",")[-1]


class Count:
    """A callback that counts rounds, and asks to stop after some of them."""

    def __init__(self, stop_after=np.inf):
        self.rounds, self.fits, self.stop_after = 0, 0, stop_after

    def setup(self, estimator, context):
        self.fits += 1

    def teardown(self, estimator, context):
        self.fits -= 1

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.rounds += context.task_name == "round"
        return self.rounds >= self.stop_after


def test_callbacks_see_every_round(model):
    pytest.importorskip("sklearn.callback")
    X, y = data(model)
    callback = Count()
    model.set_callbacks(callback).fit(X, y)
    assert callback.rounds == len(model.history_["objective"])
    assert callback.fits == 0


@pytest.mark.parametrize("estimator", [SplineReLURegressor(1e-4), SplineReLUClassifier(1e-4)])
def test_a_callback_stops_a_spline(estimator):
    pytest.importorskip("sklearn.callback")
    X, y = data(estimator)
    with pytest.warns(ConvergenceWarning, match="stopped after 1 round .*Interrupted"):
        estimator.set_callbacks(Count(stop_after=1)).fit(X, y)
    assert estimator.status_ == "interrupted"
    assert estimator.n_iter_ == 1
    assert np.isfinite(estimator.score(X, y))


def test_several_outputs_on_a_line_have_one_history():
    X = make_rows(40, 1)
    Y = np.column_stack([np.sin(3 * X[:, 0]), X[:, 0], np.abs(X[:, 0])])
    model = SplineReLURegressor(1e-3).fit(X, Y)
    single = [SplineReLURegressor(1e-3).fit(X, y) for y in Y.T]
    assert model.n_iter_ == max(one.n_iter_ for one in single)
    assert model.objective_ == pytest.approx(sum(one.objective_ for one in single))
    assert all(len(values) == model.n_iter_ for values in model.history_.values())
    first = sum(one.history_["objective"][0] for one in single)
    assert model.history_["objective"][0] == pytest.approx(first)
    assert model.history_["n_knots"][-1] == sum(one.history_["n_knots"][-1] for one in single)


# ----------------------------------------------------------------------- errors before the solve


def test_a_missing_y_names_the_class_of_the_user(model):
    X, _ = data(model)
    with pytest.raises(TypeError, match=rf"^{type(model).__name__}\.fit\(\) missing .*'y'$"):
        model.fit(X)


def test_several_labels_per_row_name_the_way_out(model):
    if not is_classifier(model):
        pytest.skip("regressors take several targets")
    X, _ = data(model)
    with pytest.raises(ValueError, match=rf"{type(model).__name__} .*MultiOutputClassifier"):
        model.fit(X, np.column_stack([X[:, 0] > 0, X[:, 0] > 1]).astype(int))


def test_attributes_are_set_after_the_solve(model, monkeypatch):
    """Whatever breaks in the solve, there is no half of a network."""
    X, y = data(model)

    def broken(*args, **kwargs):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(type(model), "_end_of", broken)
    with pytest.raises(RuntimeError, match="out of luck"):
        model.fit(X, y)
    assert {name for name in vars(model) if name.endswith("_")} <= {"n_features_in_"}


# ------------------------------------------------------------------- warnings at the user's line

HASTY = [
    ConvexReLURegressor(max_iter=1, gap_tol=1e-9, random_state=0),
    ConvexReLURegressor(
        "scale", refinement=None, patterns=8, max_iter=1, gap_tol=1e-9, random_state=0
    ),
    ConvexReLURegressorCV(alphas=3, cv=2, max_iter=1, gap_tol=1e-9, random_state=0),
    GatedReLUClassifier(patterns=20, max_iter=1, tol=1e-9, random_state=0),
    SplineReLURegressor(1e-4, max_iter=1),
    DeepLinearRegressor(alpha=1e-4, tol=1e-18),
]


@pytest.mark.parametrize("hasty", HASTY, ids=repr)
@pytest.mark.parametrize("in_a_pipeline", [False, True])
def test_a_warning_points_at_the_line_of_the_fit(hasty, in_a_pipeline):
    model = make_pipeline(StandardScaler(), clone(hasty)) if in_a_pipeline else clone(hasty)
    X, y = data(hasty)
    X = np.column_stack([X, X**2]) if not isinstance(hasty, SplineReLURegressor) else X
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    (warning,) = caught
    assert warning.category is ConvergenceWarning
    assert warning.filename == __file__
    assert f"{type(hasty).__name__} stopped after" in str(warning.message)


def test_a_warning_of_a_path_points_at_the_call():
    X = make_rows(30, 3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        convexnn_path(X, np.abs(X[:, 0]), alphas=2, max_iter=1, gap_tol=1e-9, random_state=0)
    (warning,) = caught
    assert warning.filename == __file__
