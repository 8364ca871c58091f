"""Types of parameters that many signatures share; for type checkers, not at run time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.model_selection import BaseCrossValidator

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# An estimator, of the class that was given.
Model = TypeVar("Model")

MatrixLike: TypeAlias = "ArrayLike | sparse.sparray | sparse.spmatrix"
RandomState: TypeAlias = "int | np.random.RandomState | None"
ClassWeight: TypeAlias = 'dict[Any, float] | Literal["balanced"] | None'
Folds: TypeAlias = "int | BaseCrossValidator | Iterable[Any] | None"
Scoring: TypeAlias = "str | Callable[..., float] | None"
SeveralAxes: TypeAlias = "Sequence[Axes] | np.ndarray"
