"""How much a jump costs, chosen by the cross-validation that an estimator does anyway."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from sklearn_convexnn._base_cv import ConvexCV
from sklearn_convexnn._cv_race import NotBetter, Paused, Race, still_in
from sklearn_convexnn._documentation import DocumentationLink
from sklearn_convexnn._files import VersionInFiles
from sklearn_convexnn._quantile_steps import QuantileSteps
from sklearn_convexnn._validation import (
    HasMethods,
    Interval,
    StrOptions,
    _fit_context,
    all_or_nothing,
    check_weights,
)
from sklearn_convexnn.core.problem.engines.row_keys import row_keys
from sklearn_convexnn.core.problem.steps import sums_by_column

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sklearn_convexnn._typing import Folds

_DTYPES = [np.float64, np.float32]


# None, and steps that cost little.  With 0.25 between them fits cost half more, to choose among
# scores that differ by less than their error (thirteen sets, five folds: R2 and log-loss differ by
# .002 at most, but for vehicle, where three candidates lost .013 in accuracy).
WEIGHTS = (0.0, 0.5)
_ROWS_FOR_A_COLUMN = 10


class _Fitted(NamedTuple):
    """Steps of one weight, the estimator behind them and its score."""

    steps: QuantileSteps
    estimator: object
    score: float


def _has(name):
    """Whether the estimator, fitted or to be fitted, has a method of this name."""

    def check(self):
        getattr(getattr(self, "estimator_", self.estimator), name)
        return True

    return check


class StepsCV(DocumentationLink, VersionInFiles, MetaEstimatorMixin, BaseEstimator):
    """Steps beside the columns, their weight chosen by the cross-validation of an estimator.

    For each weight of :class:`QuantileSteps` the estimator cross-validates on the encoded rows and
    chooses its own parameters; the weight with the best ``best_score_`` is taken, of equal ones the
    smallest, with what was fitted there. There are no folds around those of the estimator.
    Thresholds are those of all training rows.

    With estimators of this package it costs less than as many fits. Their paths (``alphas="auto"``)
    pause at four times ``alpha="scale"``, where a weight whose scores are worse than the best by
    more than the standard error of the difference, fold by fold, is given up; only a weight that
    is better than those before has a final fit; and weights that add no column are tried once.

    Parameters
    ----------
    estimator : estimator
        With ``best_score_`` after ``fit``: :class:`ConvexReLURegressorCV`,
        :class:`ConvexReLUClassifierCV`, or a search of scikit-learn such as ``GridSearchCV``. If
        its ``random_state`` is no number, one is drawn for all weights, which therefore see the
        same folds.
    weights : "auto" or array-like of shape (n_weights,), default="auto"
        Candidates for the ``weight`` of :class:`QuantileSteps`; 0 is without steps. "auto": 0 and
        0.5, which are told apart more easily than from a third between them; and 0 alone where
        distinct rows are fewer than ten for each column that would have steps.
    n_steps : int, default=15
        Of :class:`QuantileSteps`.
    cv : int, splitter, iterable of (train, test) or None, default=None
        The folds, instead of those of the estimator (None).

    Attributes
    ----------
    weight_ : float
        The chosen weight.
    weights_ : ndarray of shape (n_weights,)
        Those that were compared, ascending.
    scores_ : ndarray of shape (n_weights,)
        Their ``best_score_``; of a weight that was given up, the best until then.
    best_score_ : float
        The largest of them.
    steps_ : QuantileSteps
        The fitted transformer.
    estimator_ : estimator
        The fitted estimator of the encoded rows.
    classes_ : ndarray of shape (n_classes,)
        Class labels, of classification only.
    feature_importances_ : ndarray of shape (n_features_in_,)
        Those of ``estimator_``, if it has them, the steps of a column added to the column: for the
        networks of this package what the penalty spends on both, see :ref:`importances`.
    n_features_in_ : int
        Number of features seen in fit, without steps.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all are strings.

    See Also
    --------
    QuantileSteps : The encoding for one weight.
    tabular_pipeline : The same for data frames with categories, dates and missing values.

    References
    ----------
    .. [1] Y. Gorishniy, I. Rubachev, A. Babenko, "On embeddings for numerical features in tabular
       deep learning", NeurIPS 2022. arXiv:2203.05556.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_convexnn import ConvexReLURegressorCV, StepsCV
    >>> X = np.random.default_rng(0).uniform(-1, 1, (300, 4))
    >>> y = np.sign(X - [0.0, 0.5, -0.5, 0.0]) @ [1.0, 1.0, 1.0, 0.5]
    >>> network = ConvexReLURegressorCV(alphas=3, cv=2, random_state=0)
    >>> model = make_pipeline(StandardScaler(), StepsCV(network)).fit(X, y)
    >>> float(model[-1].weight_)
    0.5
    """

    _parameter_constraints = {
        "estimator": [HasMethods("fit")],
        "weights": [StrOptions({"auto"}), "array-like"],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "cv": ["cv_object"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        weights: Literal["auto"] | ArrayLike = "auto",
        n_steps: int = 15,
        cv: Folds = None,
    ) -> None:
        self.estimator = estimator
        self.weights = weights
        self.n_steps = n_steps
        self.cv = cv

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags, tags.regressor_tags = inner.classifier_tags, inner.regressor_tags
        tags.target_tags = inner.target_tags
        tags.non_deterministic = inner.non_deterministic
        return tags

    @all_or_nothing
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Choose the weight and fit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, dense, without missing values.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, given to the steps and to the estimator.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        auto = isinstance(self.weights, str)
        self.weights_ = np.array(WEIGHTS) if auto else self._given_weights()
        X, y = validate_data(self, X, y, dtype=_DTYPES, multi_output=True)
        if sample_weight is not None:
            sample_weight = check_weights(sample_weight, X)
        rows = {} if sample_weight is None else {"sample_weight": sample_weight}
        all_steps = [QuantileSteps(self.n_steps, weight=w).fit(X, **rows) for w in self.weights_]
        if auto and not _enough_rows(X, sample_weight, all_steps[-1]):
            self.weights_, all_steps = self.weights_[:1], all_steps[:1]
        tried = self._compared(all_steps, X, y, rows)
        self.scores_ = np.array([one.score for one in tried])
        if np.isnan(self.scores_).all():
            raise ValueError("best_score_ is NaN for every weight: check scoring and folds.")
        fitted = [one.estimator is not None for one in tried]
        best = int(np.nanargmax(np.where(fitted, self.scores_, -np.inf)))
        self.steps_, self.estimator_, self.best_score_ = tried[best]
        self.weight_ = float(self.weights_[best])
        if hasattr(self.estimator_, "classes_"):
            self.classes_ = self.estimator_.classes_
        return self

    def _given_weights(self):
        weights = check_array(
            self.weights,
            ensure_2d=False,
            ensure_min_samples=0,
            dtype=np.float64,
            input_name="weights",
        )
        if weights.ndim != 1 or not len(weights) or np.any(weights < 0):
            raise ValueError("weights must be one or more non-negative numbers in one dimension.")
        return np.unique(weights)

    def _prototype(self):
        """A clone of the estimator with the folds, and one seed for all weights."""
        prototype = clone(self.estimator)
        if self.cv is not None:
            prototype.set_params(cv=self.cv)
        if not isinstance(getattr(prototype, "random_state", 0), Integral):
            rng = check_random_state(prototype.random_state)
            prototype.set_params(random_state=int(rng.randint(np.iinfo(np.int32).max)))
        return prototype

    def _compared(self, all_steps, X, y, rows):
        """What was _Fitted for every weight; no estimator where another was clearly better."""
        prototype = self._prototype()
        if not any(map(len, all_steps[-1].thresholds_)):  # all weights are the same columns
            return [self._fitted(prototype, all_steps[0], X, y, rows)] * len(all_steps)
        if isinstance(prototype, ConvexCV):
            return self._raced(prototype, all_steps, X, y, rows)
        return [self._fitted(prototype, steps, X, y, rows) for steps in all_steps]

    def _raced(self, prototype, all_steps, X, y, rows):
        """The same for networks: their paths are compared on the way."""
        searches = [None] * len(all_steps)
        still = np.ones(len(all_steps), dtype=bool)
        if isinstance(prototype.alphas, str) and len(all_steps) > 1:
            for k, steps in enumerate(all_steps):
                try:
                    clone(prototype)._fit_raced(steps.transform(X), y, race=Race(True), **rows)
                except Paused as paused:
                    searches[k] = paused.search
            still = still_in(searches)
        tried, than = [], -np.inf
        for steps, search, goes_on in zip(all_steps, searches, still, strict=True):
            if not goes_on:
                tried.append(_Fitted(steps, None, search.best_score()))
                continue
            estimator = clone(prototype)
            try:
                race = Race(search=search, than=than)
                estimator._fit_raced(steps.transform(X), y, race=race, **rows)
                score = than = estimator.best_score_
            except NotBetter as found:
                estimator, score = None, found.score
            tried.append(_Fitted(steps, estimator, float(score)))
        return tried

    def _fitted(self, prototype, steps, X, y, rows):
        estimator = clone(prototype).fit(steps.transform(X), y, **rows)
        if not hasattr(estimator, "best_score_"):
            raise TypeError(
                f"{type(estimator).__name__} has no best_score_ after fit, by which weights are "
                "compared: use an estimator that cross-validates, such as ConvexReLURegressorCV, "
                "or QuantileSteps in a GridSearchCV."
            )
        return _Fitted(steps, estimator, float(estimator.best_score_))

    # ------------------------------------------------------------------ the fitted estimator

    @property
    def feature_importances_(self) -> np.ndarray:
        """Shares of the columns, each with its steps.

        Returns
        -------
        ndarray of shape (n_features_in_,)
            Of ``estimator_``, added up.
        """
        check_is_fitted(self)
        return sums_by_column(self.estimator_.feature_importances_, self.steps_._steps)

    def _encoded(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, dtype=_DTYPES, reset=False)
        return self.steps_.transform(X)

    @available_if(_has("predict"))
    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict by the fitted estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions.
        """
        X = self._encoded(X)
        return self.estimator_.predict(X)

    @available_if(_has("predict_proba"))
    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Class probabilities of the fitted estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        X = self._encoded(X)
        return self.estimator_.predict_proba(X)

    @available_if(_has("predict_log_proba"))
    def predict_log_proba(self, X: ArrayLike) -> np.ndarray:
        """Logarithms of the class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        X = self._encoded(X)
        return self.estimator_.predict_log_proba(X)

    @available_if(_has("decision_function"))
    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Scores of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            As those of the fitted estimator.
        """
        X = self._encoded(X)
        return self.estimator_.decision_function(X)

    @available_if(_has("score"))
    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Score of the fitted estimator: R2 or accuracy, if it says nothing else.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        float
            The score.
        """
        rows = {} if sample_weight is None else {"sample_weight": sample_weight}
        X = self._encoded(X)
        return self.estimator_.score(X, y, **rows)


def _enough_rows(X, sample_weight, steps):
    """Are there as many rows for a column as one asks for in any regression?"""
    used = slice(None) if sample_weight is None else sample_weight > 0
    n_rows = len(np.unique(row_keys(X[used])))
    n_columns = sum(len(thresholds) > 0 for thresholds in steps.thresholds_)
    return n_rows >= _ROWS_FOR_A_COLUMN * n_columns
