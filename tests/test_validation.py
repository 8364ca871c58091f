"""What is refused, with which words, and in which forms data is accepted."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError

from sklearn_convexnn import ConvexReLUClassifier, ConvexReLURegressor, alpha_max

NOT_FINITE = "contains NaN|contains infinity|contains NaN or infinity"


def with_entry(array, value):
    array = np.array(array, dtype=np.result_type(array, type(value)))
    array.flat[7] = value
    return array


def fitted_names(model):
    return {name for name in vars(model) if name.endswith("_") and not name.startswith("_")}


def assert_refused(model, X, y, match, error=ValueError, **fit_params):
    """A message that names the fault, and nothing half-fitted."""
    with pytest.raises(error, match=match):
        model.fit(X, y, **fit_params)
    # scikit-learn itself sets these two while it validates X.
    assert fitted_names(model) <= {"n_features_in_", "feature_names_in_"}


# --------------------------------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    "name, value",
    [
        *(("alpha", value) for value in (-1.0, np.nan, np.inf, "best", None, [1.0], True)),
        *(("max_neurons", value) for value in (0, -1, 2.5, "all")),
        *(("max_iter", value) for value in (0, 1.5, "auto")),
        *(("tol", value) for value in (0, 0.0, -1e-3, None, np.nan)),
        *(("gap_tol", value) for value in (0, -1e-3, 1, 2.0, "auto", np.nan)),
        ("loss", "absolute_error"),
        ("fit_intercept", "yes"),
        ("refinement", "gated"),
        ("patterns", 0),
        ("solver", "lbfgs"),
        ("warm_start", 2),
        ("random_state", "seed"),
        ("verbose", -1),
    ],
)
def test_bad_parameters_are_named(simple_case, name, value):
    model = simple_case.Estimator().set_params(**{name: value})
    assert_refused(model, simple_case.X, simple_case.y, match=name)


def test_alpha_zero_is_refused_with_the_reason(simple_case):
    model = simple_case.Estimator(alpha=0)
    assert_refused(model, simple_case.X, simple_case.y, match="alpha=0.*a penalty.*alpha_max_")


@pytest.mark.parametrize(
    "class_weight, match",
    [
        ("even", "class_weight"),
        ([1, 2], "class_weight"),
        ({"no": 1, "maybe": 2}, "class_weight.*maybe"),
        ({"no": -1, "yes": 2}, "class_weight.*non-negative"),
        ({"no": np.nan, "yes": 2}, "class_weight"),
        ({"no": np.inf, "yes": 2}, "class_weight"),
        ({"no": 0, "yes": 0}, "positive weight|zero"),
        ({"no": 0, "yes": 2}, "one class"),
    ],
)
def test_bad_class_weight(binary, class_weight, match):
    model = ConvexReLUClassifier(class_weight=class_weight)
    assert_refused(model, binary.X, binary.y, match=match)


# --------------------------------------------------------------------------------------------- rows


@pytest.mark.parametrize(
    "spoil, match",
    [
        (lambda X: with_entry(X, np.nan), NOT_FINITE),
        (lambda X: with_entry(X, np.inf), NOT_FINITE),
        (lambda X: with_entry(X, -np.inf), NOT_FINITE),
        (lambda X: sparse.csr_array(with_entry(X, np.nan)), NOT_FINITE),
        (lambda X: with_entry(X.astype(object), "a"), "could not convert string to float"),
        (lambda X: X.astype(str).astype(object) + "x", "could not convert string to float"),
        (lambda X: X + 1j, "[Cc]omplex"),
        (lambda X: X[:, 0], "[Rr]eshape"),
        (lambda X: X[:, :, None], "dim 3"),
        (lambda X: X[:0], "0 sample"),
        (lambda X: X[:, :0], r"0 feature"),
        (lambda X: X[:-1], "inconsistent numbers of samples"),
        (lambda X: X.T, "inconsistent numbers of samples"),
        (lambda X: X[0, 0], "[Ss]calar|0D"),
    ],
)
def test_bad_rows(simple_case, spoil, match):
    X = spoil(simple_case.X)
    assert_refused(simple_case.Estimator(), X, simple_case.y, match)


def test_float16_and_integers_become_float64(simple_case):
    for X in (np.round(4 * simple_case.X).astype(np.int32), simple_case.X.astype(np.float16)):
        model = simple_case.Estimator("scale", random_state=0).fit(X, simple_case.y)
        reference = simple_case.Estimator("scale", random_state=0).fit(
            X.astype(float), simple_case.y
        )
        assert model.coefs_[0].dtype == np.float64
        np.testing.assert_array_equal(model.predict(X), reference.predict(X.astype(float)))


def test_integers_beyond_float64_and_booleans(simple_case):
    model = simple_case.Estimator("scale", random_state=0).fit(simple_case.X > 0, simple_case.y)
    assert np.isfinite(model.objective_)


# ------------------------------------------------------------------------------------------ targets


@pytest.mark.parametrize(
    "spoil, match",
    [
        (lambda y: with_entry(y, np.nan), NOT_FINITE),
        (lambda y: with_entry(y, np.inf), NOT_FINITE),
        (lambda y: with_entry(y.astype(object), "a"), "could not convert|numeric"),
        (lambda y: y + 1j, "[Cc]omplex"),
        (lambda y: y[:-1], "inconsistent numbers of samples"),
        (lambda y: y[:, None, None], "dim 3"),
        (lambda y: y[:, None][:, :0], "feature|output|column"),
        (lambda y: None, "requires y"),
    ],
)
def test_bad_real_targets(regression, spoil, match):
    assert_refused(ConvexReLURegressor(), regression.X, spoil(regression.y), match)


@pytest.mark.parametrize(
    "spoil, match",
    [
        (lambda y: np.linspace(0, 1, len(y)), "[Uu]nknown label type.*continuous"),
        (lambda y: with_entry((y == "yes").astype(float), np.nan), NOT_FINITE),
        (lambda y: y[:-1], "inconsistent numbers of samples"),
        (lambda y: np.column_stack([y == "yes", y == "no"]).astype(int), "[Uu]nknown label|1d"),
        (lambda y: np.column_stack([y, y]), "[Uu]nknown label|1d"),
        (lambda y: np.full(len(y), "yes"), "one class"),
        (lambda y: None, "requires y"),
    ],
)
def test_bad_labels(binary, spoil, match):
    assert_refused(ConvexReLUClassifier(), binary.X, spoil(binary.y), match)


def test_single_row(simple_case):
    X, y = simple_case.X[:1], simple_case.y[:1]
    if simple_case.kind == "binary":
        assert_refused(simple_case.Estimator(), X, y, "one class")
    else:
        np.testing.assert_allclose(simple_case.Estimator("scale").fit(X, y).predict(X), y)


# ------------------------------------------------------------------------------------------ weights


@pytest.mark.parametrize(
    "spoil, match",
    [
        (lambda w: with_entry(w, -1.0), "[Nn]egative"),
        (lambda w: with_entry(w, np.nan), NOT_FINITE),
        (lambda w: with_entry(w, np.inf), NOT_FINITE),
        (lambda w: 0 * w, "[Nn]on-zero|is zero"),
        (lambda w: w[:-1], "sample_weight.*shape"),
        (lambda w: np.column_stack([w, w]), "[Ss]ample.weights? .*1D"),
        (lambda w: w.astype(str) + "x", "could not convert"),
    ],
)
def test_bad_weights(simple_case, spoil, match):
    weights = spoil(np.ones(len(simple_case.X)))
    assert_refused(
        simple_case.Estimator(), simple_case.X, simple_case.y, match, sample_weight=weights
    )


def test_one_class_with_positive_weight(binary):
    weights = (binary.y == "yes").astype(float)
    assert_refused(
        ConvexReLUClassifier(), binary.X, binary.y, "one class.*yes", sample_weight=weights
    )


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_weights_of_any_size(simple_case, scale):
    model = simple_case.Estimator("scale", random_state=0)
    model.fit(simple_case.X, simple_case.y, sample_weight=np.full(len(simple_case.X), scale))
    reference = simple_case.Estimator("scale", random_state=0).fit(simple_case.X, simple_case.y)
    assert model.objective_ == pytest.approx(reference.objective_, rel=1e-2)


# ------------------------------------------------------------------------------- after a failed fit


@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize("fault", ["X", "y", "weights", "alpha"])
def test_a_failed_fit_leaves_the_old_network(simple_case, fault, warm_start):
    X, y = simple_case.X, simple_case.y
    model = simple_case.Estimator("scale", random_state=0, warm_start=warm_start).fit(X, y)
    before, predictions = dict(vars(model)), model.predict(X)
    weights = np.ones(len(X))
    if fault == "X":
        X = with_entry(X, np.nan)
    elif fault == "y":
        y = y[:-1]
    elif fault == "weights":
        weights = 0 * weights
    else:
        model.set_params(alpha=0)
    with pytest.raises(ValueError):
        model.fit(X, y, sample_weight=weights)
    assert all(vars(model)[name] is before[name] for name in fitted_names(model))
    np.testing.assert_array_equal(model.predict(simple_case.X), predictions)


def test_warm_start_with_other_features(simple_case):
    model = simple_case.Estimator("scale", warm_start=True).fit(simple_case.X, simple_case.y)
    coefs = model.coefs_
    with pytest.raises(ValueError, match=r"warm_start=True needs.*features: 3, now 2"):
        model.fit(simple_case.X[:, :2], simple_case.y)
    assert model.coefs_ is coefs
    model.set_params(warm_start=False).fit(simple_case.X[:, :2], simple_case.y)
    assert model.n_features_in_ == 2


def test_warm_start_with_other_outputs(regression):
    model = ConvexReLURegressor("scale", warm_start=True).fit(regression.X, regression.y)
    with pytest.raises(ValueError, match=r"warm_start=True needs.*outputs: 1, now 2"):
        model.fit(regression.X, np.column_stack([regression.y] * 2))


@pytest.mark.parametrize("labels", [["a", "b"], ["no", "yes", "maybe"]])
def test_warm_start_with_other_classes(binary, labels):
    model = ConvexReLUClassifier("scale", warm_start=True).fit(binary.X, binary.y)
    with pytest.raises(ValueError, match=r"warm_start=True needs.*classes: \[.*now \["):
        model.fit(binary.X, np.resize(labels, len(binary.y)))


# --------------------------------------------------------------------------------------- predicting


def test_predict_needs_a_fit(simple_case):
    for method in ("predict", "hidden_activations", "predict_proba", "decision_function"):
        if hasattr(simple_case.Estimator, method):
            with pytest.raises(NotFittedError):
                getattr(simple_case.Estimator(), method)(simple_case.X)


@pytest.mark.parametrize(
    "spoil, match",
    [
        (lambda X: X[:, :2], "expecting 3 features"),
        (lambda X: with_entry(X, np.nan), NOT_FINITE),
        (lambda X: X[0], "[Rr]eshape"),
        (lambda X: X[:0], "0 sample"),
    ],
)
def test_bad_rows_to_predict(simple_case, spoil, match):
    model = simple_case.Estimator("scale").fit(simple_case.X, simple_case.y)
    for method in (model.predict, model.hidden_activations):
        with pytest.raises(ValueError, match=match):
            method(spoil(simple_case.X))


# ------------------------------------------------------------------------------------------- sparse


def with_int64(X):
    X = sparse.csr_array(X)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def with_repeated_entries(X):
    """Every entry given as two halves, in no order."""
    X = sparse.coo_array(X)
    order = np.random.default_rng(0).permutation(2 * X.nnz)
    data = np.tile(X.data / 2, 2)[order]
    row, column = np.tile(X.row, 2)[order], np.tile(X.col, 2)[order]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=X.shape[0]))])
    by_row = np.argsort(row, kind="stable")
    return sparse.csr_array((data[by_row], column[by_row], indptr), shape=X.shape)


def with_stored_zeros(X):
    X = sparse.csr_array(np.where(X == 0, 99.0, X))
    X.data[X.data == 99.0] = 0.0
    return X


SPARSE = {
    **{
        name: getattr(sparse, name) for name in ("csr_array", "csc_array", "coo_array", "bsr_array")
    },
    **{name: getattr(sparse, name) for name in ("lil_array", "dok_array", "dia_array")},
    **{name: getattr(sparse, name) for name in ("csr_matrix", "csc_matrix", "coo_matrix")},
    "int64 indices": with_int64,
    "repeated entries": with_repeated_entries,
    "stored zeros": with_stored_zeros,
}


@pytest.mark.parametrize("name", SPARSE)
def test_sparse_formats(simple_case, name):
    dense = np.where(simple_case.X > 0, simple_case.X, 0.0)
    X = SPARSE[name](dense)
    entries = X.toarray()
    model = simple_case.Estimator("scale", random_state=0).fit(X, simple_case.y)
    reference = simple_case.Estimator("scale", random_state=0).fit(
        sparse.csr_array(dense), simple_case.y
    )
    for ours, theirs in zip(
        model.coefs_ + model.intercepts_, reference.coefs_ + reference.intercepts_, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    method = getattr(model, "decision_function", model.predict)
    np.testing.assert_allclose(method(X), method(dense), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(X.toarray(), entries)


# ---------------------------------------------------------------------------------------- alpha_max


@pytest.mark.parametrize(
    "kwargs, match",
    [
        ({"loss": "hinge"}, "loss must be one of"),
        ({"sample_weight": np.zeros(40)}, "[Nn]on-zero|is zero"),
        ({"sample_weight": -np.ones(40)}, "[Nn]egative"),
    ],
)
def test_alpha_max_refuses(regression, kwargs, match):
    with pytest.raises(ValueError, match=match):
        alpha_max(regression.X, regression.y, **kwargs)


def test_alpha_max_refuses_bad_data(regression):
    with pytest.raises(ValueError, match=NOT_FINITE):
        alpha_max(with_entry(regression.X, np.nan), regression.y)
    with pytest.raises(ValueError, match="continuous"):
        alpha_max(regression.X, regression.y, loss="log_loss")
