"""Every registered loss against its definition: derivatives, convex conjugate, constants.

A loss added to ``LOSSES`` is tested without a change here if its targets are real numbers; if not,
it needs a line in ``TARGETS``.  Of a loss with kinks the rounded form is tested in its place.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_convexnn.core.problem.losses import LOSSES, Huber, Poisson, get_loss, losses_for

N_ROWS = 12


def _real_targets(rng, n_outputs):
    return rng.standard_normal((N_ROWS, n_outputs))


def _class_targets(rng, n_outputs):
    if n_outputs == 1:
        return rng.permutation(np.arange(N_ROWS) % 2.0)[:, None]
    return np.eye(n_outputs)[rng.permutation(np.arange(N_ROWS) % n_outputs)]


def _counts(rng, n_outputs):
    return rng.poisson(2.0, (N_ROWS, n_outputs)) * 1.0 + np.eye(N_ROWS, n_outputs)


def _heavy_tails(rng, n_outputs):
    return rng.standard_cauchy((N_ROWS, n_outputs))


TARGETS = dict.fromkeys(losses_for("classification"), _class_targets)
TARGETS |= {"poisson": _counts, "huber": _heavy_tails, "working huber": _heavy_tails}
TARGETS |= {"shifted poisson": _counts}


def loss_of(name, n_outputs):
    """By its name; also forms that losses take in working units or for a solver."""
    if name == "working huber":
        thresholds = np.linspace(0.7, 1.3, n_outputs)
        return Huber(thresholds, reach=2.0 * thresholds)
    if name == "shifted poisson":
        return Poisson(log_unit=0.7)
    loss = get_loss(name, n_outputs)
    return loss if loss.smooth else loss.smoothed(0.5)


NAMES = [*LOSSES, "working huber", "shifted poisson"]
each_loss = pytest.mark.parametrize(
    "name, n_outputs", [(name, n_outputs) for name in NAMES for n_outputs in (1, 3)]
)
for_many = settings(max_examples=25, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)
spreads = st.sampled_from([1e-3, 1.0, 10.0])


def draw(name, n_outputs, seed, spread):
    """A loss with targets, outputs and weights of sum 1."""
    rng = np.random.default_rng(seed)
    Y = TARGETS.get(name, _real_targets)(rng, n_outputs)
    Z = spread * rng.standard_normal((N_ROWS, n_outputs))
    weights = rng.uniform(0.1, 1.0, N_ROWS)
    return loss_of(name, n_outputs), Y, Z, weights / weights.sum(), rng


@each_loss
@for_many
@given(seed=seeds, spread=spreads)
def test_value_and_gradient_is_both_methods(name, n_outputs, seed, spread):
    """The shared computation gives what the separate ones give."""
    loss, Y, Z, _, _ = draw(name, n_outputs, seed, spread)
    value, gradient = loss.value_and_gradient(Y, Z)
    assert value.shape == (N_ROWS,)
    assert gradient.shape == Z.shape
    np.testing.assert_allclose(value, loss.value(Y, Z), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(gradient, loss.gradient(Y, Z), rtol=1e-12, atol=1e-14)


@each_loss
@pytest.mark.parametrize("n", [1, N_ROWS], ids=["one row", "rows"])
@pytest.mark.parametrize("order", "CF")
def test_memory_layout_is_of_no_consequence(name, n_outputs, order, n):
    """Outputs stored by rows or by columns give the same numbers, and are left as they were."""
    loss, Y, Z, weights, _ = draw(name, n_outputs, 0, 1.0)
    expected = loss.value(Y, Z.copy())[:n], loss.gradient(Y, Z.copy())[:n]
    outputs = np.array(Z[:n], order=order)
    for found in (
        (loss.value(Y[:n], outputs), loss.gradient(Y[:n], outputs)),
        loss.value_and_gradient(Y[:n], outputs),
    ):
        np.testing.assert_array_equal(outputs, Z[:n])
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-12)
    loss.mean_hessian(Y[:n], outputs, weights[:n])
    loss.dual(Y[:n], outputs)
    np.testing.assert_array_equal(outputs, Z[:n])


@each_loss
@for_many
@given(seed=seeds, spread=spreads)
def test_gradient_is_the_derivative_of_value(name, n_outputs, seed, spread):
    """Central differences along a random direction."""
    loss, Y, Z, _, rng = draw(name, n_outputs, seed, spread)
    step = 1e-5 * rng.standard_normal(Z.shape)
    change = loss.value(Y, Z + step) - loss.value(Y, Z - step)
    expected = 2 * np.sum(loss.gradient(Y, Z) * step, axis=1)
    np.testing.assert_allclose(change, expected, rtol=1e-6, atol=1e-12)


@each_loss
@for_many
@given(seed=seeds, spread=spreads)
def test_hessian_is_the_derivative_of_the_gradient(name, n_outputs, seed, spread):
    """Central differences along one step for all rows; symmetric, from 0 to the smoothness."""
    loss, Y, Z, weights, rng = draw(name, n_outputs, seed, spread)
    hessian = loss.mean_hessian(Y, Z, weights)
    assert hessian.shape == (n_outputs, n_outputs)
    value, gradient, second = loss.mean_derivatives(Y, Z, weights)
    np.testing.assert_allclose(value, weights @ loss.value(Y, Z), rtol=1e-12)
    np.testing.assert_allclose(gradient, weights @ loss.gradient(Y, Z), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(second, hessian, rtol=1e-12, atol=1e-14)
    step = 1e-5 * rng.standard_normal(n_outputs)
    change = weights @ (loss.gradient(Y, Z + step) - loss.gradient(Y, Z - step))
    np.testing.assert_allclose(change, 2 * hessian @ step, rtol=1e-6, atol=1e-13)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-15)
    eigenvalues = np.linalg.eigvalsh(hessian)
    assert eigenvalues.min() >= -1e-12
    assert eigenvalues.max() <= loss.smoothness() * (1 + 1e-12)


@each_loss
@for_many
@given(seed=seeds, spread=spreads)
def test_smoothness_bounds_the_change_of_the_gradient(name, n_outputs, seed, spread):
    """``||g(z) - g(z')|| <= L ||z - z'||`` in every row."""
    loss, Y, Z, _, rng = draw(name, n_outputs, seed, spread)
    other = Z + spread * rng.standard_normal(Z.shape)
    change = np.linalg.norm(loss.gradient(Y, Z) - loss.gradient(Y, other), axis=1)
    limit = loss.smoothness() * np.linalg.norm(Z - other, axis=1)
    assert np.all(change <= limit * (1 + 1e-9))


@each_loss
@for_many
@given(seed=seeds, spread=spreads)
def test_fenchel_young(name, n_outputs, seed, spread):
    """``loss(y, z) - dual(y, rho) + <rho, z> >= 0``, and 0 at ``rho = -gradient``."""
    loss, Y, Z, _, rng = draw(name, n_outputs, seed, spread)

    def slack(rho, Z):
        value, product = loss.value(Y, Z), np.sum(rho * Z, axis=1)
        rounding = 1e-14 * (np.abs(value) + np.abs(product))
        return (value - loss.dual(Y, rho) + product) / (1 + rounding / 1e-11)

    rho = -loss.gradient(Y, Z)
    np.testing.assert_allclose(slack(rho, Z), 0, atol=1e-11 * (1 + spread))
    other = spread * rng.standard_normal(Z.shape)
    for trial in (rho, 0.5 * rho, 0 * rho, rng.standard_normal(Z.shape)):
        assert np.all(slack(trial, other) >= -1e-11 * (1 + spread))


@each_loss
@for_many
@given(seed=seeds)
def test_outputs_invert_the_gradient(name, n_outputs, seed):
    """Also a fraction of a dual variable belongs to outputs; ``curvature`` is the Hessian there."""
    loss, Y, Z, _, _ = draw(name, n_outputs, seed, 1.0)
    for share in (1.0, 0.3):
        rho = -share * loss.gradient(Y, Z)
        outputs = loss.outputs(Y, rho)
        np.testing.assert_allclose(-loss.gradient(Y, outputs), rho, atol=1e-10)
        s, P = loss.curvature(Y, outputs)
        H = s[:, :, None] * np.eye(Z.shape[1])
        H = H if P is None else H - s[:, :, None] * P[:, None, :]
        np.testing.assert_allclose(H, loss.hessian(Y, outputs), atol=1e-10)


@each_loss
@for_many
@given(seed=seeds)
def test_dual_is_the_infimum_of_fenchel_young(name, n_outputs, seed):
    """``dual(y, rho) = min_z loss(y, z) + <rho, z>``: no smaller number would do."""
    loss, Y, Z, _, _ = draw(name, n_outputs, seed, 1.0)
    rho = 0.7 * -loss.gradient(Y, Z)  # inside the domain, where the minimum is attained
    if "huber" in name:
        Z = Y + np.clip(Z - Y, -1, 1)  # targets are heavy-tailed
    for _ in range(20 if not loss.flat else 60):
        hessians = loss.hessian(Y, Z)
        if loss.flat:  # piecewise quadratic and separable: the step where there is curvature
            hessians = loss.smoothness() * np.broadcast_to(np.eye(n_outputs), hessians.shape)
        inverse = np.linalg.pinv(hessians, rtol=1e-10)
        Z = Z - np.clip(np.einsum("icd,id->ic", inverse, loss.gradient(Y, Z) + rho), -1, 1)
    attained = loss.value(Y, Z) + np.sum(rho * Z, axis=1)
    np.testing.assert_allclose(loss.dual(Y, rho), attained, rtol=1e-9, atol=1e-11)


@each_loss
@for_many
@given(seed=seeds)
def test_constant_is_stationary(name, n_outputs, seed):
    """At the best constant output the weighted gradients sum to zero."""
    loss, Y, _, weights, _ = draw(name, n_outputs, seed, 1.0)
    constant = loss.constant(Y, weights)
    assert constant.shape == (n_outputs,)
    Z = np.broadcast_to(constant, Y.shape)
    np.testing.assert_allclose(weights @ loss.gradient(Y, Z), 0, atol=1e-12)


@each_loss
@for_many
@given(seed=seeds, spread=spreads, limit=st.sampled_from([0.0, 0.3, 1.0, 7.0, np.inf]))
def test_best_scale_is_feasible_and_useful(name, n_outputs, seed, spread, limit):
    """``s rho`` stays in the domain, s within the limit, and no worse than the safe choice."""
    loss, Y, Z, weights, _ = draw(name, n_outputs, seed, spread)
    rho = -loss.gradient(Y, Z)
    scale = loss.best_scale(Y, rho, weights, limit)
    assert 0 <= scale <= limit
    dual = weights @ loss.dual(Y, scale * rho)
    assert np.isfinite(dual)
    safe = weights @ loss.dual(Y, min(1.0, limit) * rho)
    assert dual >= safe - 1e-12 * (1 + spread**2)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_squared_error_takes_the_best_scale(n_outputs):
    """The dual value is a parabola in the scale: compared with a fine grid."""
    loss, Y, Z, weights, _ = draw("squared_error", n_outputs, 0, 1.0)
    rho = -loss.gradient(Y, Z)
    for limit in (0.1, 0.8, 3.0):
        best = weights @ loss.dual(Y, loss.best_scale(Y, rho, weights, limit) * rho)
        grid = [weights @ loss.dual(Y, scale * rho) for scale in np.linspace(0, limit, 301)]
        assert best >= max(grid)
    assert loss.best_scale(Y, 0 * rho, weights, np.inf) == 0.0


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_log_loss_dual_is_minus_infinity_outside_its_domain(n_outputs):
    """``y - rho`` must be a probability."""
    loss, Y, Z, _, _ = draw("log_loss", n_outputs, 0, 1.0)
    rho = -loss.gradient(Y, Z)
    assert np.all(loss.dual(Y, rho + 1.5) == -np.inf)
    assert np.all(loss.dual(Y, -rho - 1e-3 * np.sign(rho)) == -np.inf)
    if n_outputs > 1:
        assert np.all(loss.dual(Y, 0.5 * rho + 1e-6) == -np.inf), "rho must sum to zero"


@each_loss
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_outputs_neither_overflow_nor_vanish(name, n_outputs, dtype):
    """Outputs of +-1e4 (warnings are errors here); the dual value stays finite."""
    loss, Y, Z, weights, _ = draw(name, n_outputs, 0, 1e4)
    Z = Z.astype(dtype)
    value, gradient = loss.value_and_gradient(Y, Z)
    assert np.isfinite(value).all()
    assert np.isfinite(gradient).all()
    tolerance = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(value, loss.value(Y, Z), rtol=tolerance, atol=1e4 * tolerance)
    np.testing.assert_allclose(gradient, loss.gradient(Y, Z), rtol=tolerance, atol=tolerance)
    assert np.isfinite(loss.mean_hessian(Y, Z, weights)).all()
    assert np.isfinite(loss.dual(Y, -loss.gradient(Y, Z.astype(float)))).all()


@pytest.mark.parametrize("name", NAMES)
def test_float32_values_are_close(name):
    """Half the digits in, half the digits out."""
    loss, Y, Z, _, _ = draw(name, 3, 0, 1.0)
    value, gradient = loss.value_and_gradient(Y, Z.astype(np.float32))
    np.testing.assert_allclose(value, loss.value(Y, Z), rtol=1e-5)
    np.testing.assert_allclose(gradient, loss.gradient(Y, Z), atol=1e-6)


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("name", ["squared_error", "poisson", "shifted poisson", "working huber"])
def test_conic_form(name, n_outputs):
    """What CVXPY is given has the value of the loss."""
    cp = pytest.importorskip("cvxpy")
    rng = np.random.default_rng(0)
    loss, Y = loss_of(name, n_outputs), TARGETS.get(name, _real_targets)(rng, n_outputs)
    Z, weights = rng.standard_normal(Y.shape), rng.dirichlet(np.ones(N_ROWS))
    found = loss.conic(cp, Y, weights, [cp.Constant(z) for z in Z.T])
    expected = weights @ loss.value(Y, Z)
    assert float(found.value) == pytest.approx(float(expected), rel=1e-9)
