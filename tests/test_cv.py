"""The cross-validated estimators."""

import pickle
import threading
import time
import tracemalloc
from contextlib import ExitStack

import numpy as np
import pytest
from joblib import parallel_config
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.metrics import get_scorer, log_loss, make_scorer, r2_score
from sklearn.model_selection import GroupKFold, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_convexnn import (
    ConvexReLUClassifier,
    ConvexReLUClassifierCV,
    ConvexReLURegressor,
    ConvexReLURegressorCV,
    _cv_workers,
)
from tests.conftest import two_kinds_first

CV = {ConvexReLURegressor: ConvexReLURegressorCV, ConvexReLUClassifier: ConvexReLUClassifierCV}
ESTIMATORS = list(CV.values())
SMALL = {"alphas": 3, "eps": 0.05, "cv": 3}


@pytest.fixture
def impatient(monkeypatch):
    """Workers are ready at once; yields what they were given to do."""
    given = []

    class Watched(_cv_workers.Parallel):
        def __call__(self, tasks):
            given.extend(tasks := list(tasks))
            return super().__call__(tasks)

    monkeypatch.setattr(_cv_workers.Processes, "ready", lambda self: True)
    monkeypatch.setattr(_cv_workers, "Parallel", Watched)
    return given


@pytest.mark.parametrize("patience", [0.0, 60.0])
def test_small_folds_start_no_workers(monkeypatch, regression, patience):
    """Or go on while workers start."""
    started = threading.Event()

    class Watched(_cv_workers.Parallel):
        def __call__(self, tasks):
            started.set()
            return super().__call__(tasks)

    monkeypatch.setattr(_cv_workers, "_PATIENCE", patience)
    monkeypatch.setattr(_cv_workers, "Parallel", Watched)
    settings = {"alphas": [0.3, 0.1], "random_state": 0}
    X, y = regression.X, regression.y
    models = [ConvexReLURegressorCV(**settings, n_jobs=n_jobs).fit(X, y) for n_jobs in (1, 2)]
    assert started.wait(0 if patience else 10) == (patience == 0)
    np.testing.assert_array_equal(*(model.coefs_[0] for model in models))


def cv_estimator(case, **settings):
    return CV[case.Estimator](**{**SMALL, "random_state": 0, **settings})


# --------------------------------------------------------------------------------------- attributes


def test_attributes(case):
    model = cv_estimator(case).fit(case.X, case.y)
    n_alphas = len(model.alphas_)
    for values in (model.score_path_, model.n_neurons_path_, model.dual_gap_path_):
        assert values.shape == (n_alphas, 3)
    assert np.all(np.diff(model.alphas_) < 0)
    assert model.alphas_[0] == model.alpha_max_
    assert np.all(model.dual_gap_path_ >= 0)
    assert model.alpha_ in model.alphas_
    assert model.relax_ == 1
    assert model.best_score_ == model.score_path_.mean(axis=1).max()


def test_alpha_is_one_of_the_given():
    X, y = load_diabetes(return_X_y=True)
    alphas = [0.3, 0.1, 0.07, 0.03]
    model = ConvexReLURegressorCV(alphas=alphas, cv=3, random_state=0).fit(X, y)
    assert model.alpha_ in alphas
    assert ConvexReLURegressor(alpha=0.07, random_state=0).fit(X, y).alpha_ == 0.07


def test_constant_targets():
    X = np.random.default_rng(0).standard_normal((30, 2))
    model = ConvexReLURegressorCV(alphas=3, cv=3, random_state=0).fit(X, np.full(30, 3.7))
    assert model.n_neurons_ == 0
    assert model.dual_gap_ == 0
    np.testing.assert_allclose(model.predict(X), 3.7)


@two_kinds_first
def test_final_fit_solves_the_problem_of_the_single_estimator(case):
    model = cv_estimator(case, alphas=2, eps=0.1, gap_tol=3e-3).fit(case.X, case.y)
    single = case.Estimator(alpha=model.alpha_, gap_tol=3e-3, random_state=1).fit(case.X, case.y)
    np.testing.assert_allclose(model.objective_, single.objective_, rtol=3e-3)
    assert model.dual_gap_ <= 3e-3
    assert {name for name in vars(single) if name.endswith("_")} <= set(vars(model))


@two_kinds_first
def test_scores_are_those_of_single_fits_on_the_folds(case):
    """Cold fits of the plain estimator, scored by scikit-learn: the same up to the tolerances."""
    splits = list(KFold(3, shuffle=True, random_state=0).split(case.X))
    plain = {} if case.Estimator is ConvexReLURegressor else {"calibrate": False}
    # Steps of a path that are too large leave more of a fold to its tolerance.
    plain |= {"alphas": 4, "eps": 0.02}
    model = cv_estimator(case, cv=splits, patience=None, **plain).fit(case.X, case.y)
    scoring = "r2" if case.Estimator is ConvexReLURegressor else "neg_log_loss"
    for k in (1, 2):
        single = case.Estimator(alpha=model.alphas_[k], random_state=0)
        cold = cross_val_score(single, case.X, case.y, cv=splits, scoring=scoring)
        np.testing.assert_allclose(model.score_path_[k], cold, atol=0.05)


@two_kinds_first
def test_reproducible_and_independent_of_n_jobs(case, impatient):
    first = cv_estimator(case, alphas=2).fit(case.X, case.y)
    again = cv_estimator(case, alphas=2).fit(case.X, case.y)
    parallel = cv_estimator(case, alphas=2, n_jobs=2).fit(case.X, case.y)
    for other in (again, parallel):
        np.testing.assert_array_equal(first.score_path_, other.score_path_)
        np.testing.assert_array_equal(first.coefs_[0], other.coefs_[0])


def test_random_state_draws_the_default_folds(regression):
    X, y = regression.X, regression.y
    paths = [
        ConvexReLURegressorCV(alphas=2, eps=0.5, random_state=seed).fit(X, y).score_path_
        for seed in (0, 0, 1)
    ]
    assert paths[0].shape == (2, 5)
    np.testing.assert_array_equal(paths[0], paths[1])
    assert not np.array_equal(paths[0], paths[2])


def test_default_folds_of_a_classifier_keep_the_shares_of_the_classes(binary):
    rare = np.where(np.arange(40) < 5, "rare", "common")
    model = ConvexReLUClassifierCV(alphas=2, eps=0.5, random_state=0).fit(binary.X, rare)
    assert np.isfinite(model.score_path_).all()  # each fold holds out one of the five


# ------------------------------------------------------------------------------------------ options


def test_patience_ends_the_path(regression):
    """Pure noise: no network predicts it, the smaller alpha the worse."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 5)), rng.standard_normal(60)
    stopped = ConvexReLURegressorCV(alphas=6, eps=0.03, random_state=0).fit(X, y)
    whole = clone(stopped).set_params(patience=None).fit(X, y)
    n = len(stopped.alphas_)
    assert n < len(whole.alphas_) == 6
    np.testing.assert_array_equal(stopped.score_path_, whole.score_path_[:n])
    assert stopped.alpha_ == whole.alpha_


def test_selection():
    """All rules see the same scores; within a standard error they prefer different alphas."""
    X, y = load_diabetes(return_X_y=True)
    X, y = StandardScaler().fit_transform(X)[:200], y[:200]
    models = {
        selection: ConvexReLURegressorCV(
            alphas=5, eps=3e-2, selection=selection, random_state=0
        ).fit(X, y)
        for selection in ("best", "one_standard_error", "scale")
    }
    best, smaller, scale = models.values()
    means = best.score_path_.mean(axis=1)
    assert best.alpha_ == best.alphas_[means.argmax()]
    for other in (smaller, scale):
        np.testing.assert_array_equal(best.score_path_, other.score_path_)
    assert smaller.alpha_ > best.alpha_
    assert smaller.n_neurons_ <= best.n_neurons_
    target = ConvexReLURegressor(alpha="scale", random_state=0).fit(X, y).alpha_
    distance = np.abs(np.log(best.alphas_ / target))
    assert np.abs(np.log(scale.alpha_ / target)) <= distance[means.argmax()]
    error = best.score_path_[means.argmax()].std(ddof=1) / np.sqrt(5)
    assert means[scale.alphas_ == scale.alpha_] >= means.max() - error


@pytest.mark.parametrize(
    "scoring", ["neg_mean_absolute_error", make_scorer(r2_score), None], ids=str
)
def test_scoring(regression, scoring):
    X, y = regression.X, regression.y
    splits = list(KFold(3).split(X))
    settings = {"alphas": [1e3, 0.05], "cv": splits, "scoring": scoring}
    model = ConvexReLURegressorCV(**settings, random_state=0).fit(X, y)
    constant = ConvexReLURegressor(alpha=1e3)
    scorer = get_scorer("r2") if scoring is None else scoring
    expected = cross_val_score(constant, X, y, cv=splits, scoring=scorer)
    np.testing.assert_allclose(model.score_path_[0], expected)


def test_max_neurons(case):
    model = cv_estimator(case, max_neurons=3).fit(case.X, case.y)
    assert max(model.n_neurons_, model.n_neurons_path_.max()) <= 3


def test_verbose_prints_the_path(regression, capsys):
    model = ConvexReLURegressorCV(**SMALL, verbose=1, random_state=0).fit(
        regression.X, regression.y
    )
    printed = capsys.readouterr().out
    assert printed.count("mean score") == len(model.alphas_)
    assert f"alpha {model.alphas_[0]:.3g}" in printed
    assert "round 1" in printed


@two_kinds_first
def test_sparse_rows_and_float32(case):
    from scipy import sparse

    dense = cv_estimator(case).fit(case.X, case.y)
    sparse_format = sparse.csc_matrix if case.kind in ("regression", "binary") else sparse.csr_array
    model = cv_estimator(case).fit(sparse_format(case.X), case.y)
    # Sums in another order: up to rounding, and the local searches that follow it.
    np.testing.assert_allclose(model.score_path_, dense.score_path_, atol=0.02, rtol=0.02)
    single = cv_estimator(case).fit(case.X.astype(np.float32), case.y)
    assert single.coefs_[0].dtype == np.float32


def test_scores_that_do_not_fit_are_refused(regression):
    with pytest.raises(ValueError, match="'accuracy' does not score a ConvexReLURegressorCV"):
        cv_estimator(regression, scoring="accuracy").fit(regression.X, regression.y)


# ------------------------------------------------------------------------------ from coarse to fine


@pytest.fixture(scope="module")
def smooth():
    """A target that wants a small alpha: the path goes below alpha="scale"."""
    X = np.random.default_rng(0).uniform(-1, 1, (100, 2))
    return X, np.sin(4 * X[:, 0]) + np.abs(X[:, 1])


def test_path_from_coarse_to_fine(smooth):
    X, y = smooth
    model = ConvexReLURegressorCV(cv=3, random_state=0).fit(X, y)
    scale = 0.1 * model.alpha_max_ / np.sqrt(100)
    assert np.all(np.diff(model.alphas_) < 0)
    steps = np.log2(model.alphas_[1:] / scale)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-9)
    assert steps.min() < 0
    assert np.isin([0, 2, 4], np.round(steps)).all()
    assert len(model.alphas_) == len(model.score_path_) == len(model.n_neurons_path_)
    whole = clone(model).set_params(patience=None).fit(X, y)
    n = len(model.alphas_)
    assert len(whole.alphas_) >= n
    np.testing.assert_array_equal(model.score_path_, whole.score_path_[:n])


def test_neighbours_start_from_larger_alphas_and_do_not_depend_on_n_jobs(impatient, regression):
    """An alpha between two of the coarse grid is filled in, above the chosen one."""
    settings = {"selection": "one_standard_error", "cv": 3, "random_state": 0}
    models = [
        ConvexReLURegressorCV(**settings, n_jobs=n_jobs).fit(regression.X, regression.y)
        for n_jobs in (1, 2)
    ]
    with parallel_config(backend="threading"):
        models.append(clone(models[0]).set_params(n_jobs=2).fit(regression.X, regression.y))
    first, *others = models
    ratios = first.alphas_[1:-1] / first.alphas_[2:]
    assert np.isclose(ratios, 2.0).any()
    assert np.isclose(ratios, 4.0).any()
    for other in others:
        np.testing.assert_array_equal(first.alphas_, other.alphas_)
        np.testing.assert_array_equal(first.score_path_, other.score_path_)
        np.testing.assert_array_equal(first.coefs_[0], other.coefs_[0])


@pytest.mark.parametrize("numbers", [0, 10**9])
def test_folds_of_many_numbers_run_in_threads(numbers, monkeypatch, regression):
    started = []

    class Watched(_cv_workers.Threads):
        def start(self, key, task):
            started.append(key)
            super().start(key, task)

    monkeypatch.setattr(_cv_workers, "Threads", Watched)
    monkeypatch.setattr(_cv_workers, "_MANY_NUMBERS", numbers)
    model = ConvexReLURegressorCV(alphas=[0.3], cv=3, n_jobs=2, random_state=0)
    model.fit(regression.X, regression.y)
    assert len(started) == (3 if numbers == 0 else 0)


def test_what_threads_abandon_ends():
    """What is under way is told so, what begins later is not."""
    ended = []

    def until_stopped(name, stop):
        while name == "endless" and not stop():
            time.sleep(0.001)
        ended.append((name, stop()))
        return name

    with ExitStack() as stack:
        threads = _cv_workers.Threads(until_stopped, 2, 2, stack)
        threads.start(0, ("endless",))
        threads.abandon()
        threads.start(1, ("short",))
        assert threads.finished() == {1: "short"}
    assert sorted(ended) == [("endless", True), ("short", False)]


@pytest.mark.parametrize("relax", [1.0, 0.5])
def test_a_fold_whose_result_is_not_wanted_stops_after_a_round(relax, regression, monkeypatch):
    def unwanted(config, function, *task, stop):
        return function(*task, stop=lambda: True)

    monkeypatch.setattr(_cv_workers, "_MANY_NUMBERS", 0)
    settings = {"alphas": [0.01], "tol": 1e-3, "cv": 3, "n_jobs": 2, "random_state": 0}
    model = ConvexReLURegressorCV(relax=relax, **settings)
    assert model.fit(regression.X, regression.y).n_neurons_ > 0
    monkeypatch.setattr(_cv_workers, "_configured", unwanted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(regression.X, regression.y)


def test_constant_targets_have_a_grid_of_one():
    X = np.random.default_rng(0).standard_normal((30, 2))
    model = ConvexReLURegressorCV(cv=3, random_state=0).fit(X, np.full(30, 3.7))
    assert model.n_neurons_ == 0
    assert len(model.alphas_) == 1


# -------------------------------------------------------------------------------------- temperature


def test_temperature_is_that_of_the_held_out_rows():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 3))
    y = (X[:, 0] + rng.standard_normal(200) > 0).astype(int)
    splits = list(KFold(3, shuffle=True, random_state=0).split(X))
    model = ConvexReLUClassifierCV(alphas=[0.02], cv=splits, random_state=0).fit(X, y)
    losses = {}
    for temperature in (model.temperature_, 0.5 * model.temperature_, 2.0 * model.temperature_):
        rows = []
        for train, test in splits:
            single = ConvexReLUClassifier(alpha=0.02, random_state=0, calibrate=False)
            single.fit(X[train], y[train])
            single.temperature_ = temperature
            rows.append(log_loss(y[test], single.predict_proba(X[test])))
        losses[temperature] = np.mean(rows)
    assert min(losses, key=losses.get) == model.temperature_
    np.testing.assert_allclose(-model.best_score_, losses[model.temperature_], atol=0.03)


def test_temperature_changes_probabilities_alone(binary):
    calibrated = cv_estimator(binary, alphas=[0.02]).fit(binary.X, binary.y)
    plain = cv_estimator(binary, alphas=[0.02], calibrate=False).fit(binary.X, binary.y)
    assert not hasattr(plain, "temperature_")
    assert calibrated.objective_ == plain.objective_
    np.testing.assert_array_equal(
        calibrated.decision_function(binary.X), plain.decision_function(binary.X)
    )
    odds = np.log(
        calibrated.predict_proba(binary.X)[:, 1] / calibrated.predict_proba(binary.X)[:, 0]
    )
    np.testing.assert_allclose(
        odds, plain.decision_function(binary.X) / calibrated.temperature_, rtol=1e-6
    )


def test_a_given_score_chooses_and_a_temperature_is_kept(multiclass):
    model = cv_estimator(multiclass, scoring="accuracy").fit(multiclass.X, multiclass.y)
    assert np.all((model.score_path_ >= 0) & (model.score_path_ <= 1))
    assert model.temperature_ > 0


# ---------------------------------------------------------------------------- the mean of the folds


def test_mean_of_the_folds(case):
    """Its outputs are the mean of those of the folds, and its gap is one of all rows."""
    splits = list(KFold(3, shuffle=True, random_state=0).split(case.X))
    settings = {"alphas": [0.1], "cv": splits, "random_state": 0}
    model = CV[case.Estimator](**settings, refit="mean").fit(case.X, case.y)
    assert model.status_ == "mean"
    assert model.n_neurons_ <= model.n_neurons_path_.sum()
    best = case.Estimator(alpha=0.1, gap_tol=1e-3, random_state=0).fit(case.X, case.y)
    assert model.objective_ > best.objective_ - best.dual_gap_abs_
    bound = model.objective_ - model.dual_gap_abs_
    assert bound <= best.objective_ * (1 + 1e-6)
    again = CV[case.Estimator](**settings).fit(case.X, case.y)
    np.testing.assert_array_equal(model.score_path_, again.score_path_)
    assert again.objective_ < model.objective_
    both = CV[case.Estimator](**settings, refit="both").fit(case.X, case.y)
    assert both.status_ == "mean"
    assert both.objective_ <= 0.5 * (again.objective_ + model.objective_) * (1 + 1e-6)
    between = 0.5 * (again._outputs(case.X) + model._outputs(case.X))
    # But for the intercept, which is the best one.
    assert np.ptp(both._outputs(case.X) - between, axis=0).max() < 1e-6 * np.ptp(between)


def test_mean_refuses_goals_of_a_fit(regression):
    for goal in ({"gap_tol": 0.1}, {"max_neurons": 3}):
        with pytest.raises(ValueError, match="as they are"):
            cv_estimator(regression, refit="mean", **goal).fit(regression.X, regression.y)
        with pytest.raises(ValueError, match="refit='both'"):
            cv_estimator(regression, refit="both", **goal).fit(regression.X, regression.y)
    with pytest.raises(ValueError, match="no network"):
        cv_estimator(regression, refit=False).fit(regression.X, regression.y)


def test_mean_needs_a_fold_with_all_classes(multiclass):
    y = np.where(np.arange(40) == 0, 9, np.where(np.arange(40) == 39, 10, multiclass.y))
    with pytest.raises(ValueError, match="all classes"):
        cv_estimator(multiclass, cv=KFold(2), refit="mean").fit(multiclass.X, y)


# -------------------------------------------------------------------------------------- relaxation


def test_relaxed_networks_have_no_more_neurons(case):
    settings = {"alphas": [0.2, 0.05], "relax": (0.25, 1.0), "selection": "smallest"}
    model = cv_estimator(case, **settings).fit(case.X, case.y)
    assert model.score_path_.shape == model.n_neurons_path_.shape == (2, 2, 3)
    plain, relaxed = model.n_neurons_path_
    assert np.all(relaxed <= plain)
    assert model.relax_ in (1.0, 0.25)
    alone = cv_estimator(case, alphas=[0.2, 0.05]).fit(case.X, case.y)
    np.testing.assert_array_equal(model.score_path_[0], alone.score_path_)


def test_objective_of_a_relaxed_network_is_that_of_its_smaller_alpha(case):
    model = cv_estimator(case, alphas=[0.2], relax=0.5).fit(case.X, case.y)
    assert model.relax_ == 0.5
    assert model.alpha_ == 0.1
    assert model.score_path_.shape == (1, 3)
    whole = case.Estimator(alpha=0.1, gap_tol=1e-3, random_state=0).fit(case.X, case.y)
    assert model.n_neurons_ <= whole.n_neurons_
    assert model.objective_ >= whole.objective_ * (1 - 1e-3)
    assert model.objective_ - model.dual_gap_abs_ <= whole.objective_ * (1 + 1e-6)


@pytest.mark.parametrize("relax", [0.0, 1.5, [0.5, 2.0], [], [[0.5]]])
def test_relax_is_between_zero_and_one(regression, relax):
    with pytest.raises(ValueError, match="relax"):
        cv_estimator(regression, relax=relax).fit(regression.X, regression.y)


# ----------------------------------------------------------------------------------- sample weights


def test_weights_are_repetitions(case):
    """In training and in scores; the folds take all copies of a row together."""
    rng = np.random.default_rng(0)
    repeats = rng.integers(0, 3, len(case.X))
    groups = np.arange(len(case.X)) % 3
    index = np.repeat(np.arange(len(case.X)), repeats)
    splits = [(np.flatnonzero(groups != g), np.flatnonzero(groups == g)) for g in range(3)]
    again = [
        (np.flatnonzero(groups[index] != g), np.flatnonzero(groups[index] == g)) for g in range(3)
    ]
    weighted = cv_estimator(case, cv=splits).fit(case.X, case.y, sample_weight=repeats)
    repeated = cv_estimator(case, cv=again).fit(case.X[index], case.y[index])
    np.testing.assert_allclose(weighted.score_path_, repeated.score_path_, rtol=1e-9)
    np.testing.assert_allclose(weighted.objective_, repeated.objective_, rtol=1e-9)


def test_folds_without_weight_are_refused(regression):
    weights = np.ones(40)
    weights[:14] = 0
    with pytest.raises(ValueError, match="holds out rows whose sample_weight is all zero"):
        cv_estimator(regression).fit(regression.X, regression.y, sample_weight=weights)


def test_class_weight_is_sample_weight_in_training_alone(binary):
    weights = np.where(binary.y == "yes", 3.0, 1.0)
    plain = cv_estimator(binary, alphas=[0.05]).fit(binary.X, binary.y)
    by_class = cv_estimator(binary, alphas=[0.05], class_weight={"yes": 3.0, "no": 1.0})
    by_class.fit(binary.X, binary.y)
    by_sample = cv_estimator(binary, alphas=[0.05]).fit(binary.X, binary.y, weights)
    np.testing.assert_allclose(by_class.objective_, by_sample.objective_)
    assert not np.allclose(by_class.score_path_, by_sample.score_path_)  # scored without weights
    assert not np.allclose(by_class.score_path_, plain.score_path_)


def test_a_class_missing_from_the_training_rows_of_a_fold(multiclass):
    """One row of a fourth class: the fold that holds it out trains without the class."""
    y = np.where(np.arange(40) == 0, 9, multiclass.y)
    model = cv_estimator(multiclass, cv=KFold(4), class_weight={9: 2.0}).fit(multiclass.X, y)
    assert model.classes_.tolist() == [5, 6, 7, 9]
    assert np.isfinite(model.score_path_).all()
    assert model.predict_proba(multiclass.X).shape == (40, 4)


def test_a_fold_with_one_class_is_refused(binary):
    order = np.argsort(binary.y, kind="stable")
    with pytest.raises(ValueError, match="training rows of a fold have only one class"):
        cv_estimator(binary, cv=KFold(2)).fit(binary.X[order], np.repeat(["a", "b"], 20))


# --------------------------------------------------------------------------------- metadata routing


def test_routing_to_the_splitter(regression):
    groups = np.arange(40) // 10
    with config_context(enable_metadata_routing=True):
        model = cv_estimator(regression, cv=GroupKFold(4).set_split_request(groups=True))
        model.fit(regression.X, regression.y, groups=groups)
    expected = cv_estimator(regression, cv=list(GroupKFold(4).split(regression.X, groups=groups)))
    expected.fit(regression.X, regression.y)
    np.testing.assert_array_equal(model.score_path_, expected.score_path_)


def test_routing_to_the_scorer(regression):
    weights = np.random.default_rng(0).random(40)
    X, y = regression.X, regression.y

    def score(y_true, y_pred, sample_weight=None):
        seen.append(sample_weight is not None)
        return r2_score(y_true, y_pred, sample_weight=sample_weight)

    for requested in (True, False):
        seen = []
        with config_context(enable_metadata_routing=True):
            scorer = make_scorer(score).set_score_request(sample_weight=requested)
            model = cv_estimator(regression, scoring=scorer).set_fit_request(sample_weight=True)
            model.fit(X, y, sample_weight=weights)
        assert seen
        assert set(seen) == {requested}


def test_default_scores_are_weighted_with_and_without_routing(case):
    weights = np.random.default_rng(0).random(40)
    plain = cv_estimator(case).fit(case.X, case.y, sample_weight=weights)
    with config_context(enable_metadata_routing=True):
        model = cv_estimator(case).set_fit_request(sample_weight=True)
        routed = model.fit(case.X, case.y, sample_weight=weights)
    np.testing.assert_array_equal(plain.score_path_, routed.score_path_)


def test_params_need_routing(regression):
    with pytest.raises(ValueError, match="enable_metadata_routing=True"):
        cv_estimator(regression).fit(regression.X, regression.y, groups=np.arange(40))


# ----------------------------------------------------------------------------------------- real use


def test_in_a_pipeline_with_pickle_and_clone():
    X, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), ConvexReLUClassifierCV(alphas=6, cv=3, random_state=0))
    model.fit(X, y)
    assert model.score(X, y) > 0.97
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert clone(model[-1]).get_params() == model[-1].get_params()


def test_interruption_is_not_swallowed(regression, monkeypatch):
    """A single fit keeps its last round; here most folds would be missing."""
    from sklearn_convexnn.core.column_generation import slide_phase

    monkeypatch.setattr(
        slide_phase, "slide", lambda *args, **kwargs: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        cv_estimator(regression).fit(regression.X, regression.y)


# ------------------------------------------------------------------------------------------- memory


def test_folds_hold_no_copies_of_the_rows(monkeypatch):
    """To the first step of a descent: one copy, of all distinct rows, and buffers of fixed size.

    Training rows of five folds would be four more.
    """
    from sklearn_convexnn.core.column_generation import slide_phase

    X = np.random.default_rng(0).standard_normal((40_000, 30))

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(slide_phase, "slide", stop)
    tracemalloc.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            ConvexReLURegressorCV(random_state=0).fit(X, np.abs(X[:, 0]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3.5 * X.nbytes
