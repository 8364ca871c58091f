"""Fits the cases of compare.py with the package of the tree that the command line names.

Reads names of cases from standard input, one a line, and writes a line of JSON for each: CPU
seconds, objective and number of neurons, or null where the tree does not know the case.
"""

import common as C  # first: sets the number of threads

# isort: split
import json
import sys
import time
import warnings
from functools import cache

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, make_friedman1
from sklearn.preprocessing import StandardScaler

# name -> estimator, its parameters, and the problem.
CASES = {
    "fits: default, diabetes": ("ConvexReLURegressor", {}, "diabetes"),
    "fits: default, friedman1": ("ConvexReLURegressor", {}, "friedman1"),
    "fits: default, breast_cancer": ("ConvexReLUClassifier", {}, "breast_cancer"),
    "fits: default, digits": ("ConvexReLUClassifier", {}, "digits"),
    "fits: given alpha, many rows": ("ConvexReLURegressor", {"alpha": 1e-2}, "many rows"),
    "fits: given alpha, float32": ("ConvexReLURegressor", {"alpha": 1e-2}, "float32"),
    "fits: huber": ("ConvexReLURegressor", {"alpha": 0.03, "loss": "huber"}, "friedman1"),
    "fits: squared hinge": (
        "ConvexReLUClassifier",
        {"alpha": 3e-3, "loss": "squared_hinge"},
        "breast_cancer",
    ),
    "fits: gap_tol, diabetes": (
        "ConvexReLURegressor",
        {"alpha": 3.0, "gap_tol": 1e-3, "max_iter": 100},
        "diabetes",
    ),
    "CV: diabetes": ("ConvexReLURegressorCV", {"cv": 3}, "diabetes"),
    "programs: gated": ("GatedReLUClassifier", {"patterns": 100}, "breast_cancer"),
    "programs: given patterns": (
        "ConvexReLURegressor",
        {"alpha": 3.0, "refinement": None, "patterns": 50},
        "diabetes",
    ),
    "closed: spline": ("SplineReLURegressor", {"alpha": 1e-3}, "curve"),
    "closed: deep linear": ("DeepLinearRegressor", {"n_layers": 3}, "several outputs"),
    "closed: deep ReLU": ("DeepReLUClassifier", {"batch_norm": True}, "digits"),
}


@cache
def problem(name):
    """Rows and targets."""
    if name == "curve":
        x = np.linspace(-1, 1, 20_000)[:, None]
        return x, np.sin(5 * x[:, 0]) + 0.1 * np.random.default_rng(0).standard_normal(len(x))
    if name in ("many rows", "float32"):
        X, y = C.teacher_problem(n=20_000, d=20)
        X = X * np.sqrt(len(X))
        return (X.astype(np.float32), y.astype(np.float32)) if name == "float32" else (X, y)
    if name == "friedman1":
        X, y = make_friedman1(1000, noise=1.0, random_state=0)
    elif name == "several outputs":
        X, y = load_digits(return_X_y=True)
        y = np.eye(10)[y]
    else:
        load = {
            "diabetes": load_diabetes,
            "breast_cancer": load_breast_cancer,
            "digits": load_digits,
        }
        X, y = load[name](return_X_y=True)
    return StandardScaler().fit_transform(X), y


def fit(case):
    """One fit of a case, or None."""
    import sklearn_convexnn

    name, parameters, data = CASES[case]
    Estimator = getattr(sklearn_convexnn, name, None)
    if Estimator is None:
        return None
    model, (X, y) = Estimator(**parameters), problem(data)
    if "random_state" in model.get_params():
        model.set_params(random_state=0)
    begun = time.process_time()
    model.fit(X, y)
    return {
        "seconds": time.process_time() - begun,
        "objective": float(model.objective_),
        "neurons": int(getattr(model, "n_neurons_", 0)),
    }


def main():
    sys.path.insert(0, sys.argv[1])  # before the tree of this script
    import sklearn_convexnn

    assert sklearn_convexnn.__file__.startswith(sys.argv[1]), sklearn_convexnn.__file__
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        print(json.dumps(fit(line.strip())), flush=True)


if __name__ == "__main__":
    main()
