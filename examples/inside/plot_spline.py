r"""
One feature: a network one can see
==================================

With one feature the best ReLU network of any width is a linear spline with kinks at data points,
and :class:`~sklearn_convexnn.SplineReLURegressor` finds it exactly. The picture shows the network
and the proof that no other one is better.
"""

# %%
# Noisy samples of a curve, and the optimal networks for three strengths of the weight decay.
# Nothing says how many neurons to use: a kink is where it pays.

from time import process_time

import matplotlib.pyplot as plt
import numpy as np

from sklearn_convexnn import SplineReLURegressor
from sklearn_convexnn.inspection import relu_kernel

rng = np.random.default_rng(0)
x = np.sort(rng.uniform(0, 10, 200))
y = np.where(x < 6, np.sin(x), 0.5 * (x - 6) + np.sin(6)) + 0.25 * rng.standard_normal(x.size)
X = x[:, None]

largest = SplineReLURegressor().fit(X, y).alpha_max_
models = [SplineReLURegressor(alpha=c * largest).fit(X, y) for c in (0.3, 0.01, 0.0001)]
for model in models:
    print(
        f"alpha {model.alpha_:.2g}: {model.n_neurons_} neurons, knots: {len(model.knots_)}, "
        f"relative duality gap {model.dual_gap_:.0e} ({model.certificate_})"
    )

# %%
# The proof is in the lower row. A neuron at position x could lower the objective only if its
# *price*, the inner product of the residual and the neuron, were larger than alpha in absolute
# value. At the optimum no price is: all dual constraints hold, and those of the kinks in use are
# tight.

fig, axes = plt.subplots(
    2, 3, figsize=(11, 5.6), layout="constrained", sharex=True, sharey="row", height_ratios=(2, 1)
)
names = ("strong", "moderate", "weak")
for (top, bottom), model, name in zip(axes.T, models, names, strict=True):
    top.scatter(x, y, s=8, color="0.7", label="data")
    top.plot(x, model.predict(X), color="#2563a8", lw=2, label="network")
    knots = model.knots_
    top.scatter(
        knots, model.predict(knots[:, None]), s=36, color="#c8553d", zorder=3, label="kinks"
    )
    count = "1 kink" if len(knots) == 1 else f"{len(knots)} kinks"
    top.set_title(f"{name} weight decay: {count}")
    # Prices of all neurons that open to the right; here those to the left have the same.
    residual = (y - model.predict(X)) / len(y)
    prices, _ = np.split(relu_kernel(X).T @ residual / model.alpha_, 2)
    bottom.axhspan(-1, 1, color="0.93")
    bottom.plot(x, prices, color="#2a7f62", lw=1.3, label="price of a neuron at x\n(grey: allowed)")
    used = np.isin(x, knots)
    bottom.scatter(x[used], prices[used], s=30, color="#c8553d", zorder=3)
    bottom.set_xlabel("x")
axes[0, 0].set_ylabel("y")
axes[1, 0].set_ylabel("price / alpha")
axes[0, 0].legend(frameon=False, loc="upper left")
axes[1, 0].legend(frameon=False, loc="lower left")
for ax in axes.flat:
    ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# A hundred thousand points are no harder: a round is a pass over the sorted data.

x = rng.uniform(0, 10, 100_000)
y = np.sin(x) + 0.25 * rng.standard_normal(x.size)
start = process_time()
model = SplineReLURegressor().fit(x[:, None], y)
print(
    f"{process_time() - start:.1f} seconds, {model.n_neurons_} neurons, "
    f"relative gap {model.dual_gap_:.0e}"
)
