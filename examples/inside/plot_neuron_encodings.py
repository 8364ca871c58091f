r"""
What a neuron is made of
========================

With weight decay, every hidden neuron of an optimal network is a mixture of training rows: active
rows pulled towards it, rows on its kink pushed away. The mixtures are found by non-negative least
squares.
"""

# %%
# A network that reads handwritten digits.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sklearn_convexnn import ConvexReLUClassifier
from sklearn_convexnn.inspection import neuron_encodings

X, y = load_digits(return_X_y=True)
X = X / 16
network = ConvexReLUClassifier(alpha=0.01, random_state=0).fit(X, y)
print(f"{network.n_neurons_} neurons, accuracy {network.score(X, y):.3f}")

# %%
# With the targets, the mixture is the one of the dual problem. For each neuron the table gives the
# number of rows it is active on, the number of rows in the mixture, the sums of positive and
# negative coefficients, the residual (0 at an optimum) and its dual constraint (1 at an optimum).

encodings = neuron_encodings(network, X, y)
table = encodings.table()
print("".join(f"{name:>10}" for name in table))
for j in range(8):
    print("".join(f"{np.round(column[j], 3):>10}" for column in table.values()))

# %%
# The four largest neurons, and the four training images with the largest coefficients of either
# sign: what a neuron looks for, and what it has to tell it from. Red is positive, blue negative.

sizes = np.linalg.norm(network.coefs_[1], axis=1)
shown = np.argsort(-sizes)[:4]
fig, axes = plt.subplots(len(shown), 9, figsize=(10, 1.3 * len(shown) + 0.4), layout="constrained")
for line, j in zip(axes, shown, strict=True):
    digit = network.classes_[np.argmax(network.coefs_[1][j])]
    weights = encodings.directions[j, :64].reshape(8, 8)
    largest = np.abs(weights).max()
    line[0].imshow(weights, cmap="RdBu_r", vmin=-largest, vmax=largest)
    line[0].set_ylabel(f"votes for {digit}", fontsize=9)
    coefficients = encodings.coefficients[[j]].toarray()[0]
    order = np.argsort(coefficients)
    for ax, i in zip(line[1:], [*order[:-5:-1], *order[:4]], strict=True):
        ax.imshow(np.sign(coefficients[i]) * X[i].reshape(8, 8), cmap="RdBu_r", vmin=-1, vmax=1)
        ax.set_title(f"{coefficients[i]:+.3f}", fontsize=8, pad=2)
for ax in axes.ravel():
    ax.set(xticks=[], yticks=[])
axes[0, 0].set_title("neuron  =", fontsize=9, pad=2)
fig.suptitle("neurons as mixtures of training images (four largest coefficients of each sign)")
plt.show()
