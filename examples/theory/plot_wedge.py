r"""
All candidate neurons of two features
=====================================

The hyperplanes through subsets of the data contain all the neurons that an optimal network can need
under the l1 norm: training becomes a lasso with a known list of features, and picks a few of them.
"""

# %%
# Through 25 points in the plane there are 300 lines, and 50 more are parallel to an axis. With a
# weight for each of their two sides, scikit-learn's ``Lasso`` trains the network exactly.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import Lasso
from sklearn.pipeline import make_pipeline

from sklearn_convexnn.inspection import WedgeFeatures

rng = np.random.default_rng(3)
X = rng.uniform(-1, 1, (25, 2))
y = np.abs(X[:, 0] + 0.5 * X[:, 1] - 0.2) + 0.02 * rng.standard_normal(25)
model = make_pipeline(WedgeFeatures(max_subsets=None), Lasso(alpha=0.003, max_iter=200_000))
model.fit(X, y)
features, lasso = model
weights = np.abs(lasso.coef_).reshape(2, -1).sum(axis=0)
print(f"{features.n_neurons_} candidate neurons, {np.count_nonzero(lasso.coef_)} used")

# %%
# Left the data with all candidate lines, right the trained network with the lines that it uses, the
# wider the larger their weight.

fig, axes = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained", sharex=True, sharey=True)
side = np.linspace(-1.1, 1.1, 201)
plane = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
values = model.predict(plane).reshape(201, 201)
levels = np.linspace(-0.1, 1.8, 20)
axes[1].contourf(side, side, values, levels=levels, extend="both", alpha=0.85)
used = weights > 1e-6
for ax, chosen in zip(axes, (weights >= 0, used), strict=True):
    for u, b, size in zip(
        features.directions_[chosen], features.biases_[chosen], weights[chosen], strict=True
    ):
        foot = -b * u / (u @ u)
        line = foot + np.array([[-4], [4]]) * np.array([-u[1], u[0]]) / np.linalg.norm(u)
        if ax is axes[0]:
            ax.plot(*line.T, color="0.8", lw=0.5, zorder=0)
        else:
            ax.plot(*line.T, color="#ff8c69", lw=0.5 + 2 * size / weights.max(), zorder=1)
    points = ax.scatter(
        *X.T, c=y, s=40, vmin=-0.1, vmax=1.8, edgecolors="black", linewidths=0.6, zorder=2
    )
    ax.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), aspect="equal", xlabel="$x_1$")
    ax.locator_params(nbins=5)
axes[0].set(ylabel="$x_2$", title=f"{len(weights)} candidate lines")
axes[1].set_title(f"the network uses {np.count_nonzero(used)}")
fig.colorbar(points, ax=axes, label="y")
plt.show()
