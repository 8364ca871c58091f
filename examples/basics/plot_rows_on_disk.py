"""
==================
More rows than fit
==================

Rows in a file are read where they are, block by block, dozens of times: a ``numpy.memmap`` is all
that this takes. Files above 256 MB are never copied, smaller ones are sorted in memory.

This page was made with a small file; ``SKLEARN_CONVEXNN_ROWS=12500000`` makes one of 2 GB, which
needs 3 GB of disk: what has one number for every row, outputs and residuals for instance, is in
temporary files, and memory grows with neither.
"""

# %%
# A file with rows in single precision, written in blocks as they would come from elsewhere.

import os
import tempfile
import threading
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from sklearn_convexnn import ConvexReLURegressor

n, d = int(os.environ.get("SKLEARN_CONVEXNN_ROWS", 60_000)), 40
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "rows.npy"
rng = np.random.default_rng(0)
U, c = rng.standard_normal((d, 10)) / np.sqrt(d), rng.standard_normal(10)
X = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, d))
y = np.empty(n)
for start in range(0, n, 20_000):
    block = rng.standard_normal((min(20_000, n - start), d))
    X[start : start + len(block)] = block
    y[start : start + len(block)] = np.maximum(block @ U, 0) @ c
y += 0.1 * rng.standard_normal(n)
X.flush()
X = np.load(path, mmap_mode="r")
print(f"{path.stat().st_size / 1e6:.0f} MB on disk")

# %%
# The fit, and the memory of the process that is not that of files, where the system tells it.


def anonymous_mb():
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1e3


memory, ended = [anonymous_mb()], threading.Event()


def watch():
    while not ended.wait(0.05):
        memory.append(anonymous_mb())


watcher = threading.Thread(target=watch)
watcher.start()
model = ConvexReLURegressor(alpha=1e-3, n_jobs=-1, random_state=0).fit(X, y)
ended.set()
watcher.join()
print(f"{model.n_neurons_} neurons, R2 {model.score(X[:20_000], y[:20_000]):.3f}")

# %%
fig, ax = plt.subplots(figsize=(6, 2.5), layout="constrained")
ax.plot(0.05 * np.arange(len(memory)), np.array(memory) - memory[0])
ax.axhline(X.nbytes / 1e6, color="0.6", linestyle="--")
ax.set(xlabel="seconds", ylabel="MB beyond the start", title="Memory of a fit; dashed: the file")
folder.cleanup()
plt.show()
