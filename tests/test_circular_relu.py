"""CircularReLURegressor and CircularReLUClassifier: their program, layers and refusals."""

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_convexnn import CircularLinearRegressor, CircularReLUClassifier, CircularReLURegressor
from tests.conftest import make_rows
from tests.core.problem.test_convolutional_programs import signals

X = make_rows(150, 12)
WAVE = X @ np.cos(2 * np.pi * 2 * np.arange(12) / 12 + 0.5)
QUICK = {"alpha": 0.02, "tol": 0.05, "random_state": 0}


@pytest.mark.parametrize("alpha, value", [(0.01, 0.010697274), (0.05, 0.046906191)])
def test_column_generation_reaches_the_optimum(alpha, value):
    """The values of tests/core/problem/test_convolutional_programs.py over all patterns."""
    settings = {"fit_intercept": False, "gap_tol": 1e-6, "random_state": 0}
    model = CircularReLURegressor(alpha, **settings).fit(*signals(4, 3))
    assert (model.certificate_, model.status_) == ("estimated", "gap")
    assert model.objective_ == pytest.approx(value, abs=2e-9)


@pytest.mark.parametrize("alpha, value", [(0.01, 0.010697274), (0.05, 0.046906191)])
def test_the_program_over_all_patterns_has_it_with_a_proof(alpha, value):
    settings = {"fit_intercept": False, "patterns": "exact"}
    model = CircularReLURegressor(alpha, **settings).fit(*signals(4, 3))
    assert (model.certificate_, model.status_) == ("proven", "gap")
    assert 0 <= model.dual_gap_ <= 1e-6
    assert model.objective_ == pytest.approx(value, abs=2e-9)


def test_search_ends_within_the_proven_gap():
    """With biases, weights and probabilities."""
    rows, labels = X[:10, :2], WAVE[:10] > 0
    weights = np.arange(1.0, 11.0)
    exact, search = (
        CircularReLUClassifier(0.03, random_state=0, **settings).fit(rows, labels, weights)
        for settings in ({"patterns": "exact"}, {"gap_tol": 1e-3})
    )
    assert exact.certificate_ == "proven"
    assert exact.dual_gap_ <= 1e-6
    assert exact.objective_ * (1 - 1e-6) <= search.objective_ <= exact.objective_ * (1 + 1e-3)
    assert search.dual_gap_ <= 1e-3


@pytest.mark.parametrize(
    "rows, y, message",
    [
        (X[:6, :3], np.eye(6)[:, :2], "for one output and a smooth loss: use patterns=None"),
        (X[:60], WAVE[:60], "may have too many activation patterns"),
    ],
)
def test_programs_that_are_none(rows, y, message):
    with pytest.raises(ValueError, match=message):
        CircularReLURegressor(0.1, patterns="exact", random_state=0).fit(rows, y)


def test_the_layers_have_the_objective_and_few_frequencies():
    y = np.abs(WAVE)
    model = CircularReLURegressor(0.03, gap_tol=1e-2, random_state=0).fit(X, y)
    filters, weights, shape = model.filters_, model.filter_weights_, (model.n_neurons_, 12)
    assert filters.shape == weights.shape == shape
    # What a filter finds at every place is a circular correlation.
    places = (np.arange(12)[:, None] + np.arange(12)) % 12
    found = np.einsum("nkl,ml->nmk", X[:, places], filters)
    hidden = np.maximum(np.einsum("nmk,mk->nm", found, weights) + model.intercepts_[0], 0)
    np.testing.assert_allclose(hidden, model.hidden_activations(X), atol=1e-10)
    np.testing.assert_allclose(
        hidden @ model.coefs_[1][:, 0] + model.intercepts_[1], model.predict(X)
    )
    lengths = (np.linalg.norm(one, axis=1) for one in (filters, weights))
    sizes = np.prod(list(lengths), axis=0) + np.abs(model.intercepts_[0])
    penalty = model.alpha_ * sizes @ np.abs(model.coefs_[1][:, 0])
    loss = np.mean((y - model.predict(X)) ** 2) / 2
    assert loss + penalty == pytest.approx(model.objective_, rel=1e-9)
    # Nearly all is spent on the one frequency of the signal.
    spectra = np.abs(np.fft.rfft(model.coefs_[0], axis=0)) @ np.abs(model.coefs_[1][:, 0])
    assert spectra.argmax() == 2
    assert spectra[2] > 0.9 * spectra.sum()


def test_images_are_their_flat_rows():
    flat = CircularReLURegressor(image_shape=(3, 4), **QUICK).fit(X, WAVE)
    images = CircularReLURegressor(**QUICK).fit(X.reshape(-1, 3, 4), WAVE)
    np.testing.assert_array_equal(flat.coefs_[0], images.coefs_[0])
    np.testing.assert_array_equal(images.predict(X.reshape(-1, 3, 4)), flat.predict(X))
    assert images.filters_.shape == (images.n_neurons_, 3, 4)
    with pytest.raises(
        ValueError, match=r"image_shape=\(4, 4\) has 16 entries, but a row of X has 12"
    ):
        CircularReLURegressor(image_shape=(4, 4), **QUICK).fit(X, WAVE)


def test_shifted_rows_have_the_same_network_shifted():
    y = np.abs(WAVE)
    settings = {"gap_tol": 1e-3, "random_state": 0}
    model, shifted = (
        CircularReLURegressor(0.05, **settings).fit(rows, y) for rows in (X, np.roll(X, 5, axis=1))
    )
    assert shifted.objective_ == pytest.approx(model.objective_, rel=2e-3)


def test_relus_are_no_worse_than_half_the_linear_penalty():
    """A linear neuron is two ReLUs of opposite signs, each at its price."""
    linear = CircularLinearRegressor(0.1, fit_intercept=False).fit(X, WAVE)
    settings = {"fit_intercept": False, "gap_tol": 1e-2, "random_state": 0}
    relus = CircularReLURegressor(0.05, **settings).fit(X, WAVE)
    assert relus.objective_ <= linear.objective_ * (1 + 1e-2)


def test_weights_are_repetitions_and_seeds_decide():
    repeats = 1 + np.arange(len(X)) % 3
    weighted = CircularReLURegressor(**QUICK).fit(X, WAVE, sample_weight=repeats)
    repeated = clone(weighted).fit(np.repeat(X, repeats, 0), np.repeat(WAVE, repeats))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), atol=1e-6)
    again = clone(weighted).fit(X, WAVE, sample_weight=repeats)
    np.testing.assert_array_equal(again.coefs_[0], weighted.coefs_[0])


def test_float32_stays():
    model = CircularReLUClassifier(**QUICK).fit(X.astype(np.float32), WAVE > 0)
    arrays = (*model.coefs_, *model.intercepts_, model.filters_, model.filter_weights_)
    assert {one.dtype for one in arrays} == {np.dtype(np.float32)}
    assert model.predict_proba(X.astype(np.float32)).dtype == np.float32


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_warm_start_goes_on():
    y, settings = np.abs(WAVE), {"gap_tol": 1e-2, "random_state": 0}
    model = CircularReLURegressor(3e-4, warm_start=True, **settings).fit(X, y)
    objective = model.objective_
    model.set_params(max_iter=1).fit(X, y)
    cold = CircularReLURegressor(3e-4, max_iter=1, **settings).fit(X, y)
    assert model.objective_ <= objective * (1 + 1e-9) < cold.objective_
    with pytest.raises(ValueError, match="shapes"):
        model.set_params(image_shape=(3, 4)).fit(X, y)
