"""Files of skops: which types they ask to trust, and that they come back whole."""

from pathlib import Path

import numpy as np
import pytest

from sklearn_convexnn import ConvexReLUClassifierCV, QuantileSteps, StepsCV
from tests.exported import EVERY, ROWS, SMALL, TWO, WORDS, fitted, new_rows

DOCUMENT = (Path(__file__).parents[2] / "doc" / "export.rst").read_text(encoding="utf-8")


def through_a_file(model):
    """The model from its file, trusting what doc/export.rst says to trust."""
    io = pytest.importorskip("skops.io")  # long to import, in one of the processes
    data = io.dumps(model)
    types = io.get_untrusted_types(data=data)
    own = [name for name in types if name.startswith("sklearn_convexnn.")]
    records = [name.removeprefix("sklearn_convexnn.") for name in own if ".core." in name]
    assert all(f"``{name}``" in DOCUMENT for name in records)
    assert set(types) - set(own) <= {"scipy.sparse._csr.csr_array"}
    return io.loads(data, trusted=types), own


@pytest.mark.parametrize("name", EVERY)
def test_every_family(name):
    model, X = fitted(name), new_rows(name)
    copy, own = through_a_file(model)
    assert f"{type(model).__module__}.{type(model).__name__}" in own
    np.testing.assert_array_equal(copy.predict(X), model.predict(X))
    assert vars(copy).keys() == vars(model).keys()


def test_steps():
    steps = QuantileSteps().fit(ROWS)
    np.testing.assert_array_equal(through_a_file(steps)[0].transform(ROWS), steps.transform(ROWS))
    search = StepsCV(ConvexReLUClassifierCV(**SMALL), weights=[0.4]).fit(ROWS, WORDS[TWO])
    np.testing.assert_array_equal(through_a_file(search)[0].predict(ROWS), search.predict(ROWS))
