"""A network for a microcontroller.

Digits are recognised by a network of some 20 neurons, written as a C header by emlearn.
The neurons that hardly matter are pruned, the rest becomes a perceptron of scikit-learn, which
emlearn takes. It tries its code at once, and needs a C compiler for that. Run it as ::

    pip install emlearn
    python examples/microcontroller.py digits.h
"""

import contextlib
import sys
import tempfile

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_convexnn import ConvexReLUClassifier
from sklearn_convexnn.export import to_mlp
from sklearn_convexnn.inspection import prune


def small_network():
    """A pruned network of the digits, and the rows held out."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
    model = ConvexReLUClassifier(random_state=0).fit(X_train, y_train)
    pruned = prune(model, X_train, y_train, tolerance=0.01)
    for name, network in (("trained", model), ("pruned", pruned)):
        score = network.score(X_test, y_test)
        print(f"{name}: {network.n_neurons_} neurons, accuracy {score:.3f} on new rows")
    return pruned, X_test


def as_c(model, X, path):
    """Write the header, and return how far the compiled network is from ``model`` on ``X``."""
    # Importing emlearn asks NumPy to raise wherever a number underflows: here it may.  What it
    # compiles goes to the folder "tmp" of where it runs.
    with np.errstate(), tempfile.TemporaryDirectory() as folder:
        import emlearn

        with contextlib.chdir(folder):
            compiled = emlearn.convert(to_mlp(model))
            wrong = np.mean(compiled.predict(X) != model.predict(X))
            error = np.abs(compiled.predict_proba(X) - model.predict_proba(X)).max()
        header = compiled.save(name="network")
    with open(path, "w", encoding="utf-8") as file:
        file.write(header)
    return wrong, error


if __name__ == "__main__":
    network, rows = small_network()
    path = sys.argv[1] if len(sys.argv) > 1 else "network.h"
    wrong, error = as_c(network, rows, path)
    n_weights = sum(part.size for part in (*network.coefs_, *network.intercepts_))
    print(f"{path}: {4 * n_weights} bytes of weights, {100 * wrong:.0f} % other labels,")
    print(f"probabilities within {error:.0e}")
