"""How much the inputs of a network matter, for scikit-learn's selectors of features."""

from __future__ import annotations

from sklearn.utils.validation import check_is_fitted

from sklearn_convexnn.core.problem.network import shares


class InputImportances:
    """``feature_importances_`` of an estimator with ``_input_sizes()``, one number per input."""

    @property
    def feature_importances_(self):
        """The share of every input in the sizes of all inputs: ``(n_features_in_,)``."""
        check_is_fitted(self)
        return shares(self._input_sizes())
