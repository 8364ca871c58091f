"""Fitted networks as fitted perceptrons of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import LabelBinarizer

from sklearn_convexnn.export._network import network_of, refuse_jumps


def to_mlp(model: Any) -> MLPClassifier | MLPRegressor:
    """Make a fitted perceptron of scikit-learn with the same predictions.

    Wherever an ``MLPRegressor`` or ``MLPClassifier`` goes, the network goes with it: converters to
    other languages, explanations, and with ``warm_start=True`` more training by its solvers.

    Parameters
    ----------
    model : estimator
        A fitted two-layer, parallel, spline, deep linear or deep ReLU network. Classifiers need
        probabilities.

    Returns
    -------
    MLPRegressor or MLPClassifier
        Fitted, with copies of the weights: equal ``predict`` and ``predict_proba``, up to rounding.
        Outputs of classifiers are divided by ``temperature_``, where there is one. A constant
        network has one neuron of zeros in each hidden layer, a spline with a skip connection two
        neurons more. ``loss_`` is ``objective_``, ``n_iter_`` is 0.

    Raises
    ------
    TypeError
        For threshold and convolutional networks, which have neurons that no perceptron has.
    ValueError
        If no perceptron has the same predictions: gated networks jump, losses without
        probabilities have scores only, splines of three classes or more have one-against-the-rest
        probabilities, and ``MLPRegressor`` returns no column for one output.

    See Also
    --------
    to_torch : The same as layers of PyTorch.
    to_onnx : The same as a graph, for runtimes without Python.

    Notes
    -----
    The perceptron's objective divides its weight decay by the number of rows and leaves biases
    free. To train further with the weight decay of the fit, set its ``alpha`` to ``n_samples *
    model.alpha_``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_convexnn import ConvexReLUClassifier
    >>> from sklearn_convexnn.export import to_mlp
    >>> X, y = load_iris(return_X_y=True)
    >>> model = ConvexReLUClassifier(random_state=0).fit(X, y)
    >>> mlp = to_mlp(model)
    >>> mlp.hidden_layer_sizes == (model.n_neurons_,)
    True
    >>> bool(np.allclose(mlp.predict_proba(X), model.predict_proba(X), rtol=1e-12))
    True
    """
    network = network_of(model)
    _check(model, network)
    mlp = _unfitted(network)
    mlp.n_features_in_ = model.n_features_in_
    if hasattr(model, "feature_names_in_"):
        mlp.feature_names_in_ = model.feature_names_in_
    if network.classes is not None:
        mlp.classes_ = network.classes.copy()
        mlp._label_binarizer = LabelBinarizer().fit(mlp.classes_)
        mlp._label_binarizer.classes_ = mlp.classes_  # strings stay of the type that they had
    mlp.coefs_, mlp.intercepts_ = network.weights, network.biases
    mlp.n_layers_ = len(network.weights) + 1
    mlp.n_outputs_ = len(network.biases[-1])
    mlp.out_activation_ = network.link
    mlp.loss_ = model.objective_
    vars(mlp).update(_BEFORE_THE_FIRST_STEP, loss_curve_=[])
    return mlp


# As MLPRegressor._initialize leaves them: what its solvers count from when they go on.
_BEFORE_THE_FIRST_STEP = {
    "n_iter_": 0,
    "t_": 0,
    "_no_improvement_count": 0,
    "best_loss_": np.inf,
    "validation_scores_": None,
    "best_validation_score_": None,
}


def _unfitted(network):
    """The perceptron of this shape; of its solvers, that for small problems."""
    settings = {
        "hidden_layer_sizes": network.widths,
        "activation": network.activation,
        "solver": "lbfgs",
    }
    if network.classes is not None:
        return MLPClassifier(**settings)
    return MLPRegressor("poisson" if network.link == "exp" else "squared_error", **settings)


def _check(model, network):
    refuse_jumps(model, network)
    name = type(model).__name__
    if network.convolution is not None:
        raise TypeError(
            f"The filters of {name} see the windows of a row and are pooled in cells, which no "
            "layer of a perceptron does: use to_onnx or to_torch."
        )
    if network.link == "scores":
        raise ValueError(
            f"This {name} estimates no probabilities, but MLPClassifier always does: use to_torch "
            "or to_onnx, which have scores, or a classifier with loss='log_loss'."
        )
    if network.link == "one_vs_rest":
        raise ValueError(
            f"The probabilities of {name} are those of one class against the rest, scaled to sum "
            f"1, which those of MLPClassifier for {len(network.classes)} classes are not: use "
            "to_onnx."
        )
    if not network.one_dimensional and len(network.biases[-1]) == 1:
        raise ValueError(
            "MLPRegressor predicts one output in one dimension, but this model in a column: fit "
            "it to y of shape (n_samples,)."
        )
