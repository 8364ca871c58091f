"""The estimators for rows on a line: scikit-learn's contract, and what they report."""

import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_convexnn import SplineReLUClassifier, SplineReLURegressor

ESTIMATORS = [SplineReLURegressor, SplineReLUClassifier]

# -------------------------------------------------------------------------- scikit-learn's contract

# The checks train on several features.  Their largest demand is a good fit on the training rows.
CHECKED = [
    SplineReLURegressor(alpha=1e-6, projection="pca"),
    SplineReLURegressor(alpha=0, n_layers=3, skip_connection=True, projection="pca"),
    SplineReLUClassifier(alpha=1e-4, projection="pca"),
    SplineReLUClassifier(alpha=1e-3, loss="hinge", n_layers=3, projection="pca"),
]


@parametrize_with_checks(CHECKED)
def test_sklearn_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", CHECKED, ids=repr)
@pytest.mark.parametrize(
    "check",
    [
        "check_param_validation",
        "check_inplace_ensure_writeable",
        "check_dataframe_column_names_consistency",
    ],
)
def test_sklearn_check_that_is_not_in_the_suite(estimator, check):
    if "column_names" in check:
        pytest.importorskip("pandas")
    getattr(estimator_checks, check)(type(estimator).__name__, clone(estimator))
