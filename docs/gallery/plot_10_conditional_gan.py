"""
Unusual for its context
=======================

A value can be ordinary for one group and not for another. :class:`~anogan.ConditionalGAN` scores a row given its condition.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import anogan

hawks = anogan.load_hawks()
table = pd.concat([hawks.train, hawks.new], ignore_index=True)[["Wing", "Weight", "Culmen", "Tail"]]
table["species"] = np.concatenate([["red-tailed hawk"] * len(hawks.train), hawks.species])
table = table.dropna().reset_index(drop=True)
order = np.random.default_rng(0).permutation(len(table))
train, new = table.iloc[order[:600]], table.iloc[order[600:]]
detector = anogan.ConditionalGAN(condition="species", steps=300, target_fpr=0.05, random_state=0).fit(train)

# %%
# The new hawks as they are, and with the name of another species written down for each.
names = sorted(table["species"].unique())
mistaken = new.assign(species=[names[(names.index(s) + 1) % 3] for s in new["species"]])
right, wrong = detector.anomaly_score(new), detector.anomaly_score(mistaken)
fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
bins = np.linspace(0, np.quantile(wrong, 0.95), 40)
ax.hist(np.clip(right, 0, bins[-1]), bins, color="0.75", edgecolor="0.4", label="species as recorded")
ax.hist(
    np.clip(wrong, 0, bins[-1]), bins, histtype="step", color="#b84a00", lw=1.8, label="another species written down"
)
ax.axvline(detector.calibration_.threshold, ls="--", color="k", lw=1)
ax.set(xlabel="anomaly score (last bar: that and above)", ylabel="hawks")
ax.legend()
print(
    f"flagged: {(detector.predict(new) == -1).mean():.1%} as recorded, {(detector.predict(mistaken) == -1).mean():.1%} mistaken"
)
