"""Dask arrays and data frames: trained where they are, predicted lazily, scored by sums."""

import os
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, r2_score

from sklearn_convexnn import (
    ConvexReLUClassifier,
    ConvexReLURegressor,
    ConvexReLURegressorCV,
    GatedReLUClassifier,
    GatedReLURegressor,
    alpha_max,
)
from sklearn_convexnn._collections import blocks_of
from sklearn_convexnn.core.fit import held_out
from sklearn_convexnn.core.problem.engines import dask_cluster
from sklearn_convexnn.core.problem.training_set import TrainingSet

da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
import dask  # noqa: E402

N_ROWS = 1000
SETTINGS = {"alpha": 0.1, "random_state": 0}


@pytest.fixture
def spread(monkeypatch):
    """However few rows there are, they stay where they are."""
    monkeypatch.setattr("sklearn_convexnn._collections.MOST_COLLECTED", 0)


def rows(n=N_ROWS, dtype=np.float64):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 3)).astype(dtype)
    y = np.abs(X[:, 0]) - X[:, 1] + 0.3 * rng.standard_normal(n)
    return X, y, rng.integers(0, 3, n).astype(float)


def lazy(array, size=400):
    return da.from_array(array, chunks=(size,) + (2,) * (array.ndim - 1))


def frame(X, y):
    data = pd.DataFrame(X, columns=["a", "b", "c"], index=np.arange(len(X)) + 7)
    return dd.from_pandas(data.assign(y=y), npartitions=3)


def same_optimum(one, other, tol):
    """Objectives of two fits of the same problem, each within a gap of the optimum."""
    assert one.dual_gap_ <= tol
    assert other.dual_gap_ <= tol
    assert one.objective_ == pytest.approx(other.objective_, rel=2 * tol)


# ------------------------------------------------------------------------------------------ fits


def test_few_rows_are_fitted_as_an_array_is():
    X, y, w = rows()
    expected = ConvexReLURegressor(**SETTINGS).fit(X, y, sample_weight=w)
    found = ConvexReLURegressor(**SETTINGS).fit(lazy(X), lazy(y, 900), sample_weight=w)
    np.testing.assert_array_equal(found.coefs_[0], expected.coefs_[0])
    data = frame(X, y)
    named = ConvexReLURegressor(refinement=None, patterns=20, **SETTINGS)
    named.fit(data[["a", "b", "c"]], data["y"])
    assert named.feature_names_in_.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("dtype, intercept", [(np.float32, True), (np.float64, False)])
def test_optimum_is_that_of_the_rows_in_memory(spread, intercept, dtype):
    X, y, w = rows(400, dtype)
    model = ConvexReLURegressor(gap_tol=1e-2, fit_intercept=intercept, **SETTINGS)
    expected = model.fit(X, y, sample_weight=w).__dict__.copy()
    model.fit(lazy(X, 150), lazy(y, 150), sample_weight=lazy(w, 150))
    assert model.coefs_[0].dtype == dtype
    assert isinstance(model.coefs_[0], np.ndarray)
    assert model.objective_ == pytest.approx(expected["objective_"], rel=2e-2)
    assert model.alpha_max_ == pytest.approx(expected["alpha_max_"], rel=1e-3)


@pytest.mark.parametrize(
    "loss", ["squared_error", "huber", pytest.param("poisson", marks=pytest.mark.slow)]
)
def test_targets_of_several_outputs(spread, loss):
    X, y, _ = rows(300)
    Y = np.round(np.exp(np.column_stack([y, X[:, 2]]))) if loss == "poisson" else None
    Y = np.column_stack([y, 1e3 * y + 5.0]) if Y is None else Y
    settings = {"alpha": 0.3 * alpha_max(X, Y, loss=loss), "loss": loss, "gap_tol": 5e-2}
    models = [
        ConvexReLURegressor(random_state=0, **settings).fit(*data)
        for data in ((X, Y), (lazy(X, 120), da.from_array(Y, chunks=(150, 1))))
    ]
    same_optimum(*models, 5e-2)
    assert models[1].predict(X).shape == Y.shape
    if loss == "huber":
        np.testing.assert_allclose(models[1].scale_, models[0].scale_, rtol=1e-12)


@pytest.mark.parametrize(
    "n_classes, class_weight",
    [
        (2, {"a": 2.0, "b": 1.0}),
        (3, "balanced"),
        pytest.param(2, None, marks=pytest.mark.slow),
        pytest.param(3, None, marks=pytest.mark.slow),
        pytest.param(3, {"a": 2.0, "b": 1.0, "c": 0.5}, marks=pytest.mark.slow),
    ],
)
def test_classes_are_those_of_all_blocks(spread, n_classes, class_weight):
    X, y, w = rows(400)
    labels = np.array(["a", "b", "c"])[np.digitize(y, [0.0, 1.0][: n_classes - 1])]
    order = np.argsort(labels)  # some blocks have one class
    X, labels, w = X[order], labels[order], w[order]
    settings = {"class_weight": class_weight, "gap_tol": 5e-2, **SETTINGS}
    models = [
        ConvexReLUClassifier(**settings).fit(*data, sample_weight=w)
        for data in ((X, labels), (lazy(X, 120), lazy(labels, 120)))
    ]
    same_optimum(*models, 5e-2)
    assert models[1].classes_.tolist() == ["a", "b", "c"][:n_classes]


@pytest.mark.parametrize(
    "n_classes, intercept", [(2, True), pytest.param(3, False, marks=pytest.mark.slow)]
)
def test_hinge_of_classes_with_a_kink(spread, n_classes, intercept):
    X, y, w = rows(150)
    labels = np.digitize(y, [0.2, 1.0][: n_classes - 1])
    settings = {"alpha": 0.1, "loss": "hinge", "gap_tol": 5e-2, "random_state": 0}
    models = [
        ConvexReLUClassifier(fit_intercept=intercept, **settings).fit(*data, sample_weight=w)
        for data in ((X, labels), (lazy(X, 60), lazy(labels, 60)))
    ]
    same_optimum(*models, 5e-2)
    assert models[1].alpha_max_ == pytest.approx(models[0].alpha_max_, rel=1e-3)


def test_labels_of_weight_zero_are_no_classes(spread):
    X, y, _ = rows()
    labels = np.where(y > 1.0, 7, np.where(y > 0, 3, 1))
    model = ConvexReLUClassifier(**SETTINGS)
    model.fit(lazy(X), lazy(labels), sample_weight=lazy((labels != 7).astype(float)))
    assert model.classes_.tolist() == [1, 3]


def test_constant_targets(spread):
    X, y, _ = rows()
    model = ConvexReLURegressor(**SETTINGS).fit(lazy(X), lazy(np.full(len(y), 0.1)))
    assert model.n_neurons_ == 0
    np.testing.assert_allclose(model.predict(X[:5]), 0.1)


# ---------------------------------------------------------------------------------------- alphas


def test_scale_counts_distinct_rows_wherever_they_are(spread, monkeypatch):
    """Copies in other blocks, merged rows, and rows too large to be merged."""
    X, y, _ = rows(600)
    X, y = np.tile(X, (3, 1)), np.tile(y, 3)
    model = ConvexReLURegressor("scale", tol=0.1, random_state=0)
    merged = model.fit(X, y).alpha_ / model.alpha_max_
    assert merged == pytest.approx(0.1 / np.sqrt(600), rel=1e-12)
    assert model.fit(lazy(X), lazy(y)).alpha_ / model.alpha_max_ == pytest.approx(merged, rel=1e-12)
    monkeypatch.setitem(TrainingSet.of.__func__.__kwdefaults__, "memory", 0)
    assert model.fit(X, y).alpha_ / model.alpha_max_ == pytest.approx(merged, rel=1e-12)


def test_auto_of_few_long_rows(spread):
    """Fewer than are held out by their values elsewhere, but too large to be gathered."""
    X, y, _ = rows(500)
    model = ConvexReLURegressor("auto", tol=0.1, random_state=0).fit(lazy(X, 200), lazy(y, 200))
    assert len(model.validation_losses_) > 1
    assert model.score(X, y) > 0.8


@pytest.mark.parametrize(
    "Estimator", [ConvexReLURegressor, pytest.param(ConvexReLUClassifier, marks=pytest.mark.slow)]
)
def test_auto_holds_out_the_same_rows(spread, monkeypatch, Estimator):
    monkeypatch.setattr(held_out, "_MANY", 0)
    X, y, w = rows(500)
    y = np.where(y > 0.5, "yes", "no") if Estimator is ConvexReLUClassifier else y
    seen = []

    class Judge(held_out._Judge):
        def __init__(self, problem, parts):
            (part,) = parts
            order = np.lexsort(part.X.T)
            seen.append((part.X[order], part.Y[order], part.weights[order]))
            super().__init__(problem, parts)

    monkeypatch.setattr(held_out, "_Judge", Judge)
    one, other = (
        Estimator(tol=0.1, random_state=0).fit(*data, sample_weight=w)
        for data in ((X, y), (lazy(X, 200), lazy(y, 200)))
    )
    for here, there in zip(*seen, strict=True):
        np.testing.assert_array_equal(here, there)
    n_common = min(len(one.alphas_), len(other.alphas_))
    np.testing.assert_allclose(one.alphas_[:n_common], other.alphas_[:n_common], rtol=1e-3)
    # Paths are solved to some percent.
    np.testing.assert_allclose(
        one.validation_losses_[:n_common], other.validation_losses_[:n_common], rtol=0.1
    )


# ----------------------------------------------------------------------------------- predictions


def test_predictions_are_lazy():
    X, y, w = rows(dtype=np.float32)
    model = ConvexReLURegressor(**SETTINGS).fit(X, y)
    found = model.predict(lazy(X))
    assert isinstance(found, da.Array)
    assert found.chunks == lazy(y).chunks
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.compute(), model.predict(X))
    np.testing.assert_array_equal(
        model.hidden_activations(lazy(X)).compute(), model.hidden_activations(X)
    )
    before = found.compute()
    model.fit(X, -y)
    np.testing.assert_array_equal(found.compute(), before)
    expected = r2_score(y, model.predict(X), sample_weight=w)
    assert model.score(lazy(X), lazy(y, 700), lazy(w)) == pytest.approx(expected, rel=1e-6)


def test_predictions_of_frames_are_series_and_frames():
    X, y, _ = rows()
    data = frame(X, y)
    features, labels = data[["a", "b", "c"]], data["y"] > 0.5
    model = ConvexReLUClassifier(**SETTINGS).fit(features, labels)
    found = model.predict(features)
    here = features.compute()
    pd.testing.assert_series_equal(
        found.compute(), pd.Series(model.predict(here), index=here.index), check_names=False
    )
    probabilities = model.predict_proba(features)
    assert probabilities.compute().columns.tolist() == [False, True]
    np.testing.assert_array_equal(probabilities.compute(), model.predict_proba(here))
    expected = accuracy_score(y > 0.5, model.predict(here))
    assert model.score(features, labels) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(features.rename(columns={"a": "z"}))


# -------------------------------------------------------------------------------------- refusals


def test_what_needs_all_rows_in_memory_says_so(spread):
    X, y, _ = rows()
    for settings, way in (
        ({"refinement": None}, "cutting_plane"),
        ({"patterns": 5}, "patterns=None"),
    ):
        with pytest.raises(ValueError, match=f"1000 rows of a dask collection.*{way}"):
            ConvexReLURegressor(alpha=0.1, **settings).fit(lazy(X), lazy(y))


@pytest.mark.parametrize("model", [GatedReLURegressor(0.1), GatedReLUClassifier(0.1)])
def test_other_estimators_name_those_that_take_collections(model):
    X, y, _ = rows(30)
    with pytest.raises(TypeError, match=r"lazy dask Array.*ConvexReLURegressor"):
        model.fit(lazy(X), lazy(y > 0))
    with pytest.raises(TypeError, match="y is a lazy dask Array"):
        model.fit(X, lazy(y > 0))


def test_bad_blocks():
    X, y, w = rows()
    model = ConvexReLURegressor(alpha=0.1)
    unknown = lazy(X)[lazy(X)[:, 0] > 0]
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        model.fit(unknown, y)
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[1000, 900\]"):
        model.fit(lazy(X), lazy(y[:900]))
    with pytest.raises(ValueError, match="2D array"):
        model.fit(lazy(y), lazy(y))
    with pytest.raises(ValueError, match="Negative values"):
        model.fit(lazy(X), lazy(y), lazy(w - 1))
    with pytest.raises(ValueError, match="positive weight"):
        model.fit(lazy(X), lazy(y), lazy(0 * w))
    X[900, 1] = np.nan
    with pytest.raises(ValueError, match="X contains NaN"):
        model.fit(lazy(X), lazy(y))
    assert not hasattr(model, "n_features_in_")


def test_blocks_of_unknown_lengths_from_one_collection(spread):
    X, y, _ = rows(400)
    dX, dy = lazy(X, 150), lazy(y, 150)
    kept = dX[:, 0] > 0
    model = ConvexReLURegressor(gap_tol=1e-2, **SETTINGS)
    found = model.fit(dX[kept], dy[kept]).objective_
    kept = X[:, 0] > 0
    assert found == pytest.approx(model.fit(X[kept], y[kept]).objective_, rel=2e-2)


# -------------------------------------------------------------------------------------- clusters


def block_with_target(k, n, pid=None):
    rng = np.random.default_rng(k)
    X = rng.standard_normal((n, 4)).astype(np.float32)
    y = np.abs(X[:, :1]) - X[:, 1:2] + 0.1 * rng.standard_normal((n, 1)).astype(np.float32)
    block = np.concatenate([X, y], axis=1)
    return block if pid is None else Elsewhere(block, pid)


class Elsewhere:
    """Rows that are no array in the process of this number."""

    def __init__(self, array, pid):
        self.array, self.pid = array, pid
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __array__(self, dtype=None, copy=None):
        assert os.getpid() != self.pid, "rows came to the driver"
        return np.asarray(self.array, dtype=dtype)

    def __getitem__(self, index):
        return Elsewhere(self.array[index], self.pid)


def made_by_workers(n_blocks, n, pid=None):
    parts = [
        da.from_delayed(dask.delayed(block_with_target)(k, n, pid), (n, 5), np.float32)
        for k in range(n_blocks)
    ]
    Z = da.concatenate(parts)
    return Z[:, :4], Z[:, 4]


@pytest.fixture
def watched(monkeypatch):
    """The most rows that came here at a time, and the number of tasks of every call."""
    distributed = pytest.importorskip("distributed")
    seen = {"rows": 0, "tasks": []}
    keep, fetch = dask_cluster.Cluster.keep, dask_cluster.Cluster.fetch

    def length(result):
        if isinstance(result, np.ndarray):
            return len(result) if result.ndim else 1
        return max(map(length, result), default=0) if isinstance(result, (tuple, list)) else 1

    def fetched(self, futures):
        results = fetch(self, futures)
        seen["rows"] = max(seen["rows"], sum(length(result) for result in results))
        return results

    def kept(self, *args):
        futures = keep(self, *args)
        seen["tasks"].append(len(futures))
        return futures

    monkeypatch.setattr(dask_cluster.Cluster, "fetch", fetched)
    monkeypatch.setattr(dask_cluster.Cluster, "keep", kept)
    return distributed, seen


def test_one_task_a_worker_and_only_samples_come_here(watched):
    """With 60 000 rows, none of which is needed here but for samples."""
    distributed, seen = watched
    settings = {"processes": False, "dashboard_address": ":0", "threads_per_worker": 1}
    with (
        distributed.LocalCluster(n_workers=2, **settings) as cluster,
        distributed.Client(cluster) as client,
    ):
        X, y = made_by_workers(6, 10_000)
        some = (X[:, 0] > -2).astype(float)  # rows of weight zero are left where they are
        model = ConvexReLURegressor("scale", tol=0.1, random_state=0).fit(X, y, some)
        assert model.score(X, y) > 0.9
        # Blocks that the workers hold stay with those that hold them.
        held = client.persist(list(made_by_workers(4, 50)))
        distributed.wait(held)
        first = [part[0] for part in blocks_of(*held)]
        holders = client.who_has()
        assert {block.key for block in first} <= set(holders)
        for address, numbers in dask_cluster._groups(
            client, sorted(client.nthreads()), first
        ).items():
            assert all(address in holders[first[k].key] for k in numbers)
        model = ConvexReLURegressor(0.1, random_state=0).fit(*held)
        again = ConvexReLURegressor(0.1, random_state=0).fit(*dask.compute(*held))
        assert model.objective_ == pytest.approx(again.objective_, rel=1e-2)
    assert set(seen["tasks"]) == {2}
    assert seen["rows"] <= 20_000


@pytest.mark.slow
def test_folds_stay_with_the_workers(watched):
    """Two folds at a time, none of whose rows come here."""
    distributed, seen = watched
    settings = {"dashboard_address": ":0", "threads_per_worker": 1}
    cv = {"alphas": [0.3, 0.1], "tol": 1e-2, "random_state": 0}
    with (
        distributed.LocalCluster(n_workers=2, **settings) as cluster,
        distributed.Client(cluster),
    ):
        X, y = made_by_workers(6, 10_000, os.getpid())
        found = ConvexReLURegressorCV(n_jobs=2, **cv).fit(X, y)
        assert seen["rows"] <= 50_000  # of a sample, drawn from those of a fold
        X, y = dask.compute(*made_by_workers(6, 10_000))
    expected = ConvexReLURegressorCV(**cv).fit(X, y)
    np.testing.assert_allclose(found.score_path_, expected.score_path_, atol=3e-3)
    assert found.alpha_ == expected.alpha_


def test_without_workers_a_pass_does_not_wait_for_ever(monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(dask_cluster, "_PATIENCE", 0.2)
    settings = {"processes": False, "dashboard_address": ":0"}
    with (
        distributed.LocalCluster(n_workers=0, **settings) as cluster,
        distributed.Client(cluster) as client,
    ):
        place = dask_cluster.Cluster(client, ["inproc://gone"])
        with pytest.raises(RuntimeError, match=r"All workers of .*Client.* are lost"):
            place.fetch(place.keep(np.sum, [[np.ones(3)]]))
        with pytest.raises(RuntimeError, match="has no workers: start some"):
            ConvexReLURegressor(0.1).fit(lazy(np.eye(3)), lazy(np.ones(3)))


@pytest.mark.slow
def test_a_lost_worker_changes_nothing(watched):
    """Its rows are made again somewhere else; no row is ever an array of this process."""
    distributed, seen = watched
    settings = {"dashboard_address": ":0", "threads_per_worker": 1}
    with (
        distributed.LocalCluster(n_workers=2, **settings) as cluster,
        distributed.Client(cluster) as client,
    ):
        X, y = made_by_workers(6, 20_000, os.getpid())
        settings = {"tol": 1e-2, "random_state": 0}
        expected = ConvexReLURegressor("scale", **settings).fit(X, y)
        n_passes, pids = len(seen["tasks"]), list(client.run(os.getpid).values())

        def kill():
            while len(seen["tasks"]) < 1.5 * n_passes:
                time.sleep(0.01)
            os.kill(pids[0], signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        found = ConvexReLURegressor("scale", **settings).fit(X, y)
        killer.join()
        assert pids[0] not in client.run(os.getpid).values()
    np.testing.assert_array_equal(found.coefs_[0], expected.coefs_[0])
    assert seen["rows"] <= 1.5 * 50_000  # keys for a sample


def test_blocks_that_do_not_fit_together():
    X, y, _ = rows(60)
    kept = lazy(X, 20)[:, 0] > -9
    model = ConvexReLURegressor(alpha=0.1)
    with pytest.raises(ValueError, match=r"X has 3 blocks and y or sample_weight 2"):
        model.fit(lazy(X, 20)[kept], lazy(y, 30)[lazy(y, 30) > -99])
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[60, 50\]"):
        model.fit(lazy(X, 20), y[:50])
    shapes = [(20, 3), (20, 2)]
    blocks = [da.from_delayed(dask.delayed(np.ones)(one), (20, 3), float) for one in shapes]
    with pytest.raises(ValueError, match="Blocks differ in their columns of X"):
        model.fit(da.concatenate(blocks), lazy(np.arange(40.0), 20))
    with pytest.raises(ValueError, match="MultiOutputClassifier"):
        ConvexReLUClassifier(0.1).fit(lazy(X, 20), da.from_array(X > 0, chunks=(20, 3)))


def test_blocks_without_rows():
    """They are predicted and scored as nothing."""
    X, y, _ = rows(60)
    kept = lazy(np.arange(60) >= 20, 20)
    dX, dy = lazy(X, 20)[kept], lazy(y, 20)[kept]
    model = ConvexReLURegressor(**SETTINGS).fit(X, y)
    np.testing.assert_array_equal(model.predict(dX).compute(), model.predict(X[20:]))
    assert model.score(dX, dy) == pytest.approx(r2_score(y[20:], model.predict(X[20:])), rel=1e-9)
    labels = ConvexReLUClassifier(**SETTINGS).fit(X, y > 0.5)
    expected = accuracy_score(y[20:] > 0.5, labels.predict(X[20:]))
    assert labels.score(dX, dy > 0.5) == pytest.approx(expected, rel=1e-12)
