"""What the test files share: the small data sets, and reproducible property tests."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import settings
from threadpoolctl import threadpool_limits

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")
# The matrices of the tests are small: a second thread of the BLAS only waits for the first, and a
# worker of pytest-xdist has no second core.  `make test-kernels` asks for two by this variable, and
# processes that the tests start read it.
_THREADS = os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", _THREADS)  # of libraries that are loaded later
threadpool_limits(int(_THREADS))


def make_rows(n, d=3, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def make_signal(X):
    """A smooth non-linear function of at least two columns."""
    return np.abs(X[:, 0]) - np.tanh(2 * X[:, 1]) + 0.5 * X[:, 0] * X[:, 1]


def make_case(kind, n=40, d=3, seed=0):
    """Estimator class and read-only rows and targets of one kind of problem."""
    # The process that hands out the tests to the others imports this file, and needs no package.
    from sklearn_convexnn import (
        ConvexReLUClassifier,
        ConvexReLURegressor,
        GatedReLUClassifier,
        GatedReLURegressor,
    )

    gated = {ConvexReLURegressor: GatedReLURegressor, ConvexReLUClassifier: GatedReLUClassifier}
    X = make_rows(n, d, seed)
    noise = 0.1 * np.random.default_rng(seed + 100).standard_normal((n, 2))
    signal = make_signal(X)[:, None] + noise
    if kind == "regression":
        Estimator, y = ConvexReLURegressor, signal[:, 0]
    elif kind == "multioutput":
        Estimator, y = ConvexReLURegressor, np.column_stack([signal[:, 0], X[:, 0] - signal[:, 1]])
    elif kind == "binary":
        Estimator, y = ConvexReLUClassifier, np.where(signal[:, 0] > 0.5, "yes", "no")
    elif kind == "multiclass":
        Estimator, y = ConvexReLUClassifier, np.digitize(signal[:, 0], [0, 1]) + 5
    else:
        raise ValueError(kind)
    X.flags.writeable = y.flags.writeable = False
    return SimpleNamespace(kind=kind, Estimator=Estimator, Gated=gated[Estimator], X=X, y=y)


@pytest.fixture(params=["regression", "multioutput", "binary", "multiclass"])
def case(request):
    """Every kind of problem: ``case.Estimator``, its gated form, ``case.X``, ``case.y``."""
    return make_case(request.param)


# For tests whose fits are long: the other two kinds are slow.
two_kinds_first = pytest.mark.parametrize(
    "case",
    [
        "regression",
        pytest.param("multioutput", marks=pytest.mark.slow),
        "binary",
        pytest.param("multiclass", marks=pytest.mark.slow),
    ],
    indirect=True,
)


@pytest.fixture(params=["regression", "binary"])
def simple_case(request):
    """One regression and one classification problem."""
    return make_case(request.param)


@pytest.fixture
def regression():
    return make_case("regression")


@pytest.fixture
def binary():
    return make_case("binary")


@pytest.fixture
def multiclass():
    return make_case("multiclass")


@pytest.fixture
def outputs_of():
    """A function: the network's outputs, recomputed from its layers in double precision."""

    def outputs(model, X):
        (W, C), (bias, b0) = model.coefs_, model.intercepts_
        return np.maximum(np.asarray(X) @ W + bias, 0) @ C + b0

    return outputs
