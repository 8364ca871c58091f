"""Cross-validation of Dask collections: the folds, scores and temperatures of rows in memory."""

import numpy as np
import pytest

from sklearn_convexnn import ConvexReLUClassifierCV, ConvexReLURegressorCV
from sklearn_convexnn._collections import SpreadData
from sklearn_convexnn.core.problem.engines import shares
from sklearn_convexnn.core.problem.spread_folds import SpreadFolds

da = pytest.importorskip("dask.array")

N_ROWS = 600


@pytest.fixture(autouse=True)
def everywhere_by_values(monkeypatch):
    """However few rows there are, they stay where they are, and folds are chosen by hashes."""
    monkeypatch.setattr("sklearn_convexnn._collections.MOST_COLLECTED", 0)
    monkeypatch.setattr("sklearn_convexnn._base_cv.LEAST_ROWS", 0)
    monkeypatch.setattr("sklearn_convexnn.core.problem.hashed_folds.LEAST_ROWS", 0)


def rows(n=N_ROWS):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 3))
    y = np.abs(X[:, 0]) - X[:, 1] + 0.3 * rng.standard_normal(n)
    return X, y, rng.integers(0, 3, n).astype(float)


def lazy(array, size=250):
    return da.from_array(array, chunks=(size,) + (2,) * (array.ndim - 1))


def parts_of(model, X, y, w):
    """What the fit of a CV trains and judges with: folds and Judge."""
    model._check_parameters()
    routed = model._routed_params(w, {})
    data = model._validated(X, y, w)
    assert isinstance(data, SpreadData) == (not isinstance(X, np.ndarray))
    make = model._spread_parts if isinstance(data, SpreadData) else model._parts
    (own,) = model._rng().spawn(1)
    return make(data, own, routed)


def network_of(fold, points):
    """A fitted estimator of a fold, of given layers."""
    coefs, intercepts = points
    model = fold.estimator
    model.coefs_, model.intercepts_ = coefs, intercepts
    model.out_activation_, model._target_ndim = model._output_activation(fold.targets), 1
    vars(model).update(fold.targets.attributes)
    if fold.problem.spread is not None:
        model.scale_ = fold.problem.spread
    return model


def labels_of(y, rare):
    labels = np.array(["a", "b", "c"])[np.digitize(y, [-0.5, 1.0])]
    if rare:
        labels[17] = "d"  # of one row: a fold does not train on it
    return labels


@pytest.mark.parametrize(
    "Estimator, settings",
    [
        (ConvexReLURegressorCV, {}),
        (ConvexReLURegressorCV, {"loss": "poisson"}),
        (ConvexReLURegressorCV, {"loss": "huber"}),
        (ConvexReLUClassifierCV, {}),
        (ConvexReLUClassifierCV, {"calibrate": False, "class_weight": {"a": 3, "d": 2}}),
    ],
    ids=["R2", "deviance", "Huber", "temperature", "rare class"],
)
def test_folds_and_scores_are_those_of_rows_in_memory(Estimator, settings):
    X, y, w = rows()
    if Estimator is ConvexReLUClassifierCV:
        y = labels_of(y, rare="class_weight" in settings)
        w[17] = 1.0
    elif settings.get("loss") == "poisson":
        y = np.round(np.exp(y))
    model = Estimator(random_state=0, **settings)
    here = parts_of(model, X, y, w)
    there = parts_of(model, lazy(X), lazy(y), lazy(w))
    judged = []
    for _, _, folds, judge in (here, there):
        rng, seen = np.random.default_rng(1), []
        for fold in folds:
            C = fold.problem.rows.n_outputs
            layers = [rng.standard_normal((3, 4)), rng.standard_normal((4, C))]
            biases = [rng.standard_normal(4), rng.standard_normal(C)]
            fitted = network_of(fold, (layers, biases))
            seen.append(judge.look(fitted, fold.held_out))
        judged.append(judge.judge([fold.held_out for fold in folds], seen))
    np.testing.assert_allclose(*[scores for scores, _ in judged], rtol=1e-9)
    np.testing.assert_allclose(*[temperature for _, temperature in judged], rtol=1e-5)
    for one, other in zip(here[2], there[2], strict=True):
        for name in ("y_shift", "y_scale", "alpha_unit"):
            ours, theirs = (getattr(fold.problem, name) for fold in (one, other))
            np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)
        assert one.problem.rows.engine.n_distinct() == other.problem.rows.engine.n_distinct()


@pytest.mark.parametrize(
    "Estimator, settings",
    [
        (ConvexReLURegressorCV, {"n_jobs": 2}),
        pytest.param(ConvexReLUClassifierCV, {}, marks=pytest.mark.slow),
        pytest.param(ConvexReLURegressorCV, {"refit": "mean"}, marks=pytest.mark.slow),
    ],
)
def test_fits_are_near_those_of_rows_in_memory(monkeypatch, Estimator, settings):
    monkeypatch.setattr("sklearn_convexnn._base_cv.N_FOLDS", 2)
    X, y, w = rows(400)
    y = labels_of(y, False) if Estimator is ConvexReLUClassifierCV else y
    settings = {"alphas": [0.5, 0.2], "random_state": 0} | settings
    expected = Estimator(**settings).fit(X, y, sample_weight=w)
    found = Estimator(cv=2, **settings).fit(lazy(X), lazy(y), sample_weight=lazy(w))
    # Paths are solved to a percent, from other rounding.
    np.testing.assert_allclose(found.score_path_, expected.score_path_, atol=0.01)
    assert found.score_path_.shape == expected.score_path_.shape
    assert found.alpha_ == expected.alpha_
    assert found.score(X, y) == pytest.approx(expected.score(X, y), abs=0.01)
    assert found.predict(lazy(X)).chunks == lazy(y).chunks
    assert found.score(lazy(X), lazy(y)) == pytest.approx(found.score(X, y), rel=1e-9)
    assert isinstance(found.coefs_[0], np.ndarray)


def test_few_rows_are_cross_validated_as_an_array_is(monkeypatch):
    monkeypatch.setattr("sklearn_convexnn._collections.MOST_COLLECTED", N_ROWS)
    X, y, w = rows(60)
    settings = {"alphas": [0.5], "cv": [(np.arange(40), np.arange(40, 60))], "random_state": 0}
    expected = ConvexReLURegressorCV(**settings).fit(X, y, sample_weight=w)
    found = ConvexReLURegressorCV(**settings).fit(lazy(X), lazy(y), sample_weight=lazy(w))
    np.testing.assert_array_equal(found.coefs_[0], expected.coefs_[0])
    np.testing.assert_array_equal(found.score_path_, expected.score_path_)


def test_only_hashes_of_rare_classes_come_here(monkeypatch):
    """Rows of weight zero are in no fold, and no row is in the fold that holds it out."""
    X, y, w = rows()
    came = []
    monkeypatch.setattr(shares.Threads, "fetch", lambda self, parts: came.extend(parts) or parts)
    model = ConvexReLURegressorCV(cv=3, random_state=0)
    _, _, folds, judge = parts_of(model, lazy(X), lazy(y), lazy(w))
    held_out = [fold.held_out.rows.engine.n_rows for fold in folds]
    assert sum(held_out) == np.sum(w > 0)
    for fold, out in zip(folds, held_out, strict=True):
        assert fold.problem.rows.n_rows == np.sum(w > 0) - out
        judge.judge(
            [fold.held_out], [judge.look(network_of(fold, one_neuron(fold)), fold.held_out)]
        )
    sizes = [np.size(part) for part in came if isinstance(part, np.ndarray)]
    assert max(sizes, default=0) < 10


def one_neuron(fold):
    return [np.ones((3, 1)), np.ones((1, 1))], [np.zeros(1), np.zeros(1)]


@pytest.mark.parametrize(
    "settings, way",
    [
        ({"cv": [(np.arange(300), np.arange(300, 600))]}, "None for five"),
        ({"scoring": "r2"}, "scoring=None"),
    ],
)
def test_what_needs_predictions_in_memory_says_so(settings, way):
    X, y, _ = rows()
    with pytest.raises(ValueError, match=f"600 rows of a dask collection.*{way}"):
        ConvexReLURegressorCV(**settings).fit(lazy(X), lazy(y))


def test_folds_of_rows_that_are_all_alike():
    X, y, _ = rows()
    with pytest.raises(ValueError, match="some are empty"):
        ConvexReLURegressorCV().fit(lazy(np.ones_like(X)), lazy(np.ones_like(y)))
    labels = np.where(np.arange(N_ROWS) == 5, "b", "a")
    with pytest.raises(ValueError, match="one class only"):
        ConvexReLUClassifierCV().fit(lazy(X), lazy(labels))


def test_every_fold_has_its_part_of_a_rare_class():
    X, y, _ = rows()
    labels = (np.argsort(np.argsort(y)) < 10).astype(int)
    model = ConvexReLUClassifierCV(random_state=0)
    data = model._validated(lazy(X), lazy(labels), None)
    problem, _ = model._spread_problem(data)
    trained = SpreadFolds(problem.data, 5, 3).trained
    assert trained[:, 1].tolist() == [8] * 5
    splits = model._splits(model._validated(X, labels, None), np.random.default_rng(0), {})
    assert [int(labels[test].sum()) for _, test in splits] == [2] * 5
