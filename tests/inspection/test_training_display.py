"""The picture of a fit."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_convexnn import DeepReLURegressor, SplineReLURegressor
from sklearn_convexnn.inspection import TrainingDisplay
from tests.exported import LINE, WAVE, fitted

plt = pytest.importorskip("matplotlib.pyplot")


def test_what_is_drawn_is_the_history():
    model = fitted("relu, huber")
    display = TrainingDisplay.from_estimator(model)
    top, middle, bottom = display.axes_
    drawn = [*top.lines, middle.lines[0], bottom.lines[0]]
    for line, name in zip(
        drawn, ("objective", "lower_bound", "dual_gap", "n_neurons"), strict=True
    ):
        np.testing.assert_array_equal(line.get_ydata(), model.history_[name])
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, model.n_iter_ + 1))
    assert [text.get_text() for text in top.get_legend().get_texts()] == [
        "objective",
        "lower bound (estimated)",
    ]
    assert top.get_title() == f'ConvexReLURegressor: ended by "{model.status_}"'
    assert bottom.get_ylabel() == "neurons"
    assert display.figure_ is top.figure


def test_pipelines_splines_and_closed_forms():
    """What is counted has its name; a closed gap is drawn without a logarithm."""
    spline = make_pipeline(StandardScaler(), SplineReLURegressor(1e-3)).fit(LINE, WAVE)
    assert TrainingDisplay.from_estimator(spline).axes_[2].get_ylabel() == "knots"
    formula = DeepReLURegressor(batch_norm=True, random_state=0).fit(LINE, WAVE)
    display = TrainingDisplay.from_estimator(formula, name="formula")
    assert display.axes_[2].get_ylabel() == "paths"
    assert display.axes_[0].get_title().startswith("formula: ")
    closed = TrainingDisplay(
        history={"objective": np.ones(2), "lower_bound": np.ones(2), "dual_gap": np.zeros(2)},
        certificate="exact",
    ).plot()
    assert closed.axes_[1].get_yscale() == "linear"


def test_rounds_before_a_proof_are_estimates():
    history = {"objective": np.ones(2), "lower_bound": np.ones(2) / 2, "dual_gap": np.ones(2) / 2}
    for certificate, said in (("proven", "the last proven"), ("exact", "exact")):
        display = TrainingDisplay(history=history, certificate=certificate).plot()
        assert display.axes_[1].get_ylabel() == f"relative gap\n({said})"
    one = {name: values[:1] for name, values in history.items()}
    display = TrainingDisplay(history=one, certificate="proven").plot()
    assert display.axes_[1].get_ylabel() == "relative gap\n(proven)"


def test_what_it_refuses():
    with pytest.raises(ValueError, match="Ridge has no history_"):
        TrainingDisplay.from_estimator(Ridge().fit(LINE, WAVE))
    with pytest.raises(ValueError, match="TrainingDisplay draws in three axes, got 2"):
        TrainingDisplay.from_estimator(fitted("relu"), axes=plt.subplots(2)[1])
