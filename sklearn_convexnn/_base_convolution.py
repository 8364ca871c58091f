"""The fit of convolutional networks, for one alpha and by cross-validation."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from sklearn_convexnn._base import BaseNetwork, fit_method
from sklearn_convexnn._base_cv import ConvexCV
from sklearn_convexnn._images import CONSTRAINTS, GEOMETRY, ImageRows, windows_of
from sklearn_convexnn._losses import loss_options
from sklearn_convexnn._two_layer import AlphaChoice, NeuronProblem, OneAlpha
from sklearn_convexnn._validation import Interval, StrOptions, check_warm_start, one_blas_thread
from sklearn_convexnn.core.problem.engines.threads import worker_threads
from sklearn_convexnn.core.problem.network import hidden_activations, network_outputs
from sklearn_convexnn.core.problem.patches import Convolution
from sklearn_convexnn.core.problem.solution import Start

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class BaseConvolution(
    ImageRows, ClassNamePrefixFeaturesOutMixin, TransformerMixin, NeuronProblem, BaseNetwork
):
    """The problem, the attributes and the filters of a convolutional network."""

    _parameter_constraints = {
        **CONSTRAINTS,
        "fit_intercept": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # ------------------------------------------------------------------ before the solve

    def _neurons(self):
        settings = {name: getattr(self, name) for name in GEOMETRY}
        return Convolution(windows_of(self._row_shape, **settings), self.pooling)

    @property
    def _fitted_windows(self):
        return self._convolution.windows

    @property
    def _convolution(self):
        """That of the fit, whatever parameters have become since.

        Files keep what it is made of, and nothing of the core.
        """
        settings = dict(self._fitted_settings)
        pooling = settings.pop("pooling")
        return Convolution(windows_of(self.image_shape_, image_shape=None, **settings), pooling)

    # ------------------------------------------------------------------ after the solve

    def _attributes(self, problem, targets, solution, alpha_max, alpha=None):
        """The fitted attributes; ``alpha`` is the value that was asked for, if there was one."""
        coefs, intercepts = problem.layers(solution.network)
        neurons, n_outputs = problem.rows.neurons, problem.rows.n_outputs
        windows = neurons.windows
        filters, order = zip(*neurons.filters(coefs[0]), strict=True)
        order = np.concatenate(order)
        return {
            **self._common_attributes(problem, targets, solution, alpha_max, alpha),
            "filters_": list(filters) if len(filters) > 1 else filters[0],
            "filter_intercepts_": intercepts[0][order],
            "output_weights_": coefs[1][order].reshape(len(order), *windows.grid, n_outputs),
            "output_intercepts_": intercepts[1],
            "image_shape_": self._image_shape(),
            "grid_shape_": windows.grid,
            "_fitted_settings": {
                name: getattr(self, name) for name in CONSTRAINTS if name != "image_shape"
            },
        }

    # ------------------------------------------------------------------ the fitted network

    def _layers(self, convolution=None):
        """``coefs, intercepts`` of the network, a row of features for every filter."""
        filters = self.filters_ if isinstance(self.filters_, list) else [self.filters_]
        coefs = (convolution or self._convolution).coefs(filters)
        last = self.output_weights_.reshape(coefs.shape[1], self._n_weights)
        return [coefs, last], [self.filter_intercepts_, self.output_intercepts_]

    @property
    def _n_features_out(self):
        """Columns of :meth:`transform`, for their names."""
        return self.n_neurons_ * int(np.prod(self.grid_shape_))

    @property
    def _n_weights(self):
        """Output weights of a filter."""
        return int(np.prod(self.grid_shape_)) * self.n_outputs_

    def _outputs(self, X):
        """Network outputs before the output activation, shape (n_samples, n_outputs_)."""
        X, convolution = self._validate_rows(X), self._convolution
        return network_outputs(X, *self._layers(convolution), convolution)

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Pooled activations of the filters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *image_shape_)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_neurons_ * n_cells)
            Those of one filter side by side, in the order of ``output_weights_``.
        """
        X, convolution = self._validate_rows(X), self._convolution
        coefs, intercepts = self._layers(convolution)
        return hidden_activations(X, coefs[0], intercepts[0], convolution)

    def feature_maps(self, X: ArrayLike) -> np.ndarray:
        """Activations of the filters at every position, before they are pooled.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *image_shape_)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_neurons_, *positions)
            With one axis for each space axis of the images. The centres of all windows are the
            same.
        """
        X, convolution = self._validate_rows(X), self._convolution
        coefs, intercepts = self._layers(convolution)
        return convolution.maps(X, coefs[0], intercepts[0])


class BaseConvexCNN(AlphaChoice, OneAlpha, BaseConvolution):
    """The fit for one ``alpha``, given or chosen by held-out rows."""

    _parameter_constraints = {
        **BaseConvolution._parameter_constraints,
        **OneAlpha._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"auto", "scale"})],
        "warm_start": ["boolean"],
        "n_jobs": [Integral, None],
    }

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

    @one_blas_thread
    def _solve(self, data, progress):
        with worker_threads(effective_n_jobs(self.n_jobs)):
            return self._descended(data, progress)

    def _warm_start(self, problem, targets):
        """The present network in the units of the new problem as a Start, if it is to be one."""
        if not self.warm_start or not hasattr(self, "filters_"):
            return None
        convolution = self._convolution
        old, new = convolution.windows, problem.rows.neurons.windows
        check_warm_start(
            self,
            targets.classes,
            features=(old.n_features, new.n_features),
            windows=(old.shapes, new.shapes),
            cells=(old.grid, new.grid),
            outputs=(self.n_outputs_, problem.rows.n_outputs),
        )
        return Start(problem.network(*self._layers(convolution)))


class BaseConvexCNNCV(ConvexCV, BaseConvolution):
    """The fit with ``alpha`` chosen by cross-validation."""

    _parameter_constraints = {
        **BaseConvolution._parameter_constraints,
        **ConvexCV._parameter_constraints,
    }

    @fit_method
    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, **params: Any
    ) -> Self:
        """Choose alpha by cross-validation, then train on all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *image_shape)
            Training rows, flat (in C order) or as images or signals. Float32 is kept, everything
            else becomes float64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets; class labels are one-dimensional.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, used in training and in the scores of the folds.
        **params : dict
            For the splitter and the scorer. Without metadata routing all of them go to the
            scorer; with ``sklearn.set_config(enable_metadata_routing=True)`` to whom they were
            requested for, ``sample_weight`` included.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._fit_folds(X, y, sample_weight, params)

    def _fold_estimator(self):
        settings = {name: getattr(self, name) for name in CONSTRAINTS}
        settings |= {"loss": self.loss, "fit_intercept": self.fit_intercept}
        estimator = self._single(**settings, **loss_options(self))
        estimator._row_shape = self._row_shape
        return estimator
