"""A whole pipeline for data frames."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_convexnn._base_cv import BaseConvexReLUCV
from sklearn_convexnn._cv import ConvexReLUClassifierCV, ConvexReLURegressorCV
from sklearn_convexnn._optional import optional
from sklearn_convexnn._quantile_steps import QuantileSteps
from sklearn_convexnn._steps_cv import WEIGHTS, StepsCV

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sklearn_convexnn._typing import RandomState

_NAMED: dict[str, Any] = {
    "regressor": ConvexReLURegressorCV,
    "classifier": partial(ConvexReLUClassifierCV, refit="both"),
}


def tabular_pipeline(
    estimator: Any,
    *,
    weights: Literal["auto"] | ArrayLike = "auto",
    n_jobs: int | None = None,
    random_state: RandomState = None,
) -> Pipeline:
    """Make a pipeline for a data frame with numbers, categories, dates and missing values.

    Its steps are skrub's ``TableVectorizer`` (categories become one-hot columns, those with many
    values and texts 30 components, dates their parts), ``SimpleImputer`` with medians and a column
    that says where a value was missing, ``StandardScaler``, and a search for the weight of
    :class:`QuantileSteps` around the estimator. Needs skrub:
    ``pip install "sklearn_convexnn[tabular]"``.

    Parameters
    ----------
    estimator : {"regressor", "classifier"} or estimator
        "regressor" is :class:`ConvexReLURegressorCV`, "classifier"
        :class:`ConvexReLUClassifierCV` with ``refit="both"``, whose probabilities are a little
        better and whose networks are several times larger. These cross-validate for one weight
        after the other, see :class:`StepsCV`; all other estimators in a ``GridSearchCV`` over the
        weights with five folds and the scoring of their own.
    weights : "auto" or array-like of shape (n_weights,), default="auto"
        Candidates for the weight of steps. "auto": 0 and 0.5, see :class:`StepsCV`. Of a single one
        no search is made, but for alpha.
    n_jobs : int, default=None
        Worker processes for the columns and for the folds.
    random_state : int, RandomState instance or None, default=None
        Of the estimator that a name stands for.

    Returns
    -------
    Pipeline
        Not fitted.

    See Also
    --------
    StepsCV : The last step.
    skrub.tabular_pipeline : The same for any estimator, without steps.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn_convexnn import tabular_pipeline
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"size": rng.uniform(20, 200, 300), "town": rng.choice(["A", "B"], 300)})
    >>> y = X["size"] * np.where(X["town"] == "A", 3.0, 2.0)
    >>> X.loc[::10, "size"] = np.nan
    >>> model = tabular_pipeline("regressor", random_state=0).fit(X[:200], y[:200])
    >>> model.score(X[200:], y[200:]) > 0.8
    True
    """
    if isinstance(estimator, str):
        if estimator not in _NAMED:
            raise ValueError(
                f"estimator must be 'regressor', 'classifier' or an estimator, got {estimator!r}."
            )
        estimator = _NAMED[estimator](n_jobs=n_jobs, random_state=random_state)
    elif isinstance(estimator, type) or not hasattr(estimator, "fit"):
        raise TypeError(f"estimator must be an instance of an estimator, got {estimator!r}.")
    if not _is_auto(weights) and (np.ndim(weights) != 1 or not np.size(weights)):
        raise ValueError(
            f"weights must be 'auto' or one or several numbers in a list, got {weights!r}."
        )
    # As long to import as half of this package.
    from sklearn.impute import SimpleImputer

    return make_pipeline(
        _vectorizer(n_jobs),
        SimpleImputer(strategy="median", add_indicator=True),
        StandardScaler(),
        *_with_steps(estimator, weights, n_jobs),
    )


def _vectorizer(n_jobs):
    skrub = optional("skrub", caller="tabular_pipeline", extra="tabular")
    # Months and hours go round.
    dates = skrub.DatetimeEncoder(periodic_encoding="circular")
    return skrub.TableVectorizer(datetime=dates, n_jobs=n_jobs)


def _with_steps(estimator, weights, n_jobs):
    """The last steps of the pipeline."""
    if not _is_auto(weights) and len(weights) == 1:
        return QuantileSteps(weight=weights[0]), estimator
    if isinstance(estimator, BaseConvexReLUCV):
        return (StepsCV(estimator, weights=weights),)
    grid = {"quantilesteps__weight": list(WEIGHTS if _is_auto(weights) else weights)}
    return (GridSearchCV(make_pipeline(QuantileSteps(), estimator), grid, n_jobs=n_jobs),)


def _is_auto(weights):
    return isinstance(weights, str) and weights == "auto"
