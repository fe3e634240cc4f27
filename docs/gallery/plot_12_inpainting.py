"""
Filling in what was erased
==========================

:class:`~anogan.Pix2PixInpainting` learns to fill in erased parts of ordinary samples. Where a picture is not what the rest
of it predicts, it is anomalous.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from anogan import Pix2PixInpainting

digits = load_digits()
pictures = (digits.images[:, None] / 16).astype(np.float32)
zeros = pictures[digits.target == 0]
detector = Pix2PixInpainting(width=16, steps=400, patience=0, random_state=0).fit(zeros[:140])

# %%
# Two zeros, a zero with a bar through it, and an eight. Each value shown in the middle was filled in from the others.
barred = zeros[160].copy()
barred[0, 3:5, 1:7] = 1
shown = np.stack([zeros[161], zeros[162], barred, pictures[digits.target == 8][0]])
filled, maps = detector.reconstruct(shown), detector.explain(shown)
fig, axes = plt.subplots(3, 4, figsize=(6, 4.6), layout="constrained")
for column in range(4):
    axes[0, column].imshow(shown[column, 0], cmap="gray", vmin=0, vmax=1)
    axes[1, column].imshow(filled[column, 0], cmap="gray", vmin=0, vmax=1)
    axes[2, column].imshow(maps[column, 0], cmap="Oranges", vmin=0, vmax=maps.max())
for ax, text in zip(axes[:, 0], ("picture", "filled in", "map"), strict=True):
    ax.set_ylabel(text)
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
print(detector.anomaly_score(shown).round(2))
