"""Cross-validation as an option of estimators: folds, scores, and metadata for both."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring, get_scorer, get_scorer_names
from sklearn.model_selection import KFold, StratifiedKFold, check_cv
from sklearn.utils import Bunch
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from sklearn_convexnn._cv_choice import best_alpha, choose_alpha
from sklearn_convexnn._cv_oracle import check_score
from sklearn_convexnn._cv_scores import HeldOut
from sklearn_convexnn._validation import (
    Interval,
    StrOptions,
    _check_method_params,
    _raise_for_params,
    _routing_enabled,
)

# Folds of cv=None.
N_FOLDS = 5


class CrossValidation:
    """Parameters and hooks of an estimator that chooses ``alpha`` by cross-validation.

    ``_default_score(estimator, X, y, sample_weight)`` is the score of ``scoring=None``.
    """

    _parameter_constraints = {
        "alphas": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "eps": [Interval(Real, 0, 1, closed="neither")],
        "cv": ["cv_object"],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "selection": [StrOptions({"scale", "best", "one_standard_error"})],
        "n_jobs": [Integral, None],
    }

    def _fit_folds(self, X, y, sample_weight, params, **options):
        """The fit, with the metadata of splitter and scorer routed to them."""
        _raise_for_params(params, self, "fit")
        routed = self._routed_params(sample_weight, params)
        return self._fit(X, y, sample_weight, routed=routed, **options)

    def _splits(self, data, rng, params):
        cv = self.cv
        if cv is None:
            kind = StratifiedKFold if is_classifier(self) else KFold
            cv = kind(N_FOLDS, shuffle=True, random_state=int(rng.integers(2**31)))
        cv = check_cv(cv, data.y, classifier=is_classifier(self))
        rows = np.arange(len(data.y))
        return [(rows[train], rows[test]) for train, test in cv.split(data.X, data.y, **params)]

    def _held_out(self, data, test, score_params):
        """The rows that a fold holds out, with metadata of their scores."""
        params = _check_method_params(data.X, score_params, indices=test)
        if params.get("sample_weight") is not None and not np.any(params["sample_weight"]):
            raise ValueError(
                "A fold holds out rows whose sample_weight is all zero: leave these rows out, or "
                "choose other folds with cv."
            )
        return HeldOut(data.X, data.y[test], test, params)

    def _scorer(self, data):
        if self.scoring is None:
            return self._default_score
        if isinstance(self.scoring, str):
            check_score(self.scoring, type(self).__name__, data.y, classify=is_classifier(self))
        return check_scoring(self, scoring=self.scoring)

    def _routed_params(self, sample_weight, params):
        if _routing_enabled():
            return process_routing(self, "fit", sample_weight=sample_weight, **params)
        score = dict(params)
        if sample_weight is not None:
            score["sample_weight"] = sample_weight
        return Bunch(splitter=Bunch(split={}), scorer=Bunch(score=score))

    def get_metadata_routing(self):
        """Metadata routing of this object.

        Returns
        -------
        MetadataRouter
            ``fit`` passes metadata on to the splitter and to the scorer.
        """
        if self.scoring is None:
            # The default scores take weights; this stands for them in the routing.
            scorer = get_scorer("r2").set_score_request(sample_weight=True)
        else:
            scorer = check_scoring(self, scoring=self.scoring)
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(
                splitter=check_cv(self.cv),
                method_mapping=MethodMapping().add(caller="fit", callee="split"),
            )
            .add(scorer=scorer, method_mapping=MethodMapping().add(caller="fit", callee="score"))
        )

    # Whether scores are compared fold by fold.
    _paired = False

    def _choose(self, alphas, scores, scale, sizes=None):
        """The index of the chosen alpha, and the best mean score."""
        chosen = choose_alpha(scores, alphas, self.selection, scale, sizes, self._paired)
        return chosen, float(scores.mean(axis=1)[best_alpha(scores)])
