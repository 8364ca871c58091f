"""
Step functions with a certificate
=================================

Neurons that are 0 or 1 and look at one feature each make a sum of step functions. Their number,
places and heights come from one convex program, whose optimality is checked exactly: no other
thresholds would lower the objective.
"""

# %%
# 442 patients, ten measurements, and the progression of their diabetes a year later. Held-out
# rows choose the penalty, the total variation of all step functions. Columns keep their units:
# the program sees the order of their values only.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from sklearn_convexnn import ConvexThresholdClassifier, ConvexThresholdRegressor
from sklearn_convexnn.inspection import ShapeFunctionDisplay

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = ConvexThresholdRegressor(directions="axis", random_state=0).fit(X_train, y_train)
print(f"{model.n_neurons_} steps, R2 on new rows {model.score(X_test, y_test):.2f}")
print(f"relative gap {model.dual_gap_:.0e} ({model.certificate_})")

# %%
# What each measurement adds, in units of the target: flat where the program found nothing worth a
# step.

ShapeFunctionDisplay.from_estimator(model, max_features=6)

# %%
# A smaller penalty allows more steps. The measurement that matters most, at four penalties:

fig, ax = plt.subplots(layout="constrained")
best = int(np.argmax(model.feature_importances_))
for share in (0.3, 0.1, 0.03, 0.01):
    one = ConvexThresholdRegressor(share * model.alpha_max_, directions="axis")
    shape = one.fit(X_train, y_train).shape_functions_[best]
    x = np.linspace(X_train.iloc[:, best].min(), X_train.iloc[:, best].max(), 500)
    ax.plot(x, shape(x)[:, 0], label=f"{share:g} of alpha_max, {one.n_neurons_} steps in all")
ax.set(xlabel=X.columns[best], ylabel="added to the output")
ax.legend()

# %%
# Half-spaces of all features instead: where a plane separates the classes, one neuron is optimal,
# and a closed form proves it.

labels = X_train["bmi"] + X_train["bp"] / 5 > 45
plane = ConvexThresholdClassifier(alpha=0.01, random_state=0).fit(X_train, labels)
print(f"{plane.n_neurons_} neuron, status {plane.status_!r}, gap {plane.dual_gap_:.0e}")

plt.show()
