"""
What would have to change
=========================

:class:`~anogan.CycleGAN` learns from ordinary pictures and from an unlabelled set, some of which are not ordinary. It
translates a picture into an ordinary one; the difference says what would have to change. The digits are real; the bars
through some of them are painted.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from anogan import CycleGAN

digits = load_digits()
zeros = (digits.images[digits.target == 0, None] / 16).astype(np.float32)
rng = np.random.default_rng(0)


def barred(pictures):
    """Paint a bright bar through each picture."""
    pictures = pictures.copy()
    for picture, row in zip(pictures, rng.integers(2, 6, len(pictures)), strict=True):
        picture[0, row, 1:7] = 0.95
    return pictures


normal = zeros[:110]
unlabelled = np.concatenate([zeros[110:130], barred(zeros[:60])])
detector = CycleGAN(features="pixels", width=16, steps=600, patience=0, target_fpr=0.1, random_state=0)
detector.fit(normal, X_unlabeled=unlabelled)

# %%
# New pictures, three as they are and three with a bar, and their ordinary counterparts.
shown = np.concatenate([zeros[160:163], barred(zeros[163:166])])
counterfactual = detector.reconstruct(shown)
fig, axes = plt.subplots(3, 6, figsize=(8, 4.2), layout="constrained")
for column in range(6):
    axes[0, column].imshow(shown[column, 0], cmap="gray", vmin=0, vmax=1)
    axes[1, column].imshow(counterfactual[column, 0], cmap="gray", vmin=0, vmax=1)
    axes[2, column].imshow(abs(shown - counterfactual)[column, 0], cmap="Oranges", vmin=0, vmax=1)
for ax, text in zip(axes[:, 0], ("picture", "made ordinary", "change"), strict=True):
    ax.set_ylabel(text)
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
print(detector.anomaly_score(shown).round(3))
