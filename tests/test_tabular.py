"""A pipeline for data frames."""

import pickle
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LogisticRegression

from sklearn_convexnn import (
    ConvexReLUClassifierCV,
    ConvexReLURegressorCV,
    GatedReLURegressor,
    tabular_pipeline,
)

pd = pytest.importorskip("pandas")
SMALL = {"alphas": 3, "eps": 0.02, "cv": 3, "random_state": 0}


@pytest.fixture(autouse=True)
def _skrub():
    pytest.importorskip("skrub")


def flats(n=300, seed=0):
    """Rents of flats: numbers, a category, a date, missing values; and rows of a later month."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "size": rng.uniform(20, 150, n),
            "floor": rng.integers(0, 6, n),
            "town": rng.choice(["Ulm", "Bonn", "Kiel"], n),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 700, n), "D"),
        }
    )
    per_metre = frame["town"].map({"Ulm": 10.0, "Bonn": 14.0, "Kiel": 8.0}).to_numpy()
    rent = per_metre * frame["size"].to_numpy() + 200.0 * (frame["floor"].to_numpy() > 3)
    frame.loc[rng.random(n) < 0.1, "size"] = np.nan
    frame.loc[rng.random(n) < 0.1, "town"] = None
    return frame, rent / 100.0 + 0.3 * rng.standard_normal(n)


def test_regression_on_a_data_frame():
    X, y = flats()
    model = tabular_pipeline(ConvexReLURegressorCV(**SMALL)).fit(X[:200], y[:200])
    assert model.score(X[200:], y[200:]) > 0.7
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    names = model[:-1].get_feature_names_out().tolist()
    assert {"size", "town_Ulm", "since_year", "missingindicator_size"} <= set(names)
    steps = model[-1].steps_.get_feature_names_out(names).tolist()
    assert steps[: len(names)] == names


def test_classification_with_labels_and_unseen_values():
    X, y = flats()
    labels = np.where(y > np.median(y), "dear", "cheap")
    model = clone(tabular_pipeline(ConvexReLUClassifierCV(**SMALL))).fit(X[:200], labels[:200])
    assert model.classes_.tolist() == ["cheap", "dear"]
    assert model.score(X[200:], labels[200:]) > 0.8
    new = X[:3].assign(town=["Oslo", None, "Ulm"], floor=[np.nan, 1, 2])
    with pytest.warns(UserWarning, match="unknown categories"):
        proba = model.predict_proba(new)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-6)  # single precision


def test_polars():
    polars = pytest.importorskip("polars")
    X, y = flats(120)
    missing = X.astype(object).where(X.notna(), None)
    frame = polars.DataFrame({name: missing[name].to_list() for name in X})
    one, other = (
        tabular_pipeline(ConvexReLURegressorCV(**SMALL), weights=(0.25,)).fit(rows, y)
        for rows in (X, frame)
    )
    found, expected = other[:3].transform(frame), one[:3].transform(X)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert other.score(frame, y) > 0.9


def test_names_and_other_estimators():
    for name, Estimator in {
        "regressor": ConvexReLURegressorCV,
        "classifier": ConvexReLUClassifierCV,
    }.items():
        model = tabular_pipeline(name, n_jobs=2, random_state=3)
        assert isinstance(model[-1].estimator, Estimator)
        assert (model[-1].estimator.random_state, model[-1].estimator.n_jobs) == (3, 2)
    X, y = flats(150)
    gated = tabular_pipeline(GatedReLURegressor(patterns=10, alpha=0.01, random_state=0))
    gated.fit(X, y)
    assert gated[-1].best_params_["quantilesteps__weight"] in (0, 0.5)
    assert gated.score(X, y) > 0.6
    plain = tabular_pipeline(LogisticRegression(), weights=(0.5,)).fit(X, y > 8)
    assert plain[-2].weight == 0.5
    assert plain.predict_proba(X).shape == (150, 2)


def test_what_is_refused(monkeypatch):
    with pytest.raises(ValueError, match="'regressor', 'classifier' or an estimator"):
        tabular_pipeline("regression")
    with pytest.raises(TypeError, match="instance"):
        tabular_pipeline(DummyRegressor)
    for weights in (0.5, [], "all"):
        with pytest.raises(ValueError, match="one or several numbers in a list"):
            tabular_pipeline("regressor", weights=weights)
    monkeypatch.setitem(sys.modules, "skrub", None)
    with pytest.raises(ImportError, match=r"sklearn_convexnn\[tabular\]"):
        tabular_pipeline("regressor")
