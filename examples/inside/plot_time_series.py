r"""
Patterns in time series, of unknown length and place
====================================================

Two kinds of noisy series differ in a short pattern that may be anywhere: a rise before a fall, or a
fall before a rise. Windows of several widths look for it.
"""

# %%
# The patterns have the same values in another order, and some are twice as wide as others. The
# network may use windows of seven places side by side, or every second or fourth place.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from sklearn_convexnn import ConvexCNNClassifier
from sklearn_convexnn.inspection import FilterDisplay

rng = np.random.default_rng(0)
wave = np.sin(np.linspace(0, 2 * np.pi, 13))


def make_series(n):
    X, y = 0.4 * rng.standard_normal((n, 80)), rng.integers(2, size=n)
    for series, label in zip(X, y, strict=True):
        shape = np.repeat(wave, rng.integers(1, 3)) * (1 if label else -1)
        place = rng.integers(0, 80 - len(shape))
        series[place : place + len(shape)] += 1.5 * shape
    return X, y


X, y = make_series(80)
X_test, y_test = make_series(500)
model = ConvexCNNClassifier(
    "scale", patch_size=7, dilation=[1, 2, 4], padding="same", random_state=0
).fit(X, y)
for rival in (model, SVC(C=10).fit(X, y), KNeighborsClassifier(1).fit(X, y)):
    print(f"{type(rival).__name__}: accuracy {rival.score(X_test, y_test):.3f}")

# %%
# The largest filters and where they fire on a series of either kind.

first, second = X_test[y_test == 0][0], X_test[y_test == 1][0]
for series, kind in ((first, "fall, then rise"), (second, "rise, then fall")):
    display = FilterDisplay.from_estimator(model, series, n_filters=5)
    display.figure_.suptitle(kind)
plt.show()
