r"""
Deep linear networks and the rank of their layers
=================================================

A network without activations is a matrix, the product of its layers. Weight decay on the layers is
a penalty on the singular values of that product, :math:`\tfrac{\alpha L}{2} \sum_i
\sigma_i^{2/L}` for :math:`L` layers: the nuclear norm for two, and a sharper preference for low
rank for more.
"""

# %%
# Ten indicator columns of the handwritten digits as real targets, and three depths, each at the
# same fractions of its own ``alpha_max_``.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPRegressor

from sklearn_convexnn import DeepLinearRegressor, DeepLinearRegressorCV
from sklearn_convexnn.inspection import layer_alignment

X, y = load_digits(return_X_y=True)
X, Y = X / 16, np.eye(10)[y]

fractions = np.geomspace(1, 1e-3, 15)
paths = {}
for n_layers in (2, 3, 4):
    largest = DeepLinearRegressor(n_layers).fit(X, Y).alpha_max_
    models = [DeepLinearRegressor(n_layers, f * largest).fit(X, Y) for f in fractions]
    paths[n_layers] = np.array([np.pad(m.singular_values_, (0, 10 - m.rank_)) for m in models])
    weakest = models[-1]
    print(
        f"{n_layers} layers: rank {weakest.rank_} at the end of the path, "
        f"gap {weakest.dual_gap_:.1e} ({weakest.certificate_})"
    )

# %%
# With two layers singular values leave zero one after the other, continuously. With more they jump:
# a direction is worth its penalty only from a certain size on.

fig, axes = plt.subplots(1, 3, figsize=(10, 3.4), sharex=True, layout="constrained")
for ax, (n_layers, values) in zip(axes, paths.items(), strict=True):
    ax.semilogx(fractions, np.where(values > 0, values, np.nan), color="#2563a8", marker=".", ms=4)
    ax.set(title=f"{n_layers} layers", xlabel=r"$\alpha / \alpha_\mathrm{max}$", ylim=(0, None))
    ax.invert_xaxis()
    ax.spines[["top", "right"]].set_visible(False)
axes[0].set_ylabel("singular values of the product")

# %%
# The layers themselves are returned. They are balanced and aligned: the output directions of each
# are the input directions of the next. The measures apply to any list of layers, such as those of a
# perceptron trained by a quasi-Newton method, which is on its way there.

exact = DeepLinearRegressor(3, 0.02).fit(X, Y)
trained = MLPRegressor(
    hidden_layer_sizes=(30, 30),
    activation="identity",
    alpha=0.02 * len(X) / 10,  # scikit-learn averages the loss over the outputs, too
    solver="lbfgs",
    max_iter=2000,
    tol=1e-3,  # further down its line search ends in rounding
    random_state=0,
).fit(X, Y)
for name, model in {"closed form": exact, "trained": trained}.items():
    result = layer_alignment(model)
    print(
        f"{name:12s} ranks {result.ranks}, alignment {result.alignment.round(4)}, "
        f"imbalance {result.balance.round(4)}"
    )

# %%
# Cross-validation over the path:

chosen = DeepLinearRegressorCV(alphas=30, random_state=0).fit(X, Y)
print(f"alpha = {chosen.alpha_:.2e}, rank {chosen.rank_}, gap {chosen.dual_gap_:.1e}")
plt.show()
