"""Steps beside columns: what they are, and what they do not depend on."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_convexnn import ConvexReLURegressor, QuantileSteps
from tests.conftest import make_rows


def parts(X, **settings):
    """The steps of one column after another, and the fitted transformer."""
    model = QuantileSteps(**settings)
    encoded = model.fit_transform(X)
    ends = np.cumsum([X.shape[1], *(len(part) for part in model.thresholds_)])
    np.testing.assert_array_equal(encoded[:, : X.shape[1]], X)
    assert encoded.shape[1] == ends[-1]
    return [encoded[:, a:b] for a, b in pairwise(ends)], model


def test_the_formula():
    X = make_rows(101, 2) * [1.0, 30.0]
    blocks, model = parts(X, n_steps=4, weight=0.3)
    for x, block, thresholds in zip(X.T, blocks, model.thresholds_, strict=True):
        assert len(thresholds) == 4
        above = x[:, None] > thresholds
        np.testing.assert_allclose(above.mean(axis=0), [0.8, 0.6, 0.4, 0.2], atol=0.006)
        p = above.mean(axis=0)
        expected = 0.3 * x.std() / np.sqrt(4) * (above - p) / np.sqrt(p * (1 - p))
        np.testing.assert_allclose(block, expected, rtol=1e-12)


def test_a_block_has_the_stated_share_of_the_variance_of_its_column():
    """Also where ties leave fewer thresholds than were asked for."""
    X = make_rows(500, 3)
    X[:, 1] = np.round(X[:, 1])
    X[:, 2] = np.maximum(X[:, 2], 0.0)
    blocks, model = parts(X, n_steps=15, weight=0.5)
    assert len(model.thresholds_[0]) == 15
    assert 3 <= len(model.thresholds_[1]) < 15
    for x, block in zip(X.T, blocks, strict=True):
        np.testing.assert_allclose(block.mean(axis=0), 0.0, atol=1e-12)
        assert block.var(axis=0).sum() == pytest.approx(0.25 * x.var(), rel=1e-10)


def test_columns_of_two_values_have_no_steps():
    X = make_rows(60, 3)
    X[:, 0], X[:, 2] = X[:, 0] > 0, 3.0
    _, model = parts(X)
    assert [len(part) for part in model.thresholds_] == [0, 15, 0]


@pytest.mark.parametrize("many", [-1.0, 1.0])
def test_a_value_that_most_rows_share_has_a_threshold_beside_it(many):
    x = many * np.concatenate([np.zeros(80), np.arange(1, 21)])
    _, model = parts(x[:, None], n_steps=4)
    assert many * 0.5 in model.thresholds_[0]


def test_a_column_and_its_negative_have_the_same_steps():
    x = np.round(2 * make_rows(230, 1))
    (one,), _ = parts(x, n_steps=6)
    (other,), _ = parts(-x, n_steps=6)
    np.testing.assert_allclose(other, -one[:, ::-1], atol=1e-12)


def test_units():
    """Steps have the units of their column and depend on no others."""
    X, factors = make_rows(70, 3), np.array([1e-200, 1.0, 1e200])
    one, other = parts(X)[0], parts(X * factors + factors)[0]
    for before, after, factor in zip(one, other, factors, strict=True):
        np.testing.assert_allclose(after, before * factor, rtol=1e-9)


def test_no_row_crosses_a_threshold_by_rounding():
    X = make_rows(300, 2)
    model = QuantileSteps().fit(X)
    signs = [np.sign(part) for part in (model.transform(X), model.transform(X.astype(np.float32)))]
    np.testing.assert_array_equal(signs[0], signs[1])
    close = np.array([1.0, np.nextafter(1.0, 2.0), np.nextafter(1.0, 2.0), 3.0])[:, None]
    assert np.sign(parts(close)[0][0][:, 0]).tolist() == [-1, 1, 1, 1]


def test_weights_are_repetitions():
    X, times = make_rows(80, 3), np.random.default_rng(1).integers(0, 4, 80)
    weighted = QuantileSteps(n_steps=7).fit(X, sample_weight=times)
    repeated = QuantileSteps(n_steps=7).fit(np.repeat(X, times, axis=0))
    for one, other in zip(weighted.thresholds_, repeated.thresholds_, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(weighted.transform(X), repeated.transform(X), rtol=1e-12)
    with pytest.raises(ValueError, match="at least one non-zero"):
        QuantileSteps().fit(X, sample_weight=np.zeros(80))


def test_without_weight_nothing_is_added():
    X = make_rows(50, 2)
    model = QuantileSteps(weight=0)
    np.testing.assert_array_equal(model.fit_transform(X), X)
    assert model.get_feature_names_out().tolist() == ["x0", "x1"]


def test_single_precision_is_kept():
    X = make_rows(50, 2)
    encoded = QuantileSteps().fit_transform(X.astype(np.float32))
    assert encoded.dtype == np.float32
    np.testing.assert_allclose(encoded, QuantileSteps().fit_transform(X), rtol=2e-6, atol=1e-6)


def test_names_tell_thresholds_apart():
    X = np.column_stack([[0.0, 1.0, 2.0, 3.0], 1e6 + np.arange(4)])
    names = QuantileSteps(n_steps=3).fit(X).get_feature_names_out(["a", "b"])
    assert names.tolist() == [
        *("a", "b", "a>0.5", "a>1.5", "a>2.5"),
        *("b>1000000.5", "b>1000001.5", "b>1000002.5"),
    ]


def test_the_columns_come_back():
    X = make_rows(50, 2)
    model = QuantileSteps().fit(X)
    np.testing.assert_array_equal(model.inverse_transform(model.transform(X)), X)
    with pytest.raises(ValueError, match="rows with steps have 32"):
        model.inverse_transform(X)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames(library):
    frames = pytest.importorskip(library)
    X = make_rows(50, 2)
    frame = frames.DataFrame({"a": X[:, 0], "b": X[:, 1]})
    model = QuantileSteps(n_steps=2).set_output(transform=library)
    encoded = model.fit_transform(frame)
    assert isinstance(encoded, frames.DataFrame)
    assert list(encoded.columns) == model.get_feature_names_out().tolist()
    np.testing.assert_array_equal(encoded.to_numpy(), clone(model).set_output().fit_transform(X))


def test_what_is_refused():
    X = make_rows(20, 2)
    with pytest.raises(TypeError, match="dense data is required"):
        QuantileSteps().fit(sparse.csr_array(X))
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="QuantileSteps does not accept missing values"):
        QuantileSteps().fit(X)
    with pytest.raises(ValueError, match="'weight' parameter"):
        QuantileSteps(weight=np.inf).fit(make_rows(20, 2))


def test_steps_win_where_the_target_jumps_and_are_left_where_it_is_smooth():
    X = make_rows(400, 3)
    jumps = np.where(X[:, 0] > 0.3, 1.0, 0.0) + np.where(X[:, 1] > -0.2, np.sign(X[:, 2]), 0.0)
    network = ConvexReLURegressor(alpha=2e-3, random_state=0)
    model = make_pipeline(StandardScaler(), QuantileSteps(), network)
    search = GridSearchCV(model, {"quantilesteps__weight": [0, 0.25, 0.5]}, cv=3)
    assert search.fit(X, jumps).best_params_["quantilesteps__weight"] > 0
    scores = search.cv_results_["mean_test_score"]
    assert scores.max() > scores[0] + 0.02
    assert search.fit(X, X[:, 0] - X[:, 1]).best_params_["quantilesteps__weight"] == 0
