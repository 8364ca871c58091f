r"""
What depth buys in one dimension
================================

Through the same points, networks of least weight decay with two and with three layers of weights,
and the neurons that they are made of.
"""

# %%
# With ``alpha=0`` the estimator connects the dots with least weight decay, in closed form. A hinge
# bends the line and must be paid for again when the line is to become flat. From three layers on a
# neuron may be a ramp, which rises between two points and stays: each step has the price of one
# bend. (A fourth layer changes nothing; see the documentation.)

import matplotlib.pyplot as plt
import numpy as np

from sklearn_convexnn import SplineReLURegressor

x = np.array([0.0, 1, 2, 3, 4, 5, 6, 7])
y = np.array([0.0, 0, 1, 1, 1, 3, 3, 3])
grid = np.linspace(-1, 8, 400)[:, None]

fig, axes = plt.subplots(2, 2, figsize=(9, 5.4), layout="constrained", sharex=True, sharey="row")
for (top, bottom), n_layers in zip(axes.T, (2, 3), strict=True):
    model = SplineReLURegressor(alpha=0, n_layers=n_layers).fit(x[:, None], y)
    top.plot(grid, model.predict(grid), color="#2563a8", lw=2)
    top.scatter(x, y, s=40, color="#c8553d", zorder=3)
    kind = "hinges" if n_layers == 2 else "ramps"
    top.set_title(f"{n_layers} layers: {model.n_neurons_} {kind}, weight decay {model.penalty_:g}")

    # The neurons, each with its output weight.
    hidden = grid
    for weights, biases in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        hidden = np.maximum(hidden @ weights + biases, 0)
    for neuron in (hidden * model.coefs_[-1][:, 0]).T:
        bottom.plot(grid, neuron, lw=1.6)
    bottom.set_xlabel("x")
    bottom.set_ylim(-4.5, 4.5)
axes[0, 0].set_ylabel("network and points")
axes[1, 0].set_ylabel("its neurons")
for ax in axes.flat:
    ax.spines[["top", "right"]].set_visible(False)
plt.show()
