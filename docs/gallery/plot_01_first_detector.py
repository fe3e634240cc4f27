"""
A first detector
================

A detector learns from ordinary rows alone. Here 300 benign tumours are ordinary; new rows are other benign ones and all
malignant ones, which the detector has never seen.
"""

from sklearn.datasets import load_breast_cancer

from anogan import DenoisingGAN, ScoreDisplay, evaluate

table, benign = load_breast_cancer(return_X_y=True, as_frame=True)
normal = table[benign == 1][:300]
new = table.drop(normal.index)
malignant = 1 - benign[new.index]

detector = DenoisingGAN(target_fpr=0.05, random_state=0).fit(normal)

# %%
# Scores are higher for rows that are less like the ordinary ones. The threshold was set with ordinary rows that were
# held out of training, so that about 5 % of new ordinary rows lie above it.
ScoreDisplay.from_estimator(detector, new, malignant)

# %%
# With labels, the ranking can be measured. An AUROC of 0.5 is guessing and 1 is perfect.
found = evaluate(detector, new, malignant)
for name in ("auroc", "aupr"):
    value = found["metrics"][name]
    print(f"{name.upper()} {value['value']:.3f}, 95 % interval {value['low']:.3f} to {value['high']:.3f}")
print(f"found {found['at_threshold']['recall']:.0%}, false alarms {found['at_threshold']['fpr']:.1%}")
