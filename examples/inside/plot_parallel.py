r"""
What a third layer can do: a pyramid
====================================

A pyramid on a plain, :math:`(1 - |x_1| - |x_2|)_+`, is one ReLU of a network of ReLUs. Two layers
have no function in the plane that is zero but for a bounded piece, and add up many neurons for it.
"""

# %%
# A quarter of the points are on the pyramid, with a little noise on all of them. A sub-network of
# eight units, four added and four subtracted, could be the whole pyramid. Even so, on a target that
# is made for it, the third layer gains little: two layers are not far from right.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_convexnn import ConvexReLURegressor, ParallelReLURegressor

rng = np.random.default_rng(0)


def pyramid(X):
    return np.maximum(1 - np.abs(X).sum(axis=1), 0)


X = rng.uniform(-1.5, 1.5, (400, 2))
y = pyramid(X) + 0.03 * rng.standard_normal(400)
X_test = rng.uniform(-1.5, 1.5, (2000, 2))
models = {
    "two layers": ConvexReLURegressor(random_state=0),
    "parallel, three layers": ParallelReLURegressor(hidden_units=8, random_state=0),
}
for name, model in models.items():
    score = model.fit(X, y).score(X_test, pyramid(X_test))
    print(f"{name}: test R2 {score:.3f}, {model.n_neurons_} neurons or sub-networks")

# %%
# The functions, and the sub-network that weighs most by itself.

axis = np.linspace(-1.5, 1.5, 121)
grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
pictures = {"the pyramid": pyramid(grid)}
pictures |= {name: model.predict(grid) for name, model in models.items()}
deep = models["parallel, three layers"]
largest = np.abs(deep.coefs_[2][:, 0]).argmax()
pictures["its largest sub-network"] = (
    deep.hidden_activations(grid)[:, largest] * deep.coefs_[2][largest, 0]
)
figure, axes = plt.subplots(1, 4, figsize=(11, 3), sharey=True, layout="constrained")
for panel, (name, values) in zip(axes, pictures.items(), strict=True):
    picture = panel.pcolormesh(axis, axis, values.reshape(121, 121), vmin=-0.3, vmax=1)
    panel.set(title=name, xlabel="$x_1$", aspect="equal")
axes[0].set_ylabel("$x_2$")
figure.colorbar(picture, ax=axes)
plt.show()
