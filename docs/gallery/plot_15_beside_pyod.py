"""
Beside PyOD
===========

Any PyOD detector can be wrapped and compared on the same rows, and any detector of this package can be given PyOD's
interface.
"""

import matplotlib.pyplot as plt
from pyod.models.ecod import ECOD
from pyod.models.iforest import IForest
from pyod.models.knn import KNN
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import RocCurveDisplay
from sklearn.preprocessing import StandardScaler

from anogan import DenoisingGAN, from_pyod

X, benign = load_breast_cancer(return_X_y=True)
train, new = X[benign == 1][:200], X[200:]
labels = 1 - benign[200:]
scaler = StandardScaler().fit(train)
train, new = scaler.transform(train), scaler.transform(new)

fig, ax = plt.subplots(figsize=(5, 4.5), layout="constrained")
for name, detector in {
    "denoising_gan": DenoisingGAN(target_fpr=0.05, random_state=0),
    "kNN": from_pyod(KNN()),
    "isolation forest": from_pyod(IForest(random_state=0)),
    "ECOD": from_pyod(ECOD()),
}.items():
    scores = detector.fit(train).anomaly_score(new)
    RocCurveDisplay.from_predictions(labels, scores, name=name, ax=ax)
ax.set(xlabel="false alarms", ylabel="recall")

# %%
# On a small table like this one classical detectors are often level or ahead. That is the point of comparing.
#
# PyOD's names mean the opposite of scikit-learn's: its ``decision_function`` is higher for anomalies, and its ``predict``
# is 1 for them.
ours = DenoisingGAN(steps=200, target_fpr=0.05, random_state=0).fit(train)
print("scikit-learn:", ours.predict(new[:5]), ours.decision_function(new[:5]).round(2))
print("PyOD:        ", ours.as_pyod().predict(new[:5]), ours.as_pyod().decision_function(new[:5]).round(2))
