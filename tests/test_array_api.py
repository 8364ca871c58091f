"""Arrays of other libraries: in, and out again on the same device, with the same numbers.

PyTorch takes part where it is installed (`make test-torch`); no test needs a GPU: of the devices of
array-api-strict NumPy can read one, and not the other.
"""

import pickle

import array_api_strict
import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.utils import estimator_checks as checks
from sklearn.utils._array_api import NamespaceAndDevice, move_estimator_to

from sklearn_convexnn import (
    ConvexReLUClassifier,
    ConvexReLUClassifierCV,
    ConvexReLURegressor,
    GatedReLURegressor,
    alpha_max,
    convexnn_path,
    export,
)
from sklearn_convexnn import _arrays as arrays
from sklearn_convexnn.core.fit import growing
from sklearn_convexnn.core.pricing import screened
from sklearn_convexnn.core.problem.engines.array_api import ArrayEngine, Place, PlacedRows
from sklearn_convexnn.core.problem.training_set import TrainingSet
from sklearn_convexnn.inspection import prune
from tests.conftest import make_case
from tests.places import PLACES, each_place, needs_torch, torch_place

DEVICE = array_api_strict.Device("device1")
# Short rows of few classes: every kind of target, and a loss with another prediction.
CASES = {
    "regression": {},
    "multioutput": {},
    "binary": {},
    "multiclass": {},
    "counts": {"loss": "poisson"},
}


@pytest.fixture(autouse=True)
def dispatch(monkeypatch):
    """scikit-learn asks for this variable; SciPy is given no array of another library."""
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")


@pytest.fixture
def on_device(monkeypatch):
    """Rows of any number stay where they are, on whatever device that is."""
    monkeypatch.setattr(arrays, "LEAST_ROWS", 0)
    monkeypatch.setattr(Place, "on_cpu", False)


def case_of(kind, n=80):
    case = make_case("regression" if kind == "counts" else kind, n=n)
    y = np.floor(np.abs(3 * case.y)) if kind == "counts" else case.y
    return case.Estimator(alpha=0.02, random_state=0, **CASES[kind]), case.X, y


def fitted(estimator, X, y, place, sample_weight=None):
    with config_context(array_api_dispatch=True):
        return clone(estimator).fit(place.put(X), y, sample_weight)


def called(model, method, X, place):
    with config_context(array_api_dispatch=True):
        return getattr(model, method)(place.put(X))


def assert_there(array, place):
    assert type(array) is type(place.put(np.zeros(1)))
    assert array.device == place.device


# --------------------------------------------------------------------------- scikit-learn's checks


@pytest.mark.parametrize(
    "namespace, device, dtype",
    [
        ("array_api_strict", "CPU_DEVICE", "float64"),
        ("array_api_strict", "device1", "float32"),
        pytest.param("torch", "cpu", "float64", marks=needs_torch),
        pytest.param("torch", "cpu", "float32", marks=needs_torch),
    ],
)
@pytest.mark.parametrize("estimator", [ConvexReLURegressor("scale"), ConvexReLUClassifier()])
def test_checks_of_scikit_learn(estimator, namespace, device, dtype):
    name = type(estimator).__name__
    checks.check_array_api_input_and_values(
        name, estimator, namespace, device, dtype, check_sample_weight=True
    )


@pytest.mark.parametrize(
    "other, mine",
    [
        (("numpy", None), ("array_api_strict", "device1")),
        (("array_api_strict", "device1"), ("numpy", None)),
        pytest.param(("array_api_strict", "device1"), ("torch", "cpu"), marks=needs_torch),
    ],
)
def test_targets_and_weights_follow_the_rows(other, mine):
    other, mine = NamespaceAndDevice(*other), NamespaceAndDevice(*mine)
    estimator = ConvexReLUClassifier(0.02)
    checks.check_array_api_mixed_inputs(
        "ConvexReLUClassifier", estimator, mine, other, check_values=True
    )


@pytest.mark.parametrize("estimator", [ConvexReLURegressor(0.1), ConvexReLUClassifier(0.1)])
def test_check_of_one_namespace(estimator):
    checks.check_array_api_same_namespace(type(estimator).__name__, estimator, "array_api_strict")


# ----------------------------------------------------------------------------------- fits elsewhere


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.slow) if kind in {"multiclass", "counts"} else kind
        for kind in CASES
    ],
)
@pytest.mark.parametrize(
    "make_place", [PLACES["another device"], PLACES["torch"]], ids=["another device", "torch"]
)
def test_a_fit_on_a_device(make_place, kind, on_device, monkeypatch):
    """The same optimum, as far as it is asked for.  Passes are those of the engine of arrays."""
    place, engines, init = make_place(), [], ArrayEngine.__init__

    def watched(self, *args, **settings):
        engines.append(self)
        init(self, *args, **settings)

    monkeypatch.setattr(ArrayEngine, "__init__", watched)
    estimator, X, y = case_of(kind, n=24)
    # Several outputs have no program for the last digits.
    gap = 1e-5 if kind in ("regression", "binary") else 2e-2
    estimator.set_params(gap_tol=gap)
    expected, model = clone(estimator).fit(X, y), fitted(estimator, X, y, place)
    assert max(engine.passes for engine in engines) > 0
    assert model.status_ == "gap"
    assert model.objective_ == pytest.approx(expected.objective_, rel=gap)
    for array in (*model.coefs_, *model.intercepts_, model.feature_importances_):
        assert_there(array, place)


@pytest.mark.parametrize("alpha", ["auto", 0.05])
def test_rows_stay_on_their_device(alpha, monkeypatch):
    """Of many rows, whether alpha is given or chosen: samples and passes only."""
    for module in (arrays, growing, screened):
        monkeypatch.setattr(module, "LEAST_ROWS", 2000)
    monkeypatch.setattr(growing, "FIRST_ROWS", 500)
    monkeypatch.setattr(growing, "_ROWS_PER_COLUMN", 80)
    monkeypatch.setattr("sklearn_convexnn.core.problem.column_scales._MOST_ROWS", 500)
    # As if the rows were more than can be sorted.
    monkeypatch.setitem(TrainingSet.of.__func__.__kwdefaults__, "memory", 0)
    n_rows, fetched = 3000, []
    toarray = PlacedRows.toarray
    monkeypatch.setattr(
        PlacedRows, "toarray", lambda rows: (fetched.append(len(rows)), toarray(rows))[1]
    )
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, 4))
    y = np.abs(X[:, 0]) - X[:, 1] + 0.1 * rng.standard_normal(n_rows)
    estimator = ConvexReLURegressor(alpha, random_state=0)
    with config_context(array_api_dispatch=True):
        X_there = array_api_strict.asarray(X, device=DEVICE)
        model = clone(estimator).fit(X_there, array_api_strict.asarray(y, device=DEVICE))
        score = model.score(X_there, y)
    assert max(fetched, default=0) < n_rows // 2
    expected = clone(estimator).fit(X, y)
    assert score == pytest.approx(expected.score(X, y), abs=2e-3)
    # Within the noise of held-out rows rounding decides between alphas of the path.
    assert 0.2 < model.alpha_ / expected.alpha_ < 5


def test_weights_and_repetitions_on_a_device(on_device):
    """Rows of weight zero are left out, rows of weight two are there twice."""
    place = PLACES["another device"].values[0]()
    estimator, X, y = case_of("regression", n=30)
    estimator.set_params(gap_tol=1e-6)
    weights = np.arange(30) % 3
    model = fitted(estimator, X, y, place, weights)
    repeated = fitted(estimator, np.repeat(X, weights, 0), np.repeat(y, weights), place)
    assert model.objective_ == pytest.approx(repeated.objective_, rel=1e-6)


def test_warm_start_on_a_device(on_device):
    place = PLACES["another device"].values[0]()
    estimator, X, y = case_of("binary")
    model = estimator.set_params(warm_start=True)
    with config_context(array_api_dispatch=True):
        first = model.fit(place.put(X), y).objective_
        assert model.fit(place.put(X), y).objective_ <= first * (1 + 1e-9)


def test_programs_over_patterns_take_the_rows_into_memory(on_device):
    place = PLACES["another device"].values[0]()
    estimator, X, y = case_of("regression", n=30)
    estimator.set_params(refinement=None, patterns=5)
    expected, model = clone(estimator).fit(X, y), fitted(estimator, X, y, place)
    assert model.objective_ == pytest.approx(expected.objective_, rel=1e-9)
    assert_there(model.coefs_[0], place)


# -------------------------------------------------------------------------------------- predictions


@pytest.mark.parametrize("kind", CASES)
@each_place
def test_predictions_are_those_of_numpy(make_place, kind):
    place = make_place()
    estimator, X, y = case_of(kind)
    expected, model = clone(estimator).fit(X, y), fitted(estimator, X, y, place)
    methods = ["predict", "hidden_activations"]
    if kind in ("binary", "multiclass"):
        methods += ["decision_function", "predict_proba", "predict_log_proba"]
        # Log-odds of hundreds, of which exponentials overflow.
        X = np.vstack([X, 1e3 * X[:5]])
    for method in methods:
        found, value = called(model, method, X, place), getattr(expected, method)(X)
        if value.dtype.kind == "U":  # names are in NumPy
            np.testing.assert_array_equal(found, value)
            continue
        assert_there(found, place)
        np.testing.assert_allclose(place.to_numpy(found), value, rtol=1e-10, atol=1e-12)


def test_a_network_without_neurons(regression):
    place = PLACES["another device"].values[0]()
    model = fitted(ConvexReLURegressor(1e3), regression.X, regression.y, place)
    found = called(model, "predict", regression.X, place)
    np.testing.assert_allclose(place.to_numpy(found), regression.y.mean())


@each_place
def test_estimators_move(make_place, multiclass):
    place = make_place()
    expected = ConvexReLUClassifier(0.02, random_state=0).fit(multiclass.X, multiclass.y)
    with config_context(array_api_dispatch=True):
        there = move_estimator_to(expected, place.xp, place.device)
        found = there.predict_proba(place.put(multiclass.X))
        back = move_estimator_to(pickle.loads(pickle.dumps(there)), np, "cpu")
    np.testing.assert_allclose(
        place.to_numpy(found), expected.predict_proba(multiclass.X), atol=1e-12
    )
    np.testing.assert_array_equal(back.predict(multiclass.X), expected.predict(multiclass.X))
    assert export.to_mlp(back).n_layers_ == 3


def test_rows_of_another_kind_than_in_fit_say_so(regression):
    place = PLACES["another device"].values[0]()
    model = fitted(ConvexReLURegressor(0.1), regression.X, regression.y, place)
    with pytest.raises(ValueError, match=r"fitted on arrays of array_api_strict: call predict"):
        model.predict(regression.X)
    with pytest.raises(ValueError, match=r"array_api_strict: pass.*move_estimator_to"):
        prune(model, regression.X, regression.y)


def test_other_estimators_and_paths_refuse(regression):
    place = PLACES["another device"].values[0]()
    X, y = place.put(regression.X), regression.y
    with config_context(array_api_dispatch=True):
        for estimator in (GatedReLURegressor(), ConvexReLUClassifierCV()):
            assert not estimator.__sklearn_tags__().array_api_support
            with pytest.raises(TypeError, match=r"X is an array of array_api_strict"):
                estimator.fit(X, y)
        with pytest.raises(TypeError, match=r"computes in NumPy"):
            convexnn_path(X, y)
        assert alpha_max(X, y) == pytest.approx(alpha_max(regression.X, y), rel=1e-6)


@needs_torch
def test_tensors_of_a_processor_are_read_where_they_are():
    """NumPy's engine has them, and makes the same network to the last bit."""
    X, y = make_classification(n_samples=60, n_features=4, random_state=0)
    place = torch_place()
    tensor = place.put(X)
    rows = arrays.rows_at(tensor, place)
    assert np.shares_memory(rows, tensor.numpy())
    expected = ConvexReLUClassifier(0.02, random_state=0).fit(X, y)
    model = fitted(ConvexReLUClassifier(0.02, random_state=0), X, y, place)
    np.testing.assert_array_equal(model.coefs_[0].numpy(), expected.coefs_[0])
