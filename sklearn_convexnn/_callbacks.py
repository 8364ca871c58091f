"""Progress reports: ``verbose`` printing and scikit-learn's callbacks, where it has them."""

from __future__ import annotations

from sklearn_convexnn._validation import has_callbacks

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # experimental in scikit-learn 1.9: its name or place may change

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for scikit-learn's mixin: no callbacks can be set."""

    def with_callbacks(method):
        """The method as it is."""
        return method


# What is counted in a row of a history, in words.
COUNTS = {
    "n_neurons": "neurons",
    "n_knots": "knots",
    "n_paths": "paths",
    "rank": "singular values",
}


class Progress:
    """Called by the solver after every round.

    Parameters
    ----------
    estimator : estimator being fitted
    X, y : as given to fit; handed to the callbacks

    Attributes
    ----------
    objective : callable
        From the objective of a round to that in the units of the data; set by families whose
        rounds have other units.
    """

    def __init__(self, estimator, X, y):
        self.estimator, self.X, self.y = estimator, X, y
        self.objective = float
        self.n_calls = 0
        self.context = None
        if has_callbacks(estimator):  # a context costs as much as a round of a spline
            # The hook that scikit-learn documents for estimators outside of it, underscore and all.
            self.context = estimator._init_callback_context(max_subtasks=None)
            self.context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)

    def __call__(self, n_iter, row):
        """Report round ``n_iter`` with its row of the history; true if a callback asks to stop."""
        self.n_calls += 1
        if self.estimator.verbose:
            counts = [f"{row[name]} {word}" for name, word in COUNTS.items() if name in row]
            sample = f" on {row['n_rows']} of the rows" if "n_rows" in row else ""
            print(
                f"[{type(self.estimator).__name__}] round {n_iter}{sample}: "
                f"objective {self.objective(row['objective']):.6g}, "
                f"relative gap {row['dual_gap']:.2e} ({row['certificate']}), {', '.join(counts)}"
            )
        if self.context is None:
            return False
        task = self.context.subcontext(task_name="round")
        task.call_on_fit_task_begin(estimator=self.estimator, X=self.X, y=self.y)
        return bool(task.call_on_fit_task_end(estimator=self.estimator, X=self.X, y=self.y))

    def close(self, solution):
        """The fit has ended; a solver that has no rounds is reported as one."""
        if not self.n_calls:
            row = {name: values[-1] for name, values in solution.history.items() if len(values)}
            if row:
                self(solution.n_iter, row | {"certificate": solution.certificate.kind})
        if self.context is not None:
            self.context.call_on_fit_task_end(estimator=self.estimator, X=self.X, y=self.y)
