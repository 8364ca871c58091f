"""Modules of PyTorch with the outputs of fitted networks: ``make test-torch``."""

import numpy as np
import pytest

from sklearn_convexnn.export import to_torch
from tests.exported import (
    CLASSIFIERS,
    CONTINUOUS,
    CONVOLUTIONS,
    GATED,
    THRESHOLD,
    assert_same,
    fitted,
    new_rows,
)

torch = pytest.importorskip("torch")

DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def outputs(name, dtype=np.float64):
    """The rows, and what the module makes of them."""
    X = new_rows(name, dtype)
    with torch.no_grad():
        return X, to_torch(fitted(name, dtype))(torch.from_numpy(X))


@DTYPES
@pytest.mark.parametrize("name", CONTINUOUS)
def test_outputs(name, dtype):
    model = fitted(name, dtype)
    X, Z = outputs(name, dtype)
    if hasattr(model, "classes_"):
        expected = model.decision_function(X) / getattr(model, "temperature_", 1.0)
    else:
        expected = model.predict(X)
    if name == "relu, poisson":
        expected = np.log(expected)
    assert Z.dtype == torch.from_numpy(X).dtype
    assert_same(Z.numpy(), expected.reshape(len(X), -1), dtype)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_probabilities(name):
    X, Z = outputs(name)
    expected = fitted(name).predict_proba(X)
    found = torch.sigmoid(Z) if Z.shape[1] == 1 else torch.softmax(Z, dim=1)
    assert_same(found.numpy(), expected[:, -Z.shape[1] :], np.float64)


def test_layers():
    module = to_torch(fitted("spline, deep"))
    kinds = [type(layer).__name__ for layer in module]
    assert kinds == ["Linear", "ReLU", "Linear", "ReLU", "Linear", "ReLU", "Linear"]
    kinds = [type(layer).__name__ for layer in to_torch(fitted("linear"))]
    assert kinds == ["Linear"] * 3
    kinds = [type(layer).__name__ for layer in to_torch(fitted("convolution"))]
    assert kinds == ["Patches", "Linear", "ReLU", "LargestOfCells", "Linear"]


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_in_a_file(name, tmp_path):
    """Places and cells are buffers of the module, which go where its weights go."""
    module, X = to_torch(fitted(name)), torch.from_numpy(new_rows(name))
    torch.save(module, tmp_path / "module.pt")
    copy = torch.load(tmp_path / "module.pt", weights_only=False)
    assert torch.equal(copy(X), module(X))


@pytest.mark.parametrize("name", GATED)
def test_gates_are_refused(name):
    with pytest.raises(ValueError, match=r"jumps at its gates.*to_onnx"):
        to_torch(fitted(name))


@pytest.mark.parametrize("name", THRESHOLD)
def test_thresholds_are_refused(name):
    with pytest.raises(TypeError, match=r"are 0 or 1.*to_onnx"):
        to_torch(fitted(name))


def test_random_numbers_are_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    to_torch(fitted("relu"))
    assert torch.equal(torch.rand(3), expected)


def test_weights_are_copies_and_can_be_trained():
    model = fitted("relu")
    before = [part.copy() for part in (*model.coefs_, *model.intercepts_)]
    module, X = to_torch(model), torch.from_numpy(new_rows("relu"))
    optimiser = torch.optim.SGD(module.parameters(), lr=1e-3)
    loss = module(X).square().mean()
    loss.backward()
    optimiser.step()
    assert module(X).square().mean() < loss
    for part, old in zip((*model.coefs_, *model.intercepts_), before, strict=True):
        np.testing.assert_array_equal(part, old)
