"""This tree against another revision, in one run: ratios of CPU time, objective and score.

    python benchmarks/compare.py --base main
    python benchmarks/compare.py --base v0.1.0 --cases fits --rounds 5

The base is checked out into a temporary worktree. One process for each tree imports its package
and then fits the same cases on demand; for every case the two take turns (base, this, this, base,
...), so that a busy machine slows both. A ratio is the median over the rounds of this tree's CPU
time divided by the base's in the same round; beside it the smallest and the largest. A case that
is slower in every round, and by more than ``--slower`` in the median, is marked and makes the
command fail. Cases that the base does not know are left out.
"""

import common as C  # first: sets the number of threads

# isort: split
import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = [
    ("name", "case"),
    ("seconds", "CPU s, base", ".3f"),
    ("ratio", "ratio", ".2f"),
    ("least", "least", ".2f"),
    ("most", "most", ".2f"),
    ("objective", "objective ratio", ".5f"),
    ("neurons", "neurons, base -> this"),
    ("mark", ""),
]


class Tree:
    """A process that imports the package of one tree and fits cases for as long as it is asked."""

    def __init__(self, folder):
        worker = Path(__file__).with_name("_compare_worker.py")
        self.process = subprocess.Popen(
            [sys.executable, str(worker), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def fit(self, case):
        """CPU seconds, objective and neurons of a fit; None if this tree does not know it."""
        self.process.stdin.write(case + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"The fits of {case!r} ended a process.")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def measure(case, base, this, rounds):
    """One row: the two trees fit a case in turns."""
    first = [tree.fit(case) for tree in (base, this)]  # not counted: caches, lazy imports
    if None in first:
        return None
    ratios, seconds = [], []
    for k in range(rounds):
        order = (base, this) if k % 2 == 0 else (this, base)
        times = {tree: tree.fit(case)["seconds"] for tree in order}
        ratios.append(times[this] / times[base])
        seconds.append(times[base])
    before, after = first
    return {
        "name": case,
        "seconds": statistics.median(seconds),
        "ratio": statistics.median(ratios),
        "least": min(ratios),
        "most": max(ratios),
        "objective": after["objective"] / before["objective"],
        "neurons": f"{before['neurons']} -> {after['neurons']}",
    }


def checkout(revision, folder):
    """A worktree of the revision."""
    subprocess.run(
        ["git", "-C", str(ROOT), "worktree", "add", "--quiet", "--detach", str(folder), revision],
        check=True,
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", required=True, metavar="REVISION", help="what to compare with")
    parser.add_argument("--cases", default="", help="only cases whose names contain this")
    parser.add_argument("--rounds", type=int, default=5, help="counted fits of each tree")
    parser.add_argument("--slower", type=float, default=1.1, help="the ratio that is marked")
    args = parser.parse_args()
    from _compare_worker import CASES

    C.print_header(f"This tree against {args.base}")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        base_folder = Path(folder, "base")
        checkout(args.base, base_folder)
        trees = Tree(base_folder), Tree(ROOT)
        try:
            for case in CASES:
                row = measure(case, *trees, args.rounds) if args.cases in case else None
                if row is not None:
                    slower = row["ratio"] > args.slower and row["least"] > 1.0
                    row["mark"] = "slower" if slower else ""
                    rows.append(row)
                    print(f"done: {case}: {row['ratio']:.2f}", flush=True)
        finally:
            for tree in trees:
                tree.close()
            subprocess.run(
                ["git", "-C", str(ROOT), "worktree", "remove", "--force", str(base_folder)],
                check=True,
            )
    if not rows:
        raise SystemExit(f"No case of both trees has {args.cases!r} in its name.")
    print("\n" + C.markdown_table(rows, COLUMNS))
    mean = math.exp(statistics.fmean(math.log(row["ratio"]) for row in rows))
    print(f"\nGeometric mean of the ratios: {mean:.2f}")
    if any(row["mark"] for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
