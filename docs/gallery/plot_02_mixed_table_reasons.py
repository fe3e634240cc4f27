"""
A mixed table, with reasons
===========================

Measurements of hawks, recorded by hand: numbers, a text column, and a quarter of the values missing. Red-tailed hawks are
ordinary; hawks of two other species are to be found. Nothing is encoded or imputed by hand.
"""

import matplotlib.pyplot as plt
import pandas as pd

import anogan

hawks = anogan.load_hawks()
hawks.train.head()

# %%
# :func:`~anogan.preview_columns` shows how each column will be read, before anything is fitted.
preview = pd.DataFrame(map(vars, anogan.preview_columns(hawks.train)))
preview[["name", "kind", "distinct", "missing", "low", "high"]]

# %%
detector = anogan.DenoisingGAN(target_fpr=0.05, random_state=0).fit(hawks.train)
scores = detector.anomaly_score(hawks.new)
top = scores.argsort()[::-1][:5]

# %%
# The reasons for the five highest scores:
reasons = detector.reasons(hawks.new.iloc[top], count=3)
for place, row in enumerate(top):
    print(hawks.species[row], *reasons.loc[reasons["row"] == place, "text"], sep="\n    ")

# %%
# Some rows are errors of recording: a hallux (the claw of the first toe) of more than 100 mm lacks its decimal point, and
# a red-tailed hawk with a wing of 233 mm is probably another species. Not all of them are flagged.
mistakes = hawks.new[(hawks.new["Hallux"] > 100) | ((hawks.new["Wing"] < 300) & ~hawks.unusual)]
print(*detector.reasons(mistakes, count=1)["text"], sep="\n")
print("flagged:", int((detector.predict(mistakes) == -1).sum()), "of", len(mistakes))

# %%
# :meth:`~anogan.Detector.explain` gives the same as one number for each value.
shares = detector.explain(hawks.new.iloc[top])
fig, ax = plt.subplots(figsize=(8, 2.6), layout="constrained")
image = ax.imshow(shares, aspect="auto", cmap="Oranges")
ax.set_xticks(range(shares.shape[1]), shares.columns, rotation=45, ha="right")
ax.set_yticks(range(5), hawks.species[top])
ax.set_title("How unusual each value is")
fig.colorbar(image)
