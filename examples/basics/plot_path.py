"""
==========================
How much weight decay?
==========================

Nobody knows ``alpha`` in advance. :class:`~sklearn_convexnn.ConvexReLUClassifierCV` follows the
path of networks from a constant one downwards in every fold, each alpha starting from the neurons
of the one before, and ends it once the score on held-out rows has turned.
:class:`~sklearn_convexnn.inspection.PathDisplay` shows what it saw: the score with its standard
error over the folds, the number of neurons and the duality gap.
"""

# %%
# Tumours of the breast, thirty measurements of cell nuclei.

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_convexnn import ConvexReLUClassifierCV
from sklearn_convexnn.inspection import PathDisplay

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
model = make_pipeline(StandardScaler(), ConvexReLUClassifierCV(random_state=0))
model.fit(X_train, y_train)
network = model[-1]
print(
    f"alpha {network.alpha_:.3g} of {len(network.alphas_)} tried: {network.n_neurons_} neurons, "
    f"accuracy on new patients {model.score(X_test, y_test):.3f}"
)
PathDisplay.from_estimator(network)

# %%
# The largest alpha whose score is within a standard error of the best: a smaller network.

model.set_params(convexreluclassifiercv__selection="one_standard_error").fit(X_train, y_train)
print(
    f"alpha {network.alpha_:.3g}: {network.n_neurons_} neurons, "
    f"accuracy on new patients {model.score(X_test, y_test):.3f}"
)
plt.show()
