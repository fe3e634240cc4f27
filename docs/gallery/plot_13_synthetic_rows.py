"""
Synthetic rows beside real ones
===============================

Some detectors draw synthetic ordinary rows, with the values that columns can have. They are good for tests of programs and
for demonstrations. They are not private, and they show nothing that the training rows do not show.
"""

import matplotlib.pyplot as plt
import numpy as np

import anogan

hawks = anogan.load_hawks()
rows = hawks.train.sample(frac=1, random_state=0)  # they are sorted by year
train, held_out = rows[:300], rows[300:]
detector = anogan.WGANGP(steps=600, random_state=0).fit(train)
synthetic = detector.sample(300, random_state=0)
synthetic.head()

# %%
# How like real rows they are: an AUROC of 0.5 means that a classifier cannot tell them apart.
measures = anogan.compare_rows(held_out, synthetic, train)
print(measures)

# %%
fig, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
for ax, (across, up) in zip(axes, (("Wing", "Weight"), ("Culmen", "Hallux"), ("Tail", "StandardTail")), strict=True):
    ax.scatter(train[across], train[up], s=8, color="0.65", label="real")
    ax.scatter(synthetic[across], synthetic[up], s=8, color="#b84a00", label="synthetic", alpha=0.7)
    ax.set(xlabel=across, ylabel=up)
    ax.set_xlim(np.nanquantile(train[across], [0.005, 0.995]) * [0.97, 1.03])
    ax.set_ylim(np.nanquantile(train[up], [0.005, 0.995]) * [0.97, 1.03])
axes[0].legend()
