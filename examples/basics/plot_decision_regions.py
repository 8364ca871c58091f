r"""
Exact decision regions
======================

A two-layer ReLU network is affine on every cell between the lines of its neurons, so that its
decision regions are polygons. They are computed, not sampled on a grid: every corner is exact.
"""

# %%
# Two classes, two classes, and three: where each class is predicted. Thin lines show where a neuron
# begins to be active; the decision boundary (thick) can bend only there.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris, make_circles, make_moons
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_convexnn import ConvexReLUClassifier
from sklearn_convexnn.inspection import DecisionRegionDisplay, decision_regions

iris = load_iris()
problems = {
    "moons": make_moons(noise=0.25, random_state=0),
    "circles": make_circles(noise=0.1, factor=0.5, random_state=0),
    "iris, sepals": (iris.data[:, :2], iris.target),
}
networks = {}
fig, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
for ax, (name, (X, y)) in zip(axes, problems.items(), strict=True):
    model = make_pipeline(StandardScaler(), ConvexReLUClassifier(random_state=0)).fit(X, y)
    networks[name] = model
    display = DecisionRegionDisplay.from_estimator(model, X, eps=0.4, ax=ax)
    ax.scatter(*X.T, c=display.colors_[y], edgecolor="k", s=18, linewidth=0.6)
    found = display.regions
    ax.set_title(
        f"{name}: {len(found.neuron_lines)} neurons, {found.n_linear_pieces} linear pieces"
    )
    ax.set(xlabel="", ylabel="", xticks=[], yticks=[])
plt.show()

# %%
# The regions are arrays: corners, holes, areas. Their areas add up to that of the rectangle.

found = decision_regions(networks["circles"], extent=(-1.5, 1.5, -1.5, 1.5))
for region in found.regions:
    print(
        f"class {region.label}: a polygon of {len(region.boundary)} corners with "
        f"{len(region.holes)} hole(s) and area {region.area:.4f}"
    )
print(f"together {found.areas.sum():.12f}, the rectangle has {3.0 * 3.0}")

# %%
# A grid of 100 x 100 points, scikit-learn's default, shows stairs, and misses the wedge in which
# the third class reaches up between the other two.

X, y = problems["iris, sepals"]
fig, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained", sharex=True, sharey=True)
DecisionRegionDisplay.from_estimator(networks["iris, sepals"], X, eps=0.4, ax=axes[0])
DecisionBoundaryDisplay.from_estimator(
    networks["iris, sepals"], X, eps=0.4, response_method="predict", alpha=0.5, ax=axes[1]
)
for ax, title in zip(axes, ("exact polygons", "a grid of 100 x 100 points"), strict=True):
    ax.set(xlim=(5.85, 6.35), ylim=(3.1, 3.95), xlabel="", ylabel="", xticks=[], yticks=[])
    ax.set_title(title)
plt.show()

# %%
# In one feature the log-odds are piecewise linear, with kinks at the ticks, and the class changes
# at their exact roots. One kind of iris lies between the other two.

x, y = iris.data[:, [2]], np.where(iris.target == 1, "versicolor", "other")
model = ConvexReLUClassifier(alpha=1e-3, random_state=0).fit(x, y)
fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
display = DecisionRegionDisplay.from_estimator(
    model, x, eps=0.5, ax=ax, xlabel="petal length (cm)", neuron_kw={"linewidths": 2, "alpha": 1}
)
for color, name in zip(display.colors_, model.classes_, strict=True):
    rows = y == name
    ax.scatter(
        x[rows, 0],
        np.random.default_rng(0).uniform(0.08, 0.2, rows.sum()),
        color=color,
        edgecolor="k",
        linewidth=0.5,
        s=18,
        transform=ax.get_xaxis_transform(),
        label=name,
    )
ax.legend(*[part[-2:] for part in ax.get_legend_handles_labels()], loc="upper right")
changes = " and ".join(f"{position:.3f} cm" for position in display.regions.breakpoints)
ax.set_title(f"the class changes at {changes}")
plt.show()
