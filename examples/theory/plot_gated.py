r"""
Gated networks and given patterns
=================================

A gated network opens and closes its neurons by *given* gates instead of by their own weights:
:math:`z(x) = b_0 + \sum_j 1[x^\top g_j > 0] \, x^\top v_j`. Training it is a convex program with no
search in it. This example compares it with the ReLU network, and turns one into the other.
"""

# %%
# Two half circles. The default number of gates is a thousand; here few are enough, and show better
# what gates do.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons

from sklearn_convexnn import ConvexReLUClassifier, GatedReLUClassifier
from sklearn_convexnn.inspection import optimality_report

X, y = make_moons(120, noise=0.2, random_state=0)
gated = GatedReLUClassifier(alpha=0.01, patterns=25, random_state=0).fit(X, y)
print(
    f"gated: {gated.n_neurons_} of 25 gates in use, objective {gated.objective_:.4f}, "
    f"gap {gated.dual_gap_:.0e} ({gated.certificate_} for these gates)"
)

# %%
# ``to_relu`` writes every gated neuron as the difference of two ReLU neurons. The outputs on the
# training rows are the same; the penalty is not.

relu = gated.to_relu(X)
difference = np.abs(relu.decision_function(X) - gated.decision_function(X)).max()
print(
    f"its ReLU network: {relu.n_neurons_} neurons, outputs differ by {difference:.0e}, penalty "
    f"{relu.relu_price_:.0f} times as large, objective {relu.objective_:.3f}"
)

# %%
# It is a start and not a solution. The cutting plane goes on from it.

trained = relu.set_params(warm_start=True, gap_tol=1e-3).fit(X, y)
print(
    f"after the cutting plane: {trained.n_neurons_} neurons, objective {trained.objective_:.4f}, "
    f"gap {trained.dual_gap_:.0e} ({trained.certificate_})"
)

# %%
# Between the training rows the gated network jumps at its gates; the ReLU network is continuous.

grid = np.stack(np.meshgrid(np.linspace(-1.6, 2.6, 300), np.linspace(-1.2, 1.7, 220)), axis=-1)
fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", sharey=True)
for ax, model, title in zip(axes, (gated, trained), ("gated", "ReLU"), strict=True):
    p = model.predict_proba(grid.reshape(-1, 2))[:, 1].reshape(grid.shape[:2])
    filled = ax.contourf(
        grid[..., 0], grid[..., 1], p, levels=np.linspace(0, 1, 11), cmap="RdBu", alpha=0.8
    )
    ax.contour(grid[..., 0], grid[..., 1], p, levels=[0.5], colors="k", linewidths=1)
    ax.scatter(*X.T, c=y, cmap="RdBu", edgecolor="k", s=14, linewidths=0.5)
    ax.set(title=f"{title}, {model.n_neurons_} neurons", xlabel="x0")
axes[0].set_ylabel("x1")
fig.colorbar(filled, ax=axes, label="probability of class 1")
plt.show()

# %%
# The program over the patterns of given directions is the restricted form of the ReLU network:
# more directions come closer to the optimum over all of them, from above. Its own gap is proven;
# the gap of the network counts the patterns that were left out.

for patterns in (5, 20, 80):
    model = ConvexReLUClassifier(alpha=0.01, refinement=None, patterns=patterns, random_state=0)
    model.fit(X, y)
    print(
        f"{patterns:2d} patterns: objective {model.objective_:.4f}, program solved to "
        f"{model.program_gap_:.0e}, gap {model.dual_gap_:.2f} ({model.certificate_})"
    )

# %%
# A proof for the network of the cutting plane, by all activation patterns of these rows.

print(optimality_report(trained, X, y, method="exact"))
