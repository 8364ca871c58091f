r"""
Neural Collapse: in closed form, and after training
===================================================

With batch normalisation in the last hidden layer and weight decay, the optimal deep ReLU network
for class indicators is known in closed form: every row of a class has the same activations, and the
classes form a simplex. Trained networks tend to this, which is known as Neural Collapse.
"""

# %%
# The closed form on the handwritten digits. The last hidden layer can reach any activations because
# the layer before it is wide enough, which is checked; balanced classes make the simplex regular.

import warnings

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from sklearn_convexnn import DeepReLUClassifier
from sklearn_convexnn.inspection import NeuralCollapseDisplay

X, y = load_digits(return_X_y=True)
X, y = X[:600] / 16, y[:600]
exact = DeepReLUClassifier(batch_norm=True, class_weight="balanced", random_state=0).fit(X, y)
print(f"objective {exact.objective_:.6f}, gap {exact.dual_gap_:.0e} ({exact.certificate_})")

# %%
# A perceptron trained on the same rows, long after it classifies all of them.

trained = MLPClassifier((100, 50), alpha=0.1, max_iter=600, tol=0, random_state=0)
trained.set_params(n_iter_no_change=600)

with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is the choice here
    trained.fit(X, y)

# %%
# Cosines between the centred class means: -1/9 everywhere off the diagonal in a simplex. All
# measures are zero at collapse: within-class variability (NC1), the spread of norms and angles
# (NC2), the distance of the output weights from the class means (NC3), and disagreement with the
# nearest class mean (NC4).

fig, axes = plt.subplots(1, 2, figsize=(11, 5.8), layout="constrained")
for ax, model in zip(axes, (exact, trained), strict=True):
    NeuralCollapseDisplay.from_estimator(model, X, y, ax=ax)
    print(ax.get_title())
plt.show()
