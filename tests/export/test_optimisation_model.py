"""The documented example: a network as constraints, with a proven optimum."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "optimisation_model.py"


def test_the_best_mixture_is_the_best():
    pytest.importorskip("pyscipopt_ml")
    spec = importlib.util.spec_from_file_location("optimisation_model", EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    network = example.small_network()
    assert network.n_neurons_ <= 30
    mixture, value = example.best_mixture(network, budget=2.0)
    assert mixture.sum() <= 2.0 + 1e-6
    assert mixture.min() >= -1e-9
    assert mixture.max() <= 1 + 1e-9
    # SCIP's feasibility tolerance is 1e-6.
    assert network.predict(mixture[None, :])[0] == pytest.approx(value, rel=1e-4)
    others = np.random.default_rng(0).uniform(size=(5000, 5))
    others *= np.minimum(1.0, 2.0 / others.sum(axis=1))[:, None]
    assert network.predict(others).max() <= value * (1 + 1e-6)
