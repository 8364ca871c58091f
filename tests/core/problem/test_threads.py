"""Threads share the blocks of a pass: the same bits for any number of them."""

import numpy as np
import pytest
from scipy import sparse

from sklearn_convexnn import ConvexReLUClassifier, ConvexReLURegressor
from sklearn_convexnn.core.problem.engines import threads
from sklearn_convexnn.core.problem.engines.coded import CodedRows, coded_if_cheaper
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.problem.rows import Rows

N, M = 20_000, 7


def features(kind):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, 4))
    if kind == "coded":
        coded = coded_if_cheaper(np.hstack([X, X[:, :1] > np.linspace(-1, 1, 12)]))
        assert isinstance(coded, CodedRows)
        return coded
    return sparse.csr_array(X) if kind == "CSR" else X


@pytest.fixture
def used(monkeypatch):
    """The numbers of chunks that were shared among threads."""
    counts = []

    class Counting(threads.ThreadPoolExecutor):
        def map(self, function, chunks):
            counts.append(len(chunks))
            return super().map(function, chunks)

    monkeypatch.setattr(threads, "ThreadPoolExecutor", Counting)
    return counts


@pytest.mark.parametrize("kind", ["array", "CSR", "coded"])
@pytest.mark.parametrize("loss, n_outputs", [("squared_error", 1), ("log_loss", 3)])
def test_same_bits(used, kind, loss, n_outputs):
    X = features(kind)
    rng = np.random.default_rng(1)
    Y = np.eye(n_outputs)[rng.integers(n_outputs, size=N)]
    found = []
    for count in (1, 2, 3, 4):
        rows = Rows.of(
            X, Y, np.full(N, 1 / N), get_loss(loss, n_outputs), intercept=True, block_bytes=1 << 14
        )
        U, C = np.ones((M, X.shape[1] + 1)) / np.arange(1, M + 1)[:, None], np.ones((M, n_outputs))
        with threads.worker_threads(count):
            R = rows.evaluate(Network(U, C, np.zeros(n_outputs))).residual
            value, *gradients = rows.loss_and_gradients(U, C, np.zeros(n_outputs), np.full(M, 0.1))
            found.append([R, rows.hidden(U), np.float64(value), *gradients, rows.prices(U, R)])
    assert max(used) > 8
    for other in found[1:]:
        for mine, one in zip(other, found[0], strict=True):
            np.testing.assert_array_equal(mine, one)


@pytest.mark.parametrize("estimator", [ConvexReLURegressor, ConvexReLUClassifier])
def test_estimators(used, estimator):
    rng = np.random.default_rng(2)
    X = rng.standard_normal((30_000, 3)).astype(np.float32)
    y = np.abs(X[:, 0]) - X[:, 1]
    y = y > 0.3 if estimator is ConvexReLUClassifier else y
    fits = [estimator(alpha=0.02, n_jobs=k, random_state=0, tol=0.1).fit(X, y) for k in (None, 3)]
    assert used
    for one, other in zip(fits[0].coefs_, fits[1].coefs_, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_error_in_a_thread_is_raised():
    def fail(chunk):
        raise ValueError("no number")

    with threads.worker_threads(2), pytest.raises(ValueError, match="no number"):
        list(threads.mapped(fail, [[k] for k in range(10)]))
