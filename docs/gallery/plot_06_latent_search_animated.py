"""
The search of AnoGAN, animated
==============================

:class:`~anogan.AnoGAN` has a generator of ordinary samples and no encoder. To score a picture it searches for the latent
whose sample is most like it. What no latent can make is anomalous.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation
from sklearn.datasets import load_digits

from anogan import AnoGAN

digits = load_digits()
pictures = (digits.images[:, None] / 16).astype(np.float32)
zeros = pictures[digits.target == 0]
detector = AnoGAN(width=16, steps=600, random_state=0).fit(zeros[:140])

# %%
# The generator has learned zeros only. The search is repeated with more and more steps; each column is one picture.
shown = np.concatenate(
    [
        zeros[150:153],
        pictures[digits.target == 4][:1],
        pictures[digits.target == 1][:1],
        pictures[digits.target == 7][:1],
    ]
)
steps = [1, 2, 4, 8, 16, 32, detector.module_.search_steps]
frames = []
for count in steps:
    detector.module_.search_steps = count
    frames.append(detector.reconstruct(shown))

fig, axes = plt.subplots(3, len(shown), figsize=(8, 4.2))
images = []
for column, picture in enumerate(shown):
    axes[0, column].imshow(picture[0], cmap="gray", vmin=0, vmax=1)
    images.append(axes[1, column].imshow(frames[0][column, 0], cmap="gray", vmin=0, vmax=1))
    images.append(axes[2, column].imshow(abs(picture - frames[0][column])[0], cmap="Oranges", vmin=0, vmax=1))
for ax, text in zip(axes[:, 0], ("picture", "found", "residual"), strict=True):
    ax.set_ylabel(text)
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])


def draw(frame):
    for column, picture in enumerate(shown):
        images[2 * column].set_data(frames[frame][column, 0])
        images[2 * column + 1].set_data(abs(picture - frames[frame][column])[0])
    fig.suptitle(f"after {steps[frame]} search steps")
    return images


animation = FuncAnimation(fig, draw, frames=len(steps), interval=700)

# %%
# Scores of the same pictures: three zeros, then a 4, a 1 and a 7.
print(detector.anomaly_score(shown).round(2))
