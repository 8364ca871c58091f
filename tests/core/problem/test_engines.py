"""The passes do not know where rows live: the same numbers and the same fits on every engine."""

from functools import cache, partial

import numpy as np
import pytest
from scipy import sparse

from sklearn_convexnn.core.column_generation.loop import solve
from sklearn_convexnn.core.column_generation.options import Options
from sklearn_convexnn.core.fit.cutting_plane import make_pricing
from sklearn_convexnn.core.pricing.search import SearchPricing
from sklearn_convexnn.core.problem.constant import constant_network
from sklearn_convexnn.core.problem.engines.in_memory import NumpyEngine
from sklearn_convexnn.core.problem.engines.part import PartEngine
from sklearn_convexnn.core.problem.engines.shares import DistributedEngine, Held, Share, Threads
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.neurons import ReLU
from sklearn_convexnn.core.problem.output_layer import OutputLayer
from sklearn_convexnn.core.problem.rows import Rows
from tests.architectures import PartedEngine
from tests.places import PLACES, each_place, engine_at, strict_place

N_ROWS = 130


def part(X, Y, weights):
    """Rows that lie apart in a larger array, and some next to each other."""
    n = len(Y)
    index = np.concatenate([np.arange(n // 2), n // 2 + 3 * np.arange(n - n // 2) + 5])
    stored = np.full((index[-1] + 4, X.shape[1]), np.nan)
    stored[index] = X
    return PartEngine(stored, Y, weights, index, block_bytes=1)


def shares(X, Y, weights):
    """Three of them, the second with rows that lie apart in its array."""
    n, parts = len(Y), []
    for k, rows in enumerate(np.split(np.arange(n), [n // 3, n // 2])):
        stored, index = (X[rows], None) if k != 1 else (X, rows)
        parts.append(Share(Held(stored), Y[rows], weights[rows], weights[rows], index))
    return DistributedEngine.of(Threads(2), parts, X.shape[1], Y.shape[1], X.dtype)


ENGINES = {
    "shares": shares,
    "part of an array": part,
    "small blocks": lambda X, Y, weights: NumpyEngine(X, Y, weights, block_bytes=1),
    "CSR": lambda X, Y, weights: NumpyEngine(sparse.csr_array(X), Y, weights),
    "three parts": lambda X, Y, weights: PartedEngine(X, Y, weights, ends=(40, 41)),
}
# Blocks of 64 rows, the least.
PLACED = [
    pytest.param(engine_at(*place.values, block_bytes=1), marks=place.marks, id=name)
    for name, place in PLACES.items()
]
each_engine = pytest.mark.parametrize(
    "make_engine", [pytest.param(make, id=name) for name, make in ENGINES.items()] + PLACED
)
each_loss = pytest.mark.parametrize(
    "loss, n_outputs", [("squared_error", 1), ("squared_error", 2), ("log_loss", 1)]
)


def data(loss, n_outputs, n_features, n=N_ROWS):
    rng = np.random.default_rng(n_features)
    X = rng.standard_normal((n, n_features))
    Y = np.abs(X[:, :n_outputs]) - X[:, -n_outputs:]
    if loss in ("log_loss", "squared_hinge", "hinge"):
        Y = (Y > 0.3).astype(float) if n_outputs == 1 else np.eye(n_outputs)[Y.argmax(axis=1)]
    Y = np.abs(Y) if loss == "poisson" else Y
    weights = rng.uniform(0.5, 1.5, n)
    return X, Y, weights / weights.sum()


def on(make_engine, arrays, loss, n_outputs, intercept):
    engine = make_engine(*arrays)
    return Rows(engine, ReLU(), get_loss(loss, n_outputs), intercept=intercept, scale=0.4)


def every_pass(rows):
    """The numbers of every pass at one point, by name."""
    rng, m = np.random.default_rng(0), 7
    U = rng.standard_normal((m, rows.n_columns))
    U /= np.linalg.norm(U, axis=1, keepdims=True)
    C, b0 = rng.standard_normal((m, rows.n_outputs)), rng.standard_normal(rows.n_outputs)
    Q = rng.standard_normal((m, rows.n_outputs))
    state = rows.at(rows.outputs(U, C, b0))
    settled = state.shifted(state.best_shift())
    R, support = settled.residual, np.array([0, 2, 5])
    constant = rows.evaluate(constant_network(rows))
    dual = settled.dual_point
    layer, afresh = OutputLayer(rows, U, 1 << 20), OutputLayer(rows, U, 0)
    return {
        "outputs": rows.fetch(state.Z),
        "mean loss": state.mean_loss,
        "shift": state.best_shift(),
        "of shift": np.concatenate([np.ravel(part) for part in state.of_shift(b0)]),
        "residual": rows.fetch(R),
        "duals": dual.values([0.1, 0.5, 0.9]),
        "noise": dual.noise(),
        "allowed price": dual.allowed_price(settled.mean_loss + 0.1, 0.1, 10.0),
        "constant": constant.network.b0,
        "residual of the constant": rows.fetch(constant.residual),
        "mean target": rows.mean_target(),
        "hidden": rows.fetch(layer.features),
        "fitted mean squares": layer.mean_squares(),
        "fitted loss": layer.loss(C, b0),
        **named("fitted slope", layer.loss_and_gradients(C, b0)),
        **named("fitted majorant", layer.majorant(C, b0)),
        **named("majorant afresh", afresh.majorant(C, b0)),
        "fitted hessian": layer.hessian(support, C, b0),
        **named("moments", rows.moments(U)),
        **named("curvature moments", rows.curvature_moments(U, state, 1e-3)),
        **named("curvature factors", rows.curvature_factors(U, C, b0)),
        **named("loss", rows.loss_and_gradients(U, C, b0)),
        **named("smoothed loss", rows.loss_and_gradients(U, C, b0, np.full(m, 0.2))),
        "prices": rows.prices(U, R),
        **named("ascent", rows.prices_and_ascent(U, Q, R)),
        **named("smooth ascent", rows.smooth_ascent(U, Q, R, 0.1, 0.2)),
        **named("statistics", rows.engine.statistics()),
    }


def named(name, parts):
    return {f"{name} {k}": part for k, part in enumerate(parts)}


@pytest.mark.parametrize("n_features", [3, 14], ids=["short rows", "long rows"])
@pytest.mark.parametrize("intercept", [True, False])
@each_loss
@each_engine
def test_every_pass_gives_the_same_numbers(make_engine, loss, n_outputs, intercept, n_features):
    arrays = data(loss, n_outputs, n_features)
    found, expected = (
        every_pass(on(make, arrays, loss, n_outputs, intercept))
        for make in (make_engine, NumpyEngine)
    )
    assert_same(found, expected)


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        # A search for a price ends with nine digits, Newton's method where steps are rounding.
        rtol = 1e-8 if name == "allowed price" else 1e-12
        atol = rtol * np.abs(value).max(initial=1e-3)
        np.testing.assert_allclose(found[name], value, rtol=rtol, atol=atol, err_msg=name)


@pytest.mark.parametrize(
    "name, n_outputs",
    [("huber", 2), ("poisson", 2), ("log_loss", 3), ("squared_hinge", 3), ("hinge", 1)],
)
@each_place
def test_every_loss_is_the_same_elsewhere(make_place, name, n_outputs):
    arrays = data(name, n_outputs, 5)
    loss, found = get_loss(name, n_outputs), []
    for make in (engine_at(make_place, block_bytes=1), NumpyEngine):
        rows = Rows(make(*arrays), ReLU(), loss, intercept=True, scale=0.4)
        Z = rows.engine.kept(np.random.default_rng(1).standard_normal((N_ROWS, n_outputs)))
        state = rows.at(Z)
        values = state.mean_loss, state.loss_size, rows.fetch(state.residual)
        smooth = rows if loss.smooth else rows.with_loss(loss.smoothed(0.3))
        # Also at a residual of the other loss that is inside the domain of the dual.
        duals = rows.dual_point(smooth.at(Z).residual).values([0.2, 0.7])
        found.append(named("values", (*values, duals)) | every_pass(smooth))
    assert_same(*found)


@pytest.mark.parametrize(
    "name, n_outputs", [("squared_error", 1), ("huber", 2), ("log_loss", 3), ("squared_hinge", 1)]
)
@each_place
def test_passes_in_single_precision(make_place, name, n_outputs):
    """Not every library multiplies numbers of two precisions."""
    arrays, loss, found = data(name, n_outputs, 14), get_loss(name, n_outputs), []
    for make in (engine_at(make_place), NumpyEngine):
        rows = Rows(make(*arrays), ReLU(), loss, intercept=True, scale=0.4, dtype=np.float32)
        found.append(every_pass(rows))
    for key, value in found[1].items():
        atol = 1e-4 * np.abs(value).max(initial=1e-3)
        np.testing.assert_allclose(found[0][key], value, rtol=1e-4, atol=atol, err_msg=key)


def test_one_transfer_of_sums_for_a_pass():
    """Whatever comes back comes at once, and what is kept does not come at all."""
    count, place = [], strict_place("device1")

    def to_numpy(array):
        count.append(array.shape)
        return place.to_numpy(array)

    engine = engine_at(lambda: place._replace(to_numpy=to_numpy), block_bytes=1)
    rows = on(engine, data("log_loss", 1, 14), "log_loss", 1, True)
    rng = np.random.default_rng(0)
    U, C, b0 = rng.standard_normal((4, 15)), rng.standard_normal((4, 1)), np.zeros(1)
    Z = rows.outputs(U, C, b0)
    R = rows.at(Z).residual
    assert count == []
    for one_pass in (
        lambda: rows.loss_and_gradients(U, C, b0),
        lambda: rows.prices_and_ascent(U, C, R),
        lambda: rows.smooth_ascent(U, C, R, 0.1, 0.2),
        lambda: rows.moments(U),
    ):
        count.clear()
        one_pass()
        assert len(count) == 1


def fitted_objective(make_engine, loss, n_outputs, arrays=None, **settings):
    """Of a fit to ``arrays``, or to sixty rows."""
    if arrays is None:
        arrays = data(loss, n_outputs, 3, n=60)
    rows = on(make_engine, arrays, loss, n_outputs, True)
    pricing = SearchPricing(np.random.default_rng(0))
    confirm = settings.get("program", False)
    solution = solve(rows, 0.01, pricing, options=Options(**settings), confirm=confirm)
    assert solution.network.n_neurons > 1
    return solution.certificate.primal


objective_in_memory = cache(partial(fitted_objective, NumpyEngine))


@each_loss
@each_engine
def test_a_round_of_a_fit_gives_the_same(make_engine, loss, n_outputs):
    """It reads rows through passes only, and nothing of their number comes to the solver.

    One round: over several the slides, stopped on kinks, make 1e-6 of the last digit.
    """
    expected = objective_in_memory(loss, n_outputs, max_iter=1)
    found = fitted_objective(make_engine, loss, n_outputs, max_iter=1)
    assert found == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(
    "loss", ["squared_error", pytest.param("log_loss", marks=pytest.mark.slow)]
)
@each_engine
def test_a_fit_to_the_last_digits_gives_the_same(make_engine, loss):
    """Its second phase takes the rows into memory."""
    settings = {"gap_tol": 1e-9, "crossing": True, "program": True}
    expected = objective_in_memory(loss, 1, **settings)
    assert fitted_objective(make_engine, loss, 1, **settings) == pytest.approx(expected, rel=1e-8)


def test_rows_that_are_too_many_for_memory_say_so():
    arrays = data("squared_error", 1, 3)
    rows = on(ENGINES["three parts"], arrays, "squared_error", 1, True)
    with pytest.raises(ValueError, match="use fewer rows"):
        rows.collect(limit=100)
    collected = rows.collect(limit=N_ROWS)
    for one, other in zip((collected.X, collected.Y, collected.weights), arrays, strict=True):
        np.testing.assert_array_equal(one, other)
    assert make_pricing(rows, np.random.default_rng(0)).kind == "estimated"
