"""Where arrays of other libraries are, for tests that need no GPU."""

from __future__ import annotations

from importlib.util import find_spec

import array_api_strict
import numpy as np
import pytest

from sklearn_convexnn.core.problem.engines.array_api import ArrayEngine, Place, PlacedRows

HAS_TORCH = find_spec("torch") is not None
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="PyTorch is too large to ask of everybody")


def strict_place(device):
    """Of array-api-strict: "CPU_DEVICE", or "device1", which NumPy cannot read."""
    xp = array_api_strict

    def to_numpy(array):
        return np.asarray(xp.asarray(array, device=xp.Device("CPU_DEVICE")))

    return Place(xp, xp.Device(device), to_numpy)


def torch_place():
    import torch
    from sklearn.externals.array_api_compat import torch as xp

    return Place(xp, torch.device("cpu"), lambda array: array.numpy())


PLACES = {
    "strict": pytest.param(lambda: strict_place("CPU_DEVICE")),
    "another device": pytest.param(lambda: strict_place("device1")),
    "torch": pytest.param(torch_place, marks=needs_torch),
}
each_place = pytest.mark.parametrize("make_place", PLACES.values(), ids=PLACES)


def engine_at(make_place, **settings):
    """A function that makes the engine of NumPy arrays there."""

    def make(X, Y, weights):
        place = make_place()
        return ArrayEngine(PlacedRows(place.put(X), place), Y, weights, **settings)

    return make
