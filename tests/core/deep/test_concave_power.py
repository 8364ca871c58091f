"""Convex curves plus concave powers: the bound is proven and, for one output, tight."""

import numpy as np
import pytest

from sklearn_convexnn.core.deep.concave_power import Node, lower_bound, minimise_ridge_curve


def scalar_problem(seed, d=6, condition=1e4):
    rng = np.random.default_rng(seed)
    s = np.geomspace(1.0, 1.0 / condition, d)
    return s, s * rng.standard_normal(d)


def by_brute_force(s, m, alpha, n_layers):
    """All stationary points are on the curve of ridge solutions: a fine grid of it."""
    w = m / (s + np.geomspace(1e-9, 1e6, 200_001)[:, None])
    r = np.linalg.norm(w, axis=1)
    loss = 0.5 * np.sum(s * (w - m / s) ** 2, axis=1)
    return min(0.5 * np.sum(m**2 / s), np.min(loss + alpha * n_layers / 2 * r ** (2 / n_layers)))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_layers", [2, 3, 5])
@pytest.mark.parametrize("fraction", [0.5, 0.05, 1e-3])
def test_one_output_is_solved_with_proof(seed, n_layers, fraction):
    s, m = scalar_problem(seed)
    energy, alpha = 0.5 * np.sum(m**2 / s), fraction * np.linalg.norm(m)
    best, bound = minimise_ridge_curve(s, m, 0.0, energy, alpha, n_layers)
    value = best.loss + alpha * n_layers / 2 * best.r ** (2 / n_layers)
    expected = by_brute_force(s, m, alpha, n_layers)
    assert value == pytest.approx(expected, rel=1e-7)
    assert value <= expected * (1 + 1e-12)
    assert bound <= value
    assert bound >= value * (1 - 1e-10)
    if best.r > 0:  # stationary to the last digits
        assert best.mu == pytest.approx(alpha * best.r ** (2 / n_layers - 1), rel=1e-11)


def test_the_bound_holds_for_any_lines():
    # D(r) = (1 - r)^2 / 2, tangents at some points, and the power of four layers.
    nodes = [Node(1 - r, r, 0.5 * (1 - r) ** 2, 0.5 * (1 - r) ** 2 + (1 - r) * r) for r in (0, 0.3)]
    nodes.append(Node(0.0, 1.0, 0.0, 0.0))
    r = np.linspace(0, 1.5, 10_001)
    for alpha in (0.01, 0.1, 1.0):
        value = np.min(0.5 * np.maximum(1 - r, 0) ** 2 + alpha * 2 * np.sqrt(r))
        assert lower_bound(nodes, alpha, 4)[0] <= value
        # A bound on the largest singular value can only help.
        assert lower_bound(nodes, alpha, 4, largest=0.5)[0] >= lower_bound(nodes, alpha, 4)[0]
