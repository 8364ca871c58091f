"""The choice of alpha by held-out rows, with paths whose losses are known."""

from __future__ import annotations

import numpy as np
import pytest

from sklearn_convexnn.core.fit.alpha_descent import lowest_between
from sklearn_convexnn.core.fit.held_out import choose_alpha, parts_to_hold_out
from sklearn_convexnn.core.fit.temperature import fit_temperature
from sklearn_convexnn.core.problem.units import make_problem

SCALE, LARGEST = 1.0, 100.0


def regression_problem(n=1000, **settings):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n, 2)), rng.normal(size=(n, 1))
    return make_problem(X, y, np.ones(n), loss="squared_error", intercept=True, **settings)


class ConstantPath:
    """Constant networks that are off by ``error(alpha)``."""

    def __init__(self, problem, error):
        self.shape = problem.rows.n_features, problem.rows.n_outputs
        self.error, self.visited = error, []

    def advance(self, alpha, enough=None):
        self.visited.append(alpha)
        d, n_outputs = self.shape
        layers = [np.zeros((d, 0)), np.zeros((0, n_outputs))]
        return layers, [np.zeros(0), np.full(n_outputs, self.error(alpha))]


def choose(problem, error, scale=SCALE, alpha_max=LARGEST, seed=0):
    """The Choice, and the paths that it followed."""
    paths = []

    def follow(part, rng):
        paths.append(ConstantPath(part, error))
        return paths[-1]

    rng = np.random.default_rng(seed)
    return choose_alpha(problem, scale, alpha_max, follow, rng), paths


# ---------------------------------------------------------------------- what is held out


@pytest.mark.parametrize("n", [20, 100, 1000, 40_000])
def test_parts_are_disjoint_and_no_larger_than_needed(n):
    parts = parts_to_hold_out(None, n, np.random.default_rng(0))
    together = np.concatenate(parts)
    assert len(np.unique(together)) == len(together) <= n
    assert all(len(part) <= 5100 for part in parts)
    assert len(together) >= min(0.59 * n, 200)


def test_classes_are_spread_evenly_and_small_ones_stay_in_training():
    labels = np.repeat([0, 1, 2], [4, 100, 500])
    parts = parts_to_hold_out(labels, len(labels), np.random.default_rng(0))
    for part in parts:
        assert np.bincount(labels[part], minlength=3).tolist() == [0, 20, 100]


def test_too_few_rows_hold_out_none():
    assert parts_to_hold_out(None, 19, np.random.default_rng(0)) == []
    labels = np.arange(40) // 4
    assert parts_to_hold_out(labels, 40, np.random.default_rng(0)) == []
    choice, paths = choose(regression_problem(19), lambda alpha: 0.0)
    assert choice.alpha == SCALE
    assert not len(choice.alphas)
    assert not paths


# ---------------------------------------------------------------------- what is chosen


@pytest.mark.parametrize("lowest", [0.3, 1.7, 6.0, 30.0])
def test_the_lowest_loss_is_found_between_the_alphas_of_the_path(lowest):
    choice, _ = choose(regression_problem(), lambda alpha: 2 * np.log(alpha / lowest))
    assert abs(np.log(choice.alpha / lowest)) < 0.25  # steps are log(4) = 1.39
    assert np.all(np.diff(choice.alphas) < 0)
    assert choice.alphas[0] == LARGEST
    assert len(choice.losses) == len(choice.alphas)


def test_losses_are_those_of_held_out_rows_in_the_units_of_the_data():
    problem = regression_problem()
    choice, _ = choose(problem, lambda alpha: 1.0 + alpha)
    (held_out,) = parts_to_hold_out(None, 1000, np.random.default_rng(0))
    y = problem.data.Y[held_out]
    expected = [0.5 * np.mean((y - 1.0 - alpha) ** 2) for alpha in choice.alphas]
    np.testing.assert_allclose(choice.losses, expected, rtol=1e-12)


def test_the_path_ends_where_the_loss_has_turned():
    choice, (path,) = choose(regression_problem(), lambda alpha: 3 * np.log(alpha / 4))
    assert path.visited == choice.alphas.tolist()
    assert choice.alphas[-1] == 1.0  # one step beyond the best


def test_below_scale_a_step_has_to_pay():
    choice, _ = choose(regression_problem(), lambda alpha: 1.0 + 0.001 * np.log(alpha))
    assert choice.alphas[-1] == SCALE
    choice, _ = choose(regression_problem(), lambda alpha: 3.0 + np.log(alpha))
    assert choice.alphas[-1] < 0.1 * SCALE


@pytest.mark.parametrize("unit", [1e-140, 1e140])
def test_targets_of_any_size(unit):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(1000, 2)), unit * rng.normal(size=(1000, 1))
    problem = make_problem(X, y, np.ones(1000), loss="squared_error", intercept=True)
    choice, _ = choose(problem, lambda alpha: 2 * unit * np.log(alpha / 6))
    assert 4 < choice.alpha < 9
    assert np.all(np.isfinite(choice.losses))


def test_class_weights_judge_alphas_but_not_probabilities():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2000, 2)), (rng.random((2000, 1)) < 0.3).astype(float)
    sample_weights = rng.uniform(0.5, 2.0, 2000)
    weights = np.where(y[:, 0] == 1, 5.0, 1.0) * sample_weights
    problem = make_problem(
        X, y, weights, loss="log_loss", intercept=True, sample_weights=sample_weights
    )
    # Outputs that are positive, more so for small alphas.
    choice, _ = choose(problem, lambda alpha: 2.0 + np.log(LARGEST / alpha))
    labels = problem.data.labels
    (held_out,) = parts_to_hold_out(labels, len(labels), np.random.default_rng(0))
    held = problem.data.take(held_out)

    def share(weights):
        return np.average(held.Y[:, 0], weights=weights)

    # No constant has a lower loss than the share of the class; the best temperature gets there.
    p = share(held.weights)
    entropy = -p * np.log(p) - (1 - p) * np.log(1 - p)
    np.testing.assert_allclose(choice.losses, entropy, atol=2e-3)
    # Without class weights the other class is the more frequent one: positive outputs say nothing.
    assert share(held.sample_weights) < 0.5 < p
    assert choice.temperature > 100


def test_a_parabola_through_equal_losses_stays_at_the_best():
    logs = np.log([4.0, 2.0, 1.0])
    assert lowest_between(logs, np.ones(3), 1) == logs[1]
    assert logs[1] < lowest_between(logs, np.array([1.1, 1.0, 2.0]), 1) < logs[0]


def test_rounds_end_where_held_out_labels_are_clearly_worse():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 2))
    y = (X[:, :1] > 0).astype(float)
    problem = make_problem(X, y, np.ones(len(X)), loss="log_loss", intercept=True)
    said = []

    def layers(sign):
        """Log-odds of a multiple of the first feature."""
        coefs = [np.array([[1.0, -1.0], [0.0, 0.0]]), sign * np.array([[1.0], [-1.0]])]
        return coefs, [np.zeros(2), np.zeros(1)]

    class Path:
        def advance(self, alpha, enough=None):
            if enough is not None:
                said.append((enough(*layers(1.0)), enough(*layers(-1.0))))
            return layers(1.0)

    # The right sign is as good as the best so far, the wrong one no temperature makes good.
    choose_alpha(problem, SCALE, LARGEST, lambda part, rng: Path(), rng)
    assert said
    assert all(one == (False, True) for one in said)


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_the_temperature_is_that_of_a_network_of_all_rows(factor):
    rng = np.random.default_rng(0)
    X = 2.0 * rng.normal(size=(2000, 1))
    y = (rng.random((2000, 1)) < 1.0 / (1.0 + np.exp(-X))).astype(float)
    problem = make_problem(X, y, np.ones(2000), loss="log_loss", intercept=True)

    class Path:
        """Log-odds of which the feature is the truth, times ``factor``."""

        def advance(self, alpha, enough=None):
            coefs = [np.array([[1.0, -1.0]]), factor * np.array([[1.0], [-1.0]])]
            return coefs, [np.zeros(2), np.zeros(1)]

    choice = choose_alpha(problem, SCALE, LARGEST, lambda *_: Path(), np.random.default_rng(0))
    labels = problem.data.labels
    (held_out,) = parts_to_hold_out(labels, len(labels), np.random.default_rng(0))
    held = problem.data.take(held_out)
    fitted = fit_temperature(held.Y, factor * held.X, held.weights)
    assert fitted == pytest.approx(factor, rel=0.3)
    expected = fitted if factor < 1 else 1.0 + 0.8 * (fitted - 1.0)
    assert choice.temperature == pytest.approx(expected, rel=1e-6)
