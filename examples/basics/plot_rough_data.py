"""
Rough data: thresholds, categories and missing values
=====================================================

Rents jump: with the year in which a house was built, with the district, with the year of the
contract. A network with weight decay is smooth, and a data frame is no matrix. This example fits a
table with a category, a date and missing values in one line, with steps whose price is chosen by
cross-validation. It needs skrub (``pip install "sklearn_convexnn[tabular]"``).
"""

# %%
# A table of flats. Building codes changed in 1919, 1950, 1979 and 2014.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.inspection import partial_dependence
from sklearn.model_selection import train_test_split

from sklearn_convexnn import tabular_pipeline

rng, n = np.random.default_rng(0), 800
X = pd.DataFrame(
    {
        "area": rng.uniform(25, 160, n).round(),
        "built": rng.integers(1900, 2025, n),
        "district": rng.choice(["centre", "harbour", "hills", "north"], n),
        "listed": pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 730, n), "D"),
    }
)
built = X["built"].to_numpy()
per_metre = X["district"].map({"centre": 14.0, "harbour": 12.0, "hills": 11.0, "north": 9.0})
per_metre = per_metre.to_numpy() + 0.5 * rng.standard_normal(n)
per_metre += np.select([built < 1919, built < 1950, built < 1979, built < 2014], [3, 0, -3, 0], 4)
y = per_metre * X["area"].to_numpy() * np.where(X["listed"] >= "2024-01-01", 1.1, 1.0)
X["built"] = X["built"].astype(float).mask(rng.random(n) < 0.1)
X.loc[rng.random(n) < 0.05, "district"] = None
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
print(X.head(4))

# %%
# With a weight of 0 there are no steps. The default compares 0 and 0.5 by the
# cross-validation that chooses alpha.

smooth = tabular_pipeline("regressor", weights=(0,), random_state=0).fit(X_train, y_train)
rough = tabular_pipeline("regressor", random_state=0).fit(X_train, y_train)
search = rough[-1]
for weight, score in zip(search.weights_, search.scores_, strict=True):
    print(f"weight {weight:4.2f}: cross-validated R2 {score:.3f}")
print(f"test R2 without steps {smooth.score(X_test, y_test):.3f}", end=", ")
print(f"with weight {search.weight_} {rough.score(X_test, y_test):.3f}")

# %%
# The whole pipeline. The question marks lead to the pages of its steps.

rough

# %%
# What the two make of the year, averaged over the other columns. The thresholds are quantiles of
# the training rows, about eight years apart here: a jump is found up to that.

years = np.arange(1900, 2025)
rows = X_test.dropna()
figure, ax = plt.subplots(figsize=(6, 4), constrained_layout=True)
for model, label in [(smooth, "no steps"), (rough, f"steps, weight {search.weight_}")]:
    curve = partial_dependence(
        model, rows, ["built"], custom_values={"built": years}, kind="average"
    )
    ax.plot(years, curve["average"][0], label=label)
for year in (1919, 1950, 1979, 2014):
    label = "building codes" if year == 1919 else None
    ax.axvline(year, color="0.8", zorder=0, label=label)
ax.set(xlabel="built", ylabel="mean predicted rent")
ax.legend()
plt.show()
