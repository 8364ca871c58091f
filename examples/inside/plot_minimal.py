r"""
Small networks out of large ones
================================

A fit stops when its objective is good enough, and then it mostly has more neurons than it needs.
:func:`~sklearn_convexnn.inspection.prune` turns a fitted network into a smaller one: without any
change on the training rows, or at a price in the objective that you name.
"""

# %%
# The price of fewer neurons
# --------------------------
#
# For a given ``tolerance`` the objective may rise by that fraction. Neurons that the others can
# make up for leave, the others are moved and refitted. The certificate remains: the lower bound of
# the fit is a statement about the data and not about its network, so that the duality gap of the
# smaller one is known as well.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklearn_convexnn import ConvexReLUClassifier
from sklearn_convexnn.inspection import prune

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
scaler = StandardScaler().fit(X_train)
X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)

model = ConvexReLUClassifier(random_state=0).fit(X_train, y_train)
tolerances = [0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5]
networks = [model] + [prune(model, X_train, y_train, tolerance=t) for t in tolerances]
for tolerance, network in zip(["the fit", *tolerances], networks, strict=True):
    print(
        f"tolerance {tolerance!s:>7}: {network.n_neurons_:3d} neurons, objective "
        f"{network.objective_:.4f} (gap {network.dual_gap_abs_:.4f}, {network.certificate_}), "
        f"test accuracy {network.score(X_test, y_test):.4f}"
    )

sizes = [network.n_neurons_ for network in networks]
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
left.plot(sizes, [network.objective_ for network in networks], "o-", color="#2563a8")
left.axhline(
    model.objective_ - model.dual_gap_abs_, color="0.6", ls="--", label="lower bound (est.)"
)
left.set(xlabel="neurons", ylabel="training objective", ylim=(0, None))
left.legend(frameon=False)
right.plot(sizes, [n.score(X_test, y_test) for n in networks], "o-", color="#c8553d")
right.axhline(0.1, color="0.6", ls="--", label="chance")
right.set(xlabel="neurons", ylabel="test accuracy", ylim=(0, 1.03))
right.legend(frameon=False)
for ax in (left, right):
    ax.set_xticks([5, 10, 20, 50], ["5", "10", "20", "50"])
    ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# No price at all
# ---------------
#
# With ``tolerance=0``, the default, outputs on the rows stay, the penalty does not rise, and the
# targets are not needed. Neurons of one activation pattern become one, and linear relations
# between the activations remove others. That is for fits of a small gap with several outputs, where
# such relations arise: with one output a fit with ``gap_tol`` removes them itself, and a fit that
# stopped early has none to speak of.

X, y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
model = ConvexReLUClassifier(alpha=2e-3, gap_tol=1e-3, random_state=0).fit(X, y)
minimal = prune(model, X)
change = np.abs(minimal.decision_function(X) - model.decision_function(X)).max()
print(f"{model.n_neurons_} neurons, objective {model.objective_:.9f}, gap {model.dual_gap_:.1e}")
print(
    f"{minimal.n_neurons_} neurons, objective {minimal.objective_:.9f}, gap {minimal.dual_gap_:.1e}"
)
print(f"largest change of an output on the rows: {change:.0e}")
