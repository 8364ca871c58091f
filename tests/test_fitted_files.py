"""Files of fitted estimators: those of every release are read, and say which version wrote them."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_convexnn import _files
from sklearn_convexnn._version import __version__
from tests.exported import fitted
from tests.fitted_files import FOLDER, load, outputs
from tests.test_public_api import ESTIMATORS

FILES = sorted(FOLDER.glob("*/*.skops"))


def test_every_estimator_of_this_release_has_a_file():
    names = {path.stem for path in FILES if path.parent.name == __version__}
    missing = {Estimator.__name__ for Estimator in ESTIMATORS} - names
    assert not missing, f"{missing}: run python -m tests.fitted_files"


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_files_of_every_release_are_read(path):
    pytest.importorskip("skops")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = load(path)
    told = [str(w.message) for w in caught if "was written by sklearn_convexnn" in str(w.message)]
    written = path.parent.name
    assert bool(told) == (written != __version__)
    assert all(f"sklearn_convexnn {written}" in message for message in told)
    with np.load(path.with_suffix(".npz")) as expected:
        found = outputs(model, expected["X"])
        assert found.keys() == set(expected.files) - {"X"}
        for name, values in found.items():
            assert values.dtype == expected[name].dtype
            if values.dtype.kind in "US":
                np.testing.assert_array_equal(values, expected[name])
            else:
                np.testing.assert_allclose(values, expected[name], rtol=1e-9, atol=1e-9)


def test_a_file_of_another_version_says_so(monkeypatch):
    model = fitted("relu")
    with monkeypatch.context() as patch:
        patch.setattr(_files, "__version__", "0.0.7")
        data = pickle.dumps(model)
    told = r"ConvexReLURegressor was written by sklearn_convexnn 0\.0\.7 and is loaded by "
    with pytest.warns(UserWarning, match=told) as caught:
        loaded = pickle.loads(data)
    assert [warning.filename for warning in caught] == [__file__]
    assert vars(loaded).keys() == vars(model).keys()


def test_a_file_without_a_version_says_so():
    state = fitted("relu").__dict__
    with pytest.warns(UserWarning, match="written by sklearn_convexnn unknown"):
        type(fitted("relu"))().__setstate__(state)


def test_copies_of_the_same_version_say_nothing():
    model = fitted("relu")
    for other in (copy.deepcopy(model), clone(model), pickle.loads(pickle.dumps(model))):
        assert "_sklearn_convexnn_version" not in vars(other)
