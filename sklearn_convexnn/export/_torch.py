"""Fitted networks as layers of PyTorch."""

from __future__ import annotations

from typing import Any

from sklearn_convexnn._optional import optional
from sklearn_convexnn.export._network import network_of, refuse_jumps


def to_torch(model: Any) -> Any:
    """Make the layers of the network a module of PyTorch.

    Parameters
    ----------
    model : estimator
        A fitted two-layer, parallel, convolutional, spline, deep linear or deep ReLU network.

    Returns
    -------
    torch.nn.Sequential
        ``Linear``, ``ReLU``, ..., ``Linear`` on the CPU, with copies of the weights in their
        precision; linear networks are without ``ReLU``. Outputs are those of the network, of shape
        (n_samples, n_outputs): predictions of regressors (for the Poisson loss their logarithms)
        and scores of classifiers, divided by ``temperature_``, where there is one, so that
        ``softmax`` makes probabilities of them, and ``sigmoid`` for two classes. A constant network
        has one neuron of zeros in each hidden layer, a spline with a skip connection two neurons
        more. Of convolutions ``Linear`` are the filters, between two layers that gather the patches
        of flat rows and pool activations: files of such modules need this package.

    Raises
    ------
    ImportError
        Without PyTorch: ``pip install "sklearn_convexnn[torch]"``.
    TypeError
        For threshold networks, whose hidden neurons are no layer of PyTorch.
    ValueError
        For gated networks, which jump.

    See Also
    --------
    to_mlp : The same as a perceptron of scikit-learn.
    to_onnx : The same as a graph, with labels and probabilities.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_convexnn import ConvexReLURegressor
    >>> from sklearn_convexnn.export import to_torch
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = ConvexReLURegressor(alpha=1.0, random_state=0).fit(X, y)
    >>> [type(layer).__name__ for layer in to_torch(model)]
    ['Linear', 'ReLU', 'Linear']
    """
    torch = optional("torch", caller="to_torch", extra="torch")
    network = network_of(model)
    refuse_jumps(model, network)
    before, after = ([], []) if network.convolution is None else _pooled(network)
    modules = [*before, _linear(torch, *network.layers[0])]
    for W, b in network.layers[1:]:
        if network.activation == "relu":
            modules.append(torch.nn.ReLU())
        modules += [*after, _linear(torch, W, b)]
    return torch.nn.Sequential(*modules)


def _pooled(network):
    """What is before the filters, and what behind their activations."""
    from sklearn_convexnn.export import _torch_layers as layers

    neurons = network.convolution
    if neurons.pooling == "max":
        pooling = layers.LargestOfCells(neurons.windows.positions)
    else:
        pooling = layers.MeansOfCells(neurons.pool.astype(network.weights[0].dtype))
    return [layers.Patches(neurons.places)], [pooling]


def _linear(torch, W, b):
    weight, bias = torch.from_numpy(W.T.copy()), torch.from_numpy(b)
    # Without drawing weights first, which would move the user's random numbers on.
    layer = torch.nn.utils.skip_init(torch.nn.Linear, *W.shape, dtype=weight.dtype)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return layer
