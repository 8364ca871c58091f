"""The picture of the landing page, for a light and for a dark background."""

import matplotlib.pyplot as plt
from sklearn.datasets import make_moons

from sklearn_convexnn import ConvexReLUClassifier
from sklearn_convexnn.inspection import DecisionRegionDisplay


def decision_region(background, ink):
    """Exact regions of two moons on a background."""
    X, y = make_moons(200, noise=0.2, random_state=0)
    model = ConvexReLUClassifier(random_state=0).fit(X, y)
    fig, ax = plt.subplots(figsize=(5.4, 3.6), layout="constrained")
    fig.patch.set_alpha(0)
    ax.set_facecolor(background)
    display = DecisionRegionDisplay.from_estimator(
        model,
        X,
        eps=0.4,
        ax=ax,
        alpha=0.35,
        neuron_kw={"colors": ink},
        boundary_kw={"colors": ink},
        xlabel="",
        ylabel="",
        legend=False,
    )
    ax.scatter(*X.T, c=display.colors_[y], s=22, edgecolor=background, linewidth=0.6)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def light():
    """For the theme's light pages."""
    decision_region("#ffffff", "#222832")


def dark():
    """For the theme's dark pages."""
    decision_region("#14181e", "#ced6dd")
