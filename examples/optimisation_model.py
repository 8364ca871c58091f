"""A network inside an optimisation model: the best mixture that it predicts.

Piecewise linear networks are linear constraints and binary variables, one for each neuron whose
sign is not known. PySCIPOpt-ML writes those of scikit-learn's perceptrons for SCIP, which is free
and proves its optimum; a pruned network is a small program. It needs PySCIPOpt-ML:

    pip install "sklearn_convexnn" pyscipopt-ml
    python examples/optimisation_model.py
"""

import numpy as np
from sklearn.datasets import make_friedman1

from sklearn_convexnn import ConvexReLURegressor
from sklearn_convexnn.export import to_mlp
from sklearn_convexnn.inspection import prune


def small_network():
    """A pruned network of five ingredients, each between 0 and 1."""
    X, y = make_friedman1(500, n_features=5, noise=1.0, random_state=0)
    network = ConvexReLURegressor(alpha=0.02, random_state=0).fit(X, y)
    return prune(network, X, y, tolerance=0.05)


def best_mixture(network, budget):
    """The mixture of the largest prediction whose ingredients cost at most ``budget``."""
    from pyscipopt import Model
    from pyscipopt_ml import add_predictor_constr

    program = Model()
    program.hideOutput()
    n_features = network.n_features_in_
    x = np.array([[program.addVar(lb=0.0, ub=1.0) for _ in range(n_features)]])
    z = np.array([[program.addVar(lb=None, ub=None)]])
    add_predictor_constr(program, to_mlp(network), x, z)
    program.addCons(sum(x[0]) <= budget)
    program.setObjective(z[0, 0], "maximize")
    program.optimize()
    if program.getStatus() != "optimal":
        raise RuntimeError(f"SCIP ended with status {program.getStatus()!r}.")
    return np.array([program.getVal(variable) for variable in x[0]]), program.getObjVal()


if __name__ == "__main__":
    network = small_network()
    mixture, value = best_mixture(network, budget=2.0)
    print(f"{network.n_neurons_} neurons; the best mixture {mixture.round(3)} gives {value:.3f}")
