"""Cross-validated scores on tabular sets: the estimators against scikit-learn's MLPs and others.

    python benchmarks/tabular.py                              # sets bundled with scikit-learn
    python benchmarks/tabular.py --all-rivals
    python benchmarks/tabular.py --data FOLDER --sets airfoil,sonar
    python benchmarks/tabular.py --data FOLDER --baselines baselines.csv
    python benchmarks/tabular.py --alpha 0.01                 # 0.01 * alpha_max, for tuning
    python benchmarks/tabular.py --cv                         # the cross-validated estimators
    python benchmarks/tabular.py --cv --steps                 # the last step of tabular_pipeline
    python benchmarks/tabular.py --rivals lightgbm,catboost,xgboost,realmlp      # extra "rivals"
    python benchmarks/tabular.py --tails ours                 # TailCompressor behind the scaler
    python benchmarks/tabular.py --parameters '{"alpha": "scale"}'

``--data`` names a folder of .npz files with arrays X (n, d), y and task ("classification" or
"regression"). Five shuffled folds (stratified for classification, seed 0), features standardised
on the training fold, accuracy or R2. Every estimator has default parameters and random_state=0,
except that linear models choose their penalty by inner cross-validation and forests have 300 trees;
MLPRegressor and SVR also get a standardised target.

``--baselines`` reads rivals' scores from a CSV with columns name, model, score and fit_cpu_s
(models linear, svm_rbf, rf300, hgb, mlp, mlp_es) instead of measuring them. The two MLPs are
measured all the same, unless ``--skip-mlp`` takes them from the CSV, too; the CPU ratio is then
across runs.
"""

import common as C  # first: sets the number of threads

# isort: split
import argparse
import csv
import json
import math
import statistics
import time
import warnings

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegressionCV, RidgeCV
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

MLPS = ("mlp", "mlp_es")
OTHERS = ("linear", "svm_rbf", "rf300", "hgb")
EXTRA = ("lightgbm", "catboost", "xgboost", "realmlp")


def scaled_target(regressor):
    return TransformedTargetRegressor(regressor, transformer=StandardScaler())


def make_rival(name, task):
    classify = task == "classification"
    if name in MLPS:
        parameters = {"random_state": 0, "early_stopping": name == "mlp_es"}
        if classify:
            return MLPClassifier(**parameters)
        return scaled_target(MLPRegressor(**parameters))
    if name == "linear":
        if classify:
            return LogisticRegressionCV(Cs=np.logspace(-3, 3, 7), cv=3, max_iter=1000)
        return RidgeCV(np.logspace(-4, 4, 17))
    if name == "svm_rbf":
        return SVC() if classify else scaled_target(SVR())
    if name == "rf300":
        forest = RandomForestClassifier if classify else RandomForestRegressor
        return forest(300, random_state=0)
    if name in EXTRA:
        return make_extra(name, classify)
    if name == "hgb":
        boosting = HistGradientBoostingClassifier if classify else HistGradientBoostingRegressor
        return boosting(random_state=0)
    raise ValueError(f"unknown rival {name!r}")


def make_extra(name, classify):
    """Rivals of the extra "rivals", with their defaults and one thread."""
    kind = "Classifier" if classify else "Regressor"
    if name == "lightgbm":
        import lightgbm

        return getattr(lightgbm, f"LGBM{kind}")(random_state=0, n_jobs=1, verbose=-1)
    if name == "catboost":
        import catboost

        model = getattr(catboost, f"CatBoost{kind}")
        return model(random_seed=0, thread_count=1, verbose=False, allow_writing_files=False)
    if name == "xgboost":
        import xgboost

        return getattr(xgboost, f"XGB{kind}")(random_state=0, n_jobs=1)
    import pytabkit

    model = getattr(pytabkit, f"RealMLP_TD_S_{kind}")
    return model(random_state=0, n_threads=1, device="cpu", verbosity=0)


def make_ours(task, X, y, args):
    import sklearn_convexnn
    from sklearn_convexnn import alpha_max

    classify = task == "classification"
    name = f"ConvexReLU{'Classifier' if classify else 'Regressor'}{'CV' if args.cv else ''}"
    model = getattr(sklearn_convexnn, name)(random_state=0)
    if args.steps and classify:
        model.set_params(refit="both")
    model.set_params(**json.loads(args.parameters))
    if args.alpha is not None:
        loss = {"loss": "log_loss"} if classify else {}
        model.set_params(alpha=args.alpha * float(alpha_max(X, y, **loss)))
    if args.steps:
        from sklearn_convexnn import StepsCV

        return StepsCV(model)
    return model


def folds(X, y, task):
    splitter = StratifiedKFold if task == "classification" else KFold
    return splitter(5, shuffle=True, random_state=0).split(X, y)


def prepared(X, y, train, test, tails):
    """Rows and targets of training and test, standardised, with or without long tails."""
    scaler = StandardScaler().fit(X[train])
    rows = [scaler.transform(X[part]) for part in (train, test)]
    if tails:
        from sklearn_convexnn import TailCompressor

        rows = [TailCompressor().fit_transform(part) for part in rows]
    return (rows[0], y[train]), (rows[1], y[test])


def fit_and_score(model, train, test):
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(*train)
    seconds = time.process_time() - start
    loss = math.nan
    if hasattr(model, "predict_proba"):
        loss = log_loss(test[1], model.predict_proba(test[0]), labels=model.classes_)
    return model.score(*test), loss, seconds


def run_set(name, X, y, task, rivals, args):
    """One row: mean scores and CPU seconds per fold of every measured model."""
    scores = {m: [] for m in ("ours", *rivals)}
    losses = {m: [] for m in ("ours", *rivals)}
    seconds = {m: [] for m in ("ours", *rivals)}
    neurons, gaps = [], []
    for fold, (train, test) in enumerate(folds(X, y, task)):
        if fold >= args.folds:
            break
        for m in scores:
            A, B = prepared(X, y, train, test, args.tails in ("all", m))
            model = make_ours(task, *A, args) if m == "ours" else make_rival(m, task)
            score, loss, cpu = fit_and_score(model, A, B)
            scores[m].append(float(score))
            losses[m].append(float(loss))
            seconds[m].append(cpu)
            if m == "ours":
                network = getattr(model, "estimator_", model)
                neurons.append(int(np.max(network.n_neurons_)))
                gap = getattr(network, "dual_gap_", None)
                gaps.append(math.nan if gap is None else float(np.max(gap)))
    return {
        "set": name,
        "task": task,
        "n": X.shape[0],
        "d": X.shape[1],
        "scores": {m: statistics.fmean(v) for m, v in scores.items()},
        "fold_scores": scores,
        "log_loss": {m: statistics.fmean(v) for m, v in losses.items()},
        "cpu": {m: statistics.median(v) for m, v in seconds.items()},
        "fold_cpu": seconds,
        "neurons": statistics.median(neurons) if neurons else None,
        "gap": max(gaps, default=None),
    }


def read_baselines(path):
    """{set: {model: (score, cpu seconds)}}"""
    table = {}
    with open(path, newline="") as file:
        for line in csv.DictReader(file):
            if line.get("score"):
                cpu = float(line["fit_cpu_s"]) if line.get("fit_cpu_s") else math.nan
                table.setdefault(line["name"], {})[line["model"]] = (float(line["score"]), cpu)
    return table


def outcome(ours, rival):
    if rival is None:
        return None
    return "tie" if math.isclose(ours, rival, abs_tol=1e-12) else "win" if ours > rival else "loss"


def complete(row, baselines):
    """Add rivals from the CSV, the best ones, the CPU ratio and the outcomes."""
    scores, cpu = row["scores"], row["cpu"]
    for model, (score, seconds) in baselines.get(row["set"], {}).items():
        if model not in scores:
            scores[model], cpu[model] = score, seconds
    row |= {key: scores.get(key) for key in ("ours", *MLPS)}
    mlps = [scores[m] for m in MLPS if m in scores]
    others = {m: scores[m] for m in (*OTHERS, *EXTRA) if m in scores}
    row["ours_loss"] = row["log_loss"]["ours"] if row["task"] == "classification" else None
    losses = {m: v for m, v in row["log_loss"].items() if m != "ours" and not math.isnan(v)}
    if losses:
        name = min(losses, key=losses.get)
        row["best_loss"] = f"{losses[name]:.4f} {name}"
    row["vs_mlp"] = outcome(scores["ours"], max(mlps, default=None))
    if others:
        name = max(others, key=others.get)
        row["best_rival"] = f"{others[name]:.4f} {name}"
        row["vs_all"] = outcome(scores["ours"], max([*mlps, others[name]]))
    if "mlp" in row["fold_cpu"]:
        pairs = zip(row["fold_cpu"]["ours"], row["fold_cpu"]["mlp"], strict=True)
        row["ratio"] = statistics.median(a / b for a, b in pairs)
    elif "mlp" in cpu:
        row["ratio"] = cpu["ours"] / cpu["mlp"]
    row["ours_cpu"], row["mlp_cpu"] = cpu["ours"], cpu.get("mlp")
    return row


COLUMNS = [
    ("set", "set"),
    ("n", "n"),
    ("d", "d"),
    ("ours", "ours", ".4f"),
    ("mlp", "mlp", ".4f"),
    ("mlp_es", "mlp_es", ".4f"),
    ("best_rival", "best other rival"),
    ("ours_loss", "log-loss", ".4f"),
    ("best_loss", "best rival's"),
    ("ours_cpu", "CPU s", ".2f"),
    ("mlp_cpu", "mlp CPU s", ".2f"),
    ("ratio", "CPU ratio", ".2f"),
    ("neurons", "neurons", ".0f"),
    ("gap", "est. gap", ".1e"),
    ("vs_mlp", "vs MLPs"),
    ("vs_all", "vs all"),
]


def print_summary(rows):
    for key, label in (("vs_mlp", "the better of the MLPs"), ("vs_all", "all rivals")):
        flags = [row[key] for row in rows if row.get(key)]
        if flags:
            print(
                f"Against {label}: {flags.count('win')} wins, {flags.count('tie')} ties, "
                f"{flags.count('loss')} losses of {len(flags)}"
            )
    losses = [row["ours_loss"] for row in rows if row.get("ours_loss")]
    if losses:
        mean = math.exp(statistics.fmean(map(math.log, losses)))
        print(f"Log-loss of ours: geometric mean {mean:.4f} over {len(losses)} sets")
    for task in ("regression", "classification"):
        print_ranks(task, [row["scores"] for row in rows if row["task"] == task])
    ratios = [row["ratio"] for row in rows if row.get("ratio") and row["ratio"] > 0]
    if ratios:
        mean = math.exp(statistics.fmean(map(math.log, ratios)))
        print(f"CPU time, ours / mlp: geometric mean {mean:.2f}, largest {max(ratios):.2f}")


def print_ranks(task, scores):
    """Mean ranks by score of the models that were measured on every set, 1 for the best."""
    models = [m for m in scores[0] if all(m in row for row in scores)] if scores else []
    if len(models) < 3:
        return
    ranks = {
        m: statistics.fmean(
            1
            + sum(row[o] > row[m] for o in models)
            + 0.5 * (sum(row[o] == row[m] for o in models) - 1)
            for row in scores
        )
        for m in models
    }
    line = ", ".join(f"{m} {ranks[m]:.2f}" for m in sorted(ranks, key=ranks.get))
    print(f"Mean rank on {len(scores)} sets of {task}: {line}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", metavar="FOLDER", help="folder of .npz sets")
    parser.add_argument("--sets", help="comma-separated names (default: all)")
    parser.add_argument("--folds", type=int, default=5, help="run only the first FOLDS of 5 folds")
    parser.add_argument("--cv", action="store_true", help="measure ours with alpha from inner CV")
    parser.add_argument("--steps", action="store_true", help="with --cv: and steps by StepsCV")
    parser.add_argument(
        "--tails", choices=["ours", "all"], help="TailCompressor for ours or for all models"
    )
    parser.add_argument("--alpha", type=float, help="fraction of alpha_max instead of the default")
    parser.add_argument(
        "--parameters", default="{}", help="our other parameters as JSON, e.g. '{\"tol\": 0.01}'"
    )
    parser.add_argument("--all-rivals", action="store_true", help="measure the other rivals, too")
    parser.add_argument("--rivals", default="", help=f"comma-separated, of {', '.join(EXTRA)}")
    parser.add_argument("--baselines", metavar="CSV", help="rivals' scores from a file")
    parser.add_argument("--skip-mlp", action="store_true", help="do not measure the MLPs")
    parser.add_argument("--json", metavar="OUT", help="also write the rows as JSON")
    args = parser.parse_args()

    baselines = read_baselines(args.baselines) if args.baselines else {}
    rivals = (() if args.skip_mlp else MLPS) + (OTHERS if args.all_rivals else ())
    rivals += tuple(name for name in args.rivals.split(",") if name)
    names = args.sets.split(",") if args.sets else None
    C.print_header("Tabular sets, 5-fold cross-validation")
    C.warm_up()

    rows = []
    for name, X, y, task in C.load_sets(args.data, names):
        rows.append(complete(run_set(name, X, y, task, rivals, args), baselines))
        print(f"done: {name}: {rows[-1]['ours']:.4f}", flush=True)
        if args.json:
            with open(args.json, "w") as out:
                json.dump(rows, out, indent=1)
    columns = [c for c in COLUMNS if any(row.get(c[0]) is not None for row in rows)]
    print("\n" + C.markdown_table(rows, columns) + "\n")
    print_summary(rows)


if __name__ == "__main__":
    main()
