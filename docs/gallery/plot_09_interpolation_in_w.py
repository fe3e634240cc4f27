"""
Interpolation in W
==================

StyleGAN2's generator first maps the latent z to a style w. A straight line in w leads from one digit to another through
pictures that the generator was trained to draw.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits

from anogan import AnoGAN

digits = load_digits()
pictures = (digits.images[np.isin(digits.target, (0, 6)), None] / 16).astype(np.float32)
detector = AnoGAN(backbone="style", objective="non_saturating", width=16, steps=600, patience=0, random_state=0)
detector.fit(pictures)
generator = detector.module_.generator.eval()

# %%
# Two latents, and seven styles between theirs. The upper row is the line in w, the lower row the line in z.
torch.manual_seed(5)
z = torch.randn(1, 2, detector.latent_dim)
share = torch.linspace(0, 1, 7)[None, :, None]
with torch.no_grad():
    w = generator.mapping(z)
    in_w = generator.synthesis(torch.lerp(w[:, :1], w[:, 1:], share))
    in_z = generator(torch.lerp(z[:, :1], z[:, 1:], share))

fig, axes = plt.subplots(2, 7, figsize=(8, 2.5), layout="constrained")
for row, drawn, text in zip(axes, (in_w, in_z), ("in w", "in z"), strict=True):
    row[0].set_ylabel(text)
    for ax, picture in zip(row, drawn[0], strict=True):
        ax.imshow(picture[0], cmap="gray")
        ax.set(xticks=[], yticks=[])

# %%
# How evenly the pictures change from step to step, as the spread of the changes relative to their mean, over 200 pairs:
z = torch.randn(200, 2, detector.latent_dim)
with torch.no_grad():
    w = torch.stack([generator.mapping(pair[None])[0] for pair in z])
    lines = {
        "w": torch.cat([generator.synthesis(torch.lerp(p[:1], p[1:], share[0])[None]) for p in w]),
        "z": torch.cat([generator(torch.lerp(p[:1], p[1:], share[0])[None]) for p in z]),
    }
for name, drawn in lines.items():
    changes = drawn.diff(dim=1).flatten(2).norm(dim=2)
    print(f"in {name}: {float((changes.std(dim=1) / changes.mean(dim=1)).mean()):.2f}")
