"""Gated networks: the fitted network, its certificate, and the ReLU network behind it."""

import pickle

import numpy as np
import pytest
from scipy import sparse
from scipy.special import logsumexp
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_convexnn import GatedReLUClassifier, GatedReLURegressor
from sklearn_convexnn.inspection import (
    DecisionRegionDisplay,
    decision_regions,
    l0_l1_certificate,
    layer_alignment,
    neuron_encodings,
    optimality_report,
)
from tests.conftest import make_case
from tests.test_two_layer import ROWS

KINDS = ["regression", "multioutput", "binary", "multiclass"]


@pytest.fixture(params=KINDS)
def case(request):
    return make_case(request.param)


def gated(case, **parameters):
    return case.Gated(**{"patterns": 40, "random_state": 0, **parameters})


def outputs(model, X):
    """Network outputs from the attributes, by the formula of the documentation."""
    gates = np.vstack([model.gates_, np.zeros((1, model.n_neurons_))])[: X.shape[1] + 1]
    active = X @ gates[:-1] + gates[-1] > 0
    hidden = active * (X @ model.coefs_[0] + model.intercepts_[0])
    return hidden @ model.coefs_[1] + model.intercepts_[1]


def predicted(model, X):
    values = model.decision_function(X) if is_classifier(model) else model.predict(X)
    return values.reshape(len(X), -1)


# ------------------------------------------------------------------------------ the fitted network


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_attributes(case, fit_intercept):
    model = gated(case, fit_intercept=fit_intercept).fit(case.X, case.y)
    m, n_outputs = model.n_neurons_, model.n_outputs_
    assert m > 0
    assert model.gates_.shape == (3 + fit_intercept, m)
    assert [a.shape for a in model.coefs_] == [(3, m), (m, n_outputs)]
    assert [a.shape for a in model.intercepts_] == [(m,), (n_outputs,)]
    assert model.n_layers_ == 3
    assert model.certificate_ == "exact"
    assert model.status_ == "gap"
    assert 0 <= model.dual_gap_ <= 2e-6
    assert model.program_gap_ <= 1e-6
    assert 0 < model.alpha_ < model.alpha_max_
    assert model.n_iter_ >= 1
    assert all(values.shape == (1,) for values in model.history_.values())
    assert model.history_["objective"][0] == pytest.approx(model.objective_)
    np.testing.assert_allclose(predicted(model, case.X), outputs(model, case.X), atol=1e-12)
    if not fit_intercept:
        assert not model.intercepts_[0].any()
        np.testing.assert_array_equal(predicted(model, np.zeros((1, 3))), 0)


def test_neurons_are_balanced_and_open_somewhere(case):
    model = gated(case).fit(case.X, case.y)
    inner = np.linalg.norm(np.vstack([model.coefs_[0], model.intercepts_[0]]), axis=0)
    np.testing.assert_allclose(inner, np.linalg.norm(model.coefs_[1], axis=1), rtol=1e-10)
    assert inner.min() > 0
    hidden = model.hidden_activations(case.X)
    assert np.abs(hidden).max(axis=0).min() > 0
    np.testing.assert_allclose(
        hidden @ model.coefs_[1] + model.intercepts_[1], predicted(model, case.X), atol=1e-12
    )


@pytest.mark.parametrize("weighted", [True, False])
def test_objective_is_the_documented_formula(case, weighted):
    X, y = 7 * case.X + 2, case.y
    if not is_classifier(case.Estimator()):
        y = 30 * y - 4
    weights = np.random.default_rng(1).integers(0, 4, len(X)) if weighted else np.ones(len(X))
    model = gated(case).fit(X, y, sample_weight=weights)
    Z = outputs(model, X)
    if is_classifier(model):
        scores = np.hstack([0 * Z, Z]) if Z.shape[1] == 1 else Z
        position = np.searchsorted(model.classes_, y)
        losses = logsumexp(scores, axis=1) - scores[np.arange(len(y)), position]
    else:
        losses = 0.5 * ((y.reshape(len(y), -1) - Z) ** 2).sum(axis=1)
    decay = 0.5 * sum((part**2).sum() for part in (*model.coefs_, model.intercepts_[0]))
    objective = np.average(losses, weights=weights) + model.alpha_ * decay
    assert model.objective_ == pytest.approx(objective, rel=1e-9)
    assert model.dual_gap_abs_ == pytest.approx(model.dual_gap_ * objective, rel=1e-6)


def test_more_gates_are_no_worse(case):
    alpha = gated(case).fit(case.X, case.y).alpha_
    values = [
        gated(case, alpha=alpha).set_params(patterns=n).fit(case.X, case.y).objective_
        for n in (5, 40, 160)
    ]
    assert np.all(np.diff(values) <= 1e-5 * values[0])


def test_its_objective_is_below_that_of_the_relu_network(case):
    """With all gates, which in the plane can be written out: cones only restrict."""
    X = case.X[:, :2]
    alpha = gated(case, fit_intercept=False).fit(X, case.y).alpha_
    free = case.Gated(alpha, patterns="exact", fit_intercept=False, random_state=0).fit(X, case.y)
    relu = case.Estimator(alpha, fit_intercept=False, gap_tol=1e-3, random_state=0).fit(X, case.y)
    if free.n_outputs_ == 1:
        assert free.objective_ <= relu.objective_ * (1 + 1e-6)


def test_alpha_max(case):
    model = gated(case).fit(case.X, case.y)
    constant = gated(case, alpha=1.0001 * model.alpha_max_).fit(case.X, case.y)
    assert constant.n_neurons_ == 0
    assert constant.gates_.shape == (4, 0)
    assert len(np.unique(constant.predict(case.X), axis=0)) == 1
    assert gated(case, alpha=0.9 * model.alpha_max_).fit(case.X, case.y).n_neurons_ > 0


# --------------------------------------------------------------------------------------- the gates


def test_given_gates(case):
    rng = np.random.default_rng(0)
    gates = rng.standard_normal((4, 20))
    model = gated(case).set_params(patterns=gates).fit(case.X, case.y)
    known = {tuple(gate) for gate in gates.T}
    assert {tuple(gate) for gate in model.gates_.T} <= known
    as_list = clone(model).set_params(patterns=gates.tolist()).fit(case.X, case.y)
    np.testing.assert_array_equal(as_list.coefs_[0], model.coefs_[0])
    # Without the row of the constant the gates go through the origin.
    short = clone(model).set_params(patterns=gates[:3]).fit(case.X, case.y)
    assert not short.gates_[3].any()


def test_a_gate_at_a_value_of_the_data():
    """x > t for a t among the rows: the same rows are active in fit and in predict."""
    X = np.array([[0.1], [0.2], [0.3], [0.7], [1.1]])
    y = np.array([0.0, 0, 0, 1, 2])
    for t in X[:4, 0]:
        model = GatedReLURegressor(1e-6, patterns=np.array([[1.0], [-t]])).fit(X, y)
        active = X[:, 0] > t
        A = np.column_stack([X * active[:, None], active, np.ones(5)])
        best = A @ np.linalg.lstsq(A, y)[0]
        np.testing.assert_allclose(model.predict(X), best, atol=1e-3)


@pytest.mark.filterwarnings("ignore:.*very unequal:sklearn.exceptions.ConvergenceWarning")
def test_sampled_gates_do_not_depend_on_units_and_origin(case):
    """Each gate that is in use is open on some rows and closed on others, in any units."""
    X = case.X * [1e-3, 1.0, 1e3] + [0.0, 20.0, -300.0]
    model = gated(case, alpha="scale").fit(X, case.y)
    active = X @ model.gates_[:3] + model.gates_[3] > 0
    assert np.mean(active.any(axis=0) & ~active.all(axis=0)) > 0.8


# ------------------------------------------------------------------ what every estimator has to do


def test_integer_weights_are_repetitions(case):
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 4, len(case.X))
    index = rng.permutation(np.repeat(np.arange(len(case.X)), weights))
    one = gated(case).fit(case.X, case.y, sample_weight=weights)
    two = gated(case).fit(case.X[index], case.y[index])
    np.testing.assert_array_equal(one.gates_, two.gates_)
    np.testing.assert_allclose(one.coefs_[0], two.coefs_[0], rtol=1e-9, atol=1e-12)
    assert one.objective_ == pytest.approx(two.objective_, rel=1e-12)


def test_class_weight():
    case = make_case("binary")
    weights = np.where(case.y == "yes", 3.0, 1.0)
    one = gated(case, alpha=0.02, class_weight={"yes": 3.0, "no": 1.0}).fit(case.X, case.y)
    two = gated(case, alpha=0.02).fit(case.X, case.y, sample_weight=weights)
    np.testing.assert_allclose(one.predict_proba(case.X), two.predict_proba(case.X))


def test_copies_and_the_same_seed(case):
    model = gated(case).fit(case.X, case.y)
    again = clone(model).fit(case.X, case.y)
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(predicted(again, case.X), predicted(model, case.X))
    np.testing.assert_array_equal(predicted(copied, case.X), predicted(model, case.X))


def test_sparse_is_dense(case):
    X = np.where(np.abs(case.X) > 0.7, case.X, 0.0)
    dense = gated(case).fit(X, case.y)
    for rows in (sparse.csr_array(X), sparse.csc_matrix(X)):
        model = gated(case).fit(rows, case.y)
        np.testing.assert_allclose(predicted(model, X), predicted(dense, X), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(model._outputs(rows), outputs(model, X), rtol=1e-9, atol=1e-12)


def test_float32(case):
    single, double = case.X.astype(np.float32), case.X.astype(np.float32).astype(np.float64)
    model = gated(case).fit(single, case.y)
    arrays = [*model.coefs_, *model.intercepts_, model.gates_]
    assert {a.dtype for a in arrays} == {np.dtype("float32")}
    assert predicted(model, single).dtype == np.float32
    reference = gated(case).fit(double, case.y)
    assert model.objective_ == pytest.approx(reference.objective_, rel=1e-4)
    Z = outputs(reference, double)
    np.testing.assert_allclose(outputs(model, double), Z, atol=1e-3 * np.ptp(Z))


def test_names_of_features(case):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(case.X, columns=["a", "b", "c"])
    model = gated(case).fit(frame, case.y)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    relu = model.to_relu(frame)
    assert list(relu.feature_names_in_) == ["a", "b", "c"]
    assert relu.predict(frame).shape == case.y.shape


@pytest.mark.filterwarnings("ignore:.*very unequal:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ROWS)
def test_unusual_rows(simple_case, name):
    X = ROWS[name](simple_case.X)
    model = gated(simple_case).fit(X, simple_case.y)
    assert np.isfinite(predicted(model, X)).all()
    assert model.dual_gap_ <= 2e-6
    constant = gated(simple_case, alpha=2 * model.alpha_max_ + 1).fit(X, simple_case.y)
    assert model.objective_ <= constant.objective_ * (1 + 1e-9)


def test_verbose_prints_one_line(case, capsys):
    gated(case, verbose=1).fit(case.X, case.y)
    (line,) = capsys.readouterr().out.splitlines()
    assert "(exact)" in line


@pytest.mark.parametrize(
    "Estimator, load, least",
    [(GatedReLURegressor, load_diabetes, 0.38), (GatedReLUClassifier, load_breast_cancer, 0.96)],
)
def test_it_generalises(Estimator, load, least):
    X, y = load(return_X_y=True)
    model = make_pipeline(StandardScaler(), Estimator(random_state=0))
    assert cross_val_score(model, X, y, cv=2).mean() > least


# ----------------------------------------------------------------------------------------- to_relu


def test_to_relu(case):
    model = gated(case).fit(case.X, case.y)
    relu = model.to_relu(case.X)
    assert type(relu) is case.Estimator
    assert relu.alpha == model.alpha
    assert relu.get_params() == case.Estimator(random_state=0).get_params()
    np.testing.assert_allclose(predicted(relu, case.X), predicted(model, case.X), atol=1e-8)
    (W, C), (bias, b0) = relu.coefs_, relu.intercepts_
    Z = np.maximum(case.X @ W + bias, 0) @ C + b0
    np.testing.assert_allclose(Z, predicted(relu, case.X), atol=1e-12)
    assert relu.n_neurons_ == W.shape[1]
    assert relu.relu_price_ >= 1
    # All that is known of the optimum is that it is positive.
    assert (relu.dual_gap_, relu.certificate_) == (1.0, "proven")
    assert relu.dual_gap_abs_ == relu.objective_
    # Its objective is what the report computes from the weights and the data.
    report = optimality_report(relu, case.X, case.y, method="estimated")
    assert report.objective == pytest.approx(relu.objective_, rel=1e-8)
    assert relu.objective_ >= model.objective_


def test_the_cutting_plane_goes_on_from_to_relu(case):
    model = gated(case).fit(case.X, case.y)
    relu = model.to_relu(case.X).set_params(warm_start=True)
    before = relu.objective_
    relu.fit(case.X, case.y)
    assert relu.objective_ < before
    assert relu.certificate_ == "estimated"
    assert not hasattr(relu, "relu_price_")


def test_to_relu_of_sparse_rows():
    case = make_case("regression")
    X = np.where(np.abs(case.X) > 0.7, case.X, 0.0)
    model = gated(case).fit(sparse.csr_array(X), case.y)
    relu = model.to_relu(sparse.csr_array(X))
    np.testing.assert_allclose(relu.predict(X), model.predict(X), atol=1e-8)


def test_to_relu_of_a_constant_network():
    X = np.random.default_rng(0).standard_normal((20, 2))
    relu = GatedReLURegressor().fit(X, np.zeros(20)).to_relu(X)
    assert (relu.objective_, relu.dual_gap_, relu.dual_gap_abs_) == (0.0, 0.0, 0.0)


# -------------------------------------------------------------------------------------- inspection


def test_inspection_asks_for_the_relu_network():
    case = make_case("binary", d=2)
    model = gated(case).fit(case.X, case.y)
    for look in (
        lambda: optimality_report(model, case.X, case.y),
        lambda: neuron_encodings(model, case.X),
        lambda: decision_regions(model, case.X),
        lambda: DecisionRegionDisplay.from_estimator(model, case.X),
        lambda: l0_l1_certificate(model, case.X, case.y),
    ):
        with pytest.raises(ValueError, match=r"gated network.*to_relu\(X\)"):
            look()
    relu = model.to_relu(case.X)
    assert optimality_report(relu, case.X, case.y, method="estimated").gap > 0
    assert decision_regions(relu, case.X).areas.sum() > 0
    assert len(layer_alignment(model).ranks) == 2


# ---------------------------------------------------------------------------------- nuclear penalty


@pytest.mark.parametrize("kind", ["multioutput", "multiclass"])
def test_nuclear_penalty(kind):
    """Neurons feed all outputs: the weight decay of layers at its optimum, below one-vs-all."""
    case = make_case(kind)
    group = gated(case).set_params(patterns=10).fit(case.X, case.y)
    model = clone(group).set_params(penalty="nuclear", alpha=group.alpha_).fit(case.X, case.y)
    assert model.objective_ < group.objective_
    assert model.dual_gap_ <= 2e-6
    assert model.certificate_ == "exact"
    assert (np.abs(model.coefs_[1]) > 0).sum(axis=1).max() > 1
    np.testing.assert_allclose(predicted(model, case.X), outputs(model, case.X), atol=1e-10)
    relu = model.to_relu(case.X)
    np.testing.assert_allclose(predicted(relu, case.X), predicted(model, case.X), atol=1e-8)
    report = optimality_report(relu, case.X, case.y, method="estimated")
    assert report.objective == pytest.approx(relu.objective_, rel=1e-8)
    constant = clone(model).set_params(alpha=1.001 * model.alpha_max_).fit(case.X, case.y)
    assert constant.n_neurons_ == 0
    assert model.alpha_max_ >= group.alpha_max_ * (1 - 1e-9)


def test_one_output_has_one_penalty():
    case = make_case("regression")
    group = gated(case).fit(case.X, case.y)
    nuclear = gated(case, penalty="nuclear").fit(case.X, case.y)
    np.testing.assert_array_equal(group.coefs_[0], nuclear.coefs_[0])
