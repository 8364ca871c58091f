"""Three linear layers and more: stationary points as good as any search, bounds that are proven."""

import itertools

import numpy as np
import pytest

from sklearn_convexnn.core.deep import schatten_norm
from sklearn_convexnn.core.deep.schatten_norm import solve_spectral
from sklearn_convexnn.core.deep.singular_values import power_penalty, shrink
from sklearn_convexnn.core.deep.spectral_rows import Quadratic
from tests.linear_problems import best_network, linear_data, quadratic_of

CASES = {
    "square": {"n": 20, "d": 4, "K": 4, "seed": 2},
    "tall": {"n": 40, "d": 5, "K": 3, "condition": 1e3, "seed": 5},
    "wide": {"n": 6, "d": 9, "K": 3, "seed": 4},
    "one output": {"n": 20, "d": 5, "K": 1, "seed": 1},
}


def searched(quadratic, alpha, n_layers, starts):
    r, k = quadratic.M.shape
    m = min(r, k)
    shapes = [(r, m), *[(m, m)] * (n_layers - 2), (m, k)]

    def loss(B):
        return quadratic.value(B), quadratic.gradient(B)

    return best_network(loss, shapes, alpha, starts=starts)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("n_layers, fraction", [(3, 0.3), (3, 0.05), (4, 0.02), (6, 0.005)])
def test_no_search_over_the_layers_finds_better(name, n_layers, fraction):
    quadratic = quadratic_of(*linear_data(**CASES[name]))
    alpha = fraction * np.linalg.norm(quadratic.M, 2)
    point = solve_spectral(quadratic, alpha, n_layers, tol=1e-10)
    best = searched(quadratic, alpha, n_layers, starts=6)
    assert point.primal <= best * (1 + 1e-9)
    assert point.dual <= min(point.primal, best) * (1 + 1e-12)
    # The value is that of the point.
    B = (point.P * point.sizes) @ point.Q.T
    value = quadratic.value(B) + alpha * power_penalty(point.sizes, n_layers)
    assert value == pytest.approx(point.primal, rel=1e-12)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("n_layers", [3, 5])
def test_the_point_is_stationary(name, n_layers):
    quadratic = quadratic_of(*linear_data(**CASES[name]))
    alpha = 0.02 * np.linalg.norm(quadratic.M, 2)
    point = solve_spectral(quadratic, alpha, n_layers, tol=1e-10)
    assert len(point.sizes) > 0
    G = -quadratic.gradient((point.P * point.sizes) @ point.Q.T)
    expected = np.diag(alpha * point.sizes ** (2 / n_layers - 1))
    np.testing.assert_allclose(point.P.T @ G @ point.Q, expected, atol=1e-7 * expected.max())


@pytest.mark.parametrize("n_layers", [2, 3, 4])
@pytest.mark.parametrize("alpha", [0.01, 0.3, 1.0])
@pytest.mark.parametrize("max_rank", [None, 1, 2])
def test_whitened_rows_are_solved_with_proof(n_layers, alpha, max_rank):
    M = np.random.default_rng(0).standard_normal((6, 4))
    quadratic = Quadratic(np.full(6, 0.5), M, energy=50.0)
    point = solve_spectral(quadratic, alpha, n_layers, tol=1e-10, max_rank=max_rank)
    assert point.relative_gap <= 1e-12
    sizes = shrink(np.linalg.svd(M, compute_uv=False) / 0.5, alpha / 0.5, n_layers)[:max_rank]
    np.testing.assert_allclose(np.sort(point.sizes)[::-1], sizes[sizes > 0], rtol=1e-6)


@pytest.mark.parametrize("name", ["tall", "wide"])
def test_a_solution_of_rank_one_is_proven_by_the_nuclear_norm(name):
    """Strong duality holds for rank one, whatever the curvature."""
    quadratic = quadratic_of(*linear_data(**CASES[name]))
    P, t, Qt = np.linalg.svd(quadratic.M, full_matrices=False)
    one = Quadratic(quadratic.s, t[0] * np.outer(P[:, 0], Qt[0]), quadratic.energy)
    point = solve_spectral(one, 0.02 * t[0], 3, tol=1e-10)
    assert len(point.sizes) == 1
    # The rank-one target in two columns, solved as a matrix and as one output.
    single = Quadratic(quadratic.s, t[0] * P[:, :1], quadratic.energy)
    scalar = solve_spectral(single, 0.02 * t[0], 3, tol=1e-10)
    assert point.primal == pytest.approx(scalar.primal, rel=1e-9)
    assert point.relative_gap <= 1e-5
    assert scalar.relative_gap <= 1e-11


def test_fewer_neurons_than_the_rank():
    quadratic = quadratic_of(*linear_data(**CASES["square"]))
    alpha = 0.02 * np.linalg.norm(quadratic.M, 2)
    values = [solve_spectral(quadratic, alpha, 2, tol=1e-9, max_rank=r) for r in (1, 2, 3, 4)]
    assert all(a.primal >= b.primal - 1e-12 for a, b in itertools.pairwise(values))
    assert all(point.dual <= point.primal for point in values)
    assert [len(point.sizes) for point in values] == [1, 2, 3, 4]


def test_the_jump_to_zero():
    quadratic = quadratic_of(*linear_data(**CASES["one output"]))
    largest = np.linalg.norm(quadratic.M)
    ranks = [
        len(solve_spectral(quadratic, f * largest, 4, tol=1e-9).sizes)
        for f in np.geomspace(1e-2, 1, 15)
    ]
    assert ranks == sorted(ranks, reverse=True)
    assert (ranks[0], ranks[-1]) == (1, 0)


def test_starts_of_some_ranks_only(monkeypatch):
    """Of many ranks a few are tried; the bound holds all the same."""
    quadratic = quadratic_of(*linear_data(n=30, d=6, K=5))
    alpha = 0.05 * np.linalg.norm(quadratic.M, 2)
    every = solve_spectral(quadratic, alpha, 3, tol=1e-6)
    monkeypatch.setattr(schatten_norm, "_MOST_RANKS", 2)
    some = solve_spectral(quadratic, alpha, 3, tol=1e-6)
    assert some.dual <= every.primal * (1 + 1e-9)
    assert every.dual <= some.primal * (1 + 1e-9)
