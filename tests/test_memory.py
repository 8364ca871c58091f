"""Rows that are not in memory: files are read where they are, lazy collections are refused."""

import tracemalloc

import numpy as np
import pytest

from sklearn_convexnn import ConvexReLUClassifier, ConvexReLURegressor
from sklearn_convexnn._validation import refuse_lazy
from sklearn_convexnn.core.fit import held_out
from sklearn_convexnn.core.problem.engines import row_arrays
from sklearn_convexnn.core.problem.engines.in_memory import NumpyEngine
from sklearn_convexnn.core.problem.training_set import TrainingSet
from sklearn_convexnn.core.problem.units import problem_of, problem_of_part


def on_disk(folder, X):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


def as_if_large(monkeypatch):
    """Rows are merged and sorted, in a copy, where that takes little memory."""
    monkeypatch.setitem(TrainingSet.of.__func__.__kwdefaults__, "memory", 0)


class DaskLike:
    """What NumPy would gather."""

    shape = (30, 2)

    def __dask_graph__(self):
        return {}

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("all rows were gathered")


class SparkLike:
    def toPandas(self):
        raise AssertionError("all rows were gathered")


@pytest.mark.parametrize(
    "lazy, way",
    [
        (DaskLike(), "DaskLike.*X.compute"),
        (SparkLike(), "SparkLike.*X.toPandas"),
        ((row for row in np.eye(3)), "iterator.*numpy.memmap"),
    ],
    ids=["dask", "Spark", "iterator"],
)
def test_lazy_rows_are_refused(lazy, way):
    X, y = np.random.default_rng(0).standard_normal((30, 2)), np.arange(30.0)
    model = ConvexReLURegressor(alpha=0.5)
    with pytest.raises(TypeError, match=way):
        model.fit(lazy, y)
    with pytest.raises(TypeError, match=way.replace("X.", "y.")):
        model.fit(X, lazy)
    model.fit(X, y)
    with pytest.raises(TypeError, match=way):
        model.predict(lazy)


def test_lazy_collections_without_a_graph_are_arrays():
    """Those of xarray have the method whatever they hold."""

    class InMemory(DaskLike):
        def __dask_graph__(self):
            return None

    refuse_lazy(X=InMemory(), y=[1, 2], sample_weight=None)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("Estimator", [ConvexReLURegressor, ConvexReLUClassifier])
def test_files_are_not_copied(tmp_path, monkeypatch, dtype, Estimator):
    """The engine reads the mapping itself; the fit is that of the same rows in memory."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 4)).astype(dtype)
    y = np.abs(X[:, 0]) - X[:, 1]
    y = y > 0.3 if Estimator is ConvexReLUClassifier else y
    mapped = on_disk(tmp_path, X)
    seen, init = [], NumpyEngine.__init__

    def watched(self, X, *args, **settings):
        if X is not None and len(X) == 3000:
            seen.append(np.shares_memory(X, mapped))
        init(self, X, *args, **settings)

    as_if_large(monkeypatch)
    expected = Estimator(alpha=0.05, random_state=0).fit(X, y)
    monkeypatch.setattr(NumpyEngine, "__init__", watched)
    fitted = Estimator(alpha=0.05, random_state=0).fit(mapped, y)
    assert seen
    assert all(seen)
    np.testing.assert_array_equal(fitted.coefs_[0], expected.coefs_[0])
    np.testing.assert_array_equal(fitted.predict(mapped), expected.predict(X))


def test_facts_of_single_precision_take_no_copy():
    """Products with weights in double precision are taken block by block."""
    X = np.random.default_rng(0).standard_normal((100_000, 30)).astype(np.float32)
    weights = np.full(len(X), 1 / len(X))
    engine = NumpyEngine(X, np.ones((len(X), 1)), weights)
    tracemalloc.start()
    found = engine.statistics().mean_row
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.2 * X.nbytes
    np.testing.assert_allclose(found, weights @ X, rtol=0, atol=1e-12)


@pytest.fixture
def nothing_in_memory(monkeypatch):
    """However few rows a file has, numbers of all of them are in files as well, in blocks."""
    as_if_large(monkeypatch)
    monkeypatch.setattr(row_arrays, "MOST_IN_MEMORY", 0)
    monkeypatch.setattr(row_arrays, "ROWS", 700)
    monkeypatch.setattr(held_out, "_MANY", 0)
    monkeypatch.setattr("sklearn_convexnn._validation.ROWS", 700)


@pytest.mark.parametrize(
    "Estimator, settings",
    [
        (ConvexReLURegressor, {}),
        (ConvexReLURegressor, {"loss": "huber", "alpha": 0.1}),
        (ConvexReLUClassifier, {"class_weight": "balanced"}),
    ],
)
def test_numbers_of_rows_in_files(tmp_path, nothing_in_memory, Estimator, settings):
    """The problem is that of the rows in memory, and so are the held-out rows; all else is near."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 4))
    y = np.abs(X[:, 0]) - X[:, 1] + 0.3 * rng.standard_normal(2000)
    y = np.digitize(y, [0.3, 1.0]) if Estimator is ConvexReLUClassifier else y.astype(np.float32)
    settings = {"alpha": "auto", "random_state": 0, **settings}
    expected = Estimator(**settings).fit(X, y)
    found = Estimator(**settings).fit(on_disk(tmp_path, X), y)
    assert found.alpha_max_ == pytest.approx(expected.alpha_max_, rel=1e-6)
    # Blocks of other sizes round otherwise, and so may the chosen alpha.
    assert expected.alpha_ / 4 <= found.alpha_ <= expected.alpha_ * 4
    assert found.score(X, y) == pytest.approx(expected.score(X, y), abs=0.02)
    if settings["alpha"] != "auto":
        assert found.objective_ == pytest.approx(expected.objective_, rel=0.02)
        return
    common = min(len(found.alphas_), len(expected.alphas_))
    np.testing.assert_allclose(found.alphas_[:common], expected.alphas_[:common], rtol=1e-6)
    # Paths are solved to some percent.
    losses = (model.validation_losses_[:common] for model in (found, expected))
    np.testing.assert_allclose(*losses, rtol=0.1)


def test_passes_over_a_file_keep_nothing_in_memory(tmp_path, monkeypatch):
    """Neither outputs, hashes and samples, nor what units follow from."""
    monkeypatch.setattr(row_arrays, "MOST_IN_MEMORY", 1 << 20)
    n = 1_200_000
    X = on_disk(tmp_path, np.linspace(-1, 1, n, dtype=np.float32)[:, None])
    y = np.linspace(0, 1, n)
    data = TrainingSet.of(
        X, y[:, None], np.broadcast_to(1.0, n), loss="squared_error", intercept=True, memory=0
    )
    tracemalloc.start()
    problem = problem_of(data)
    engine, R = problem.rows.engine, problem.rows.at(constant_outputs(problem)).residual
    assert engine.n_distinct() == n
    assert engine.sample(1000, np.float32).n_rows == 1000
    assert engine.draw(R, 1000, np.float32)[0].n_rows == pytest.approx(1000, rel=0.2)
    part = problem_of_part(data, row_arrays.rows_where(X, lambda y: y > 0.5, y), memory=0)
    assert part.rows.n_rows == n // 2
    assert part.rows.engine.statistics().mean_row == pytest.approx(0.5, rel=1e-4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * y.nbytes  # of a dozen such arrays


def constant_outputs(problem):
    return problem.rows.outputs(np.zeros((0, 2)), np.zeros((0, 1)), np.zeros(1))


def test_a_full_disk_names_the_folder(tmp_path, monkeypatch):
    X = on_disk(tmp_path, np.zeros((10, 1)))
    monkeypatch.setattr(row_arrays, "MOST_IN_MEMORY", 0)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(row_arrays.os, "posix_fallocate", full, raising=False)
    with pytest.raises(OSError, match="TMPDIR names: No space left"):
        row_arrays.empty_beside(X, (10,), float)


def test_memory_of_a_fit(tmp_path, monkeypatch):
    """Vectors of numbers per row and a sample, but not the rows; also of one-hot columns."""
    as_if_large(monkeypatch)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((160_000, 40))
    y = np.abs(X[:, 0]) - X[:, 1]
    X[:, 20:] = X[:, :1] > np.linspace(-2, 2, 20)
    size, mapped = X.nbytes, on_disk(tmp_path, X)
    del X
    tracemalloc.start()
    ConvexReLURegressor(alpha=0.2, tol=0.1, random_state=0).fit(mapped, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.7 * size


def test_without_a_way_to_ask_for_room(tmp_path, monkeypatch):
    """Where a system cannot reserve it, the file grows as it is written."""
    X = on_disk(tmp_path, np.zeros((10, 1)))
    monkeypatch.setattr(row_arrays, "MOST_IN_MEMORY", 0)
    monkeypatch.delattr(row_arrays.os, "posix_fallocate", raising=False)
    array = row_arrays.empty_beside(X, (10,), float)
    array[:] = np.arange(10)
    np.testing.assert_array_equal(array, np.arange(10))
