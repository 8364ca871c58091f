"""One temperature for the outputs of a classifier."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from sklearn_convexnn.core.fit.temperature import (
    fit_temperature,
    temperature_of_all_rows,
    tempered_losses,
)


def drawn_from(Z, T, rng):
    """Indicators of labels drawn with the probabilities of ``Z / T``."""
    if Z.shape[1] == 1:
        return (rng.random(Z.shape) < 1.0 / (1.0 + np.exp(-Z / T))).astype(float)
    noisy = Z / T + rng.gumbel(size=Z.shape)
    return np.eye(Z.shape[1])[noisy.argmax(axis=1)]


@pytest.mark.parametrize("n_outputs", [1, 4])
@pytest.mark.parametrize("T", [0.4, 1.0, 5.0])
def test_the_temperature_of_drawn_labels_is_found(n_outputs, T):
    rng = np.random.default_rng(0)
    Z = 4 * rng.normal(size=(40_000, n_outputs))
    found = fit_temperature(drawn_from(Z, T, rng), Z, np.ones(len(Z)))
    assert found == pytest.approx(T, rel=0.05)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_no_temperature_has_a_lower_loss(n_outputs):
    rng = np.random.default_rng(1)
    Z = rng.normal(size=(5000, n_outputs))
    Y, weights = drawn_from(Z, 2.0, rng), rng.random(5000)
    weights /= weights.sum()
    found = fit_temperature(Y, Z, weights)
    best = minimize_scalar(
        lambda log: weights @ tempered_losses(Y, Z, np.exp(log)), bounds=(-3, 3), method="bounded"
    )
    assert weights @ tempered_losses(Y, Z, found) <= best.fun + 1e-6


def test_weights_are_repetitions_of_rows_in_any_units():
    rng = np.random.default_rng(2)
    Z = rng.normal(size=(50, 1))
    Y, weights = drawn_from(Z, 1.0, rng), rng.random(50)
    once = fit_temperature(Y, Z, weights)
    assert fit_temperature(Y, Z, 7 * weights) == pytest.approx(once, rel=1e-9)
    assert fit_temperature(Y, 10 * Z, weights) == pytest.approx(10 * once, rel=1e-4)


def test_separated_rows_do_not_ask_for_certainty():
    Z = np.linspace(-1, 1, 40)[:, None]
    Y = (Z > 0).astype(float)
    temperatures = [
        fit_temperature(np.tile(Y, (k, 1)), np.tile(Z, (k, 1)), np.ones(40 * k)) for k in (1, 100)
    ]
    assert 0.0 < temperatures[1] < temperatures[0] < 1.0


def test_outputs_that_say_nothing_leave_probabilities_even():
    Y = np.array([[1.0], [0.0]])
    assert fit_temperature(Y, np.zeros((2, 1)), np.ones(2)) == 1.0
    wrong = fit_temperature(Y, np.array([[-1.0], [1.0]]), np.ones(2))
    assert wrong > 1000


def test_networks_of_more_rows_are_less_too_sure():
    assert temperature_of_all_rows(3.0, 0.8) == pytest.approx(2.6)
    assert temperature_of_all_rows(3.0, 1.0) == pytest.approx(3.0)
    # What weight decay holds back stays held back.
    assert temperature_of_all_rows(0.5, 0.8) == 0.5
