"""What the estimators of two-layer networks promise, whatever the problem is."""

import warnings

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import LabelBinarizer

from sklearn_convexnn import ConvexReLUClassifier, ConvexReLURegressor, alpha_max
from tests.golden import PROMISES

ESTIMATORS = [ConvexReLURegressor, ConvexReLUClassifier]

# ------------------------------------------------------------------------------- the fitted network


def test_shapes(case):
    model = case.Estimator("scale", random_state=0).fit(case.X, case.y)
    d, m, n_outputs = case.X.shape[1], model.n_neurons_, model.n_outputs_
    assert m > 0
    assert n_outputs == {"regression": 1, "multioutput": 2, "binary": 1, "multiclass": 3}[case.kind]
    assert [a.shape for a in model.coefs_] == [(d, m), (m, n_outputs)]
    assert [a.shape for a in model.intercepts_] == [(m,), (n_outputs,)]
    assert {a.dtype for a in model.coefs_ + model.intercepts_} == {np.dtype("float64")}
    assert model.n_layers_ == 3
    assert model.predict(case.X).shape == case.y.shape
    assert model.hidden_activations(case.X).shape == (len(case.X), m)


def test_neurons_are_balanced_and_active(case):
    model = case.Estimator("scale", random_state=0).fit(case.X, case.y)
    inner = np.linalg.norm(np.vstack([model.coefs_[0], model.intercepts_[0]]), axis=0)
    outer = np.linalg.norm(model.coefs_[1], axis=1)
    np.testing.assert_allclose(inner, outer, rtol=1e-10)
    assert outer.min() > 0
    assert model.hidden_activations(case.X).max(axis=0).min() > 0


def test_no_intercept_means_none(case):
    model = case.Estimator("scale", fit_intercept=False, random_state=0).fit(case.X, case.y)
    assert not model.intercepts_[0].any()
    assert not model.intercepts_[1].any()
    outputs = getattr(model, "decision_function", model.predict)
    np.testing.assert_array_equal(outputs(np.zeros((1, 3))).ravel(), 0)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_objective_is_the_documented_formula(case, outputs_of, fit_intercept, weighted):
    X, y = 7 * case.X, case.y
    if not is_classifier(case.Estimator()):
        y = 30 * y - 4
    weights = np.random.default_rng(1).integers(0, 4, len(X)) if weighted else np.ones(len(X))
    model = case.Estimator("scale", fit_intercept=fit_intercept, random_state=0)
    model.fit(X, y, sample_weight=weights)

    Z = outputs_of(model, X)
    if is_classifier(model):
        scores = np.hstack([0 * Z, Z]) if Z.shape[1] == 1 else Z
        position = np.searchsorted(model.classes_, y)
        losses = logsumexp(scores, axis=1) - scores[np.arange(len(y)), position]
    else:
        losses = 0.5 * ((y.reshape(len(y), -1) - Z) ** 2).sum(axis=1)
    inner = np.linalg.norm(np.vstack([model.coefs_[0], model.intercepts_[0]]), axis=0)
    penalty = inner @ np.linalg.norm(model.coefs_[1], axis=1)
    objective = np.average(losses, weights=weights) + model.alpha_ * penalty
    assert model.objective_ == pytest.approx(objective, rel=1e-9)
    assert model.dual_gap_abs_ == pytest.approx(model.dual_gap_ * model.objective_, rel=1e-12)
    assert -1e-12 <= model.dual_gap_ < 0.3


def test_history_ends_with_the_result(case):
    model = case.Estimator("scale", random_state=0).fit(case.X, case.y)
    assert set(model.history_) == {"objective", "lower_bound", "dual_gap", "n_neurons", "violation"}
    assert all(values.shape == (model.n_iter_,) for values in model.history_.values())
    assert model.history_["objective"][-1] == pytest.approx(model.objective_, rel=1e-12)
    assert model.history_["dual_gap"][-1] == pytest.approx(model.dual_gap_, rel=1e-12)
    assert model.history_["n_neurons"][-1] == model.n_neurons_
    assert np.all(np.diff(model.history_["objective"]) <= 0)
    assert np.all(model.history_["violation"] >= 0)


def test_output_layer_on_hidden_activations(case, outputs_of):
    model = case.Estimator("scale", random_state=0).fit(case.X, case.y)
    Z = model.hidden_activations(case.X) @ model.coefs_[1] + model.intercepts_[1]
    np.testing.assert_allclose(Z, outputs_of(model, case.X), rtol=1e-10, atol=1e-12)
    outputs = model.decision_function if is_classifier(model) else model.predict
    np.testing.assert_allclose(Z.squeeze(), outputs(case.X), rtol=1e-10, atol=1e-12)


def test_layers_fill_a_scikit_learn_perceptron(case):
    model = case.Estimator("scale", random_state=0).fit(case.X, case.y)
    perceptron = MLPClassifier() if is_classifier(model) else MLPRegressor()
    for name in ("coefs_", "intercepts_", "n_layers_", "n_outputs_", "n_features_in_", "n_iter_"):
        setattr(perceptron, name, getattr(model, name))
    perceptron.out_activation_ = model.out_activation_
    perceptron.t_, perceptron.loss_ = 0, model.objective_
    if is_classifier(model):
        perceptron.classes_ = model.classes_
        perceptron._label_binarizer = LabelBinarizer().fit(model.classes_)
        proba = perceptron.predict_proba(case.X)
        np.testing.assert_allclose(proba, model.predict_proba(case.X), rtol=1e-10, atol=1e-14)
        np.testing.assert_array_equal(perceptron.predict(case.X), model.predict(case.X))
    else:
        np.testing.assert_allclose(perceptron.predict(case.X), model.predict(case.X), rtol=1e-10)


# ------------------------------------------------------------------------------ alpha and alpha_max


def public_alpha_max(case, **kwargs):
    loss = "log_loss" if is_classifier(case.Estimator()) else "squared_error"
    return alpha_max(case.X, case.y, loss=loss, **kwargs)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_alpha_max_function_and_attribute(case, fit_intercept):
    weights = np.random.default_rng(0).uniform(size=len(case.X))
    model = case.Estimator("scale", fit_intercept=fit_intercept, random_state=0)
    model.fit(case.X, case.y, sample_weight=weights)
    largest = public_alpha_max(case, fit_intercept=fit_intercept, sample_weight=weights)
    assert largest == pytest.approx(model.alpha_max_, rel=1e-6)
    others = [
        public_alpha_max(
            case, fit_intercept=fit_intercept, sample_weight=weights, random_state=seed
        )
        for seed in range(1, 5)
    ]
    assert others == pytest.approx([largest] * 4, rel=1e-3)
    assert 0 < model.alpha_ < model.alpha_max_


def test_constant_network_from_alpha_max_on(case):
    largest = public_alpha_max(case)
    model = case.Estimator(alpha=1.001 * largest, random_state=0).fit(case.X, case.y)
    assert model.n_neurons_ == 0
    assert model.dual_gap_ == pytest.approx(0, abs=1e-12)
    assert len(np.unique(model.predict(case.X), axis=0)) == 1
    assert model.set_params(alpha=0.95 * largest).fit(case.X, case.y).n_neurons_ > 0


def test_objective_rises_with_alpha(case):
    fractions = [0.02, 0.05, 0.1, 0.3, 0.7, 1.2]
    largest = public_alpha_max(case)
    model = case.Estimator("scale", random_state=0, tol=1e-3)
    objectives = [
        model.set_params(alpha=fraction * largest).fit(case.X, case.y).objective_
        for fraction in fractions
    ]
    assert np.all(np.diff(objectives) > 0)


# ----------------------------------------------------------------------- when it stops, and reports


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_gap_tol_is_reached(case, fit_intercept):
    model = case.Estimator("scale", fit_intercept=fit_intercept, gap_tol=1e-2, random_state=0)
    model.fit(case.X, case.y)
    assert model.dual_gap_ <= 1e-2
    assert model.status_ == "gap"


@pytest.mark.parametrize("goal", [{"tol": 1e-7}, {"gap_tol": 1e-7}])
def test_rounds_that_run_out_warn_with_the_remedy(case, goal):
    model = case.Estimator("scale", max_iter=1, random_state=0, **goal)
    ((name, value),) = goal.items()
    with pytest.warns(ConvergenceWarning, match=f"{name}={value:g}.*Increase max_iter"):
        model.fit(case.X, case.y)
    assert model.status_ == "max_iter"
    assert model.n_iter_ == 1
    assert np.isfinite(model.score(case.X, case.y))


@pytest.mark.parametrize("max_neurons", [1, 4])
def test_max_neurons(case, max_neurons):
    model = case.Estimator("scale", max_neurons=max_neurons, random_state=0).fit(case.X, case.y)
    assert 1 <= model.n_neurons_ <= max_neurons
    free = case.Estimator("scale", random_state=0).fit(case.X, case.y)
    assert model.objective_ >= free.objective_ * (1 - 1e-2)
    # The gap refers to networks of every width: it must cover the distance to the free network.
    assert model.objective_ - model.dual_gap_abs_ <= free.objective_


@pytest.mark.parametrize(
    "n_features, fit_intercept, kind",
    [
        (1, True, "exact"),
        (2, False, "exact"),
        (1, False, "exact"),
        (2, True, "estimated"),
        (3, False, "estimated"),
    ],
)
def test_kind_of_certificate(simple_case, n_features, fit_intercept, kind):
    model = simple_case.Estimator("scale", fit_intercept=fit_intercept, random_state=0)
    model.fit(simple_case.X[:, :n_features], simple_case.y)
    assert model.certificate_ == kind


def test_verbose_prints_a_line_per_round(simple_case, capsys):
    model = simple_case.Estimator("scale", random_state=0).fit(simple_case.X, simple_case.y)
    assert capsys.readouterr().out == ""
    model.set_params(verbose=1).fit(simple_case.X, simple_case.y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == model.n_iter_
    assert all(simple_case.Estimator.__name__ in line and "gap" in line for line in lines)


class CountRounds:
    """A callback for fit that counts; acts at the end of one round."""

    def __init__(self, action=None, at=1):
        self.action, self.at = action, at
        self.calls = {"setup": 0, "teardown": 0, "begin": 0, "end": 0}
        self.fits = [0, 0]

    def setup(self, estimator, context):
        self.calls["setup"] += 1

    def teardown(self, estimator, context):
        self.calls["teardown"] += 1

    def on_fit_task_begin(self, estimator, context):
        if context.task_name == "round":
            self.calls["begin"] += 1
        else:
            self.fits[0] += 1

    def on_fit_task_end(self, estimator, context):
        if context.task_name != "round":
            self.fits[1] += 1
            return False
        self.calls["end"] += 1
        return self.action() if self.action and self.calls["end"] == self.at else False


def interrupt():
    raise KeyboardInterrupt


def break_down():
    raise RuntimeError("out of luck")


def test_callbacks_are_called_once_per_round(simple_case):
    pytest.importorskip("sklearn.callback")
    callback = CountRounds()
    model = simple_case.Estimator("scale", random_state=0).set_callbacks(callback)
    model.fit(simple_case.X, simple_case.y)
    n = model.n_iter_
    assert callback.calls == {"setup": 1, "teardown": 1, "begin": n, "end": n}
    assert callback.fits == [1, 1]
    plain = simple_case.Estimator("scale", random_state=0).fit(simple_case.X, simple_case.y)
    np.testing.assert_array_equal(model.coefs_[0], plain.coefs_[0])


def test_a_callback_can_stop_the_fit(simple_case):
    pytest.importorskip("sklearn.callback")
    callback = CountRounds(action=lambda: True)
    model = simple_case.Estimator("scale", tol=1e-9, max_iter=3, random_state=0).set_callbacks(
        callback
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(simple_case.X, simple_case.y)
    assert model.n_iter_ == 1
    assert np.isfinite(model.score(simple_case.X, simple_case.y))


def test_progress_bar(simple_case):
    pytest.importorskip("rich")
    callbacks = pytest.importorskip("sklearn.callback")
    model = simple_case.Estimator("scale", random_state=0).set_callbacks(callbacks.ProgressBar())
    assert np.isfinite(model.fit(simple_case.X, simple_case.y).score(simple_case.X, simple_case.y))


@pytest.mark.parametrize("at", [1, 2])
def test_interrupt_between_rounds_keeps_the_network(simple_case, at):
    pytest.importorskip("sklearn.callback")
    model = simple_case.Estimator("scale", tol=1e-9, random_state=0)
    model.set_callbacks(CountRounds(action=interrupt, at=at))
    with pytest.raises(KeyboardInterrupt):
        model.fit(simple_case.X, simple_case.y)
    assert model.status_ == "interrupted"
    assert model.n_iter_ == at
    assert model.n_neurons_ > 0
    assert model.history_["objective"][-1] == pytest.approx(model.objective_, rel=1e-12)
    assert np.isfinite(model.score(simple_case.X, simple_case.y))


@pytest.mark.parametrize("at", [1, 2])
def test_interrupt_inside_a_round_keeps_the_last_network(simple_case, monkeypatch, at):
    from sklearn_convexnn.core.column_generation import slide_phase

    slide, calls = slide_phase.slide, []

    def interrupted(*args, **kwargs):
        calls.append(None)
        return interrupt() if len(calls) == at else slide(*args, **kwargs)

    monkeypatch.setattr(slide_phase, "slide", interrupted)
    model = simple_case.Estimator("scale", tol=1e-9, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(simple_case.X, simple_case.y)
    if at == 1:
        # No round was completed: nothing is kept.
        assert not hasattr(model, "coefs_")
        assert not hasattr(model, "n_features_in_")
        return
    assert model.n_neurons_ > 0
    assert model.status_ == "interrupted"
    assert np.isfinite(model.objective_)
    assert np.isfinite(model.score(simple_case.X, simple_case.y))
    # n_iter_ is documented as the number of rounds and as the length of the history.
    assert len(model.history_["objective"]) == model.n_iter_
    assert model.history_["objective"][-1] == pytest.approx(model.objective_, rel=1e-12)


def test_a_fit_that_breaks_leaves_nothing_behind(simple_case):
    pytest.importorskip("sklearn.callback")
    callback = CountRounds(action=break_down)
    model = simple_case.Estimator("scale", random_state=0).set_callbacks(callback)
    with pytest.raises(RuntimeError, match="out of luck"):
        model.fit(simple_case.X, simple_case.y)
    assert not [name for name in vars(model) if name.endswith("_")]
    assert callback.calls["teardown"] == 1


# --------------------------------------------------------------------------------------- warm start


def test_warm_start_goes_on_from_the_last_network(case):
    model = case.Estimator("scale", warm_start=True, tol=1e-3, random_state=0).fit(case.X, case.y)
    objective, n_iter = model.objective_, model.n_iter_
    model.fit(case.X, case.y)
    assert model.objective_ <= objective * (1 + 1e-12)
    assert model.n_iter_ <= n_iter


def test_warm_start_along_a_path_costs_no_quality(simple_case):
    X, y = simple_case.X, simple_case.y
    largest = public_alpha_max(simple_case)
    goals = {"gap_tol": 1e-2, "random_state": 0}
    warm = simple_case.Estimator(warm_start=True, **goals)
    for fraction in (0.3, 0.1):
        warm.set_params(alpha=fraction * largest).fit(X, y)
        cold = simple_case.Estimator(alpha=fraction * largest, **goals).fit(X, y)
        assert warm.objective_ == pytest.approx(cold.objective_, rel=1e-2)


def test_warm_start_from_a_constant_network(simple_case):
    model = simple_case.Estimator(alpha=1e3, warm_start=True, random_state=0)
    assert model.fit(simple_case.X, simple_case.y).n_neurons_ == 0
    model.set_params(alpha="scale").fit(simple_case.X, simple_case.y)
    cold = clone(model).fit(simple_case.X, simple_case.y)
    assert model.objective_ == pytest.approx(cold.objective_, rel=PROMISES["default"])


# --------------------------------------------------------------------------- unusual but valid data

ROWS = {
    "constant column": lambda X: np.column_stack([X, np.full(len(X), 3.0)]),
    "zero column": lambda X: np.column_stack([X, np.zeros(len(X))]),
    "all zero": lambda X: 0 * X,
    "all equal": lambda X: 0 * X + [1.0, 2, 3],
    "repeated columns": lambda X: np.hstack([X, X]),
    "collinear columns": lambda X: np.column_stack([X, X @ [1.0, -2, 3]]),
    "more columns than rows": lambda X: np.random.default_rng(3).standard_normal((len(X), 80)),
    "few distinct rows": lambda X: np.round(X[:, :2] / 2),
    "one outlier": lambda X: np.vstack([X[:-1], 1e8 * X[-1:]]),
    "columns on different scales": lambda X: X * [1e-6, 1.0, 1e6],
    **{f"times {scale:g}": lambda X, scale=scale: scale * X for scale in (1e-6, 1e6)},
    **{f"times {scale:g}": lambda X, scale=scale: scale * X for scale in (1e-150, 1e150)},
    "far from zero": lambda X: X + 1e6,
}


@pytest.mark.filterwarnings("ignore:.*very unequal:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:.*badly conditioned:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ROWS)
def test_unusual_rows(simple_case, name):
    X = ROWS[name](simple_case.X)
    # The choice of alpha is the same for both kinds.
    alpha = "auto" if simple_case.kind == "regression" else "scale"
    model = simple_case.Estimator(alpha, random_state=0).fit(X, simple_case.y)
    outputs = getattr(model, "decision_function", model.predict)(X)
    assert np.all(np.isfinite(outputs))
    assert np.isfinite(model.objective_)
    assert -1e-12 <= model.dual_gap_ <= 1  # zero up to rounding
    # Never worse than the constant network.
    constant = simple_case.Estimator(alpha=2 * model.alpha_max_ + 1, random_state=0)
    assert model.objective_ <= constant.fit(X, simple_case.y).objective_ * (1 + 1e-9)


@pytest.mark.parametrize("scale", [1e-6, 1e6, 1e150])
def test_without_intercept_the_scale_of_the_rows_is_no_matter(simple_case, scale):
    reference = simple_case.Estimator("scale", fit_intercept=False, random_state=0)
    reference.fit(simple_case.X, simple_case.y)
    model = clone(reference).fit(scale * simple_case.X, simple_case.y)
    assert model.alpha_ == pytest.approx(scale * reference.alpha_, rel=1e-6)
    assert model.objective_ == pytest.approx(reference.objective_, rel=2e-2)


def test_float32_is_kept_and_close_to_float64(case, outputs_of):
    double = case.Estimator("scale", random_state=0).fit(case.X, case.y)
    X = case.X.astype(np.float32)
    single = case.Estimator("scale", random_state=0).fit(X, case.y)
    assert {a.dtype for a in single.coefs_ + single.intercepts_} == {np.dtype("float32")}
    assert single.hidden_activations(X).dtype == np.float32
    outputs = single.decision_function if is_classifier(single) else single.predict
    assert outputs(X).dtype == np.float32
    assert single.objective_ == pytest.approx(double.objective_, rel=1e-2)
    Z = outputs_of(double, case.X).squeeze()
    np.testing.assert_allclose(outputs(X), Z, rtol=0, atol=0.1 * np.ptp(Z))
