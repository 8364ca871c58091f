"""Forty fits whose results are recorded, so that a change of structure can be shown to change none.

    python -m tests.golden write results.json          # at one revision, then at the other
    python -m tests.golden compare before.json after.json

On one machine a change that only moves code leaves every digit.  Between processors the roundings
of the linear algebra differ, and with them where a local search ends: ``tests/golden.json`` is
compared with what each fit promises (:data:`PROMISES`), not with its digits.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
    make_friedman1,
)
from sklearn.preprocessing import StandardScaler

import sklearn_convexnn as cnn

RECORD = Path(__file__).with_name("golden.json")

# Relative distance of the objectives of one fit on two processors.  A default fit stops where a
# round gains less than one percent, a fit with a gap at that gap, a program at its tolerance.
# One that chooses alpha on held-out rows promises the alpha, to a step of the grid, which says what
# the objective is.
STEP = 4.0
PROMISES = {"default": 0.06, "gap 1e-2": 1e-2, "gap 5e-3": 5e-3, "gap 1e-5": 1e-5, "convex": 2e-6}


class Fit(NamedTuple):
    """An estimator, the name of its data, and what its objective promises."""

    estimator: BaseEstimator
    data: str
    promise: str


def data_sets():
    """``(X, y)`` by name."""
    scaled = {}
    for name, load in {
        "breast_cancer": load_breast_cancer,
        "diabetes": load_diabetes,
        "iris": load_iris,
        "wine": load_wine,
        "digits": load_digits,
    }.items():
        X, y = load(return_X_y=True)
        scaled[name] = StandardScaler().fit_transform(X), y
    X, y = make_friedman1(400, noise=1.0, random_state=0)
    X = StandardScaler().fit_transform(X)
    scaled["friedman1"] = X, y
    scaled["two_outputs"] = X[:200], np.column_stack([y[:200], X[:200, 0] ** 2])
    rng = np.random.default_rng(0)
    for name, n, d in (("plane", 60, 2), ("space", 40, 3)):
        X = rng.standard_normal((n, d))
        y = np.abs(X[:, 0]) - np.maximum(X[:, 1], 0) + 0.1 * rng.standard_normal(n)
        scaled[name] = X, y
    x = rng.standard_normal(200)
    scaled["line"] = x[:, None], np.sin(2 * x) + 0.1 * rng.standard_normal(200)
    scaled["line_classes"] = x[:, None], (np.sin(2 * x) > 0).astype(int)
    return scaled


def golden_fits():
    """The fits by name."""
    R, C = cnn.ConvexReLURegressor, cnn.ConvexReLUClassifier
    models = {
        "breast_cancer": C,
        "diabetes": R,
        "iris": C,
        "wine": C,
        "digits": C,
        "friedman1": R,
        "plane": R,
        "space": R,
        "two_outputs": R,
    }
    fits = {}
    for data, Model in models.items():
        fits[f"{data}, default"] = Fit(Model("scale"), data, "default")
        without = Model("scale", fit_intercept=False, random_state=1)
        fits[f"{data}, no intercept"] = Fit(without, data, "default")
    for data, alpha in {
        "friedman1": 0.02,
        "diabetes": 1.0,
        "space": 0.01,
        "plane": 0.01,
        "breast_cancer": 5e-3,
        "iris": 1e-2,
        "two_outputs": 0.1,
    }.items():
        fits[f"{data}, gap"] = Fit(models[data](alpha=alpha, gap_tol=1e-2), data, "gap 1e-2")
    closed = C(alpha=1e-3, gap_tol=5e-3, fit_intercept=False)
    fits["breast_cancer, small gap"] = Fit(closed, "breast_cancer", "gap 5e-3")
    fits["space, tiny gap"] = Fit(R(alpha=0.01, gap_tol=1e-5), "space", "gap 1e-5")
    fits["friedman1, five neurons"] = Fit(R("scale", max_neurons=5), "friedman1", "default")
    fits["friedman1, auto"] = Fit(R(), "friedman1", "alpha")
    fits["wine, auto"] = Fit(C(), "wine", "alpha")
    program = {"refinement": None}
    fits["space, all patterns"] = Fit(R(alpha=0.01, patterns="exact", **program), "space", "convex")
    sampled = C(alpha=5e-3, patterns=50, **program)
    fits["breast_cancer, patterns"] = Fit(sampled, "breast_cancer", "convex")
    fits["friedman1, gated"] = Fit(
        cnn.GatedReLURegressor("scale", patterns=100), "friedman1", "convex"
    )
    gated = cnn.GatedReLUClassifier(patterns=50, alpha=1e-2)
    fits["iris, gated"] = Fit(gated, "iris", "convex")
    nuclear = cnn.GatedReLURegressor(patterns=20, alpha=0.1, penalty="nuclear")
    fits["two_outputs, nuclear"] = Fit(nuclear, "two_outputs", "convex")
    fits["friedman1, CV"] = Fit(cnn.ConvexReLURegressorCV(alphas=6), "friedman1", "default")
    fits["wine, CV"] = Fit(cnn.ConvexReLUClassifierCV(alphas=6), "wine", "default")
    for n_layers in (2, 3, 4):
        spline = cnn.SplineReLURegressor(n_layers=n_layers)
        fits[f"line, {n_layers} layers"] = Fit(spline, "line", "convex")
    fits["line_classes"] = Fit(cnn.SplineReLUClassifier(), "line_classes", "convex")
    fits["friedman1, deep linear"] = Fit(
        cnn.DeepLinearRegressor(alpha="scale"), "friedman1", "convex"
    )
    three = cnn.DeepLinearRegressor(n_layers=3, alpha="scale")
    fits["two_outputs, deep linear"] = Fit(three, "two_outputs", "convex")
    fits["iris, deep linear"] = Fit(cnn.DeepLinearClassifier(alpha="scale"), "iris", "convex")
    batch_norm = cnn.DeepReLUClassifier(batch_norm=True)
    fits["iris, batch norm"] = Fit(batch_norm, "iris", "convex")
    return fits


def result(fit, data):
    """What is recorded of a fit."""
    X, y = data[fit.data]
    model = fit.estimator
    if "random_state" in model.get_params() and model.random_state is None:
        model.set_params(random_state=0)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    seconds = time.process_time() - start
    record = {"objective": float(model.objective_), "dual_gap": float(model.dual_gap_)}
    record["certificate"] = model.certificate_
    if fit.promise == "alpha":
        record["alpha"] = float(model.alpha_)
    if isinstance(getattr(model, "n_neurons_", None), int):
        record["n_neurons"] = model.n_neurons_
    return record | {"seconds": round(seconds, 3)}


def write(path):
    data = data_sets()
    results = {name: result(fit, data) for name, fit in golden_fits().items()}
    Path(path).write_text(json.dumps(results, indent=1) + "\n")


def compare(before, after):
    """Print every difference but those of times, and the ratio of the times."""
    before, after = (json.loads(Path(path).read_text()) for path in (before, after))
    n_different = 0
    for name in before | after:
        old, new = (dict(results.get(name, {})) for results in (before, after))
        old.pop("seconds", None), new.pop("seconds", None)
        if old != new:
            n_different += 1
            print(f"{name}:\n  {old}\n  {new}")
    totals = [sum(record["seconds"] for record in results.values()) for results in (before, after)]
    print(f"{len(before)} fits, {n_different} differ; CPU seconds {totals[0]:.1f}, {totals[1]:.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("write")
    verb.add_argument("path")
    verb.set_defaults(run=lambda args: write(args.path))
    verb = verbs.add_parser("compare")
    verb.add_argument("before")
    verb.add_argument("after")
    verb.set_defaults(run=lambda args: compare(args.before, args.after))
    arguments = parser.parse_args()
    arguments.run(arguments)
