"""
A network that fits on a page
=============================

At the weight decay that predicts best a network may have dozens of neurons. Few of them matter: the
neurons of a *larger* weight decay, refitted at a smaller one, often predict as well. Relaxation and
weight decay are chosen together by cross-validation, and of all candidates within one standard
error of the best score the one with the fewest neurons is taken.
"""

# %%
# Five features decide, five are noise; x3 and x4 act along lines, x2 along a parabola, x0 and x1
# together.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_friedman1
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklearn_convexnn import ConvexReLURegressorCV

X, y = make_friedman1(500, noise=1.0, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(
    StandardScaler().fit_transform(X), y, random_state=0
)
full = ConvexReLURegressorCV(random_state=0).fit(X_train, y_train)
small = ConvexReLURegressorCV(
    relax=(1, 1 / 4, 1 / 16, 1 / 64), selection="smallest", random_state=0
).fit(X_train, y_train)
for name, model in (("best score", full), ("smallest", small)):
    print(f"{name}: {model.n_neurons_} neurons, R2 on new rows {model.score(X_test, y_test):.3f}")

# %%
# The whole network: a line for each weight, blue if it is positive, red if negative, as thick as it
# is large. Every neuron bends the output along one direction of the inputs.


def draw(ax, model, names):
    """Inputs on the left, neurons, the output on the right."""
    hidden, output = model.coefs_[0], model.coefs_[1][:, 0]
    order = np.argsort(-np.abs(output))
    hidden, output = hidden[:, order], output[order]
    rows = np.linspace(1, 0, len(hidden))
    neurons = np.linspace(1, 0, len(output) + 2)[1:-1]
    largest = max(np.abs(hidden).max(), np.abs(output).max())

    def line(x, y, weight):
        color = "#2563a8" if weight > 0 else "#c8553d"
        ax.plot(x, y, color=color, lw=5 * abs(weight) / largest, solid_capstyle="round", zorder=1)

    for j, height in enumerate(neurons):
        for i, start in enumerate(rows):
            line([0, 1], [start, height], hidden[i, j])
        line([1, 2], [height, 0.5], output[j])
    for x, heights in ((0, rows), (1, neurons), (2, [0.5])):
        ax.scatter(
            np.full(len(heights), x), heights, s=90, color="white", edgecolor="0.2", zorder=2
        )
    for height, name in zip(rows, names, strict=True):
        ax.text(-0.06, height, name, ha="right", va="center")
    ax.text(2.06, 0.5, "y", ha="left", va="center")
    ax.set_axis_off()


fig, ax = plt.subplots(figsize=(8, 5), layout="constrained")
draw(ax, small, [f"x{i}" for i in range(X.shape[1])])
for color, label in (("#2563a8", "positive weight"), ("#c8553d", "negative weight")):
    ax.plot([], [], color=color, lw=3, label=label)
ax.legend(loc="upper right", frameon=False)
ax.set_title(f"{small.n_neurons_} neurons instead of {full.n_neurons_}")
plt.show()
