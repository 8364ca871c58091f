"""The fit of linear filters with a weight for each position."""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real
from typing import TYPE_CHECKING, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from sklearn_convexnn._base import Outcome, fit_method
from sklearn_convexnn._deep_linear import BaseDeepLinear
from sklearn_convexnn._images import CONSTRAINTS, GEOMETRY, ImageRows, windows_of
from sklearn_convexnn._validation import Interval, StrOptions
from sklearn_convexnn.core.deep.linear_convolution import CellPatches, make_linear_convolution

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class BaseLinearCNN(ImageRows, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseDeepLinear):
    """Parameters, fit and filters of both estimators; a subclass says which loss."""

    _parameter_constraints = {
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"auto", "scale"})],
        **{name: CONSTRAINTS[name] for name in GEOMETRY},
        "fit_intercept": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "verbose": ["verbose"],
    }
    _takes_sparse = False
    # Rows have one unit: a column that is small is a place where signals are.
    _compares_columns = False

    @fit_method
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *image_shape)
            Training rows, flat (in C order) or as images or signals. Float32 is kept, everything
            else becomes float64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets; class labels are one-dimensional.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights. They are normalised to sum 1; a weight of 2 is the row given
            twice, a weight of 0 is the row left out.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._fit(X, y, sample_weight)

    def _windows(self):
        settings = {name: getattr(self, name) for name in GEOMETRY}
        windows = windows_of(self._row_shape, **settings)
        if len(windows.index) > 1:
            raise ValueError(
                f"{type(self).__name__} has filters of one window, but "
                f"patch_size={self.patch_size} and dilation={self.dilation} ask for "
                f"{len(windows.index)}: give one, or use a ConvexCNN estimator."
            )
        return windows

    def _maker(self):
        return partial(
            make_linear_convolution,
            windows=self._windows(),
            loss=self._loss(),
            intercept=self.fit_intercept,
        )

    def _solve_for(self, problem, targets, alpha, alpha_max, dtype):
        # Targets without signal have alpha_max = 0: any positive alpha gives the constant network.
        positive = alpha if alpha > 0 else 1.0
        solution = problem.solve(positive, tol=self.tol, max_iter=self.max_iter)
        network, windows = solution.network, self._windows()
        m, n_outputs = len(network.sizes), len(network.intercept)
        attributes = {
            **targets.attributes,
            **self._end_of(solution),
            "out_activation_": self._output_activation(targets),
            "effective_coef_": network.coef.astype(dtype),
            "intercept_": network.intercept.astype(dtype),
            "sizes_": network.sizes.astype(dtype),
            "filters_": network.filters.reshape(m, *windows.shapes[0]).astype(dtype),
            "output_weights_": network.weights.reshape(m, *windows.grid, n_outputs).astype(dtype),
            "n_neurons_": m,
            "n_layers_": 3,  # with the input, as scikit-learn's perceptrons count
            "n_outputs_": n_outputs,
            "image_shape_": self._image_shape(),
            "grid_shape_": windows.grid,
            "alpha_": float(alpha),
            "alpha_max_": float(alpha_max),
            "_fitted_settings": {
                name: getattr(self, name) for name in GEOMETRY if name != "image_shape"
            },
        }
        return Outcome(solution, attributes)

    # ------------------------------------------------------------------ the fitted network

    def _outputs(self, X):
        return self._validate_rows(X) @ self.effective_coef_ + self.intercept_

    @property
    def _fitted_windows(self):
        return self._windows_of_fit()

    def _windows_of_fit(self, **changes):
        """Those of the fit, whatever parameters have become since."""
        settings = self._fitted_settings | changes
        return windows_of(self.image_shape_, image_shape=None, **settings)

    def _responses(self, X, windows):
        """What filters see of rows in every cell, (n, m G)."""
        X, patches = self._validate_rows(X), CellPatches(windows)
        columns = patches.columns(self.filters_.reshape(self.n_neurons_, patches.n_weights))
        return np.asarray((columns.T @ X.T).T, dtype=X.dtype, order="C")

    @property
    def _n_features_out(self):
        """Columns of :meth:`transform`, for their names."""
        return self.n_neurons_ * int(np.prod(self.grid_shape_))

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Products of the filters with the mean patches of all cells.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *image_shape_)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_neurons_ * n_cells)
            Those of one filter side by side, in the order of ``output_weights_``.
        """
        return self._responses(X, self._fitted_windows)

    def feature_maps(self, X: ArrayLike) -> np.ndarray:
        """Products of the filters with the patches at every position.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *image_shape_)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_neurons_, *positions)
            With one axis for each space axis of the images.
        """
        windows = self._windows_of_fit(pool_grid=None)
        maps = self._responses(X, windows)
        return maps.reshape(len(maps), self.n_neurons_, *windows.counts)
