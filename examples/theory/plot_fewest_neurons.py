r"""
As few neurons as possible?
===========================

Weight decay penalises the norms of neurons, not their number. Sometimes the solution provably has
the fewest neurons as well; the certificate says when, and does not guess otherwise.
"""

# %%
# Along a line every neuron has one kink. Wherever an output lies above or below the chord of its
# neighbours there must be a kink between them: intervals without common points give a lower bound
# for the number of neurons of *any* network with these outputs.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_convexnn import ConvexReLURegressor
from sklearn_convexnn.inspection import l0_l1_certificate

x = np.linspace(-2, 2, 41)
targets = {
    "a valley": np.abs(x),
    "a step": np.clip(x, -1, 1),
    "a wave": np.sin(3 * x),
}
fig, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
for ax, (name, y) in zip(axes, targets.items(), strict=True):
    model = ConvexReLURegressor(alpha=0.01, gap_tol=1e-6, max_iter=100, random_state=0)
    model.fit(x[:, None], y)
    certificate = l0_l1_certificate(model, x[:, None], y)
    print(f"{name}: {certificate}\n")
    ax.plot(x, y, "o", ms=4, color="0.7", label="data")
    grid = np.linspace(-2, 2, 801)
    ax.plot(grid, model.predict(grid[:, None]), color="#2563a8", lw=2, label="network")
    with np.errstate(divide="ignore"):
        kinks = -model.intercepts_[0] / model.coefs_[0][0]
    kinks = kinks[np.abs(kinks) < 2]
    ax.plot(kinks, model.predict(kinks[:, None]), "D", color="#c8553d", label="kinks")
    needed = f"at least {certificate.lower_bound} needed, {certificate.n_sufficient} suffice"
    verdict = "provably as few as possible" if certificate.status == "proven" else needed
    ax.set_title(f"{name}: {certificate.n_neurons} neurons\n{verdict}")
    ax.set_xlabel("x")
    ax.spines[["top", "right"]].set_visible(False)
axes[0].set_ylabel("y")
axes[0].legend(frameon=False)
plt.show()

# %%
# For whitened rows the smallest penalty and the smallest number of neurons go together: one neuron
# for each sign of the outputs.

rng = np.random.default_rng(0)
X = np.linalg.qr(rng.standard_normal((30, 6)))[0].T
y = rng.standard_normal(6)
model = ConvexReLURegressor(alpha=0.01, fit_intercept=False, gap_tol=1e-6, random_state=0)
print(l0_l1_certificate(model.fit(X, y), X, y))
