"""Architectures beyond dense two-layer networks, a section for each family.

    python benchmarks/architectures.py                    # digits, shifted digits
    python benchmarks/architectures.py --sections series  # needs aeon, for its data and MiniRocket
    python benchmarks/architectures.py --sections whole   # needs aeon, for its data
    python benchmarks/architectures.py --sections large   # 10 000 images of 28 x 28, or --rows

Sections of convolutional networks:

digits    Handwritten digits of 8 x 8, one split of 1 257 rows: accuracy and CPU seconds beside a
          support vector machine, a perceptron and the dense convex network.
shifted   The same digits at random places of 12 x 12, 300 rows to learn from.
series    Time series that aeon ships, with their training and test parts: support vector machine,
          nearest neighbour, perceptron, MiniRocket (10 000 random filters and a ridge), and one
          convex network, its number of filters beside it. Its settings are one rule for all:
          windows of nine, dilated by powers of two as long as they fit into the series, at every
          place, in one cell or two, whichever the held-out rows of alpha="auto" prefer.
whole     The digits and these series again, by filters with a weight for each position: without
          ReLUs, of three by three or nine, beside linear models and the proof of their optimum;
          as long as the row and with ReLUs, beside the dense network.
large     Digits enlarged, moved and dimmed in 28 x 28, n = 10 000: CPU seconds, peak memory.

CPU times of the convex networks are also in those of the rivals of the same run.
"""

import common as C  # first: sets the number of threads

# isort: split
import argparse
import resource
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

SERIES = ("GunPoint", "ItalyPowerDemand", "BasicMotions", "ArrowHead", "OSULeaf")
COLUMNS = [
    ("data", "data"),
    ("model", "model"),
    ("score", "accuracy", ".4f"),
    ("filters", "filters"),
    ("gap", "gap", ".1e"),
    ("cpu", "CPU s", ".1f"),
    ("SVC(C=10)", "in SVCs", ".0f"),
    ("MLP(100)", "in MLPs", ".1f"),
    ("MiniRocket", "in MiniRockets", ".1f"),
]
RIVALS = ("SVC(C=10)", "MLP(100)", "MiniRocket")


def dense_models():
    from sklearn_convexnn import ConvexReLUClassifier

    return {
        "SVC(C=10)": SVC(C=10),
        "MLP(100)": MLPClassifier(max_iter=400, random_state=0),
        "ConvexReLUClassifier": ConvexReLUClassifier(random_state=0),
    }


def convolution(**settings):
    from sklearn_convexnn import ConvexCNNClassifier

    return ConvexCNNClassifier(random_state=0, **settings)


def measured(data, name, model, train, test):
    """A row of the table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, seconds = C.cpu_time(lambda: model.fit(*train))
    row = {"data": data, "model": name, "score": model.score(*test), "cpu": seconds}
    if hasattr(model, "filters_"):
        row |= {"filters": model.n_neurons_, "gap": model.dual_gap_}
    return row


def with_ratios(rows):
    """Rows of one data set, those of convex networks with their CPU time in those of rivals."""
    rivals = {row["model"]: row["cpu"] for row in rows if row["model"] in RIVALS}
    return [
        row | ({name: row["cpu"] / cpu for name, cpu in rivals.items()} if "filters" in row else {})
        for row in rows
    ]


def flat(part):
    X, y = part
    return X.reshape(len(X), -1), y


def compared(data, train, test, convolutions):
    rows = [
        measured(data, name, model, flat(train), flat(test))
        for name, model in dense_models().items()
    ]
    rows += [
        measured(data, f"CNN {settings or 'defaults'}", convolution(**settings), train, test)
        for settings in convolutions
    ]
    return with_ratios(rows)


# ------------------------------------------------------------------------------------------- images


def digits():
    X, y = load_digits(return_X_y=True)
    return X.reshape(-1, 8, 8) / 16, y


def moved(X, size, rng):
    """Images at random places of larger ones."""
    found = np.zeros((len(X), size, size), X.dtype)
    height, width = X.shape[1:]
    places = rng.integers(0, size - height + 1, (len(X), 2))
    for image, one, (a, b) in zip(found, X, places, strict=True):
        image[a : a + height, b : b + width] = one
    return found


def split(X, y, n):
    parts = train_test_split(X, y, train_size=n, random_state=0, stratify=y)
    return (parts[0], parts[2]), (parts[1], parts[3])


def section_digits():
    train, test = split(*digits(), 1257)
    return compared("digits 8 x 8", train, test, [{}, {"pooling": "average", "pool_grid": 2}])


def section_shifted():
    X, y = digits()
    train, test = split(moved(X, 12, np.random.default_rng(0)), y, 300)
    return compared("digits in 12 x 12", train, test, [{}, {"pooling": "average"}])


def section_large(n):
    """Images of 24 x 24 at random places of 28 x 28, distinct by their brightness.

    No digit is in both parts.
    """
    rng, parts = np.random.default_rng(0), []
    for (X, y), count in zip(split(*digits(), 1257), (n, 2000), strict=True):
        some = rng.integers(len(y), size=count)
        X = np.kron(X[some], np.ones((3, 3))) * rng.uniform(0.7, 1.0, (count, 1, 1))
        parts.append((moved(X.astype(np.float32), 28, rng), y[some]))
    model = convolution(alpha="scale", verbose=1)
    rows = [measured("digits in 28 x 28", "CNN alpha='scale'", model, *parts)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory: {peak / 1024:.0f} MB, of which X: {parts[0][0].nbytes / 2**20:.0f} MB\n")
    return rows


# ------------------------------------------------------------------------------------------- series


def load_series(name):
    """Training and test parts, ``(n, length, channels)``, channels of mean 0 and deviation 1."""
    from aeon.datasets import load_classification

    parts = []
    for part in ("train", "test"):
        X, y = load_classification(name, split=part)
        parts.append((X.transpose(0, 2, 1).astype(np.float64), y))
    mean, deviation = (getattr(parts[0][0], name)(axis=(0, 1)) for name in ("mean", "std"))
    return [((X - mean) / deviation, y) for X, y in parts]


def series_settings(length):
    """Windows of nine, dilated by powers of two as long as they fit, at every place."""
    dilations = [2**k for k in range(12) if 8 * 2**k + 1 <= length]
    return {"patch_size": (9,), "dilation": dilations, "padding": "same"}


def section_series():
    from aeon.classification.convolution_based import MiniRocketClassifier

    every = []
    waves = np.random.default_rng(0).standard_normal((10, 1, 30))
    MiniRocketClassifier(random_state=0).fit(waves, np.arange(10) % 2)  # compiles itself
    for name in SERIES:
        rows = []
        train, test = load_series(name)
        for title, model in (
            ("SVC(C=10)", SVC(C=10)),
            ("1-NN", KNeighborsClassifier(1)),
            ("MLP(100)", MLPClassifier(max_iter=400, random_state=0)),
        ):
            rows.append(measured(name, title, model, flat(train), flat(test)))
        rocket = [(X.transpose(0, 2, 1), y) for X, y in (train, test)]
        rows.append(measured(name, "MiniRocket", MiniRocketClassifier(random_state=0), *rocket))
        models = [convolution(pool_grid=k, **series_settings(train[0].shape[1])) for k in (1, 2)]
        tried = [measured(name, f"CNN pool_grid={m.pool_grid}", m, train, test) for m in models]
        # The rows that chose alpha choose the cells as well.
        losses = [model.validation_losses_.min() for model in models]
        chosen = tried[int(np.argmin(losses))]
        rows += [*tried, chosen | {"model": "CNN, chosen", "cpu": sum(one["cpu"] for one in tried)}]
        every += with_ratios(rows)
    return every


def section_whole():
    from sklearn_convexnn import (
        CircularReLUClassifier,
        ConvexReLUClassifier,
        DeepLinearClassifier,
        LinearCNNClassifier,
    )

    every = []
    sets = {"digits 8 x 8": (split(*digits(), 1257), (3, 3))}
    sets |= {name: (load_series(name), (9,)) for name in SERIES}
    for name, ((train, test), window) in sets.items():
        for title, model in (
            ("ridge, CV", RidgeClassifierCV(np.logspace(-4, 4, 17))),
            ("DeepLinear, log-loss", DeepLinearClassifier(loss="log_loss")),
        ):
            every.append(measured(name, title, model, flat(train), flat(test)))
        for loss in ("squared_error", "log_loss"):
            model = LinearCNNClassifier(loss=loss, patch_size=window)
            every.append(measured(name, f"LinearCNN, {loss}", model, train, test))
        dense = ConvexReLUClassifier(random_state=0)
        every.append(measured(name, "ConvexReLU", dense, flat(train), flat(test)))
        model = CircularReLUClassifier(random_state=0)
        every.append(measured(name, "CircularReLU", model, train, test))
    return every


SECTIONS = {
    "digits": section_digits,
    "shifted": section_shifted,
    "series": section_series,
    "whole": section_whole,
    "large": section_large,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sections", default="digits,shifted", help=", ".join(SECTIONS))
    parser.add_argument("--rows", type=int, default=10_000, help="of the section large")
    args = parser.parse_args()
    C.print_header("Architectures")
    C.warm_up()
    for name in args.sections.split(","):
        rows = SECTIONS[name](args.rows) if name == "large" else SECTIONS[name]()
        print(C.markdown_table(rows, COLUMNS), "\n", flush=True)


if __name__ == "__main__":
    main()
