"""How users call the package, for mypy: ``make lint`` finds a signature that does not fit.

Not run: types alone matter. Lines that mypy must refuse say so; a needless ``ignore`` is an error.
"""

# mypy: warn-unused-ignores

from typing import assert_type

import numpy as np
from scipy import sparse

from sklearn_convexnn import (
    ConvexReLUClassifier,
    ConvexReLUClassifierCV,
    ConvexReLURegressor,
    DeepReLURegressor,
    GatedReLURegressor,
    QuantileSteps,
    SplineReLURegressor,
    alpha_max,
    convexnn_path,
)
from sklearn_convexnn.inspection import (
    DecisionRegionDisplay,
    OptimalityReport,
    TrainingDisplay,
    decision_regions,
    neural_collapse,
    optimality_report,
    prune,
)

X = np.zeros((10, 2))
y = np.zeros(10)

regressor = ConvexReLURegressor(alpha="scale", gap_tol=1e-3, random_state=np.random.RandomState(0))
assert_type(regressor.fit(X, y, sample_weight=y), ConvexReLURegressor)
assert_type(regressor.fit(sparse.csr_array(X), list(y)).predict([[0.0, 1.0]]), np.ndarray)
classifier = ConvexReLUClassifier(0.1, class_weight="balanced", loss="squared_hinge")
assert_type(classifier.fit(X, y > 0).decision_function(X), np.ndarray)
ConvexReLUClassifierCV(alphas=[0.1, 0.01], cv=3, scoring="accuracy", refit="mean")
SplineReLURegressor(1e-3, n_layers=3)
assert_type(QuantileSteps().transform(X), np.ndarray)
assert_type(alpha_max(X, y), float)
assert_type(convexnn_path(X, y, alphas=5).alphas, np.ndarray)
assert_type(optimality_report(regressor, X, y), OptimalityReport)
assert_type(prune(regressor, X, y), ConvexReLURegressor)
relu = GatedReLURegressor().fit(X, y).to_relu(X)
assert_type(relu, ConvexReLURegressor | ConvexReLUClassifier)
assert_type(neural_collapse(X, y).nc1, float)
assert_type(DecisionRegionDisplay(decision_regions(classifier, X)).plot(), DecisionRegionDisplay)
assert_type(TrainingDisplay.from_estimator(regressor), TrainingDisplay)

ConvexReLURegressor(alpha="best")  # type: ignore[arg-type]
ConvexReLURegressor(loss="log_loss")  # type: ignore[arg-type]
ConvexReLUClassifier(n_neurons=5)  # type: ignore[call-arg]
DeepReLURegressor(batch_norm="yes")  # type: ignore[arg-type]
convexnn_path(X)  # type: ignore[call-arg]
