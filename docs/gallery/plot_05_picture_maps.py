"""
Maps of defects
===============

:class:`~anogan.FeatureGAN` compares patches of a picture with those of good pictures at the same place, in the features of
a network trained on photographs. The photograph of coins is real; the camera's shaking and the defects are made.
"""

import matplotlib.pyplot as plt
import numpy as np

import anogan

coins = anogan.load_coins()
detector = anogan.FeatureGAN(target_fpr=0.05, calibration_fraction=0.25, steps=150, random_state=0).fit(coins.train)

# %%
# A map and a score come from one pass. In the middle, colours start where nine of ten good pictures have none, and the
# contour encloses what is above the threshold of pixels. Below are the numbers themselves, each map on a scale of its own:
# faint defects are the highest place of their map, and may still be below the threshold.
shown = [int(np.flatnonzero(coins.kind == kind)[0]) for kind in ("scratch", "stain", "missing coin", "good")]
scores, maps = detector.predict_maps(coins.new[shown])
levels = {"threshold": detector.calibration_.map_threshold, "start": detector.calibration_.map_start}
fig, axes = plt.subplots(3, 4, figsize=(10, 6.4), layout="constrained")
for column, row in enumerate(shown):
    axes[0, column].imshow(coins.new[row, 0], cmap="gray", vmin=0, vmax=1)
    axes[0, column].set_title(coins.kind[row])
    anogan.AnomalyMapDisplay(coins.new[row], maps[column, 0], **levels).plot(axes[1, column])
    axes[1, column].set_title(f"score {scores[column]:.3g}")
    axes[2, column].imshow(maps[column, 0], cmap="Oranges")
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])

# %%
# How well the maps agree with the painted defects:
scores, maps = detector.predict_maps(coins.new)
print(f"AUROC of pictures {anogan.metrics.auroc(coins.unusual, scores):.3f}")
print(f"AUPRO of maps {anogan.metrics.aupro(coins.masks, anogan.metrics.pixel_maps(maps)):.3f}")
