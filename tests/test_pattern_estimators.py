"""refinement=None, patterns, solvers, the hinge loss, and what is refused."""

import importlib.util
import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning

from sklearn_convexnn import (
    ConvexReLUClassifier,
    ConvexReLURegressor,
    ConvexReLURegressorCV,
    GatedReLUClassifier,
    GatedReLURegressor,
)
from sklearn_convexnn.inspection import decision_regions, neuron_encodings, optimality_report
from tests.conftest import make_case
from tests.problems import ENUMERATED

KINDS = ["regression", "multioutput", "binary", "multiclass"]
SOLVERS = ["newton", "clarabel", "ecos", "scs"]


@pytest.fixture(params=KINDS)
def case(request):
    return make_case(request.param)


def program(case, **parameters):
    settings = {"alpha": "scale", "refinement": None, "patterns": 12, "random_state": 0}
    return case.Estimator(**settings | parameters)


def gated(case, *, gap_tol=1e-6, **parameters):
    """A gated network on as many gates, to the same tolerance."""
    return case.Gated(**{"patterns": 12, "random_state": 0, "tol": gap_tol, **parameters})


def predicted(model, X):
    values = model.decision_function(X) if is_classifier(model) else model.predict(X)
    return values.reshape(len(X), -1)


def estimator_of(known, **parameters):
    """An estimator and data for a problem of the zoo with one output."""
    regression = known.loss in ("squared_error", "huber", "poisson")
    Estimator = ConvexReLURegressor if regression else ConvexReLUClassifier
    settings = {"loss": known.loss, "fit_intercept": known.intercept, "random_state": 0}
    model = Estimator(known.alpha, **settings, **parameters)
    return model, known.X, known.Y[:, 0]


# ------------------------------------------------------------------------------- the fitted network


def test_attributes(case, outputs_of):
    model = program(case).fit(case.X, case.y)
    assert 0 < model.n_neurons_ <= 2 * 12 * model.n_outputs_
    assert model.program_gap_ <= 1e-6
    assert model.status_ == "gap"
    # The program is solved, the network over all patterns is not.
    assert model.certificate_ == "estimated"
    assert model.dual_gap_ > 1e-3
    assert not hasattr(model, "gates_")
    assert all(values.shape == (1,) for values in model.history_.values())
    np.testing.assert_allclose(predicted(model, case.X), outputs_of(model, case.X))
    report = optimality_report(model, case.X, case.y, method="estimated")
    assert report.objective == pytest.approx(model.objective_, rel=1e-9)
    assert report.relative_gap == pytest.approx(model.dual_gap_, rel=0.05)


def test_the_estimated_gap_covers_the_free_network(case):
    model = program(case).fit(case.X, case.y)
    free = case.Estimator(model.alpha_, tol=1e-3, random_state=0).fit(case.X, case.y)
    assert free.objective_ < model.objective_
    assert model.objective_ - model.dual_gap_abs_ <= free.objective_


def test_alpha_scale_is_that_of_the_cutting_plane(case):
    model = program(case).fit(case.X, case.y)
    free = case.Estimator("scale", random_state=0).fit(case.X, case.y)
    assert model.alpha_max_ == pytest.approx(free.alpha_max_, rel=1e-3)
    assert model.alpha_ == pytest.approx(free.alpha_, rel=1e-3)


@pytest.mark.parametrize(
    "known", [k for k in ENUMERATED if k.Y.shape[1] == 1 and len(k.X) < 12], ids=repr
)
def test_all_patterns(known):
    """The certificate of all patterns is that of the global optimum."""
    model, X, y = estimator_of(known, refinement=None, patterns="exact", gap_tol=1e-7)
    # Unequal weights of the zoo are sample weights.
    model.fit(X, y, sample_weight=known.weights)
    assert model.certificate_ == "exact"
    assert model.dual_gap_ <= 1e-6
    assert model.objective_ == pytest.approx(known.optimum(), rel=1e-6)
    report = optimality_report(model, X, y, sample_weight=known.weights, method="exact")
    assert report.relative_gap <= 1e-3


def test_all_patterns_of_several_outputs_prove_nothing_about_the_network():
    case = make_case("multioutput", d=2)
    model = program(case, patterns="exact", fit_intercept=False)
    model.fit(case.X, case.y)
    assert model.program_gap_ <= 1e-6
    assert model.dual_gap_ > 1e-4
    # In the plane the price is exact, and so is the gap: of this network, not of its program.
    assert model.certificate_ == "exact"
    free = case.Estimator(model.alpha_, fit_intercept=False, gap_tol=1e-4, random_state=0)
    assert free.fit(case.X, case.y).objective_ < model.objective_


def test_given_patterns(simple_case):
    gates = np.random.default_rng(0).standard_normal((4, 12))
    model = program(simple_case, patterns=gates).fit(simple_case.X, simple_case.y)
    allowed = {tuple(pattern) for pattern in (simple_case.X @ gates[:3] + gates[3] > 0).T}
    hidden = model.hidden_activations(simple_case.X) > 1e-9
    # A neuron lies in the closed cone of a pattern: it may rest on some of its walls.
    assert all(any(not np.any(h & ~np.array(d)) for d in allowed) for h in hidden.T)
    more = program(simple_case, patterns=np.hstack([gates, -gates]), alpha=model.alpha_)
    assert more.fit(simple_case.X, simple_case.y).objective_ <= model.objective_ * (1 + 1e-6)


# ----------------------------------------------------------------------------------------- solvers


@pytest.mark.parametrize("make", [program, gated])
@pytest.mark.parametrize("kind", ["regression", "binary"])
def test_solvers_agree(make, kind):
    case = make_case(kind, n=25, d=2)
    objectives, predictions = [], []
    for solver in SOLVERS:
        if importlib.util.find_spec(solver) is None and solver != "newton":
            continue
        model = make(case, solver=solver, patterns=8, gap_tol=1e-5)
        model.fit(case.X, case.y)
        assert model.status_ == "gap"
        objectives.append(model.objective_)
        predictions.append(predicted(model, case.X))
    assert len(objectives) >= 3
    np.testing.assert_allclose(objectives, objectives[0], rtol=2e-5)
    for Z in predictions:
        np.testing.assert_allclose(Z, predictions[0], atol=2e-2 * np.ptp(predictions[0]))


def test_a_missing_solver_names_the_extra(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "ecos" else find(name, *a)
    )
    case = make_case("regression")
    with pytest.raises(ImportError, match=r"sklearn_convexnn\[ecos\]"):
        program(case, solver="ecos").fit(case.X, case.y)


def test_conic_solvers_refuse_what_they_cannot_write_out():
    X = np.random.default_rng(0).standard_normal((1000, 60))
    model = GatedReLURegressor(solver="clarabel", random_state=0)
    with pytest.raises(ValueError, match="use solver='newton', or fewer patterns"):
        model.fit(X, X[:, 0])


@pytest.mark.parametrize("make, goal", [(program, "gap_tol"), (gated, "tol")])
@pytest.mark.parametrize(
    "solver, max_iter, status", [("newton", 1, "max_iter"), ("clarabel", 3, "max_iter")]
)
def test_iterations_that_run_out_warn_with_the_remedy(
    simple_case, make, goal, solver, max_iter, status
):
    model = make(simple_case, solver=solver, max_iter=max_iter, gap_tol=1e-9)
    with pytest.warns(ConvergenceWarning, match=rf"was {goal}=1e-09.*Increase max_iter"):
        model.fit(simple_case.X, simple_case.y)
    assert model.status_ == status
    assert np.isfinite(model.score(simple_case.X, simple_case.y))
    assert model.program_gap_ > 1e-9


def test_accuracy_that_runs_out_warns_with_the_remedy():
    case = make_case("regression")
    model = program(case, solver="clarabel", gap_tol=1e-16)
    with pytest.warns(ConvergenceWarning, match=r"allowed no smaller gap.*Increase the tolerance"):
        model.fit(case.X, case.y)
    assert model.status_ == "inaccurate"


# --------------------------------------------------------------- the cutting plane from patterns


@pytest.mark.parametrize("start", ["number", "array", "exact"])
def test_the_cutting_plane_goes_on_from_patterns(start):
    case = make_case("regression", d=2)
    options = {
        "number": {"patterns": 20},
        "array": {"patterns": np.random.default_rng(0).standard_normal((2, 20))},
        "exact": {"patterns": "exact"},
    }[start]
    settings = {"alpha": "scale", "fit_intercept": False, "random_state": 0}
    restricted = case.Estimator(refinement=None, **options, **settings).fit(case.X, case.y)
    model = case.Estimator(gap_tol=1e-3, **options, **settings).fit(case.X, case.y)
    plain = case.Estimator(gap_tol=1e-3, **settings).fit(case.X, case.y)
    assert model.objective_ <= restricted.objective_ * (1 + 1e-4)
    assert model.objective_ == pytest.approx(plain.objective_, rel=2e-3)
    assert model.dual_gap_ <= 1e-3
    assert not hasattr(model, "program_gap_")


# -------------------------------------------------------------------------------------- hinge loss


@pytest.mark.parametrize("make, kind", [(program, "estimated"), (gated, "exact")])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_hinge(make, kind, fit_intercept):
    case = make_case("binary")
    weights = np.random.default_rng(0).uniform(0.5, 2, len(case.X))
    model = make(case, loss="hinge", patterns=25, fit_intercept=fit_intercept)
    model.fit(case.X, case.y, sample_weight=weights)
    assert model.program_gap_ <= 1e-6
    assert model.certificate_ == kind
    assert model.out_activation_ == "identity"
    signs = np.where(case.y == model.classes_[1], 1.0, -1.0)
    loss = np.average(np.maximum(0, 1 - signs * model.decision_function(case.X)), weights=weights)
    decay = 0.5 * sum((part**2).sum() for part in (*model.coefs_, model.intercepts_[0]))
    assert model.objective_ == pytest.approx(loss + model.alpha_ * decay, rel=1e-9)
    assert model.score(case.X, case.y) > 0.8
    assert set(model.predict(case.X)) <= {"yes", "no"}
    for method in ("predict_proba", "predict_log_proba"):
        assert not hasattr(model, method)
    constant = clone(model).set_params(alpha=1.01 * model.alpha_max_)
    outputs = constant.fit(case.X, case.y, sample_weight=weights).decision_function(case.X)
    assert np.ptp(outputs) < 1e-4


def test_inspection_of_the_hinge_loss():
    case = make_case("binary", d=2)
    model = program(case, loss="hinge").fit(case.X, case.y)
    with pytest.raises(ValueError, match="does not follow from its network"):
        optimality_report(model, case.X, case.y)
    assert decision_regions(model, case.X).areas.sum() > 0
    assert len(neuron_encodings(model, case.X).residuals) == model.n_neurons_


# ----------------------------------------------------------------- combinations that mean nothing

REFUSED = [
    ({"refinement": None, "max_neurons": 5}, "max_neurons is a limit.*larger alpha"),
    ({"refinement": None, "patterns": np.ones((2, 4))}, "3 or 4 rows"),
    ({"refinement": None, "patterns": np.ones(4)}, r"one gate in each column.*\(4,\)"),
    ({"refinement": None, "patterns": np.full((3, 4), np.nan)}, "patterns contains NaN"),
    ({"refinement": None, "patterns": np.ones((3, 0))}, r"one gate in each column.*\(3, 0\)"),
    ({"refinement": None, "patterns": [["a"], ["b"], ["c"]]}, "could not convert"),
    ({"refinement": None, "patterns": 0}, "patterns"),
    ({"patterns": 2.5}, "patterns"),
    ({"refinement": "newton"}, "refinement"),
    ({"patterns": "all"}, "patterns"),
    ({"solver": "mosek"}, "solver"),
]
REFUSED_WITH_GATES = [
    ({"patterns": None}, "patterns"),
    ({"patterns": np.ones((2, 4))}, "3 or 4 rows"),
    ({"patterns": np.ones(4)}, r"one gate in each column.*\(4,\)"),
    ({"patterns": 0}, "patterns"),
    ({"penalty": "ridge"}, "penalty"),
    ({"tol": 0.0}, "tol"),
    ({"alpha": 0}, "alpha=0 is refused: without a penalty"),
]


@pytest.mark.parametrize("kind", ["regression", "binary"])
@pytest.mark.parametrize("parameters, match", REFUSED)
def test_refused(kind, parameters, match):
    case = make_case(kind)
    model = case.Estimator(random_state=0, **parameters)
    with pytest.raises(ValueError, match=match) as error:
        model.fit(case.X, case.y)
    assert not hasattr(model, "coefs_")
    assert str(error.value)


@pytest.mark.parametrize("kind", ["regression", "binary"])
@pytest.mark.parametrize("parameters, match", REFUSED_WITH_GATES)
def test_refused_with_gates(kind, parameters, match):
    case = make_case(kind)
    model = case.Gated(random_state=0).set_params(**parameters)
    with pytest.raises(ValueError, match=match):
        model.fit(case.X, case.y)
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize(
    "model",
    [
        ConvexReLUClassifier(loss="hinge", refinement=None, solver="newton"),
        GatedReLUClassifier(loss="hinge", solver="newton"),
    ],
)
def test_newton_is_refused_with_the_hinge_loss(model):
    case = make_case("binary")
    with pytest.raises(ValueError, match="needs a smooth loss"):
        clone(model).fit(case.X, case.y)


def test_too_many_patterns_are_refused_with_their_number():
    X = np.random.default_rng(0).standard_normal((300, 10))
    model = ConvexReLURegressor(refinement=None, patterns="exact")
    with pytest.raises(ValueError, match=r"300 distinct rows of rank 11 may have .*fewer features"):
        model.fit(X, X[:, 0])


@pytest.mark.parametrize("parameters", [{"refinement": None}, {"patterns": 20}])
def test_warm_start_with_patterns(parameters):
    """A program has one optimum wherever it starts; the cutting plane prefers its last network."""
    case = make_case("regression")
    model = case.Estimator("scale", warm_start=True, random_state=0, **parameters).fit(
        case.X, case.y
    )
    first = model.objective_
    assert model.fit(case.X, case.y).objective_ <= first * (1 + 1e-6)


def test_refit_without_the_cutting_plane_leaves_nothing_behind():
    case = make_case("regression")
    model = program(case).fit(case.X, case.y)
    model.set_params(refinement="cutting_plane", patterns=None).fit(case.X, case.y)
    fresh = case.Estimator("scale", random_state=0).fit(case.X, case.y)
    assert vars(model).keys() == vars(fresh).keys()
    np.testing.assert_array_equal(predicted(model, case.X), predicted(fresh, case.X))


# ------------------------------------------------------------------ what every estimator has to do


def test_integer_weights_are_repetitions(case):
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 4, len(case.X))
    index = rng.permutation(np.repeat(np.arange(len(case.X)), weights))
    one = program(case).fit(case.X, case.y, sample_weight=weights)
    two = program(case).fit(case.X[index], case.y[index])
    np.testing.assert_allclose(predicted(one, case.X), predicted(two, case.X), rtol=1e-7)
    assert one.objective_ == pytest.approx(two.objective_, rel=1e-10)


def test_copies_and_the_same_seed(case):
    model = program(case).fit(case.X, case.y)
    again = clone(model).fit(case.X, case.y)
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(predicted(again, case.X), predicted(model, case.X))
    np.testing.assert_array_equal(predicted(copied, case.X), predicted(model, case.X))


def test_sparse_is_dense(simple_case):
    X = np.where(np.abs(simple_case.X) > 0.7, simple_case.X, 0.0)
    dense = program(simple_case).fit(X, simple_case.y)
    model = program(simple_case).fit(sparse.csr_array(X), simple_case.y)
    np.testing.assert_allclose(predicted(model, X), predicted(dense, X), rtol=1e-7, atol=1e-9)


def test_float32(simple_case, outputs_of):
    double = program(simple_case).fit(simple_case.X, simple_case.y)
    single = program(simple_case).fit(simple_case.X.astype(np.float32), simple_case.y)
    assert {a.dtype for a in single.coefs_ + single.intercepts_} == {np.dtype("float32")}
    assert single.objective_ == pytest.approx(double.objective_, rel=1e-4)


def test_verbose_prints_one_line(simple_case, capsys):
    program(simple_case, verbose=1).fit(simple_case.X, simple_case.y)
    (line,) = capsys.readouterr().out.splitlines()
    assert "(estimated)" in line


def test_a_callback_sees_one_round():
    pytest.importorskip("sklearn.callback")
    case, calls = make_case("regression"), []

    class Record:
        def setup(self, estimator, context):
            calls.append("setup")

        def teardown(self, estimator, context):
            calls.append("teardown")

        def on_fit_task_begin(self, estimator, context):
            calls.append(context.task_name)

        def on_fit_task_end(self, estimator, context):
            return False

    program(case).set_callbacks(Record()).fit(case.X, case.y)
    assert calls[0] == "setup"
    assert calls[-1] == "teardown"
    assert calls.count("round") == 1


def test_the_cross_validated_estimators_know_the_cutting_plane_only():
    case = make_case("regression")
    model = ConvexReLURegressorCV(refinement=None)
    with pytest.raises(ValueError, match="refinement"):
        model.fit(case.X, case.y)
