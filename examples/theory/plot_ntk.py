r"""
Finite networks and their infinite limit
========================================

An infinitely wide network trained by small gradient steps is kernel regression with the neural
tangent kernel. The optimal network with weight decay is something else: few neurons, placed where
the data bend.
"""

# %%
# Both models get the same samples of functions that are made of a few flat pieces. The ridge
# parameter and the weight decay are chosen by the same five-fold cross-validation.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, KFold

from sklearn_convexnn import ConvexReLURegressor, SplineReLURegressor, alpha_max
from sklearn_convexnn.inspection import ntk_kernel

folds = KFold(5, shuffle=True, random_state=0)


def fit_ntk(X, y):
    """Kernel ridge regression around the mean; returns its prediction function."""
    grid = {"alpha": np.logspace(-3, 2, 21)}
    search = GridSearchCV(KernelRidge(kernel="precomputed"), grid, cv=folds)
    search.fit(ntk_kernel(X), y - y.mean())
    return lambda Z: y.mean() + search.predict(ntk_kernel(Z, X))


def fit_network(estimator, largest, X, y):
    """The best of nine strengths of weight decay."""
    grid = {"alpha": largest * np.logspace(-4, -1, 9)}
    return GridSearchCV(estimator, grid, cv=folds).fit(X, y).best_estimator_


rng = np.random.default_rng(0)

# %%
# One feature: a trapezium. The kernel has a centre at every sample and follows their noise.


def trapezium(x):
    return np.interp(x, [-1.2, -0.9, 0.3, 0.6], [0, 1, 1, 0])


x = np.sort(rng.uniform(-2, 2, 60))
y = trapezium(x) + 0.1 * rng.standard_normal(x.size)
grid = np.linspace(-2, 2, 1001)
ntk = fit_ntk(x[:, None], y)(grid[:, None])
largest = SplineReLURegressor().fit(x[:, None], y).alpha_max_
model = fit_network(SplineReLURegressor(), largest, x[:, None], y)
spline = model.predict(grid[:, None])

# %%
# Two features: a ridge with a flat top, which four neurons can make.


def ridge(X):
    return np.clip(1 - np.maximum(np.abs(X @ [0.8, 0.6]) - 0.3, 0) / 0.5, 0, 1)


X = rng.uniform(-2, 2, (200, 2))
target = ridge(X) + 0.1 * rng.standard_normal(len(X))
side = np.linspace(-2, 2, 121)
plane = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
network = fit_network(ConvexReLURegressor(random_state=0), alpha_max(X, target), X, target)
print(f"relative duality gap of the network {network.dual_gap_:.0e} ({network.certificate_})")
surfaces = {
    "true function": ridge(plane),
    "NTK ridge": fit_ntk(X, target)(plane),
    f"convex network, {network.n_neurons_} neurons": network.predict(plane),
}

# %%
# On top the curves; below, the surfaces with the lines on which the network's neurons switch.

fig = plt.figure(figsize=(11, 7), layout="constrained")
axes = fig.subplot_mosaic([["curve"] * 3, ["a", "b", "c"]], height_ratios=(1, 1.15))
ax = axes["curve"]
ax.scatter(x, y, s=14, color="0.7", label="data")
ax.plot(grid, trapezium(grid), color="0.3", lw=1, ls="--", label="true function")
for values, color, name in (
    (ntk, "#8a6bb8", f"NTK ridge, {x.size} centres"),
    (spline, "#2563a8", f"optimal network, {model.n_neurons_} neurons"),
):
    score = r2_score(trapezium(grid), values)
    ax.plot(grid, values, color=color, lw=2, label=f"{name}: $R^2$ = {score:.3f}")
ax.scatter(model.knots_, model.predict(model.knots_[:, None]), s=36, color="#c8553d", zorder=3)
ax.legend(frameon=False, loc="upper right")
ax.spines[["top", "right"]].set_visible(False)
ax.set(xlabel="x", ylabel="y")

for key, (name, values) in zip("abc", surfaces.items(), strict=True):
    ax = axes[key]
    image = ax.contourf(
        side, side, values.reshape(121, 121), levels=np.linspace(-0.3, 1.3, 17), extend="both"
    )
    score = "" if name == "true function" else f": $R^2$ = {r2_score(ridge(plane), values):.3f}"
    ax.set_title(name + score, fontsize=11)
    ax.set(aspect="equal", xlabel="$x_1$", xlim=(-2, 2), ylim=(-2, 2))
axes["a"].set_ylabel("$x_2$")
axes["a"].scatter(*X.T, s=5, color="white", linewidths=0)
(W, _), (bias, _) = network.coefs_, network.intercepts_
for w, b, size in zip(W.T, bias, np.linalg.norm(W, axis=0) ** 2, strict=True):
    foot = -b * w / (w @ w)
    line = foot + np.array([[-6], [6]]) * np.array([-w[1], w[0]]) / np.linalg.norm(w)
    axes["c"].plot(*line.T, color="#ff8c69", lw=0.4 + 8 * size / np.linalg.norm(W) ** 2)
fig.colorbar(image, ax=[axes[key] for key in "abc"], shrink=0.8)
plt.show()
