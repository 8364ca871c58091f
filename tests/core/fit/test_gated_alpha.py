"""Leaving out rows of programs with given gates: the formula, and ``alpha="auto"`` by it."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.base import clone, is_classifier

from sklearn_convexnn import GatedReLUClassifier, GatedReLURegressor
from sklearn_convexnn.core.fit import gated_alpha
from sklearn_convexnn.core.fit.given_patterns import PatternProgram, PatternSettings
from sklearn_convexnn.core.patterns.enumeration import from_directions
from sklearn_convexnn.core.problem.units import make_problem
from sklearn_convexnn.core.programs.free_groups import FreeGroups
from sklearn_convexnn.core.programs.group_newton import solve_groups
from sklearn_convexnn.core.programs.leave_one_out import leave_one_out_outputs

KINDS = ["regression", "binary", "multiclass"]


def noisy(kind, n=50, d=3, seed=0):
    """Rows and targets with more noise than signal: the best alpha is a large one."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    signal = X[:, 0] + np.abs(X[:, 1]) + rng.standard_normal(n)
    if kind == "regression":
        return X, signal
    return X, np.digitize(signal, [0.7] if kind == "binary" else [0.0, 1.3])


def programme(kind, weights, n_gates=12, n=50):
    """Rows of a problem with groups of random gates."""
    X, y = noisy(kind, n)
    Y = y[:, None]
    if kind != "regression":
        Y = np.eye(y.max() + 1)[y][:, 1 if kind == "binary" else 0 :]
    loss = "squared_error" if kind == "regression" else "log_loss"
    rows = make_problem(X, Y, weights, loss=loss, intercept=True, memory=0).rows
    gates = np.random.default_rng(1).standard_normal((4, n_gates))
    return rows, FreeGroups(rows.dense(), from_directions(rows.dense(), gates).active)


def without(rows, groups, i, alpha, tol):
    """Outputs of row i of the network trained on all others."""
    kept = np.delete(np.arange(rows.n_rows), i)
    weights = rows.weights[kept]
    part = rows.take(kept).with_weights(weights / weights.sum())
    found = solve_groups(part, groups.subset(kept), alpha / weights.sum(), tol=tol)
    z = found.b0.copy()
    for c, j, v in zip(found.output, found.index, found.V, strict=True):
        z[c] += groups.D[i, j] * (groups.X[i] @ v)
    return z


def centred(Z):
    """Outputs up to what the log-loss of several classes does not see."""
    return Z - Z.mean(axis=-1, keepdims=True) if Z.shape[-1] > 1 else Z


# ------------------------------------------------------------------------------------- the formula


@pytest.mark.parametrize("n_gates", [2, 12])  # either form of the matrix
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_right_to_first_order(kind, n_gates):
    """The outputs of a row of tiny weight without it, from the network of all rows."""
    weights = np.ones(50)
    chosen = [3, 17, 40]
    weights[chosen] = 1e-3
    rows, groups = programme(kind, weights, n_gates)
    alpha = 0.01
    solution = solve_groups(rows, groups, alpha, tol=1e-13)
    assert len(solution.V) > 0
    Z = centred(leave_one_out_outputs(rows, groups, solution, alpha))
    for i in chosen:
        true = centred(without(rows, groups, i, alpha, 1e-13))
        change = true - centred(solution.Z)[i]
        assert np.abs(change).max() > 1e-5
        np.testing.assert_allclose(Z[i] - true, 0, atol=0.03 * np.abs(change).max())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", [0.3, pytest.param(0.03, marks=pytest.mark.slow)])
def test_it_is_near_the_truth_for_whole_rows(kind, alpha):
    rows, groups = programme(kind, np.random.default_rng(2).integers(1, 4, 50).astype(float))
    solution = solve_groups(rows, groups, alpha, tol=1e-8)
    Z = leave_one_out_outputs(rows, groups, solution, alpha)
    true = np.array([without(rows, groups, i, alpha, 1e-7) for i in range(rows.n_rows)])
    losses = [rows.weights @ rows.loss.value(rows.Y, part) for part in (solution.Z, Z, true)]
    # What the training loss hides is found but for a part; where a group is about to enter, half.
    assert abs(losses[1] - losses[2]) < 0.5 * (losses[2] - losses[0])


def test_constant_networks_are_exact():
    rows, groups = programme("regression", np.arange(1.0, 51.0))
    solution = solve_groups(rows, groups, 100.0)
    found = leave_one_out_outputs(rows, groups, solution, 100.0)[:, 0]
    w, y = rows.weights, rows.Y[:, 0]
    np.testing.assert_allclose(found, (w @ y - w * y) / (1 - w), atol=1e-12)


def test_a_group_that_one_row_holds_up_vanishes_with_it():
    """Its direction fits the row and no other: at first order the row explains itself wholly."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.uniform(-1, 0.5, 30), [2.0]])[:, None]
    y = np.where(X > 1, 3.0, 0.0) + 0.1 * rng.standard_normal((31, 1))
    rows = make_problem(X, y, np.ones(31), loss="squared_error", intercept=True, memory=0).rows
    groups = FreeGroups(rows.dense(), X > 1)
    solution = solve_groups(rows, groups, 0.01, tol=1e-10)
    found = leave_one_out_outputs(rows, groups, solution, 0.01)[-1]
    constant = np.delete(rows.Y[:, 0], -1).mean()
    assert solution.Z[-1] > constant + 3
    # The true change is to the constant of the others; this one is not much larger.
    assert found - constant == pytest.approx(0, abs=0.5 * (solution.Z[-1] - constant)[0])


# ------------------------------------------------------------------------------------ alpha="auto"


def estimator(kind, **parameters):
    Model = GatedReLURegressor if kind == "regression" else GatedReLUClassifier
    return Model(**{"patterns": 30, "random_state": 0, **parameters})


@pytest.mark.parametrize("kind", KINDS)
def test_the_choice_and_its_attributes(kind):
    X, y = noisy(kind, 200)
    model = estimator(kind).fit(X, y)
    assert model.alphas_[0] == model.alpha_max_
    np.testing.assert_allclose(
        model.alphas_, model.alpha_max_ * 0.5 ** np.arange(len(model.alphas_))
    )
    assert model.validation_losses_.shape == model.alphas_.shape
    assert model.alpha_ == model.alphas_[model.validation_losses_.argmin()]
    scale = clone(model).set_params(alpha="scale").fit(X, y)
    assert model.alpha_ > scale.alpha_
    assert not hasattr(scale, "alphas_")
    X_test, y_test = noisy(kind, 2000, seed=1)
    assert model.score(X_test, y_test) > scale.score(X_test, y_test)
    fixed = clone(model).set_params(alpha=model.alpha_).fit(X, y)
    np.testing.assert_array_equal(fixed.coefs_[0], model.coefs_[0])


@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_those_of_retraining_without_each_row(kind):
    X, y = noisy(kind, 40)
    gates = np.random.default_rng(0).standard_normal((4, 8))
    model = estimator(kind, patterns=gates).fit(X, y)
    n, few = len(y), slice(1, 2)
    expected = []
    for alpha in model.alphas_[few]:
        outputs = []
        for i in range(n):
            kept = np.delete(np.arange(n), i)
            # A mean over fewer rows: the same balance of loss and penalty has a larger alpha.
            one = clone(model).set_params(alpha=alpha * n / (n - 1), tol=1e-4).fit(X[kept], y[kept])
            predict = one.decision_function if is_classifier(one) else one.predict
            outputs.append(np.ravel(predict(X[[i]])))
        Z = np.array(outputs)
        if kind == "regression":
            expected.append(np.mean((Z[:, 0] - y) ** 2) / 2)
            continue
        Z = np.hstack([0 * Z, Z]) if kind == "binary" else Z
        each = np.geomspace(0.2, 5, 200)
        expected.append(min(-np.mean(log_softmax(Z / T, axis=1)[np.arange(n), y]) for T in each))
    np.testing.assert_allclose(model.validation_losses_[few], expected, rtol=0.15)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_repetitions_and_order_does_not_matter(kind):
    X, y = noisy(kind, 60)
    counts = np.random.default_rng(0).integers(0, 3, len(y))
    weighted = estimator(kind).fit(X, y, sample_weight=counts)
    order = np.random.default_rng(1).permutation(np.repeat(np.arange(len(y)), counts))
    repeated = estimator(kind).fit(X[order], y[order])
    np.testing.assert_array_equal(weighted.validation_losses_, repeated.validation_losses_)
    assert weighted.alpha_ == repeated.alpha_
    assert getattr(weighted, "temperature_", 0) == getattr(repeated, "temperature_", 0)


def test_outputs_that_do_not_meet_add_up():
    X, y = noisy("regression", 100)
    Y = np.column_stack([y, X[:, 2] + 0.1 * y])
    together = mean_losses(X, Y, [0.3, 0.1, 0.03])
    each = sum(mean_losses(X, column[:, None], [0.3, 0.1, 0.03]) for column in Y.T)
    np.testing.assert_allclose(together, each, rtol=1e-3)


def mean_losses(X, Y, alphas):
    """Mean losses of rows left out, for ``alphas`` in the units of the data."""
    problem = make_problem(X, Y, np.ones(len(Y)), loss="squared_error", intercept=True)
    settings = PatternSettings(gated=True, patterns=np.random.default_rng(0).normal(size=(4, 20)))
    judge = gated_alpha._judge(PatternProgram(problem, None, settings), None)
    return np.array([judge(alpha / problem.alpha_unit)[0] for alpha in alphas])


def test_class_weights_train_and_do_not_judge():
    """Heavier rows of a class are left out with their weight, and counted without it."""
    X, y = noisy("binary", 80)
    weights = {0: 1.0, 1: 4.0}
    model = estimator("binary", class_weight=weights).fit(X, y)
    same = estimator("binary").fit(X, y, sample_weight=np.where(y == 1, 4.0, 1.0))
    assert model.alpha_max_ == pytest.approx(same.alpha_max_)
    # Of the constant network, whose temperature does what class weights do.
    p = np.mean(y)
    assert model.validation_losses_[0] > -p * np.log(p) - (1 - p) * np.log(1 - p) - 1e-6
    assert model.validation_losses_[0] != pytest.approx(same.validation_losses_[0], rel=0.01)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_temperature(kind):
    """For probabilities only, from logits of rows left out."""
    X, y = noisy(kind, 200)
    model = estimator(kind).fit(X, y)
    plain = clone(model).set_params(calibrate=False).fit(X, y)
    assert not hasattr(plain, "temperature_")
    assert model.alpha_ == plain.alpha_
    np.testing.assert_array_equal(model.decision_function(X), plain.decision_function(X))
    tempered = np.log(plain.predict_proba(X)) / model.temperature_
    np.testing.assert_allclose(
        model.predict_log_proba(X), log_softmax(tempered, axis=1), atol=1e-10
    )


def test_noise_alone_gives_next_to_nothing():
    X = np.random.default_rng(0).standard_normal((300, 5))
    y = np.random.default_rng(1).standard_normal(300)
    model = GatedReLURegressor(patterns=50, random_state=0).fit(X, y)
    assert model.alpha_ >= model.alpha_max_ / 4
    assert model.n_neurons_ <= 5
    scale = clone(model).set_params(alpha="scale").fit(X, y)
    assert scale.n_neurons_ > 20


def test_without_noise_the_path_goes_on_below_scale():
    X = np.random.default_rng(0).standard_normal((150, 3))
    gates = np.eye(4)[:, 2:]  # one is open for all rows
    model = estimator("regression", patterns=gates).fit(X, X[:, 0])
    scale = clone(model).set_params(alpha="scale").fit(X, X[:, 0])
    assert model.alpha_ < scale.alpha_ / 4


def test_a_conic_solver_chooses_the_same():
    X, y = noisy("regression", 60)
    newton = estimator("regression", patterns=6).fit(X, y)
    conic = estimator("regression", patterns=6, solver="clarabel").fit(X, y)
    assert conic.alpha_ == newton.alpha_
    assert conic.objective_ == pytest.approx(newton.objective_, rel=1e-5)


@pytest.mark.parametrize(
    "model",
    [
        estimator("binary", loss="hinge", patterns=5),  # no curvature
        estimator("regression", patterns=5),
    ],
)
def test_where_nothing_can_be_said_it_is_scale(model):
    X, y = noisy("binary", 40)
    if not is_classifier(model):
        X, y = X[:9], y[:9]  # too few rows
    auto = clone(model).fit(X, y)
    scale = clone(model).set_params(alpha="scale").fit(X, y)
    assert auto.alpha_ == scale.alpha_
    assert not hasattr(auto, "alphas_")


def test_constant_targets():
    X, _ = noisy("regression")
    model = estimator("regression").fit(X, np.full(len(X), 3.0))
    assert (model.n_neurons_, model.alpha_max_) == (0, 0.0)
    np.testing.assert_allclose(model.predict(X), 3.0)


# ----------------------------------------------------------------------------------- rows held out


@pytest.mark.parametrize("kind", KINDS)
def test_many_rows_are_held_out_instead(kind, monkeypatch):
    X, y = noisy(kind, 200)
    all_of_them = estimator(kind).fit(X, y)
    monkeypatch.setattr(gated_alpha, "_LARGEST", 100)
    held_out = estimator(kind).fit(X, y)
    assert held_out.alpha_max_ == all_of_them.alpha_max_
    both = min(len(held_out.alphas_), len(all_of_them.alphas_))
    losses = held_out.validation_losses_[:both], all_of_them.validation_losses_[:both]
    assert np.all(losses[0] != losses[1])
    assert 0.2 < held_out.alpha_ / all_of_them.alpha_ < 5
    np.testing.assert_allclose(*losses, rtol=0.25)


def test_neurons_of_several_outputs_are_judged_by_rows_held_out():
    X, y = noisy("regression", 200)
    Y = np.column_stack([y, y - X[:, 2]])
    model = estimator("regression", penalty="nuclear", patterns=8).fit(X, Y)
    assert model.alpha_ == model.alphas_[model.validation_losses_.argmin()]
    scale = clone(model).set_params(alpha="scale").fit(X, Y)
    assert model.validation_losses_.min() < 0.9 * model.validation_losses_[0]
    assert model.alpha_ > scale.alpha_


def test_few_rows_take_the_rule_of_thumb():
    X, y = noisy("regression", 9)
    model = estimator("regression", patterns=5).fit(X, y)
    assert model.alpha_ == clone(model).set_params(alpha="scale").fit(X, y).alpha_
    assert not hasattr(model, "alphas_")
