"""Networks on a line against closed forms, hand-computed cases and the lasso on all columns."""

from functools import cache
from types import SimpleNamespace

import cvxpy as cp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_convexnn.core.problem.losses import Hinge, get_loss
from sklearn_convexnn.core.spline import hinge as spline_hinge
from sklearn_convexnn.core.spline import solver as spline_solver
from sklearn_convexnn.core.spline.hinge import ProximalHinge
from sklearn_convexnn.core.spline.network import layers, line_network
from sklearn_convexnn.core.spline.problem import (
    Penalty,
    Spline,
    make_line_problem,
    prices,
    slope_jumps,
)
from sklearn_convexnn.core.spline.quadratic_program import Face, Quadratic, leap
from sklearn_convexnn.core.spline.solver import solve_spline, worst_of_stretches
from sklearn_convexnn.core.spline.training import interpolate, line_loss, train_lines

TOY_X, TOY_Y = np.array([-2.0, -1, 0, 1, 2]), np.array([1.0, -1, 1, 1, -1])
DESIGNS = [(2, False), (2, True), (3, False), (3, True)]
GOALS = {"tol": 1e-10, "max_iter": 1000}


def columns(x, n_layers):
    """All hinges with kinks at data points; all ramps between them for three layers."""
    gaps = x[:, None] - x
    parts = [np.maximum(gaps, 0), np.maximum(-gaps, 0)]
    if n_layers > 2:
        parts += [np.clip(x - a, 0, b - a)[:, None] for a in x for b in x if a < b]
    return np.hstack(parts)


def lasso(x, y, w, alpha, loss, n_layers, skip):
    """The optimal value over all columns, by a conic solver."""
    K = columns(x, n_layers)
    z, b, c = cp.Variable(K.shape[1]), cp.Variable(), cp.Variable()
    f = K @ z + b + (c * x if skip else 0)
    if loss == "squared_error":
        value = 0.5 * cp.sum(cp.multiply(w, cp.square(f - y)))
    elif loss == "hinge":
        value = w @ cp.pos(1 - cp.multiply(2 * y - 1, f))
    else:
        value = w @ cp.logistic(f) - (w * y) @ f
    program = cp.Problem(cp.Minimize(value + alpha * cp.norm1(z)))
    return program.solve(solver="CLARABEL", tol_gap_abs=1e-9, tol_gap_rel=1e-9, tol_feas=1e-9)


def fit(x, y, alpha, *, loss="squared_error", n_layers=2, skip=False, weights=None, **goals):
    weights = np.ones(len(x)) if weights is None else weights
    problems, solutions, _, _ = train_lines(
        x,
        y[:, None],
        weights,
        alpha,
        loss_name=loss,
        n_layers=n_layers,
        skip=skip,
        **{**GOALS, **goals},
    )
    return problems[0], solutions[0]


def value(problem, solution):
    return solution.certificate.primal * problem.objective_unit


def data(seed, n, loss, *, repeated=False):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = np.sin(3 * x) + 0.3 * rng.normal(size=n) + 2 * rng.normal() * x
    if repeated:
        x = np.round(x, 1)
    if loss != "squared_error":
        y = (np.sin(3 * x) + 0.7 * rng.normal(size=n) > 0).astype(float)
        y[np.argsort(x)[[0, 1, -2, -1]]] = [0, 1, 0, 1]  # no threshold separates them
    w = rng.uniform(0.5, 1.5, n)
    return x, y, w / w.sum()


# ----------------------------------------------------------------------------- known optimal values


@pytest.mark.parametrize(
    "beta, skip, total",
    [
        (0.01, False, 0.0792),
        (0.1, False, 0.72),
        (0.5, False, 25 / 12),
        (1.0, False, 82 / 35),
        (1.0, True, 2.2),
    ],
)
def test_toy_values(beta, skip, total):
    problem, solution = fit(TOY_X, TOY_Y, beta / 5, skip=skip)
    assert 5 * value(problem, solution) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("beta, total", [(0.01, 0.08), (0.1, 0.8), (0.5, 3.0)])
def test_toy_values_of_the_hinge(beta, total):
    problem, solution = fit(TOY_X, (TOY_Y + 1) / 2, beta / 5, loss="hinge", tol=1e-8)
    assert 5 * value(problem, solution) == pytest.approx(total, rel=1e-7)


@pytest.mark.parametrize(
    "beta, n_layers, total",
    [(0.1, 2, 0.44427), (0.1, 3, 0.31406), (0.1, 4, 0.31406), (0.5, 2, 0.91838), (0.5, 3, 0.91838)],
)
def test_values_by_depth(beta, n_layers, total):
    x, y = np.array([-1, 0.5, 1.2, 2.5]), np.array([1, -1, 0.5, 0.3])
    problem, solution = fit(x, y, beta / 4, n_layers=n_layers)
    assert 4 * value(problem, solution) == pytest.approx(total, abs=5e-6)


@pytest.mark.parametrize(
    "x, y, two, three",
    [
        ([0, 2, 6, 7], [0, 0, 3, 3], 1.5, 0.75),
        ([0, 2, 6, 7], [0, 0, 3, 7], 4, 4),
        ([0, 4, 5, 7, 10, 11], [0, 0, 0, 2, 3, 3], 2, 1),
    ],
)
def test_interpolation_by_depth(x, y, two, three):
    x, y = np.array(x, dtype=float), np.array(y, dtype=float)
    for n_layers, penalty in [(2, two), (3, three), (4, three)]:
        problem, solution = fit(x, y, 0, n_layers=n_layers)
        network = line_network(solution.network, Penalty.of(n_layers, False)).in_units_of(problem)
        assert network.penalty() == pytest.approx(penalty, rel=1e-12)
        assert solution.certificate.gap == 0
        assert solution.certificate.primal == pytest.approx(0, abs=1e-30)


def min_norm(x, y, n_layers, skip):
    K = columns(x, n_layers)
    z, b, c = cp.Variable(K.shape[1]), cp.Variable(), cp.Variable()
    fitted = K @ z + b + (c * x if skip else 0)
    return cp.Problem(cp.Minimize(cp.norm1(z)), [fitted == y]).solve(solver="CLARABEL")


@pytest.mark.parametrize("n_layers, skip", DESIGNS)
@pytest.mark.parametrize("seed", range(3))
def test_interpolation_is_the_limit(seed, n_layers, skip):
    x, y, _ = data(seed, 8, "squared_error")
    penalty = Penalty.of(n_layers, skip)
    problem, solution = fit(x, y, 0, n_layers=n_layers, skip=skip)
    network = line_network(solution.network, penalty).in_units_of(problem)
    assert network.penalty() == pytest.approx(min_norm(x, y, n_layers, skip), rel=1e-6)
    close = fit(x, y, 1e-9, n_layers=n_layers, skip=skip, tol=1e-6)[1]
    assert close.network.penalty(penalty) == pytest.approx(
        solution.network.penalty(penalty), rel=1e-4
    )


@pytest.mark.parametrize("seed", range(5))
def test_interpolation_formula(seed):
    x, y, _ = data(seed, 12, "squared_error")
    order = np.argsort(x)
    slopes = np.diff(y[order]) / np.diff(x[order])
    variation = np.abs(np.diff(slopes)).sum()
    formula = max(variation, 0.5 * (variation + abs(slopes[0] + slopes[-1])))
    assert Penalty.of(2, False).value(x[order], y[order]) == pytest.approx(formula, rel=1e-12)
    deep = 0.5 * (abs(slopes[0]) + variation + abs(slopes[-1]))
    assert Penalty.of(3, False).value(x[order], y[order]) == pytest.approx(deep, rel=1e-12)


# ----------------------------------------------------------------- against the lasso on all columns


@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "hinge"])
@pytest.mark.parametrize("n_layers, skip", DESIGNS)
@pytest.mark.parametrize("seed, alpha", [(0, 0.2), (1, 0.02), (2, 0.02), (3, 0.005)])
def test_agrees_with_the_lasso(loss, n_layers, skip, seed, alpha):
    x, y, w = data(seed, 14, loss, repeated=seed == 2)
    tol = 1e-8 if loss == "hinge" else 1e-10
    problem, solution = fit(
        x, y, alpha, loss=loss, n_layers=n_layers, skip=skip, weights=w, tol=tol
    )
    reference = lasso(x, y, w, alpha, loss, n_layers, skip)
    assert value(problem, solution) == pytest.approx(reference, rel=1e-6)
    assert -1e-12 <= solution.certificate.relative_gap <= tol


@cache
def deep_columns(x, n_layers):
    """The whole dictionary of Zeger et al.: compositions of hinges, reflections for four layers."""
    x = np.array(x)
    found = {}
    firsts = [(a, a) for a in x]
    if n_layers == 4:
        firsts += [(2 * b - a, b) for a in x for b in x]

    def extend(g, layer):
        if layer == n_layers:
            found[tuple(np.round(g(x), 12))] = None
            return
        for a in x:
            for s in (1, -1):
                extend(lambda t, s=s, a=a: np.maximum(s * (g(t) - g(a)), 0), layer + 1)

    for a, _ in firsts:
        for s in (1, -1):
            extend(lambda t, s=s, a=a: np.maximum(s * (t - a), 0), 2)
    return np.array(list(found)).T


@pytest.mark.parametrize("n_layers", [2, 3, 4])
@pytest.mark.parametrize("beta", [0.02, 0.2])
def test_agrees_with_the_whole_dictionary_of_the_depth(n_layers, beta):
    # Reflections are columns of four layers, but ramps between data points do as well.
    x, y, w = data(4, 5, "squared_error")
    K = deep_columns(tuple(x), n_layers)
    z, b = cp.Variable(K.shape[1]), cp.Variable()
    loss = 0.5 * cp.sum(cp.multiply(w, cp.square(K @ z + b - y)))
    reference = cp.Problem(cp.Minimize(loss + beta * cp.norm1(z))).solve(solver="CLARABEL")
    assert value(*fit(x, y, beta, n_layers=n_layers, weights=w)) == pytest.approx(
        reference, rel=1e-6
    )


# -------------------------------------------------------------------------------------- invariances


@pytest.mark.parametrize("n_layers, skip", DESIGNS)
def test_mirror_image(n_layers, skip):
    x, y, w = data(5, 30, "squared_error")
    here = value(*fit(x, y, 0.01, n_layers=n_layers, skip=skip, weights=w))
    there = value(*fit(-x, -y, 0.01, n_layers=n_layers, skip=skip, weights=w))
    assert there == pytest.approx(here, rel=1e-9)


def test_repeated_rows_are_weights_bit_by_bit():
    x, y, _ = data(6, 20, "squared_error")
    weights = np.random.default_rng(0).integers(0, 4, 20)
    one = fit(x[weights > 0], y[weights > 0], 0.01, weights=weights[weights > 0].astype(float))[1]
    index = np.random.default_rng(1).permutation(np.repeat(np.arange(20), weights))
    two = fit(x[index], y[index], 0.01)[1]
    np.testing.assert_array_equal(one.network.u, two.network.u)
    np.testing.assert_array_equal(one.network.values, two.network.values)


@pytest.mark.parametrize("scale, shift", [(1e-6, 3.0), (1e8, -1e9), (1.0, 1e6)])
def test_units_of_x(scale, shift):
    x, y, w = data(7, 30, "squared_error")
    here = value(*fit(x, y, 0.01, weights=w))
    there = value(*fit(scale * x + shift, y, 0.01 * scale, weights=w, tol=1e-8))
    assert there == pytest.approx(here, rel=1e-6)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "hinge"])
def test_points_almost_on_top_of_each_other(loss):
    x, y, w = data(8, 40, loss)
    x[1::2] = x[::2] + 1e-13 * np.arange(20)
    _, solution = fit(x, y, 0.003, loss=loss, weights=w, tol=1e-6)
    assert solution.certificate.relative_gap <= 1e-6


# ---------------------------------------------------------------------------------------- the parts


def test_prices_are_their_definition():
    rng = np.random.default_rng(0)
    t, r = np.sort(rng.normal(size=30)), rng.normal(size=30)
    assert_allclose(prices(t, r), np.maximum(t - t[:, None], 0) @ r, atol=1e-13)
    assert prices(np.zeros(1), np.zeros(1)).shape == (1,)


@pytest.mark.parametrize("n_layers, skip", DESIGNS)
def test_penalty_is_the_support_function_of_the_feasible_prices(n_layers, skip):
    # max over r with kappa(r) <= 1 of sum_i r_i f_i, a linear program, is the penalty of f.
    rng = np.random.default_rng(1)
    t = np.sort(rng.normal(size=6))
    K = columns(t, n_layers)
    for _ in range(4):
        f = rng.normal(size=6) + 3 * rng.normal() * t
        r = cp.Variable(6)
        feasible = [cp.abs(K.T @ r) <= 1, cp.sum(r) == 0] + ([r @ t == 0] if skip else [])
        reference = cp.Problem(cp.Maximize(r @ f), feasible).solve(solver="CLARABEL")
        penalty = Penalty.of(n_layers, skip)
        assert penalty.value(t, f) == pytest.approx(reference, rel=1e-6)
        assert penalty.kappa(prices(t, r.value - r.value.mean())) <= 1 + 1e-5


@pytest.mark.parametrize("n_layers, skip", DESIGNS)
def test_kappa_is_the_largest_price_of_all_columns(n_layers, skip):
    rng = np.random.default_rng(2)
    t, r = np.sort(rng.normal(size=8)), rng.normal(size=8)
    r -= r.mean()
    if skip:
        r -= (r @ t) / (np.var(t) * 8) * (t - t.mean())
    largest = np.abs(columns(t, n_layers).T @ r).max()
    penalty, g = Penalty.of(n_layers, skip), prices(t, r)
    assert penalty.kappa(g) == pytest.approx(largest, rel=1e-10)


def test_worst_of_stretches():
    g = np.array([0, 2.0, 3, 2, 0, -4, -2, 5, 6, 7])
    worst, signs, excess = worst_of_stretches(g, -1.0, 1.0, 1e-9, np.array([8]))
    assert worst.tolist() == [2, 5, 7, 9]
    assert signs.tolist() == [1, -1, 1, 1]
    assert excess.tolist() == [2, 3, 4, 6]


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
@pytest.mark.parametrize("n_layers, skip", DESIGNS)
def test_the_active_set_method_alone_finds_the_optimum(monkeypatch, loss, n_layers, skip):
    x, y, w = data(11, 30, loss)
    goals = {"loss": loss, "n_layers": n_layers, "skip": skip, "weights": w, "tol": 1e-9}
    usual = value(*fit(x, y, 0.003, **goals))
    monkeypatch.setattr(spline_solver, "leap", lambda *args: None)
    problem, solution = fit(x, y, 0.003, **goals)
    assert solution.certificate.relative_gap <= 1e-9
    assert value(problem, solution) == pytest.approx(usual, rel=1e-8)


@pytest.mark.parametrize("n_layers, skip", DESIGNS)
def test_the_linear_program_takes_over(monkeypatch, n_layers, skip):
    x, y, w = data(12, 40, "hinge")
    goals = {"loss": "hinge", "n_layers": n_layers, "skip": skip, "weights": w, "tol": 1e-7}
    usual = value(*fit(x, y, 0.003, **goals))
    monkeypatch.setattr(spline_hinge, "_FEW_ROUNDS", 3)
    problem, solution = fit(x, y, 0.003, **goals)
    assert solution.n_iter == 4
    assert solution.certificate.relative_gap <= 1e-7
    assert value(problem, solution) == pytest.approx(usual, rel=1e-6)


@pytest.mark.parametrize("n_layers, skip", DESIGNS)
def test_optimum_on_a_face_is_stationary(n_layers, skip):
    # The quadratic plus the penalty, along random directions that keep the face.
    rng = np.random.default_rng(3)
    penalty, knots = Penalty.of(n_layers, skip), np.array([0, 2, 4, 5, 8, 11])
    for _ in range(20):
        t, y = np.sort(rng.normal(size=12)), np.cumsum(rng.normal(size=12))
        model = Quadratic.of_points(t, np.ones(12), y, knots)
        signs = np.sign(slope_jumps(t[knots], y[knots]))
        if not penalty.ends:
            signs[[0, -1]] = 0
        face, optimum = leap(model, Face(signs, penalty.n_forms - 1), penalty, 0.3)
        assert np.all(face.signs * optimum.jumps >= 0)
        low = model.value(optimum.values) + 0.3 * penalty.value(model.u, optimum.values)
        active = face.signs != 0
        active[[0, -1]] = True
        for _ in range(20):
            step = np.interp(model.u, model.u[active], rng.normal(size=active.sum()))
            if penalty.ends and (not face.signs[0] or not face.signs[-1]):
                continue  # a flat end would not stay flat
            near = optimum.values + 1e-4 * step
            assert model.value(near) + 0.3 * penalty.value(model.u, near) >= low - 1e-12


def test_proximal_hinge_is_a_lower_bound_with_the_right_derivatives():
    rng = np.random.default_rng(4)
    Y, Z = rng.uniform(size=(50, 1)), 2 * rng.normal(size=(50, 1))
    loss, step = ProximalHinge(), 1e-6
    loss.recentre(2 * rng.normal(size=(50, 1)))
    assert np.all(loss.value(Y, Z) <= Hinge().value(Y, Z) + 1e-15)
    difference = (loss.value(Y, Z + step) - loss.value(Y, Z - step)) / (2 * step)
    assert_allclose(difference, loss.gradient(Y, Z)[:, 0], atol=1e-5)


def test_hinge_dual_value_is_the_conjugate():
    grid = np.linspace(-5, 5, 2001)[:, None]
    for y in (0.0, 0.3, 1.0):
        Y = np.full_like(grid, y)
        for rho in np.linspace(y - 1, y, 7):
            smallest = (Hinge().value(Y, grid) + rho * grid[:, 0]).min()
            dual = Hinge().dual(np.array([[y]]), np.array([[rho]]))[0]
            assert dual == pytest.approx(smallest, abs=1e-12)
        assert Hinge().dual(np.array([[y]]), np.array([[y + 0.1]]))[0] == -np.inf


@pytest.mark.parametrize("n_layers, skip", [*DESIGNS, (4, False), (4, True)])
@pytest.mark.parametrize("alpha", [0, 0.003, 0.3])
def test_network_has_the_values_and_the_penalty_of_the_spline(n_layers, skip, alpha):
    x, y, w = data(9, 25, "squared_error")
    problem, solution = fit(x, y, alpha, n_layers=n_layers, skip=skip, weights=w)
    penalty = Penalty.of(n_layers, skip)
    network = line_network(solution.network, penalty).in_units_of(problem)
    coefs, intercepts = layers([network], np.ones(1), n_layers)
    grid = np.linspace(x.min() - 2, x.max() + 2, 200)
    hidden = grid[:, None]
    for W, b in zip(coefs[:-1], intercepts[:-1], strict=True):
        hidden = np.maximum(hidden @ W + b, 0)
    outputs = (hidden @ coefs[-1] + intercepts[-1])[:, 0] + network.skip * grid
    spline = solution.network.in_units_of(problem)
    assert_allclose(outputs, spline.extended(grid, *network.outer_slopes()), atol=1e-9)
    least = solution.network.penalty(penalty) * problem.y_scale / problem.x_scale
    assert network.penalty() == pytest.approx(least, rel=1e-9, abs=1e-12)
    for layer in coefs:
        sizes = np.abs(layer.data if hasattr(layer, "tocsr") else layer[layer != 0])
        assert_allclose(np.sort(sizes), np.sort(np.abs(network.c)) ** (1 / n_layers), rtol=1e-9)
    knots, slopes = network.pieces()
    assert np.all(np.isin(knots, spline.u))
    ends = np.concatenate([[x.min() - 1], knots, [x.max() + 1]])
    heights = spline.extended(ends, *network.outer_slopes())
    assert_allclose(np.diff(heights) / np.diff(ends), slopes, atol=1e-7)


def test_one_point_and_two_points():
    for x in ([3.0, 3.0], [3.0, 4.0]):
        problem = make_line_problem(np.array(x), np.array([0.0, 2.0]), np.ones(2), standardise=True)
        solution = solve_spline(
            problem, 0.5, get_loss("squared_error", 1), Penalty.of(2, False), **GOALS
        )
        assert solution.certificate.relative_gap < 1e-12
    assert interpolate(problem).network.u.shape == (2,)


@pytest.mark.parametrize("n_layers", [2, 3])
@pytest.mark.parametrize("seed", range(10))
def test_a_perfect_fit_is_certified_as_such(n_layers, seed):
    # The residual is rounding: scaled up it would be anything, even a bound above the objective.
    rng = np.random.default_rng(seed)
    x = rng.normal(size=2 + seed % 3)
    y = 3 * x + 1
    _, solution = fit(x, y, 0.001, n_layers=n_layers, skip=True, weights=rng.uniform(1, 2, len(x)))
    assert solution.certificate.primal == 0
    assert solution.certificate.gap == pytest.approx(0, abs=1e-28)


@pytest.mark.parametrize("name", ["squared_error", "log_loss", "hinge"])
def test_alpha_max(name):
    x, y, w = data(10, 30, name)
    for n_layers, skip in DESIGNS:
        goals = {"loss_name": name, "n_layers": n_layers, "skip": skip, "tol": 1e-8}
        *_, largest = train_lines(x, y[:, None], w, 1.0, max_iter=1000, **goals)
        for factor in (1.001, 0.5):
            _, (solution,), *_ = train_lines(
                x, y[:, None], w, factor * largest, max_iter=1000, **goals
            )
            penalty = Penalty.of(n_layers, skip)
            none = solution.network.penalty(penalty) < 1e-9
            assert none if factor > 1 else name == "hinge" or not none


def test_losses_by_name():
    assert line_loss("hinge").name == "proximal hinge"
    assert Spline(np.zeros(1), np.ones(1)).penalty(Penalty.of(2, False)) == 0


# ----------------------------------------------------------------------------------------- at scale


@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "hinge"])
def test_many_points(loss):
    rng = np.random.default_rng(0)
    x = rng.normal(size=20_000)
    y = np.sin(3 * x) + np.abs(x) + 0.5 * rng.normal(size=20_000)
    if loss != "squared_error":
        y = (y > 0.5).astype(float)
    _, solution = fit(x, y, 1e-3, loss=loss, tol=1e-6)
    assert solution.certificate.relative_gap <= 1e-6
    assert solution.n_iter < 150
    assert len(solution.network.u) < 60


def test_a_linear_program_that_fails_is_told(monkeypatch):
    failed = SimpleNamespace(status=4, message="numbers")
    monkeypatch.setattr(spline_hinge, "linprog", lambda *args, **kwargs: failed)
    problem = make_line_problem(
        np.arange(5.0), np.array([0.0, 1.0, 0.0, 1.0, 1.0]), np.ones(5), standardise=False
    )
    with pytest.raises(RuntimeError, match="HiGHS did not solve the linear program: numbers"):
        spline_hinge._linear_program(problem, 0.1, Penalty.of(3, skip=False))


def test_targets_whose_squares_overflow_are_refused():
    with pytest.raises(ValueError, match="overflow when squared"):
        make_line_problem(np.arange(2.0), np.array([1e200, 0.0]), np.ones(2), standardise=True)


def test_rows_of_no_weight_are_no_points():
    x, y = np.array([0.0, 1.0, 5.0]), np.array([1.0, 2.0, 9.0])
    problem = make_line_problem(x, y, np.array([1.0, 2.0, 0.0]), standardise=True)
    assert problem.n_points == 2
