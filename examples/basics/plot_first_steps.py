r"""
First steps
===========

Train a two-layer ReLU network by convex optimisation, read its duality gap, and see what the
regularisation strength does.
"""

# %%
# A noisy curve in one dimension. The network is a sum of hinges
# :math:`c_j \max(0, u_j x + b_j)`, a piecewise linear function; how many pieces it has is part of
# the solution and not a parameter.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_convexnn import ConvexReLURegressor, alpha_max

rng = np.random.default_rng(0)
x = np.sort(rng.uniform(-2, 2, size=120))
y = np.sin(2 * x) + 0.5 * np.abs(x) + 0.15 * rng.standard_normal(x.size)
X = x[:, None]

# %%
# Above :func:`~sklearn_convexnn.alpha_max` the optimal network is a constant. Fractions of it are a
# natural scale for the regularisation.

largest = alpha_max(X, y)
networks = {
    fraction: ConvexReLURegressor(alpha=fraction * largest, random_state=0).fit(X, y)
    for fraction in (0.3, 0.03, 0.003)
}

# %%
# A fitted network knows its objective, a duality gap relative to it, and the kind of certificate
# behind that gap. An *estimated* gap rests on many local searches: trust it as a diagnostic, not as
# a proof.

for fraction, network in networks.items():
    print(
        f"alpha = {fraction:g} alpha_max: {network.n_neurons_:3d} neurons, "
        f"objective {network.objective_:.4f}, "
        f"gap {network.dual_gap_:.1e} ({network.certificate_})"
    )

# %%
# Small regularisation follows the data more closely and pays with more neurons.

grid = np.linspace(-2.4, 2.4, 500)
fig, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
ax.scatter(x, y, s=12, color="0.6", label="data")
for (fraction, network), color in zip(
    networks.items(), ("#c8553d", "#2563a8", "#2a7f62"), strict=True
):
    label = rf"$\alpha$ = {fraction:g} $\alpha_\mathrm{{max}}$, {network.n_neurons_} neurons"
    ax.plot(grid, network.predict(grid[:, None]), color=color, lw=2, label=label)
ax.set(xlabel="x", ylabel="y")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.show()
