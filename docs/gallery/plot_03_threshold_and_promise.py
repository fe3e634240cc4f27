"""
Threshold and promise
=====================

A threshold is worth what it promises for rows that were not there when it was set. Here the promise is checked with
ordinary rows that the detector has not seen.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import binomtest
from sklearn.datasets import load_digits

from anogan import DenoisingGAN

X, digit = load_digits(return_X_y=True)
# In the file the digits of one writer stand together. The promise holds for rows of the same source, so rows are shuffled.
order = np.random.default_rng(0).permutation(len(X))
X, digit = X[order], digit[order]
even, odd = X[digit % 2 == 0], X[digit % 2 == 1]
train, fresh = even[:500], even[500:]
detector = DenoisingGAN(target_fpr=0.05, steps=300, random_state=0).fit(train)

# %%
# At most 5 % of ordinary rows should be flagged, on average over sets of calibration rows.
alarms = int((detector.predict(fresh) == -1).sum())
low, high = binomtest(alarms, len(fresh)).proportion_ci(method="exact")
print(
    f"promised 5 %, observed {alarms} of {len(fresh)}: {alarms / len(fresh):.1%}, 95 % interval {low:.1%} to {high:.1%}"
)

# %%
# P-values of ordinary rows are uniform: as many lie below 0.1 as between 0.4 and 0.5. Those of odd digits are small.
fig, axes = plt.subplots(1, 2, figsize=(8, 2.8), sharex=True, layout="constrained")
for ax, rows, title in zip(axes, (fresh, odd), ("even digits, which are ordinary", "odd digits"), strict=True):
    ax.hist(detector.p_value(rows), np.linspace(0, 1, 11), color="0.75", edgecolor="0.4")
    ax.set(title=title, xlabel="p-value", ylabel="rows")

# %%
# :meth:`~anogan.Detector.flag` controls another rate: the share of normal rows among the flagged ones.
both = np.concatenate([fresh, odd])
flags = detector.flag(both, fdr=0.2)
print(f"{flags.sum()} rows are flagged, {flags[: len(fresh)].sum()} of them wrongly")

# %%
# When the data have moved, :meth:`~anogan.Detector.drift` says so, and :meth:`~anogan.Detector.recalibrate` sets a new
# threshold with fresh ordinary rows, without training.
darker = 0.8 * fresh
print(detector.drift(darker))
detector.recalibrate(darker[:150])
print(f"false alarms after recalibration: {(detector.predict(darker[150:]) == -1).mean():.1%}")
