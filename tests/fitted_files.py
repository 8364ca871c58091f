"""Files of fitted estimators, kept from every release; written by ``python -m tests.fitted_files``.

Those of this release are written where there are none yet; those of earlier ones stay as they are.
"""

import zipfile
from pathlib import Path

import numpy as np

from sklearn_convexnn import (
    CircularReLUClassifier,
    ConvexCNNClassifierCV,
    ConvexCNNRegressorCV,
    ConvexReLUClassifierCV,
    QuantileSteps,
    StepsCV,
    TailCompressor,
)
from sklearn_convexnn._version import __version__
from tests.exported import (
    EDGES,
    EVERY,
    IMAGES,
    ROWS,
    SMALL,
    TWO,
    WINDOWS,
    WORDS,
    Case,
    fitted,
    new_rows,
)

FOLDER = Path(__file__).parent / "files"
# Of other classes than the cases of the export.
OTHERS = [
    Case(QuantileSteps(), ROWS, None),
    Case(TailCompressor(start=1.0), ROWS, None),
    Case(StepsCV(ConvexReLUClassifierCV(**SMALL), weights=[0.4]), ROWS, WORDS[TWO]),
    Case(CircularReLUClassifier(0.05, random_state=0), IMAGES, IMAGES[:, 5] > 0),
    Case(ConvexCNNRegressorCV(**WINDOWS, **SMALL), IMAGES, EDGES),
    Case(ConvexCNNClassifierCV(**WINDOWS, **SMALL), IMAGES, IMAGES[:, 5] > 0),
]


def cases():
    """Class name -> fitted estimator and new rows: the first of every class."""
    found = {}
    for name, case in EVERY.items():
        if type(case.estimator).__name__ not in found:
            found[type(case.estimator).__name__] = fitted(name), new_rows(name)
    for case in OTHERS:
        model = case.estimator.fit(case.X, case.y)
        found[type(model).__name__] = model, 1.5 * case.X[:40]
    return found


def outputs(model, X):
    """What is compared: numbers and labels that the estimator gives for rows."""
    names = ("predict", "predict_proba", "transform")
    return {name: getattr(model, name)(X) for name in names if hasattr(model, name)}


def load(path):
    """The estimator of a file, trusting what doc/export.rst says to trust."""
    import skops.io

    types = skops.io.get_untrusted_types(file=path)
    foreign = {name for name in types if not name.startswith("sklearn_convexnn.")}
    assert foreign <= {"scipy.sparse._csr.csr_array"}
    return skops.io.load(path, trusted=types)


def write():
    """Write the files that this release does not have yet."""
    import skops.io

    folder = FOLDER / __version__
    folder.mkdir(parents=True, exist_ok=True)
    for name, (model, X) in cases().items():
        path = folder / f"{name}.skops"
        if not path.exists():
            skops.io.dump(model, path, compression=zipfile.ZIP_DEFLATED)
            np.savez_compressed(path.with_suffix(".npz"), X=X, **outputs(model, X))
            print(f"wrote {path.relative_to(FOLDER.parent)}")


if __name__ == "__main__":
    write()
