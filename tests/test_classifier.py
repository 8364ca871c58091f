"""ConvexReLUClassifier."""

import warnings

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.exceptions import DataConversionWarning

from sklearn_convexnn import ConvexReLUClassifier, alpha_max
from tests.conftest import make_case, make_rows


@pytest.fixture(params=["binary", "multiclass"])
def labelled(request):
    return make_case(request.param)


# ---------------------------------------------------------------------- probabilities and decisions


def test_probabilities(labelled):
    model = ConvexReLUClassifier("scale", random_state=0, calibrate=False).fit(
        labelled.X, labelled.y
    )
    X = make_rows(200, seed=1)
    proba, scores = model.predict_proba(X), model.decision_function(X)
    n_classes = len(model.classes_)
    assert proba.shape == (200, n_classes)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
    assert proba.min() >= 0
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), proba, rtol=1e-10)
    np.testing.assert_array_equal(model.predict(X), model.classes_[proba.argmax(axis=1)])
    if n_classes == 2:
        assert scores.shape == (200,)
        np.testing.assert_array_equal(scores > 0, model.predict(X) == model.classes_[1])
        np.testing.assert_allclose(np.log(proba[:, 1] / proba[:, 0]), scores, rtol=1e-6, atol=1e-9)
        assert model.out_activation_ == "logistic"
    else:
        assert scores.shape == (200, n_classes)
        np.testing.assert_allclose(softmax(scores, axis=1), proba, rtol=1e-10)
        assert model.out_activation_ == "softmax"


def test_log_probabilities_do_not_underflow(labelled):
    model = ConvexReLUClassifier("scale", random_state=0).fit(labelled.X, labelled.y)
    logs = model.predict_log_proba(1e6 * labelled.X)
    assert np.all(np.isfinite(logs))
    assert logs.min() < -1000
    assert np.all(np.isfinite(model.predict_proba(1e6 * labelled.X)))


def test_ties_go_to_the_first_class(labelled):
    # Balanced classes under strong regularisation: every score is the same.
    X, classes = labelled.X[:36], np.unique(labelled.y)
    model = ConvexReLUClassifier(alpha=1e3).fit(X, np.resize(classes[::-1], 36))
    proba = model.predict_proba(X)
    np.testing.assert_allclose(proba, 1 / len(classes), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), classes[proba.argmax(axis=1)])


def test_above_alpha_max_probabilities_are_class_frequencies(labelled):
    weights = np.random.default_rng(0).uniform(0.5, 2, len(labelled.y))
    largest = alpha_max(labelled.X, labelled.y, loss="log_loss", sample_weight=weights)
    model = ConvexReLUClassifier(alpha=1.01 * largest)
    model.fit(labelled.X, labelled.y, sample_weight=weights)
    frequencies = [weights[labelled.y == label].sum() / weights.sum() for label in model.classes_]
    assert model.n_neurons_ == 0
    np.testing.assert_allclose(model.predict_proba(labelled.X)[0], frequencies, rtol=1e-10)
    assert model.objective_ == pytest.approx(-np.dot(frequencies, np.log(frequencies)))


def test_above_alpha_max_without_intercept_they_are_equal(labelled):
    model = ConvexReLUClassifier(alpha=1e3, fit_intercept=False).fit(labelled.X, labelled.y)
    np.testing.assert_allclose(model.predict_proba(labelled.X), 1 / len(model.classes_))


# ------------------------------------------------------------------------------ classes and weights


@pytest.mark.parametrize(
    "labels",
    [[False, True], ["b", "a"], [1.0, -1.0], [10, 7], np.array(["x", 3], dtype=object).astype(str)],
)
def test_labels_of_any_type(binary, labels):
    y = np.where(binary.y == "yes", *labels)
    model = ConvexReLUClassifier("scale", random_state=0).fit(binary.X, y)
    np.testing.assert_array_equal(model.classes_, np.unique(y))
    assert model.predict(binary.X).dtype == y.dtype
    assert model.score(binary.X, y) > 0.9


def test_object_labels(binary):
    y = binary.y.astype(object)
    model = ConvexReLUClassifier("scale", random_state=0).fit(binary.X, y)
    reference = ConvexReLUClassifier("scale", random_state=0).fit(binary.X, binary.y)
    np.testing.assert_array_equal(model.predict(binary.X), reference.predict(binary.X))


def test_names_of_classes_are_no_matter(labelled):
    codes = np.unique(labelled.y, return_inverse=True)[1]
    model = ConvexReLUClassifier("scale", random_state=0).fit(labelled.X, codes)
    reference = ConvexReLUClassifier("scale", random_state=0).fit(labelled.X, labelled.y)
    np.testing.assert_array_equal(
        model.predict_proba(labelled.X), reference.predict_proba(labelled.X)
    )


def test_column_of_labels_warns_as_scikit_learn_does(binary):
    with pytest.warns(DataConversionWarning, match="column-vector"):
        model = ConvexReLUClassifier("scale", random_state=0).fit(binary.X, binary.y[:, None])
    assert model.predict(binary.X).shape == (40,)


def test_order_of_two_classes_flips_the_sign(binary):
    flipped = np.where(binary.y == "yes", "a", "b")
    goals = {"alpha": 0.02, "gap_tol": 1e-4, "random_state": 0}
    model = ConvexReLUClassifier(**goals).fit(binary.X, binary.y)
    other = ConvexReLUClassifier(**goals).fit(binary.X, flipped)
    assert model.objective_ == pytest.approx(other.objective_, rel=5e-4)
    difference = model.predict_proba(binary.X)[:, 0] - other.predict_proba(binary.X)[:, 1]
    assert np.abs(difference).max() < 0.05


def test_class_weight_is_a_sample_weight(labelled):
    X, y = labelled.X, labelled.y
    classes, index = np.unique(y, return_inverse=True)
    given = np.random.default_rng(0).uniform(0.5, 2, len(y))
    of_class = np.arange(1, len(classes) + 1)
    totals = np.bincount(index, weights=given)
    balanced = given.sum() / (len(classes) * totals)
    for class_weight, factors in [
        (dict(zip(classes.tolist(), of_class.tolist(), strict=True)), of_class),
        ({classes[0]: 2}, np.array([2.0] + [1.0] * (len(classes) - 1))),
        ("balanced", balanced),
    ]:
        model = ConvexReLUClassifier("scale", class_weight=class_weight, random_state=0)
        model.fit(X, y, sample_weight=given)
        reference = ConvexReLUClassifier("scale", random_state=0)
        reference.fit(X, y, sample_weight=given * factors[index])
        assert model.alpha_ == pytest.approx(reference.alpha_, rel=1e-6)
        assert model.objective_ == pytest.approx(reference.objective_, rel=1e-2)


def test_balanced_counts_repeated_rows(binary):
    counts = np.random.default_rng(0).integers(0, 4, len(binary.y))
    model = ConvexReLUClassifier("scale", class_weight="balanced", random_state=0)
    weighted = model.fit(binary.X, binary.y, sample_weight=counts).predict_proba(binary.X)
    model.fit(np.repeat(binary.X, counts, axis=0), np.repeat(binary.y, counts))
    np.testing.assert_allclose(model.predict_proba(binary.X), weighted, rtol=1e-6)


def test_a_class_of_weight_zero_is_left_out(multiclass):
    weights = (multiclass.y != 6).astype(float)
    for model in (
        ConvexReLUClassifier("scale", random_state=0).fit(
            multiclass.X, multiclass.y, sample_weight=weights
        ),
        ConvexReLUClassifier("scale", class_weight={6: 0}, random_state=0).fit(
            multiclass.X, multiclass.y
        ),
    ):
        np.testing.assert_array_equal(model.classes_, [5, 7])
        keep = weights > 0
        reference = ConvexReLUClassifier("scale", random_state=0).fit(
            multiclass.X[keep], multiclass.y[keep]
        )
        np.testing.assert_array_equal(
            model.predict_proba(multiclass.X), reference.predict_proba(multiclass.X)
        )


# --------------------------------------------------------------------------------- unusual problems


@pytest.mark.parametrize("n_classes", [2, 3, 12])
def test_one_row_per_class(n_classes):
    X = make_rows(n_classes, 4)
    with warnings.catch_warnings():
        # scikit-learn suspects a regression target where every label is unique.
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        model = ConvexReLUClassifier(random_state=0).fit(X, np.arange(n_classes))
    assert model.predict_proba(X).shape == (n_classes, n_classes)
    assert model.score(X, np.arange(n_classes)) == 1


def test_separable_classes_stay_finite():
    X = np.linspace(-1, 1, 20)[:, None]
    model = ConvexReLUClassifier(alpha=1e-6, random_state=0).fit(X, X[:, 0] > 0)
    assert model.score(X, X[:, 0] > 0) == 1
    assert np.all(np.isfinite(model.decision_function(X)))


def test_rows_with_contradicting_labels():
    X = np.repeat(make_rows(5), 4, axis=0)
    y = np.tile([0, 0, 0, 1], 5)
    model = ConvexReLUClassifier(random_state=0).fit(X, y)
    assert model.n_neurons_ == 0
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], 0.25, rtol=1e-6)


def test_rare_class():
    X = make_rows(200, 2)
    y = np.zeros(200, dtype=int)
    y[:2] = 1
    model = ConvexReLUClassifier(random_state=0).fit(X, y)
    assert np.all(np.isfinite(model.decision_function(X)))
    assert model.objective_ <= 0.0561 + 1e-4  # that of the constant: entropy of 1 %


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_rings(noise):
    rng = np.random.default_rng(0)
    angle, radius = rng.uniform(0, 2 * np.pi, 300), np.tile([1.0, 2.0], 150)
    X = np.column_stack([np.cos(angle), np.sin(angle)]) * radius[:, None]
    X += noise * rng.standard_normal(X.shape)
    model = ConvexReLUClassifier(random_state=0).fit(X[:200], radius[:200])
    assert model.score(X[200:], radius[200:]) > 0.97


def test_parity_of_two_signs():
    X = make_rows(400, 2)
    y = (X[:, 0] > 0) ^ (X[:, 1] > 0)
    model = ConvexReLUClassifier(random_state=0).fit(X[:200], y[:200])
    assert model.score(X[200:], y[200:]) > 0.93
