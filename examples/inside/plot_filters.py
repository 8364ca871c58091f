r"""
Digits at any place: filters of a convolutional network
=======================================================

Handwritten digits are put at random places of larger images. A dense network has to learn every
place by itself; a filter looks everywhere.
"""

# %%
# Three hundred images to learn from, each a digit of 8 x 8 somewhere in 12 x 12. The convolutional
# network has filters of 5 x 5, each of which passes on the largest activation over all places.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.svm import SVC

from sklearn_convexnn import ConvexCNNClassifier
from sklearn_convexnn.inspection import FilterDisplay

digits, y = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
images = np.zeros((len(y), 12, 12))
for image, digit, (a, b) in zip(images, digits, rng.integers(0, 5, (len(y), 2)), strict=True):
    image[a : a + 8, b : b + 8] = digit.reshape(8, 8) / 16

train, test = np.split(rng.permutation(len(y)), [300])
model = ConvexCNNClassifier("scale", random_state=0).fit(images[train], y[train])
flat = images.reshape(len(y), -1)
machine = SVC(C=10).fit(flat[train], y[train])
print(f"support vector machine: accuracy {machine.score(flat[test], y[test]):.3f}")
print(f"{model.n_neurons_} filters: accuracy {model.score(images[test], y[test]):.3f}")

# %%
# The same digits where they were written, all in the middle of 8 x 8, gain nothing from filters
# that look everywhere, and lose next to nothing.

centred = digits / 16
model_8 = ConvexCNNClassifier("scale", image_shape=(8, 8), random_state=0)
model_8.fit(centred[train], y[train])
machine_8 = SVC(C=10).fit(centred[train], y[train])
print(
    f"in the middle: support vector machine {machine_8.score(centred[test], y[test]):.3f}, ", end=""
)
print(f"{model_8.n_neurons_} filters {model_8.score(centred[test], y[test]):.3f}")

# %%
# The filters on which the penalty spends most, and where they fire on one image: strokes of one
# direction, their ends, and corners.

image = images[test[0]]
display = FilterDisplay.from_estimator(model, image, n_filters=8)
display.figure_.suptitle("filters, and where they fire on one digit")

# %%
# Where a digit is hardly matters: the same one, moved over the image, has the same outputs but at
# the border, where windows that would see a part of it reach beyond the image.

digit = digits[test[0]].reshape(8, 8) / 16
places = np.zeros((25, 12, 12))
for place, (a, b) in zip(places, np.ndindex(5, 5), strict=True):
    place[a : a + 8, b : b + 8] = digit
outputs = model.predict_proba(places)[:, y[test[0]]]
figure, axes = plt.subplots(1, 2, figsize=(6, 2.8), layout="constrained")
axes[0].imshow(image, cmap="gray_r")
axes[0].set_title(f"a {y[test[0]]}")
picture = axes[1].imshow(outputs.reshape(5, 5), vmin=0, vmax=1, cmap="viridis")
axes[1].set_title(f"probability of {y[test[0]]} by place")
figure.colorbar(picture)
for ax in axes:
    ax.set_xticks([])
    ax.set_yticks([])
plt.show()
