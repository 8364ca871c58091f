"""The units of a slide: a change of variables, and what they make of its curvatures."""

from __future__ import annotations

import numpy as np
import pytest

from sklearn_convexnn.core.column_generation.slide_units import SlideUnits
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.metric import Metric
from sklearn_convexnn.core.problem.rows import Rows

ALPHA = 1e-5


def draw(n_outputs, size=1.0):
    """Rows with labels, and balanced factors of neurons of which half are nearly the others."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 5))
    Y = rng.dirichlet(np.ones(3), size=200) if n_outputs == 3 else rng.random((200, 1))
    loss = get_loss("log_loss", n_outputs)
    rows = Rows.of(X, Y, rng.dirichlet(np.ones(200)), loss, intercept=True)
    U = rng.standard_normal((4, 6))
    U = size * np.concatenate([U, U + 0.01 * rng.standard_normal(U.shape)])
    C = size * rng.standard_normal((8, n_outputs))
    return rows, U, C, rng.standard_normal(n_outputs)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_units_change_variables(n_outputs):
    """There and back; gradients are those of the same function in the other variables."""
    rows, U, C, b0 = draw(n_outputs)
    units = SlideUnits(rows, Metric.of(rows), U, C, b0, ALPHA)
    unknowns = units.unknowns(U, C, b0)
    for found, expected in zip(units.factors(*unknowns), (U, C, b0), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    rng = np.random.default_rng(1)
    slopes = [rng.standard_normal(part.shape) for part in (U, C, b0)]
    steps = [rng.standard_normal(part.shape) for part in unknowns]
    moved = units.factors(*steps)  # linear
    along = sum(np.vdot(slope, step) for slope, step in zip(slopes, moved, strict=True))
    gradients = units.gradients(*slopes)
    found = sum(np.vdot(slope, step) for slope, step in zip(gradients, steps, strict=True))
    assert found == pytest.approx(along, rel=1e-10)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_curvatures_become_even(n_outputs):
    """Second differences of output weights along the axes differ by far less in the units."""
    rows, U, C, b0 = draw(n_outputs)
    units = SlideUnits(rows, Metric.of(rows), U, C, b0, ALPHA)

    def spread(steps):
        bends = []
        for step in steps:
            h = 1e-3 / np.linalg.norm(step)
            after, now, before = (
                rows.loss_and_gradients(U, C + k * h * step, b0)[0] for k in (1, 0, -1)
            )
            bends.append((after + before - 2 * now) / h**2 + ALPHA * np.vdot(step, step))
        return max(bends) / min(bends)

    # Along the axes of the activations of the neurons, one output at a time.
    axes = [np.outer(axis, np.eye(n_outputs)[0]) for axis in units.of_C.T]
    zero = np.zeros_like(U), np.zeros_like(b0)
    even = [units.factors(zero[0], (units.of_C.T @ axis), zero[1])[1] for axis in axes]
    assert spread(even) < 0.05 * spread(axes)


def test_factors_are_those_of_the_second_derivatives():
    """Moments of rows, activations and slopes, by hand."""
    rows, U, C, b0 = draw(3)
    outputs, of_rows, of_activations, of_slopes = rows.curvature_factors(U, C, b0)
    A = np.column_stack([rows.X, np.ones(200)])
    H = A @ U.T
    Z = np.maximum(H, 0) @ C + b0
    bends = rows.weights[:, None] * rows.loss.majorant(rows.Y, Z)
    np.testing.assert_allclose(outputs, bends.sum(axis=0))
    np.testing.assert_allclose(of_rows, (A * bends.sum(axis=1, keepdims=True)).T @ A, atol=1e-12)
    for found, V in ((of_activations, np.maximum(H, 0)), (of_slopes, (H > 0).astype(float))):
        np.testing.assert_allclose(found, (V * rows.weights[:, None]).T @ V, atol=1e-12)
