"""A fit that fails changes no attribute of an estimator, whatever the family."""

import numpy as np
import pytest
from sklearn.base import clone, is_classifier

import sklearn_convexnn
from sklearn_convexnn import (
    ConvexReLUClassifier,
    ConvexReLURegressor,
    GatedReLURegressor,
    convexnn_path,
)
from sklearn_convexnn._base import BaseNetwork
from sklearn_convexnn.core.column_generation import slide_phase
from tests.conftest import make_rows

FAMILIES = [
    one
    for one in map(vars(sklearn_convexnn).get, sklearn_convexnn.__all__)
    if isinstance(one, type) and issubclass(one, BaseNetwork)
]


def data(Estimator, n=30, shift=0.0):
    """Rows on a half line for splines and closed forms, which take no others."""
    narrow = any(name in Estimator.__name__ for name in ("Spline", "DeepReLU"))
    X = np.abs(make_rows(n, 1)) if narrow else make_rows(n, 2)
    y = X[:, 0] + np.abs(X[:, -1]) + shift
    return X, (y > 0.5).astype(int) if is_classifier(Estimator()) else y


def quick(Estimator):
    """The estimator, where it would choose its alpha with less to choose from."""
    if Estimator.__name__.endswith("CV"):
        return Estimator(alphas=[0.1], cv=2)
    chooses = Estimator.__name__.startswith(("Convex", "Parallel"))
    return Estimator("scale") if chooses else Estimator()


def assert_same_state(model, before):
    after = vars(model)
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)


@pytest.mark.parametrize("Estimator", FAMILIES, ids=lambda one: one.__name__)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_failed_fit_changes_nothing(Estimator):
    """Neither of a new estimator nor of a fitted one."""
    X, y = data(Estimator)
    new = quick(Estimator)
    wide = np.column_stack([X, X, X])
    bad = np.full(len(y), 7) if is_classifier(new) else np.where(y > 0, np.nan, y)
    for model in (new, clone(new).fit(X, y)):
        before = dict(vars(model))
        for rows in (X, wide):
            with pytest.raises(ValueError):
                model.fit(rows, bad)
            assert_same_state(model, before)
        with pytest.raises(ValueError):
            model.fit(X, y, sample_weight=np.zeros(len(y)))
        assert_same_state(model, before)


@pytest.mark.parametrize("Estimator", FAMILIES, ids=lambda one: one.__name__)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_that_fails_late_changes_nothing(Estimator, monkeypatch):
    """The error comes when the new attributes have been set."""
    X, y = data(Estimator)
    model = quick(Estimator).fit(X, y)
    before = dict(vars(model))
    for error in (ArithmeticError, KeyboardInterrupt):

        def fail(self, *found, error=error):
            raise error

        monkeypatch.setattr(Estimator, "_report", fail)
        with pytest.raises(error):
            model.fit(X[:20], y[:20])
        assert_same_state(model, before)


def test_a_failed_gated_fit_changes_nothing():
    X, y = data(ConvexReLURegressor)
    model = GatedReLURegressor(random_state=0).fit(X, y)
    before = dict(vars(model))
    with pytest.raises(ValueError):
        model.fit(np.column_stack([X, X]), np.full(len(y), np.inf))
    assert_same_state(model, before)


@pytest.mark.parametrize("Estimator", [ConvexReLURegressor, ConvexReLUClassifier])
def test_ctrl_c_in_the_first_round_keeps_the_fit_before(Estimator, monkeypatch):
    X, y = data(Estimator)
    model = Estimator("scale", random_state=0).fit(X, y)
    before = dict(vars(model))

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(slide_phase, "slide", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X[:20], y[:20])
    assert_same_state(model, before)


@pytest.mark.parametrize(
    "solve, slides",
    [
        (lambda X, y: convexnn_path(X, y, alphas=[1e-3, 1e-4], tol=1e-9, random_state=0), 2),
        (lambda X, y: ConvexReLURegressor(tol=1e-9, random_state=0).fit(X, y), 2),
        (lambda X, y: convexnn_path(X, y, alphas=20, random_state=0), 4),
    ],
    ids=["path", "auto", "path of many alphas"],
)
def test_ctrl_c_ends_a_path(monkeypatch, solve, slides):
    """Also the path that chooses an alpha by held-out rows."""
    slide, calls = slide_phase.slide, []

    def interrupted(*args, **kwargs):
        calls.append(None)
        if len(calls) == slides:
            raise KeyboardInterrupt
        return slide(*args, **kwargs)

    monkeypatch.setattr(slide_phase, "slide", interrupted)
    X, y = data(ConvexReLURegressor)
    with pytest.raises(KeyboardInterrupt):
        solve(X, y)
    assert len(calls) == slides


@pytest.mark.parametrize("Estimator", [ConvexReLURegressor, ConvexReLUClassifier])
def test_numbers_that_are_too_small_are_zero_whatever_numpy_was_told(Estimator):
    X, y = data(Estimator)
    reference = Estimator("scale", random_state=0).fit(X, y)
    with np.errstate(under="raise"):
        model = Estimator("scale", random_state=0).fit(X, y)
    assert model.objective_ == reference.objective_
