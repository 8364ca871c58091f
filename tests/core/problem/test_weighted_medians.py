"""Medians from sums of weights: those of sorted numbers, to the last bit."""

import numpy as np
import pytest

from sklearn_convexnn.core.problem.engines.in_memory import NumpyEngine
from sklearn_convexnn.core.problem.losses.huber import Huber, weighted_median
from sklearn_convexnn.core.problem.row_state import RowState
from sklearn_convexnn.core.problem.weighted_medians import (
    ordered,
    weighted_medians,
    weights_up_to,
)


def test_integers_are_in_the_order_of_the_numbers():
    values = np.array([-np.inf, -1e300, -2.0, -5e-324, -0.0, 0.0, 1e-310, 1.0, np.inf])
    integers = ordered(values)
    assert np.array_equal(np.sort(integers), integers)
    assert integers[4] == integers[5]
    assert len(set(integers.tolist())) == len(values) - 1


@pytest.mark.parametrize("n", [1, 2, 7, 100])
@pytest.mark.parametrize("even", [True, False])
def test_medians_are_those_of_sorted_numbers(n, even):
    rng = np.random.default_rng(n)
    columns = rng.standard_normal(n), rng.integers(-3, 3, n), 1e5 * rng.standard_cauchy(n)
    Y, passes = np.column_stack([*columns, np.zeros(n)]), []
    weights = np.ones(n) if even else rng.integers(1, 4, n) / 7

    def weights_of(limits):
        passes.append(limits)
        parts = np.arange(n) % 2 == 0
        return sum(weights_up_to(Y[part], weights[part], limits) for part in (parts, ~parts))

    found = weighted_medians(weights_of, weights.sum(), Y.shape[1])
    np.testing.assert_array_equal(found, weighted_median(Y, weights))
    assert len(passes) == 22


class Elsewhere(NumpyEngine):
    """Rows that no shift of outputs may be computed from but by sums."""

    in_memory = False

    def targets(self):
        raise AssertionError("targets came here")


@pytest.mark.parametrize("far", [0.0, 1e4])
def test_best_shifts_by_sums(far):
    """With all residuals beyond the threshold Newton's method has no curvature to go by."""
    rng = np.random.default_rng(0)
    Y, weights = rng.standard_normal((50, 2)), np.full(50, 0.02)
    Z = 0.1 * rng.standard_normal((50, 2)) + np.array([far, -2 * far])
    loss = Huber(np.array([0.3, 1.0]))
    found = RowState(Elsewhere(None, Y, weights), loss, Z).best_shift()
    np.testing.assert_allclose(found, loss.shift(Y, Z, weights), rtol=1e-9, atol=1e-9)
