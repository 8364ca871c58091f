"""The picture of a path."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_convexnn import ConvexReLURegressor, ConvexReLURegressorCV, convexnn_path
from sklearn_convexnn.inspection import PathDisplay

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture
def model(regression):
    model = ConvexReLURegressorCV(alphas=4, eps=0.05, cv=3, patience=None, random_state=0)
    return model.fit(regression.X, regression.y)


def test_from_estimator(model):
    display = PathDisplay.from_estimator(model)
    for ax, values in zip(
        display.axes_,
        (model.score_path_, model.n_neurons_path_, model.dual_gap_path_),
        strict=True,
    ):
        curve = ax.lines[0]
        np.testing.assert_array_equal(curve.get_xdata(), model.alphas_)
        np.testing.assert_allclose(curve.get_ydata(), values.mean(axis=1))
        assert ax.get_xscale() == "log"
        assert ax.lines[1].get_xdata()[0] == model.alpha_
        assert len(ax.collections) == 1  # the band
    assert display.axes_[0].get_ylabel() == "R2"
    assert "estimated" in display.axes_[2].get_ylabel()
    assert display.figure_ is display.axes_[0].figure
    model.certificate_ = "proven"  # after the last round on all rows; nothing is proven in folds
    assert "estimated" in PathDisplay.from_estimator(model).axes_[2].get_ylabel()


def test_band_is_one_standard_error(model):
    display = PathDisplay.from_estimator(model)
    band = display.axes_[0].collections[0].get_paths()[0].vertices[:, 1]
    error = model.score_path_.std(axis=1, ddof=1) / np.sqrt(3)
    mean = model.score_path_.mean(axis=1)
    np.testing.assert_allclose(
        [band.min(), band.max()], [(mean - error).min(), (mean + error).max()]
    )


def test_from_path(regression):
    path = convexnn_path(regression.X, regression.y, alphas=3, eps=0.1, random_state=0)
    display = PathDisplay.from_path(path)
    np.testing.assert_array_equal(display.axes_[0].lines[0].get_ydata(), path.objectives)
    assert display.axes_[0].get_ylabel() == "objective"
    assert not display.axes_[0].collections
    assert len(display.axes_[1].lines) == 1  # no alpha was chosen


def test_given_axes(model):
    _, axes = plt.subplots(3, 1)
    assert PathDisplay.from_estimator(model, axes=axes).axes_.tolist() == axes.tolist()
    with pytest.raises(ValueError, match="three axes, got 2"):
        PathDisplay.from_estimator(model, axes=axes[:2])


def test_estimators_without_a_path(regression):
    plain = ConvexReLURegressor(random_state=0).fit(regression.X, regression.y)
    with pytest.raises(ValueError, match="no path of scores and neurons"):
        PathDisplay.from_estimator(plain)


def test_of_a_pipeline_the_last_step_is_drawn(regression):
    model = make_pipeline(StandardScaler(), ConvexReLURegressorCV(alphas=2, eps=0.5, cv=2))
    model.fit(regression.X, regression.y)
    display = PathDisplay.from_estimator(model)
    np.testing.assert_array_equal(display.curves, model[-1].score_path_)


@pytest.mark.parametrize("scoring", ["neg_mean_absolute_error", None])
def test_name_of_the_score(regression, scoring):
    model = ConvexReLURegressorCV(alphas=2, eps=0.5, cv=2, scoring=scoring, random_state=0)
    model.fit(regression.X, regression.y)
    label = PathDisplay.from_estimator(model).axes_[0].get_ylabel()
    assert label == (scoring or "R2")


def test_a_relaxed_choice_is_drawn_and_named(regression):
    """Of the table of every relaxation the curve of the chosen one."""
    settings = {"alphas": [0.2, 0.1], "relax": (0.5, 0.25), "selection": "best", "cv": 2}
    model = ConvexReLURegressorCV(**settings, random_state=0).fit(regression.X, regression.y)
    ax = PathDisplay.from_estimator(model).axes_[0]
    chosen = 0 if model.relax_ == 0.5 else 1
    np.testing.assert_allclose(ax.lines[0].get_ydata(), model.score_path_[chosen].mean(axis=1))
    assert ax.get_title().endswith(f"refitted at {model.alpha_:.3g}, best mean score")
