"""Progress reports: ``verbose`` printing and scikit-learn's callbacks, where it has them."""

from __future__ import annotations

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # experimental in scikit-learn 1.9: its name or place may change

    class CallbackSupportMixin:
        """Stands in for scikit-learn's mixin: no callbacks can be set."""

    def with_callbacks(method):
        """The method as it is."""
        return method


class Progress:
    """Called by the solver after every round.

    Parameters
    ----------
    estimator : estimator being fitted
    X, y : as given to fit; handed to the callbacks
    objective : callable
        From the objective in working units to that in the units of the data.
    """

    def __init__(self, estimator, X, y, *, objective):
        self.estimator, self.X, self.y = estimator, X, y
        self.objective = objective
        self.context = None
        if getattr(estimator, "_skl_callbacks", None):
            self.context = estimator._init_callback_context(max_subtasks=None)
            self.context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)

    def __call__(self, n_iter, row):
        """Report round ``n_iter`` with its row of the history; true if a callback asks to stop."""
        if self.estimator.verbose:
            print(
                f"[{type(self.estimator).__name__}] round {n_iter}: "
                f"objective {self.objective(row['objective']):.6g}, "
                f"relative gap {row['dual_gap']:.2e} ({row['certificate']}), "
                f"{row['n_neurons']} neurons"
            )
        if self.context is None:
            return False
        task = self.context.subcontext(task_name="round")
        task.call_on_fit_task_begin(estimator=self.estimator, X=self.X, y=self.y)
        return bool(task.call_on_fit_task_end(estimator=self.estimator, X=self.X, y=self.y))

    def close(self):
        """The fit has ended."""
        if self.context is not None:
            self.context.call_on_fit_task_end(estimator=self.estimator, X=self.X, y=self.y)
