"""
ONNX: the same scores without torch
===================================

A detector is exported as one graph from the input to score, p-value and flag, with preprocessing and threshold inside. Any
ONNX runtime runs it, in any language.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime

import anogan

hawks = anogan.load_hawks()
detector = anogan.DenoisingGAN(steps=300, target_fpr=0.05, random_state=0).fit(hawks.train)
path = Path(tempfile.mkdtemp()) / "hawks.onnx"
detector.to_onnx(path)
print(f"{path.stat().st_size / 1e6:.1f} MB")

# %%
# What the graph takes and gives, as another program sees it:
session = onnxruntime.InferenceSession(path)
for part in (*session.get_inputs(), *session.get_outputs()):
    print(part.name, part.shape, part.type)

# %%
# :class:`~anogan.OnnxModel` reads tables as they come, with categories, gaps and unseen values, and needs no torch.
exported = anogan.OnnxModel(path).anomaly_score(hawks.new)
scores = detector.anomaly_score(hawks.new)
print(f"largest difference: {np.abs(exported - scores).max():.1e}, of scores up to {scores.max():.1f}")

fig, ax = plt.subplots(figsize=(4, 4), layout="constrained")
ax.scatter(scores, exported, s=8, color="0.4")
ax.set(xlabel="score of the detector", ylabel="score of the ONNX file")
