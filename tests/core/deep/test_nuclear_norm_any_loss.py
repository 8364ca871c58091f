"""The log-loss with a nuclear norm: the certified optimum, beside a conic solver."""

from dataclasses import replace

import numpy as np
import pytest

from sklearn_convexnn.core.deep import nuclear_norm_any_loss
from sklearn_convexnn.core.deep.nuclear_norm_any_loss import (
    Spectrum,
    constant_gradient,
    solve_low_rank,
)
from sklearn_convexnn.core.deep.spectral_rows import make_rows, reduce
from sklearn_convexnn.core.problem.losses import get_loss
from tests.linear_problems import linear_data, nuclear_optimum


def classes(n_classes, **settings):
    X, Y = linear_data(40, 4, n_classes, **settings)
    labels = Y.argmax(axis=1)
    Y = np.eye(n_classes)[labels]
    return X, Y[:, 1:] if n_classes == 2 else Y


def prepared(X, Y, weights, intercept):
    rows = make_rows(X, Y, weights, intercept=intercept)
    rows = replace(rows, y_mean=np.zeros(Y.shape[1]), y_scale=1.0)
    found = reduce(rows)
    spectrum = Spectrum(found.quadratic.s, found.left)
    return rows, spectrum, get_loss("log_loss", Y.shape[1])


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("fraction", [0.3, 0.01])
def test_agrees_with_a_conic_solver(n_classes, intercept, fraction):
    X, Y = classes(n_classes)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    rows, spectrum, loss = prepared(X, Y, weights, intercept)
    alpha = fraction * np.linalg.norm(constant_gradient(rows, loss, intercept=intercept), 2)
    certificate = solve_low_rank(
        rows, spectrum, loss, alpha, intercept=intercept, tol=1e-8, max_iter=50
    ).certificate
    assert 0 <= certificate.relative_gap <= 1e-8
    expected = nuclear_optimum(
        X * rows.x_scale, Y, weights, alpha, intercept=intercept, log_loss=True
    )
    assert certificate.primal == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_zero_from_the_largest_alpha_on(n_classes):
    rows, spectrum, loss = prepared(*classes(n_classes), np.ones(40), True)
    largest = np.linalg.norm(constant_gradient(rows, loss, intercept=True), 2)
    for fraction, rank in [(1.001, 0), (0.99, 1)]:
        found = solve_low_rank(
            rows, spectrum, loss, fraction * largest, intercept=True, tol=1e-10, max_iter=50
        )
        assert len(found.sizes) == rank


@pytest.mark.parametrize("n_classes", [2, 4])
def test_a_path_without_polish_reaches_its_gap_from_where_it_was(n_classes, monkeypatch):
    rows, spectrum, loss = prepared(*classes(n_classes), np.ones(40), True)
    largest = np.linalg.norm(constant_gradient(rows, loss, intercept=True), 2)
    points = []
    one_point = nuclear_norm_any_loss._Program.point
    monkeypatch.setattr(
        nuclear_norm_any_loss._Program,
        "point",
        lambda *args: points.append(one_point(*args)) or points[-1],
    )
    end = None
    for fraction in [0.5, 0.1, 0.02]:
        goals = {"intercept": True, "tol": 1e-2, "max_iter": 20}
        args = rows, spectrum, loss, fraction * largest
        points.clear()
        found = solve_low_rank(*args, **goals, start=end, polish=False)
        first = points[0].certificate
        assert 0 <= found.certificate.relative_gap <= 1e-2
        best = solve_low_rank(*args, **goals | {"tol": 1e-9}).certificate
        assert best.dual <= found.certificate.primal <= 1.01 * best.primal
        if end is not None:  # the network before is a better start than none
            points.clear()
            solve_low_rank(*args, **goals, polish=False)
            assert first.primal < points[0].certificate.primal
        end = found.end
