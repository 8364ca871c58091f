"""The loop: when it stops, what it reports, and that an interruption costs one round at most."""

from dataclasses import replace

import numpy as np
import pytest

from sklearn_convexnn.core.column_generation.loop import solve
from sklearn_convexnn.core.column_generation.options import Options
from sklearn_convexnn.core.pricing.plane import PlanePricing
from sklearn_convexnn.core.pricing.search import SearchPricing
from sklearn_convexnn.core.problem.constant import constant_network
from sklearn_convexnn.core.problem.losses import get_loss
from sklearn_convexnn.core.problem.network import Network
from sklearn_convexnn.core.problem.rows import Rows
from sklearn_convexnn.core.problem.solution import Start, Status
from tests.certificates import largest_price
from tests.problems import loss_values

ALPHA = 0.02
OPTIONS = Options(
    max_iter=5,
    tol=1e-3,
    first_neurons=20,
    new_neurons=10,
    slide_iter=30,
    refit_iter=200,
    pattern_work=0,  # the pricing that a test hands in is the one that prices
)
LOSS_SHAPES = [("squared_error", 1), ("squared_error", 3), ("log_loss", 1), ("log_loss", 3)]
each_loss = pytest.mark.parametrize("loss, n_outputs", LOSS_SHAPES)


def make_rows(loss="squared_error", n_outputs=1, intercept=True, *, n=40, d=2):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    signal = np.column_stack([np.sin(2 * X[:, 0]), np.abs(X[:, -1]) - 0.8, X[:, 0] * X[:, -1]])
    if loss == "squared_error":
        Y = signal[:, :n_outputs]
    elif n_outputs == 1:
        Y = (signal[:, :1] > 0).astype(float)
    else:
        Y = np.eye(n_outputs)[np.argmax(signal[:, :n_outputs], axis=1)]
    return Rows.of(X, Y, np.full(n, 1 / n), get_loss(loss, n_outputs), intercept=intercept)


def run(rows, alpha=ALPHA, *, options=OPTIONS, pricing=None, **changes):
    solve_settings = {k: changes.pop(k) for k in ("start", "confirm", "progress") if k in changes}
    pricing = SearchPricing(np.random.default_rng(0)) if pricing is None else pricing
    return solve(rows, alpha, pricing, options=replace(options, **changes), **solve_settings)


def objective(rows, network, alpha=ALPHA):
    """(P), from its formula."""
    Z = np.maximum(rows.dense() @ network.U.T, 0) @ network.C + network.b0
    return rows.weights @ loss_values(rows.loss.name.split()[0], rows.Y, Z) + (
        alpha * network.penalty()
    )


def assert_certificate_belongs_to_network(rows, solution):
    """Recomputed from the network and the reported kappa."""
    network, certificate = solution.network, solution.certificate
    known = solution.alpha, certificate.kappa, certificate.kind
    again = rows.evaluate(network).certify(network.penalty(), *known)
    np.testing.assert_allclose(again.primal, certificate.primal, rtol=1e-12)
    np.testing.assert_allclose(again.dual, certificate.dual, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(objective(rows, network), certificate.primal, rtol=1e-12)


# ---------------------------------------------------------------------------------- what it reports


@pytest.mark.parametrize("intercept", [False, True], ids=["no b0", "b0"])
@each_loss
def test_history_and_certificate(loss, n_outputs, intercept):
    """One row of history per round, the last that of the solution; the objective never rises."""
    rows = make_rows(loss, n_outputs, intercept)
    solution = run(rows, tol=0.0)
    history = solution.history
    assert set(history) == {"objective", "lower_bound", "dual_gap", "n_neurons", "violation"}
    assert {len(values) for values in history.values()} == {solution.n_iter}
    assert solution.n_iter == OPTIONS.max_iter
    start = objective(rows, constant_network(rows))
    assert np.all(np.diff([start, *history["objective"]]) <= 1e-15)
    assert history["objective"][0] < 0.99 * start
    assert history["objective"][-1] == solution.certificate.primal
    assert history["dual_gap"][-1] == solution.certificate.relative_gap
    assert history["n_neurons"][-1] == solution.network.n_neurons
    violation = max(0.0, solution.certificate.kappa / ALPHA - 1)
    np.testing.assert_allclose(history["violation"][-1], violation)
    assert_certificate_belongs_to_network(rows, solution)
    assert solution.certificate.kind == "estimated"
    if not intercept:
        assert not solution.network.b0.any()


def test_progress_is_told_every_round():
    """The number of the round and the latest row of the history."""
    calls = []
    solution = run(make_rows(), tol=0.0, progress=lambda *call: calls.append(call))
    assert [number for number, _ in calls] == list(range(1, solution.n_iter + 1))
    for k, (_, latest) in enumerate(calls[:-1]):  # the last round is confirmed after the call
        assert latest.pop("certificate") == "estimated"
        assert latest == {name: values[k] for name, values in solution.history.items()}


def test_kind_of_the_certificate_is_that_of_the_pricing():
    rows = make_rows(d=1)
    solution = run(rows, pricing=PlanePricing())
    assert solution.certificate.kind == "exact"
    assert solution.certificate.gap >= -1e-15


def test_solution_is_deterministic():
    """The same generator state gives the same bits."""
    one, other = run(make_rows()), run(make_rows())
    for a, b in zip(vars(one.network).values(), vars(other.network).values(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.history == other.history


def test_single_precision_work_double_precision_answer():
    """Sliding and pricing in float32; objective and certificate are evaluated in float64."""
    rows = make_rows()
    double, single = (run(rows, dtype=dtype) for dtype in (np.float64, np.float32))
    assert single.network.U.dtype == np.float64
    assert_certificate_belongs_to_network(rows, single)
    np.testing.assert_allclose(single.certificate.primal, double.certificate.primal, rtol=1e-2)


# ------------------------------------------------------------------------------------ when it stops


def test_status_values_are_advice():
    """What is shown to the user is a sentence."""
    for status in Status:
        assert status.value.endswith(".")
        assert status.value[0].isupper()


@pytest.mark.parametrize("gap_tol", [0.3, 0.03])
def test_stops_at_the_gap(gap_tol):
    """The gap of the last round is the first below the tolerance."""
    solution = run(make_rows(), gap_tol=gap_tol, max_iter=50)
    assert solution.status is Status.GAP
    assert solution.certificate.relative_gap <= gap_tol


def test_stops_for_lack_of_progress():
    """Only without a tolerance for the gap, when a round gains less than ``tol``."""
    solution = run(make_rows(), tol=1e-2, max_iter=50)
    assert solution.status in (Status.PROGRESS, Status.GAP)
    assert solution.n_iter < 50
    if solution.status is Status.PROGRESS:
        before, last = solution.history["objective"][-2:]
        # The confirmation lowers the objective of the last round once more.
        assert last >= before * (1 - 2e-2)


@pytest.mark.parametrize("max_iter", [1, 3])
def test_stops_after_max_iter(max_iter):
    solution = run(make_rows(), gap_tol=1e-14, max_iter=max_iter)
    assert solution.status is Status.MAX_ITER
    assert solution.n_iter == max_iter


def test_a_gap_reached_in_the_last_confirmation_counts():
    """The tight refit before a stop may close the gap: then the rounds were enough."""
    rows = make_rows("log_loss")
    limits = {"max_iter": 3, "refit_iter": 20, "newton": False}
    before = run(rows, gap_tol=1e-14, confirm=False, **limits).certificate.relative_gap
    after = run(rows, gap_tol=1e-14, **limits).certificate.relative_gap
    assert after < 0.9 * before
    solution = run(rows, gap_tol=np.sqrt(before * after), **limits)
    assert solution.certificate.relative_gap == after
    assert solution.status is Status.GAP


# ------------------------------------------------------------------------------------- interruption


@pytest.mark.parametrize("stop", [1, 2, 4])
def test_interruption_in_progress_keeps_the_last_round(stop):
    """Raised by the callback: the round is complete, and is what is returned."""
    rows, seen = make_rows(), []

    def progress(n_iter, latest):
        seen.append(latest)
        if n_iter == stop:
            raise KeyboardInterrupt

    solution = run(rows, tol=0.0, progress=progress)
    assert solution.status is Status.INTERRUPTED
    assert {len(values) for values in solution.history.values()} == {stop}
    assert solution.n_iter == stop
    assert seen[-1]["objective"] == solution.certificate.primal
    assert seen[-1]["n_neurons"] == solution.network.n_neurons
    assert_certificate_belongs_to_network(rows, solution)


class Interrupted:
    """A pricing that is interrupted in its k-th call."""

    kind = "estimated"

    def __init__(self, k):
        self.pricing, self.k, self.calls = SearchPricing(np.random.default_rng(0)), k, 0

    def __call__(self, rows, R, network, *, effort, known=None):
        self.calls += 1
        if self.calls == self.k:
            raise KeyboardInterrupt
        return self.pricing(rows, R, network, effort=effort, known=known)

    def seeds(self, rows, R, count):
        return self.pricing.seeds(rows, R, count)


@pytest.mark.parametrize("k", [2, 3, 5, 6])
def test_interruption_within_a_round_goes_back_to_the_one_before(k):
    """Without the pricing of round k - 1 the round is not complete; call 6 is in the last one."""
    rows = make_rows()
    solution = run(rows, tol=0.0, pricing=Interrupted(k))
    assert solution.status is Status.INTERRUPTED
    complete = k - 2
    assert {len(values) for values in solution.history.values()} == {complete}
    if complete:
        assert solution.history["objective"][-1] == solution.certificate.primal
        assert solution.history["dual_gap"][-1] == solution.certificate.relative_gap
    else:
        assert solution.network.n_neurons == 0
    assert_certificate_belongs_to_network(rows, solution)


# ------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize("max_neurons", [1, 3])
@each_loss
def test_max_neurons(loss, n_outputs, max_neurons):
    """Never more, in any round; and what is there is used."""
    rows = make_rows(loss, n_outputs)
    solution = run(rows, max_neurons=max_neurons)
    assert 1 <= max(solution.history["n_neurons"]) <= max_neurons
    assert solution.network.n_neurons <= max_neurons
    assert solution.certificate.primal < objective(rows, constant_network(rows))


def test_few_neurons_are_chosen_well():
    """A cut joins close neurons and slides what is left: three of many lose little."""
    rows, alpha = make_rows(n=200), 0.1 * ALPHA
    free, few = run(rows, alpha), run(rows, alpha, max_neurons=3)
    constant = objective(rows, constant_network(rows), alpha)
    assert free.network.n_neurons > 3
    gained = constant - free.certificate.primal
    assert constant - few.certificate.primal > 0.8 * gained


def test_close_neurons_do_not_pile_up_on_badly_scaled_rows():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 4)) * np.array([1, 100, 1e4, 1e-2])
    Y = (np.sin(X[:, 0]) + X[:, 1] / 100)[:, None]
    rows = Rows.of(
        X, Y, np.full(20, 0.05), get_loss("squared_error", 1), intercept=True, scale=1e-4
    )
    solution = run(rows, 1e-4, gap_tol=1e-3, max_iter=30)
    assert solution.network.n_neurons <= 20


def test_max_neurons_of_a_larger_start():
    """A warm start with more neurons than allowed is cut down."""
    rows = make_rows()
    start = run(rows).network
    assert start.n_neurons > 2
    solution = run(rows, max_neurons=2, start=Start(start))
    assert solution.network.n_neurons <= 2


def _alpha_max(rows):
    Z = np.broadcast_to(constant_network(rows).b0, rows.Y.shape)
    R = -rows.weights[:, None] * rows.loss.gradient(rows.Y, Z)
    return largest_price(rows.dense(), R, n_starts=5)


@pytest.mark.parametrize("intercept", [False, True], ids=["no b0", "b0"])
@each_loss
def test_alpha_max_is_where_the_first_neuron_appears(loss, n_outputs, intercept):
    """From ``kappa`` at the constant network on, that network is optimal; below it, it is not."""
    rows = make_rows(loss, n_outputs, intercept, n=12)
    alpha_max = _alpha_max(rows)
    for factor in (1 + 1e-9, 1.5, 100.0):
        solution = run(rows, factor * alpha_max)
        assert solution.network.n_neurons == 0
        assert solution.status is Status.GAP
        assert abs(solution.certificate.relative_gap) < 1e-8
        np.testing.assert_allclose(solution.network.b0, constant_network(rows).b0, atol=1e-8)
    below = run(rows, 0.9 * alpha_max, gap_tol=1e-4)
    assert below.network.n_neurons > 0
    assert below.certificate.primal < objective(rows, constant_network(rows), 0.9 * alpha_max)


# -------------------------------------------------------------------------------------- warm starts


def test_warm_start_never_ends_above_its_start():
    """From a solution for another alpha; from the solution itself nothing is lost."""
    rows = make_rows()
    coarse = run(rows, 5 * ALPHA).network
    first = run(rows, start=Start(coarse))
    assert first.certificate.primal <= objective(rows, coarse)
    again = run(rows, start=Start(first.network))
    assert again.certificate.primal <= first.certificate.primal * (1 + 1e-12)


def test_prices_of_the_start_are_used():
    """The prices that are handed in save the first call of the pricing."""
    rows, pricing = make_rows(), Interrupted(-1)
    network = constant_network(rows)
    R = -rows.weights[:, None] * rows.loss.gradient(
        rows.Y, np.broadcast_to(network.b0, rows.Y.shape)
    )
    prices = SearchPricing(np.random.default_rng(0))(rows, R, network, effort=1)
    start = Start(network, prices)
    run(rows, tol=0.0, max_iter=2, pricing=pricing, start=start)
    assert pricing.calls == 2  # after the first round, and to confirm the second


def test_useless_start_is_left_behind():
    """Neurons that point nowhere are dropped, whatever their number."""
    rows = make_rows()
    U = np.tile([0.0, 0.0, -1.0], (5, 1))
    start = Start(Network(U, np.ones((5, 1)), np.zeros(1)))
    solution = run(rows, start=start)
    assert not (solution.network.U[:, 2] == -1).any()
    assert solution.certificate.primal < objective(rows, constant_network(rows))
