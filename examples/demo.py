"""Convex ReLU networks beside scikit-learn's models, on the data bundled with scikit-learn.

Run with ``make demo``, or ``python examples/demo.py --output demo.png`` where the package and
matplotlib are installed.  Prints a table of cross-validation results and draws a picture.

Every model has its default parameters, standardised inputs and, for regression, a standardised
target; every model runs on one thread, so that CPU seconds are comparable.
"""

import argparse
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")  # a file is written; no display is needed

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from sklearn.base import is_regressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, make_moons
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR
from threadpoolctl import threadpool_limits

from sklearn_convexnn import (
    ConvexReLUClassifier,
    ConvexReLUClassifierCV,
    ConvexReLURegressor,
    ConvexReLURegressorCV,
    alpha_max,
)

OURS = "convex ReLU"
OURS_CV = "convex ReLU CV"  # alpha by cross-validation

REGRESSORS = {
    OURS: ConvexReLURegressor(random_state=0),
    OURS_CV: ConvexReLURegressorCV(random_state=0),
    "MLP": MLPRegressor(random_state=0),
    "SVM": SVR(),
    "gradient boosting": HistGradientBoostingRegressor(random_state=0),
    "random forest": RandomForestRegressor(random_state=0),
}
CLASSIFIERS = {
    OURS: ConvexReLUClassifier(random_state=0),
    OURS_CV: ConvexReLUClassifierCV(random_state=0),
    "MLP": MLPClassifier(random_state=0),
    "SVM": SVC(),
    "gradient boosting": HistGradientBoostingClassifier(random_state=0),
    "random forest": RandomForestClassifier(random_state=0),
}
# loader, models, name of their score, folds (fewer where every fit takes seconds)
PROBLEMS = {
    "diabetes": (load_diabetes, REGRESSORS, "R2", 5),
    "breast cancer": (load_breast_cancer, CLASSIFIERS, "accuracy", 5),
    "digits": (load_digits, CLASSIFIERS, "accuracy", 3),
}

INK, GRID, MUTED = "#1f2933", "#e4e7eb", "#7b8794"
BLUE, RED = "#2563a8", "#c8553d"


class Result(NamedTuple):
    """Cross-validation of one model on one data set, one entry per fold."""

    scores: np.ndarray
    seconds: np.ndarray
    neurons: float | None
    gap: float | None
    certificate: str | None


def cross_validate(model, X, y, folds):
    """Fit on every fold; scores, CPU seconds of fit and what the fitted network says of itself."""
    scores, seconds, fitted = [], [], []
    for train, test in folds:
        regression = is_regressor(model)
        candidate = make_pipeline(StandardScaler(), model)
        if regression:
            candidate = TransformedTargetRegressor(candidate, transformer=StandardScaler())
        start = time.process_time()
        with warnings.catch_warnings():
            # The perceptron's default of 200 epochs is a stopping rule here, not a failure.
            warnings.filterwarnings("ignore", category=ConvergenceWarning, message="Stochastic")
            candidate.fit(X[train], y[train])
        seconds.append(time.process_time() - start)
        scores.append(candidate.score(X[test], y[test]))
        fitted.append((candidate.regressor_ if regression else candidate)[-1])
    if hasattr(fitted[0], "n_neurons_"):
        neurons = np.mean([net.n_neurons_ for net in fitted])
        gap = np.max([net.dual_gap_ for net in fitted])
        certificate = "/".join(sorted({net.certificate_ for net in fitted}))
    elif hasattr(fitted[0], "hidden_layer_sizes"):
        neurons, gap, certificate = float(np.sum(fitted[0].hidden_layer_sizes)), None, None
    else:
        neurons = gap = certificate = None
    return Result(np.array(scores), np.array(seconds), neurons, gap, certificate)


def run_comparison():
    """Cross-validate every model on every problem, printing the table as it grows."""
    columns = "{:<14} {:<18} {:>5} {:>9} {:>16} {:>10} {:>9}  {}"
    heading = ("data", "model", "folds", "measure", "score", "fit CPU s", "neurons", "duality gap")
    print("Cross-validation, mean +- standard deviation over the folds; one thread.")
    print("Default parameters; inputs (and the target of a regression) standardised.")
    print("'CV' chooses alpha by cross-validation within the training fold.\n")
    print(columns.format(*heading))
    results = {}
    for name, (load, models, measure, n_folds) in PROBLEMS.items():
        X, y = load(return_X_y=True)
        make_folds = KFold if models is REGRESSORS else StratifiedKFold
        folds = list(make_folds(n_folds, shuffle=True, random_state=0).split(X, y))
        print("-" * 112)
        for label, model in models.items():
            result = results[name, label] = cross_validate(model, X, y, folds)
            score = f"{result.scores.mean():.3f} +- {result.scores.std():.3f}"
            neurons = "-" if result.neurons is None else f"{result.neurons:.0f}"
            gap = "-" if result.gap is None else f"{result.gap:.1e} ({result.certificate})"
            seconds = f"{result.seconds.mean():.2f}"
            row = (name, label, n_folds, measure, score, seconds, neurons, gap)
            print(columns.format(*row), flush=True)
    print("-" * 112)
    print(
        "Duality gap: relative, the largest over the folds. An 'estimated' gap rests on many\n"
        "local searches and is not a bound; 'exact' and 'proven' gaps are.\n"
    )
    return results


# ---------------------------------------------------------------------------------- the picture


def style_axes(ax):
    """Light frame, light grid."""
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color(MUTED)
    ax.tick_params(colors=INK, length=0)
    ax.grid(axis="x", color=GRID)
    ax.set_axisbelow(True)


def draw_scores(ax, name, measure, results):
    """Mean score of every model with the spread over the folds."""
    for row, label in enumerate(REGRESSORS):
        scores = results[name, label].scores
        color = BLUE if label in (OURS, OURS_CV) else MUTED
        ax.errorbar(scores.mean(), row, xerr=scores.std(), fmt="o", color=color, ms=8, lw=2)
        ax.annotate(
            f"{scores.mean():.3f}",
            (scores.mean(), row),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            fontsize=9,
            color=color if label in (OURS, OURS_CV) else INK,
        )
    ax.set_title(f"{name}: {measure.replace('R2', '$R^2$')}", loc="left", color=INK)
    ax.margins(x=0.15)
    finish_rows(ax)


def draw_seconds(ax, name, results):
    """Mean CPU seconds of a fit, on a logarithmic axis."""
    seconds = [results[name, label].seconds.mean() for label in REGRESSORS]
    floor = 10 ** np.floor(np.log10(min(seconds)) - 0.2)
    for row, (label, value) in enumerate(zip(REGRESSORS, seconds, strict=True)):
        color = BLUE if label in (OURS, OURS_CV) else "#b8c1cc"
        ax.barh(row, value - floor, left=floor, height=0.55, color=color)
        ax.annotate(
            f"{value:.2g} s",
            (value, row),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=INK,
        )
    ax.set_xscale("log")
    ax.set_xlim(floor, max(seconds) * 6)
    ax.set_title(f"{name}: CPU seconds per fit (log scale)", loc="left", color=INK)
    finish_rows(ax)


def finish_rows(ax):
    """One row per model, the first one on top."""
    ax.set_yticks(range(len(REGRESSORS)), list(REGRESSORS))
    ax.set_ylim(len(REGRESSORS) - 0.4, -0.7)
    style_axes(ax)
    for label in ax.get_yticklabels()[:2]:
        label.set_color(BLUE)
        label.set_fontweight("bold")


def draw_surface(ax, network, X, y):
    """Probability of one class over the plane, and the line on which every neuron switches on."""
    low, high = X.min(axis=0) - 0.5, X.max(axis=0) + 0.5
    x0, x1 = np.meshgrid(np.linspace(low[0], high[0], 300), np.linspace(low[1], high[1], 300))
    proba = network.predict_proba(np.column_stack([x0.ravel(), x1.ravel()]))[:, 1]
    proba = proba.reshape(x0.shape)
    shades = LinearSegmentedColormap.from_list("two classes", [BLUE, "#f7f7f5", RED])
    ax.imshow(
        proba,
        extent=(low[0], high[0], low[1], high[1]),
        origin="lower",
        aspect="auto",
        interpolation="bilinear",
        cmap=shades,
        vmin=0,
        vmax=1,
        alpha=0.6,
    )
    ax.contour(x0, x1, proba, levels=[0.5], colors=INK, linewidths=2)
    directions, offsets = network.coefs_[0], network.intercepts_[0]
    strengths = np.linalg.norm(directions, axis=0) * np.linalg.norm(network.coefs_[1], axis=1)
    for j in range(len(offsets)):
        switch = directions[0, j] * x0 + directions[1, j] * x1 + offsets[j]
        if switch.min() < 0 < switch.max():
            visible = 0.25 + 0.75 * strengths[j] / strengths.max()
            ax.contour(
                x0, x1, switch, levels=[0], colors=INK, linewidths=1, linestyles="--", alpha=visible
            )
    for label, color in ((0, BLUE), (1, RED)):
        ax.scatter(*X[y == label].T, s=18, color=color, edgecolor="white", linewidth=0.5, zorder=3)
    ax.set(xticks=[], yticks=[], xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    ax.set_title(
        f"two moons: decision surface of {network.n_neurons_} neurons\n"
        "solid: decision boundary; dashed: where a neuron switches on",
        loc="left",
        color=INK,
    )


def draw_convergence(ax, network):
    """Objective and relative duality gap after every round of the algorithm."""
    objective, gap = network.history_["objective"], network.history_["dual_gap"]
    rounds = np.arange(1, len(objective) + 1)
    excess = (objective - objective[-1])[:-1] / objective[-1]
    ax.semilogy(rounds[:-1], excess, "o-", color=MUTED, label="objective above its final value")
    ax.semilogy(rounds, gap, "o-", color=BLUE, label=f"duality gap ({network.certificate_})")
    ax.axhline(network.gap_tol, color=INK, lw=1, ls="--")
    ax.annotate("gap_tol", (rounds[0], network.gap_tol), xytext=(0, 4), textcoords="offset points")
    ax.set(xlabel="round", xticks=rounds[:: 1 + len(rounds) // 12])
    ax.set_title(
        "diabetes: rounds until the gap is below gap_tol\n"
        "(relative to the objective; the default stops earlier)",
        loc="left",
        color=INK,
    )
    style_axes(ax)
    ax.grid(axis="y", color=GRID)
    ax.legend(frameon=False, labelcolor=INK)


def draw_picture(results, path):
    """Scores and times on top, a two-dimensional problem and the convergence below."""
    fig = plt.figure(figsize=(13, 11.5), layout="constrained")
    grid = fig.add_gridspec(3, 6, height_ratios=[1, 1, 1.7])
    for column, (name, (_, _, measure, _)) in enumerate(PROBLEMS.items()):
        top = fig.add_subplot(grid[0, 2 * column : 2 * column + 2])
        bottom = fig.add_subplot(grid[1, 2 * column : 2 * column + 2])
        draw_scores(top, name, measure, results)
        draw_seconds(bottom, name, results)
        if column > 0:
            top.tick_params(labelleft=False)
            bottom.tick_params(labelleft=False)

    X, y = make_moons(300, noise=0.2, random_state=0)
    X = StandardScaler().fit_transform(X)
    draw_surface(fig.add_subplot(grid[2, :3]), ConvexReLUClassifier(random_state=0).fit(X, y), X, y)

    X, y = load_diabetes(return_X_y=True)
    X, y = StandardScaler().fit_transform(X), (y - y.mean()) / y.std()
    alpha = 0.05 * alpha_max(X, y)
    network = ConvexReLURegressor(alpha, gap_tol=5e-3, random_state=0).fit(X, y)
    draw_convergence(fig.add_subplot(grid[2, 3:]), network)
    fig.suptitle(
        "Two-layer ReLU networks by convex optimisation beside scikit-learn's defaults",
        fontsize=15,
        color=INK,
        x=0.01,
        ha="left",
    )
    fig.savefig(path, dpi=110, facecolor="white")
    plt.close(fig)


def main():
    """Run the comparison and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("demo.png"), help="picture to write")
    arguments = parser.parse_args()
    with threadpool_limits(1):
        results = run_comparison()
        draw_picture(results, arguments.output)
    print(f"Picture: {arguments.output.resolve()}")


if __name__ == "__main__":
    main()
