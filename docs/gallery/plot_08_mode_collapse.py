"""
Mode collapse, and its remedy
=============================

A generator with far too high a learning rate ends up drawing nearly the same row over and over. Its losses do not show it;
the spread of its samples does. The fit notices, and trains again with another seed and a lower rate.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA

from anogan import AnoGAN, Callback


class LastSamples(Callback):
    """Keep the last samples of each attempt."""

    samples = 300

    def __init__(self):
        self.attempts = {}

    def on_attempt_begin(self, number, seed, learning_rate):
        self.number = number

    def on_samples(self, stage, step, samples):
        self.attempts[self.number] = samples.detach().cpu().numpy()


X, benign = load_breast_cancer(return_X_y=True)
last = LastSamples()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    detector = AnoGAN(width=32, steps=400, n_members=1, learning_rate=0.05, target_fpr=0.05, random_state=0)
    detector.fit(X[benign == 1], callbacks=[last])

# %%
# What was tried, what was found, and which training was kept:
for attempt in detector.attempts_:
    print(f"rate {attempt['generator_learning_rate']:.3g}, kept: {attempt['kept']}\n    {attempt['verdict']}")

# %%
# The samples of both attempts, on the two directions in which those of the last one vary most.
pca = PCA(2).fit(last.attempts[max(last.attempts)])
fig, axes = plt.subplots(1, len(last.attempts), figsize=(9, 3.6), sharex=True, sharey=True, layout="constrained")
for ax, (number, samples) in zip(np.atleast_1d(axes), last.attempts.items(), strict=True):
    ax.scatter(*pca.transform(samples).T, s=8, color="#b84a00")
    ax.set_title(f"attempt {number}")
print({name: round(value, 2) for name, value in detector.diagnosis_.measures.items()})
