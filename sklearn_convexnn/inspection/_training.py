"""The training data of a fitted estimator as its optimality conditions see them."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.utils import check_array

from sklearn_convexnn._losses import data_loss, trait
from sklearn_convexnn._two_layer import BaseTwoLayer
from sklearn_convexnn._validation import check_weights
from sklearn_convexnn.core.problem.rows import Rows

# How the bias of a neuron enters the penalty.
BIASES = ("decayed", "free", "none")


def bias_of(estimator, layers):
    """How the bias of the neurons of a fitted estimator was penalised."""
    if isinstance(estimator, BaseTwoLayer):
        return "decayed" if estimator.fit_intercept else "none"
    return "free" if layers.bias.any() else "none"


def check_rows(X, n_features):
    """Rows in double precision, dense or CSR, with the right number of columns."""
    X = check_array(X, accept_sparse="csr", dtype=np.float64)
    if X.shape[1] != n_features:
        raise ValueError(f"X has {X.shape[1]} features; the network was fitted to {n_features}.")
    return X


def with_constant(X, constant=1.0):
    """Rows with a constant column appended."""
    column = np.full((X.shape[0], 1), constant)
    if sparse.issparse(X):
        return sparse.csr_array(sparse.hstack([X, column]))
    return np.hstack([X, column])


def training_rows(estimator, layers, X, y, sample_weight):
    """Rows, targets, weights and loss of the training problem of a convex estimator."""
    if not isinstance(estimator, BaseTwoLayer):
        raise ValueError(
            f"{type(estimator).__name__} was not trained on a program with this dual variable: "
            "y is used for the convex estimators of this package only."
        )
    if not trait(estimator, "smooth"):
        raise ValueError(
            f"The dual variable of loss={estimator.loss!r} does not follow from its network: "
            "inspect a network trained with loss='squared_hinge' or 'log_loss'."
        )
    y = check_array(y, ensure_2d=False, dtype=None, ensure_all_finite=False)
    if len(y) != X.shape[0]:
        raise ValueError(f"X has {X.shape[0]} rows and y has {len(y)}.")
    y = estimator._check_targets(y)
    weights = estimator._class_weighted(y, check_weights(sample_weight, X))
    targets = estimator._encode_targets(y, weights)
    if targets.classes is not None and not np.array_equal(targets.classes, estimator.classes_):
        raise ValueError("y has other classes than the data of the fit.")
    Y = np.asarray(targets.columns, dtype=float)
    if Y.shape[1] != len(layers.b0):
        raise ValueError(f"y has {Y.shape[1]} columns; the network has {len(layers.b0)} outputs.")
    return Rows.of(
        X,
        Y,
        weights / weights.sum(),
        data_loss(estimator, Y.shape[1]),
        intercept=estimator.fit_intercept,
    )


def dual_variable(estimator, layers, X, y, sample_weight):
    """``R_i = -w_i * gradient of the loss`` at the outputs of a convex estimator, (n, K)."""
    rows = training_rows(estimator, layers, X, y, sample_weight)
    return rows.at(layers.outputs(X)).residual
