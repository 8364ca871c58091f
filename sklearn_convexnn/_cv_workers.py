"""Where the solves of a cross-validation run: here, in threads, or in worker processes.

All three take tasks, of which ``capacity`` should be under way, and give back under their keys what
came of those that have ended.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from threading import Event
from time import perf_counter

from joblib.parallel import get_active_backend
from sklearn import config_context, get_config
from sklearn.utils.parallel import Parallel, delayed

# Seconds of work that is done here before workers start beside it.
_PATIENCE = 1.0
# Numbers in the largest array of a pass from which on folds run in threads, which share the memory:
# they wait for the interpreter, and folds take a third more time in two threads than alone, however
# many rows there are.  (Two jobs on two cores, log-loss on 30 000 x 30 rows: 1.37 times as fast in
# processes, 1.20 in threads; regression of 45 000 x 80: 1.42 and 1.38 to 1.46.)
_MANY_NUMBERS = 2_000_000


@contextmanager
def workers(function, n_jobs, *, most, numbers, elsewhere):
    """What ``function`` runs in, for tasks that are its arguments.

    Parameters
    ----------
    function : callable
        In threads it also gets ``stop``, a callable: once it gives True, the result is not wanted.
    n_jobs : int
    most : int
        Tasks that may be under way at once.
    numbers : int
        In the largest array of a pass over the rows of a task.
    elsewhere : bool
        Whether rows are somewhere else, and tasks wait for them.
    """
    if n_jobs == 1:
        yield Here(function)
        return
    hint = {"prefer": "threads" if numbers >= _MANY_NUMBERS else "processes"}
    if elsewhere:
        hint = {"require": "sharedmem"}
    backend = get_active_backend(**hint)[0]  # a joblib.parallel_config context may say another
    kind = Threads if getattr(backend, "supports_sharedmem", False) else Processes
    with ExitStack() as stack:
        yield kind(function, n_jobs, most, stack)


class Here:
    """One task after the other, in this process."""

    capacity = 1

    def __init__(self, function):
        self.function, self.tasks = function, {}

    def start(self, key, task):
        self.tasks[key] = task

    def finished(self):
        """One result, or some, by their keys."""
        key = next(iter(self.tasks))
        return {key: self.function(*self.tasks.pop(key))}

    def abandon(self):
        """Forget the tasks that are under way."""
        self.tasks.clear()


class Processes(Here):
    """Here, until worker processes are ready, which start while this one goes on.

    Starting them takes a second or two, and small folds take no longer.
    """

    def __init__(self, function, n_jobs, most, stack):
        super().__init__(function)
        self.n_jobs, self.stack = n_jobs, stack
        # They get their tasks together: so many that all of them are busy.
        self.most = n_jobs * (most // n_jobs)
        self.pool = self.starting = None
        self.left = _PATIENCE

    @property
    def capacity(self):
        return self.most if self.ready() else 1

    def ready(self):
        """Have workers started?  The first to ask when patience is at its end starts them."""
        if self.starting is None and self.left <= 0:
            # Made here, where a joblib.parallel_config context is known.
            first, beside = Parallel(n_jobs=self.n_jobs), ThreadPoolExecutor(1)
            self.starting = beside.submit(first, [delayed(_nothing)()] * self.n_jobs)
            beside.shutdown(wait=False)  # nor does the end of the folds wait for workers
        return self.starting is not None and self.starting.done()

    def finished(self):
        if len(self.tasks) == 1 or not self.ready():
            began = perf_counter()
            done = super().finished()
            self.left -= perf_counter() - began
            return done
        if self.pool is None:
            # One task at a time: a batch of them would leave other workers without any.
            pool = Parallel(n_jobs=self.n_jobs, batch_size=1, pre_dispatch="all")
            self.pool = self.stack.enter_context(pool)
        tasks, self.tasks = self.tasks, {}
        results = self.pool(delayed(self.function)(*task) for task in tasks.values())
        return dict(zip(tasks, results, strict=True))


def _nothing():
    """What workers do first: to know it they import the package."""


class Threads:
    """Threads of this process: they start at once, and share its memory."""

    def __init__(self, function, n_jobs, most, stack):
        self.function, self.capacity = function, n_jobs
        self.pool = stack.enter_context(ThreadPoolExecutor(n_jobs))
        self.keys, self.abandoned = {}, Event()
        stack.callback(self.abandon)

    def start(self, key, task):
        # What is set for this thread (NumPy's floating point errors, scikit-learn's configuration)
        # is set there.
        call = copy_context().run, _configured, get_config(), self.function
        self.keys[self.pool.submit(*call, *task, stop=self.abandoned.is_set)] = key

    def finished(self):
        done, _ = wait(self.keys, return_when=FIRST_COMPLETED)
        return {self.keys.pop(future): future.result() for future in done}

    def abandon(self):
        for future in self.keys:
            future.cancel()
        # What has begun below the end of a path takes longer than all before.
        self.abandoned.set()
        self.keys, self.abandoned = {}, Event()


def _configured(config, function, *task, stop):
    with config_context(**config):
        return function(*task, stop=stop)
