"""
A training, watched
===================

A callback receives losses, validation checks and samples while a GAN learns to draw.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from anogan import Callback, FAnoGAN, TrainingCurvesDisplay

digits = load_digits()
threes = (digits.images[digits.target == 3, None] / 16).astype(np.float32)


class Strip(Callback):
    """Keep the samples of each validation check; they come from the same latents each time."""

    samples = 10

    def __init__(self):
        self.kept = []

    def on_samples(self, stage, step, samples):
        if stage == "gan":  # the encoder's stage follows, in which the generator rests
            self.kept.append((step, samples.detach().cpu().numpy()))


strip = Strip()
detector = FAnoGAN(width=16, steps=600, patience=0, random_state=0).fit(threes, callbacks=[strip])

# %%
# One row for each of some validation checks, one column for each latent.
chosen = strip.kept[:: max(1, len(strip.kept) // 6)][:7]
fig, axes = plt.subplots(len(chosen), 10, figsize=(8, 0.85 * len(chosen)), layout="constrained")
for row, (step, samples) in zip(axes, chosen, strict=True):
    row[0].set_ylabel(f"step {step}", rotation=0, ha="right", va="center")
    for ax, sample in zip(row, samples, strict=True):
        ax.imshow(sample[0], cmap="gray")
        ax.set(xticks=[], yticks=[])

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
for ax, stage in zip(axes, ("gan", "gan/held_out"), strict=True):
    TrainingCurvesDisplay.from_estimator(detector, stage=stage if stage in detector.history_ else "gan/training", ax=ax)

# %%
# The diagnosis weighs coverage, precision and reconstruction against what as many real samples reach.
print(detector.diagnosis_.verdict)
for name, value in detector.diagnosis_.measures.items():
    print(f"{name:28} {value:.3f}")
