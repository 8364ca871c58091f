"""Bounds of the number of neurons: never wrong, and tight where theorems say so."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog
from sklearn.neural_network import MLPClassifier

from sklearn_convexnn import ConvexReLUClassifier, ConvexReLURegressor
from sklearn_convexnn.core.geometry.cardinality import (
    kink_bound,
    one_neuron_suffices,
    positions_on_line,
    rank_bound,
    sufficient_for_independent_rows,
)
from sklearn_convexnn.core.patterns.spike_free import is_spike_free
from sklearn_convexnn.inspection import l0_l1_certificate
from tests.inspection.test_encodings import one_feature, regressor
from tests.problems import PLANTED, whitened_rows


def with_ones(X):
    return np.column_stack([X, np.ones(len(X))])


# -------------------------------------------------------------------------------- spike-free rows


@pytest.mark.parametrize(
    "A, expected",
    [
        (np.eye(3), True),
        ([[1, 0], [1, 1]], True),  # two rows: iff their product is not negative
        ([[1, 0], [-1, 1]], False),
        ([[1, 0], [0, 1], [1, 1]], False),  # dependent rows
        (np.outer([1, 2, 0.5], [3, -1]), True),  # rank one, one sign
        (np.outer([1, -2, 0.5], [3, -1]), False),  # rank one, both signs
        (np.linalg.cholesky([[1, 0.9, 0], [0.9, 1, 0.4], [0, 0.4, 1]]), False),
        ([[0, 0], [2, 0], [1, 0]], True),  # a zero row, and parallel ones
        (np.zeros((2, 2)), True),
    ],
)
def test_spike_free(A, expected):
    assert is_spike_free(np.asarray(A, dtype=float)) is expected


def test_spike_free_is_its_definition():
    """``||A^+ (A u)_+|| <= 1`` for all unit ``u`` of the row space, by many directions."""
    rng = np.random.default_rng(0)
    decisions = []
    for _ in range(60):
        A = rng.standard_normal((3, 3)) * 0.7 + rng.uniform(0, 1.5)
        U = rng.standard_normal((20_000, 3))
        U /= np.linalg.norm(U, axis=1, keepdims=True)
        images = np.maximum(U @ A.T, 0) @ np.linalg.inv(A).T
        largest = np.linalg.norm(images, axis=1).max()
        if is_spike_free(A):
            assert largest <= 1 + 1e-9
        decisions.append((is_spike_free(A), largest > 1 + 1e-6))
    agreement = [free != violated for free, violated in decisions]
    assert np.mean(agreement) > 0.9  # a violation may be missed by sampling
    assert len(set(decisions)) >= 2


# -------------------------------------------------------------------------------- bounds by hand


@pytest.mark.parametrize(
    "Z, intercept, expected",
    [
        ([[0], [0]], False, 0),
        ([[2], [2]], True, 0),
        ([[2], [2]], False, 1),
        ([[2], [1], [0]], False, 1),
        ([[2], [-1], [0]], False, 2),
        ([[2], [-1], [0]], True, 1),
        (np.eye(3), False, 3),
        (np.eye(3), True, 2),
        ([[1, 0], [0, 1], [-1, -1]], False, 3),  # around the origin: one more than the rank
        ([[1, 0], [0, 1], [-1, 0]], False, 2),  # in a closed half-plane: not decided, so 2
    ],
)
def test_rank_bound(Z, intercept, expected):
    assert rank_bound(np.asarray(Z, dtype=float), intercept) == expected


@given(st.integers(0, 10**6), st.integers(0, 4), st.integers(1, 3), st.booleans())
def test_rank_bound_is_never_above_the_number_of_factors(seed, m, n_outputs, intercept):
    rng = np.random.default_rng(seed)
    Z = np.maximum(rng.standard_normal((9, m)), 0) @ rng.integers(-2, 3, (m, n_outputs))
    Z = Z + intercept * rng.standard_normal(n_outputs)
    bound = rank_bound(Z, intercept)
    assert bound <= m
    assert bound <= sufficient_for_independent_rows(Z, intercept) <= bound + 1


def test_one_neuron():
    rng = np.random.default_rng(0)
    A = with_ones(rng.standard_normal((30, 2)))
    u, v = rng.standard_normal(3), np.array([[1.0, -2.0]])
    hinge = np.maximum(A @ u, 0)[:, None]
    for Z in (hinge * v, -hinge * v + [3, 4], (A @ u)[:, None] * v):
        assert one_neuron_suffices(A, Z, intercept=True)
    assert one_neuron_suffices(A, hinge, intercept=False)
    assert not one_neuron_suffices(A, hinge + np.maximum(-A @ u, 0)[:, None], intercept=True)
    assert not one_neuron_suffices(A, hinge + 1, intercept=False)
    # The active rows would do, but some other row cannot be inactive: x on {0, 1} and 0 at 2.
    x = with_ones(np.array([0.0, 1, 2, 3]))
    assert not one_neuron_suffices(x, np.array([[0.0], [1], [2], [0]]), intercept=True)
    assert not one_neuron_suffices(x, np.array([[1.0], [2], [0], [0]]), intercept=True)


@pytest.mark.parametrize(
    "z, expected",
    [
        ([0, 1, 2, 3], 0),
        ([0, 0, 1, 2], 1),
        ([2, 1, 0, 1, 2], 1),
        ([3, 1, 0, 1, 3], 2),  # convex with three bends: the outer two cannot share a kink
        ([3, 1, 1, 3], 1),  # two neighbours can
        ([0, 1, 0, 1, 0], 3),
        ([0, 1, 1, 0, 0, 1], 2),  # down at 1 and 2, up at 3 and 4
    ],
)
def test_kink_bound(z, expected):
    z = np.asarray(z, dtype=float)[:, None]
    t = np.arange(len(z), dtype=float)
    assert kink_bound(t, z) == expected
    assert kink_bound(-3 * t + 7, np.hstack([-z, 0 * z])) == expected
    # Rows given twice change nothing.
    assert kink_bound(np.tile(t, 2), np.tile(z, (2, 1))) == expected


@given(st.integers(0, 10**6), st.integers(0, 8), st.integers(1, 2))
def test_kink_bound_is_never_above_the_number_of_neurons(seed, m, n_outputs):
    rng = np.random.default_rng(seed)
    t = np.sort(rng.uniform(-3, 3, 25))
    W, bias = rng.choice([-1.0, 1.0], m), rng.uniform(-3, 3, m)
    Z = np.maximum(t[:, None] * W + bias, 0) @ rng.standard_normal((m, n_outputs))
    assert kink_bound(t, Z) <= m


def test_positions_on_line():
    c = np.array([2.0, -1, 0.5])
    positions = positions_on_line(np.outer(c, [3.0, 4.0]) + [1, 2])
    np.testing.assert_allclose(np.abs(np.diff(positions)), 5 * np.abs(np.diff(c)))
    assert positions_on_line(np.array([[0.0, 0], [1, 0], [0, 1]])) is None


# ------------------------------------------------------------------------------- the certificate


@pytest.mark.parametrize("y, n_neurons", [([3.0, -1, 2, -2, 0.5], 2), ([3.0, 1, 2, 0, 0.5], 1)])
def test_whitened_rows_need_one_neuron_per_sign(y, n_neurons):
    X = whitened_rows(np.random.default_rng(0), 5, 7)
    model = ConvexReLURegressor(alpha=0.02, fit_intercept=False, gap_tol=1e-6, random_state=0)
    certificate = l0_l1_certificate(model.fit(X, y), X, y)
    assert certificate.status == "proven"
    assert certificate.n_neurons == certificate.lower_bound == certificate.n_sufficient == n_neurons
    assert certificate.spike_free
    assert certificate.independent
    assert certificate.penalty_ratio < 1 + 1e-3
    assert any("whitened" in reason and "l0 = l1" in reason for reason in certificate.reasons)
    assert str(certificate).startswith(f"proven: {n_neurons} neurons")


def test_one_hot_targets_of_whitened_rows_need_one_neuron_per_class():
    """The optimal neurons are X^T y_k; a copy of one of them is one too many."""
    X, Y, beta = whitened_rows(np.random.default_rng(0), 6, 8), np.eye(3)[[0, 1, 2, 0, 1, 2]], 0.1
    U, C = Y.T @ X / np.sqrt(2), (np.sqrt(2) - beta) * np.eye(3)
    model = regressor(U, C, np.zeros(3), fit_intercept=False, alpha=beta / 6)
    certificate = l0_l1_certificate(model, X, Y)
    assert (certificate.status, certificate.n_neurons) == ("proven", 3)
    assert "needs independent rows, one output" in str(certificate)
    U, C = np.vstack([U, U[:1]]), np.vstack([[0.5], [1], [1], [0.5]]) * C[[0, 1, 2, 0]]
    model = regressor(U, C, np.zeros(3), fit_intercept=False, alpha=beta / 6)
    certificate = l0_l1_certificate(model, X, Y)
    assert (certificate.status, certificate.n_neurons) == ("not decided", 4)
    assert certificate.n_sufficient == certificate.lower_bound == 3


def test_planted_hinge_and_tent():
    x = np.linspace(-2, 2, 21)[:, None]
    hinge = regressor([[1, 0.5]], [[2]], [1], fit_intercept=True)
    assert l0_l1_certificate(hinge, x).status == "proven"
    tent = regressor([[1, 0.5], [-1, -0.5]], [[-2], [-2]], [1], fit_intercept=True)
    certificate = l0_l1_certificate(tent, x)
    assert (certificate.status, certificate.lower_bound) == ("proven", 2)
    assert "No single neuron" in str(certificate)
    # In three neurons the same function is not minimal, and dependence shows it.
    split = regressor(
        [[1, 0.5], [-1, -0.5], [-2, -1]], [[-2], [-1], [-0.5]], [1], fit_intercept=True
    )
    certificate = l0_l1_certificate(split, x)
    assert (certificate.status, certificate.n_sufficient) == ("not decided", 2)
    assert not certificate.independent


def test_independent_activations_do_not_prove_minimality():
    """Two hinges that add up to a line on the data, where one neuron would do."""
    x = np.linspace(-1, 1, 9)[:, None]
    model = regressor([[1, 0], [-1, 0]], [[1], [-1]], [0], fit_intercept=True)
    certificate = l0_l1_certificate(model, x)
    assert certificate.independent
    assert certificate.lower_bound == 1
    assert certificate.status == "not decided"


def test_rounding_proves_nothing():
    """Two long neurons cancel but for their rounding, which looks like kinks everywhere."""
    x = np.linspace(-1, 1, 30)[:, None]
    U, C = [[1.0, 2.0], [1.1, 2.2], [1.0, 0.3]], [[1.1e12], [-1e12], [1.0]]
    model = regressor(U, C, [0], fit_intercept=True)
    Z = np.maximum(with_ones(x) @ np.transpose(U), 0) @ C
    assert kink_bound(x[:, 0], Z) > 3  # of the outputs alone
    certificate = l0_l1_certificate(model, x)
    assert certificate.lower_bound <= 1
    assert certificate.status == "not decided"


def test_smallest_penalty_does_not_prove_minimality():
    """A network that solves the l1 problem for its outputs, but has more neurons than the bound."""
    x = np.sort(np.random.default_rng(0).uniform(-2, 2, 60))[:, None]
    model = ConvexReLURegressor(alpha=0.03, gap_tol=1e-6, max_iter=100, random_state=0)
    y = np.sin(2 * x[:, 0])
    certificate = l0_l1_certificate(model.fit(x, y), x, y)
    assert certificate.penalty_ratio < 1 + 1e-6
    assert certificate.independent
    assert certificate.lower_bound == 2 < certificate.n_neurons
    assert certificate.status == "not decided"


def smallest_penalty(A, Z):
    """An upper bound of the least penalty with outputs ``Z``: a linear program over many angles."""
    angles = np.linspace(0, 2 * np.pi, 4001)
    H = np.maximum(A @ np.array([np.cos(angles), np.sin(angles)]), 0)
    columns = np.hstack([H, -H, np.ones((len(A), 1)), -np.ones((len(A), 1))])
    cost = np.append(np.ones(2 * H.shape[1]), [0, 0])
    return linprog(cost, A_eq=columns, b_eq=Z[:, 0], bounds=(0, None)).fun


@pytest.mark.parametrize("seed", range(5))
def test_penalty_ratio_is_a_bound(seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, (6, 1))
    angle = rng.uniform(0, 2 * np.pi, 2)
    U, C = np.column_stack([np.cos(angle), np.sin(angle)]), rng.standard_normal((2, 1))
    model = regressor(U, C, [0.3], fit_intercept=True)
    certificate = l0_l1_certificate(model, x)
    Z = np.maximum(with_ones(x) @ U.T, 0) @ C + 0.3
    assert certificate.penalty_ratio >= 1
    penalty = np.abs(C).sum()
    assert penalty / certificate.penalty_ratio <= smallest_penalty(with_ones(x), Z) * (1 + 1e-6)


def test_penalty_of_planted_neurons_is_the_smallest():
    """By the dual variable of the problem for which the neurons are optimal."""
    for problem in PLANTED:
        model = regressor(*problem.neurons, fit_intercept=problem.intercept, alpha=problem.alpha)
        certificate = l0_l1_certificate(model, problem.X, problem.Y[:, 0])
        if problem.A.shape[1] == 2:
            assert certificate.penalty_ratio == pytest.approx(1, abs=1e-9)
            assert "no network with these outputs has a smaller penalty" in str(certificate)
        else:
            assert np.isnan(certificate.penalty_ratio)
        # Two neurons of both signs; without an intercept that alone proves it.
        assert certificate.lower_bound == 2
        assert certificate.status == "proven"


def test_penalty_ratio_of_spike_free_rows():
    """Two hinges with a common part cost more than they have to."""
    A = np.array([[2.0, 1, 0], [1, 2, 0], [0, 1, 2]])
    A[2] = [0, 0, 1]
    assert is_spike_free(A)
    z = np.array([1.0, -2.0, 0.5])
    pinv = np.linalg.inv(A)
    u, w = pinv @ np.maximum(z, 0), pinv @ np.maximum(-z, 0)
    model = regressor([u, w], [[1], [-1]], [0], fit_intercept=False)
    certificate = l0_l1_certificate(model, A)
    assert certificate.status == "proven"
    assert certificate.penalty_ratio >= 1
    common = 0.5 * (u + w)  # active on all rows, once with each sign
    longer = regressor([u + common, w + common], [[1], [-1]], [0], fit_intercept=False)
    worse = l0_l1_certificate(longer, A)
    assert worse.penalty_ratio > certificate.penalty_ratio


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_classifiers(kind):
    model, X, y = one_feature(kind)
    certificate = l0_l1_certificate(model.fit(X, y), X, y)
    assert 1 <= certificate.lower_bound <= certificate.n_sufficient <= certificate.n_neurons
    assert certificate.penalty_ratio < 1.1


def test_scikit_learns_perceptron():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 2))
    model = MLPClassifier((4,), max_iter=2000, tol=0.01, random_state=0).fit(X, X[:, 0] > 0)
    certificate = l0_l1_certificate(model, X)
    assert certificate.n_neurons == 4
    assert certificate.status == "not decided"
    assert np.isnan(certificate.penalty_ratio)
    with pytest.raises(ValueError, match="fitted to 2"):
        l0_l1_certificate(model, X[:, :1])


def test_constant_network():
    X, y = np.arange(6.0)[:, None], np.array([0, 1] * 3)
    model = ConvexReLUClassifier(alpha=10.0).fit(X, y)
    certificate = l0_l1_certificate(model, X, y)
    assert (certificate.status, certificate.n_neurons, certificate.penalty_ratio) == (
        "proven",
        0,
        1,
    )


def test_two_points_need_no_kink():
    assert kink_bound(np.array([0.0, 1.0, 1.0]), np.array([[0.0], [1.0], [1.0]])) == 0
