"""CycleGAN among whitened patches of a pretrained network's feature maps."""

import numpy as np
import torch
from torch import Tensor

from ..data.samples import Samples, TensorSamples
from ..data.spec import SampleSpec
from ..engine.module import Prediction, Terms
from ..losses.adversarial import OBJECTIVES
from ..losses.distances import mean_l2_squared
from ..nn.backbone import Backbone
from ..nn.outputs import critique_both
from ..nn.roles import Corruptor
from ..scoring.patch_memory import Grid
from ..scoring.patches import WhitenedPatches, held_in_memory, most_unusual
from ..seeding import rand, randn, randperm
from .cycle import CycleModule

FEWEST_PATCHES, MOST_PATCHES = 2**10, 2**18  # of each kind that are trained on
FARTHEST = 128  # training uses one in so many patches of the unlabelled set, the least usual ones
PATCHES_IN_A_ROW = 4  # of a training batch, beside as many of the least usual ones
NOISE_DIM = 32  # of F's second input


class PatchCycleModule(CycleModule):
    """Translation of patches; the score is the change of the patches that change most."""

    joint = True
    objective = OBJECTIVES["hinge"]

    def __init__(self, backbone: Backbone, *, features: str, cycle_weight: float, identity_weight: float) -> None:
        extractor = backbone.geometry.patches(features)
        networks = backbone.of(SampleSpec((extractor.features,)), width=backbone.patch_width)
        super().__init__(
            networks, Corruptor(networks, NOISE_DIM), cycle_weight=cycle_weight, identity_weight=identity_weight
        )
        self.patches = WhitenedPatches(extractor)
        self.members = networks.members
        self.synthetic_anomaly = backbone.geometry.synthetic_anomaly
        # Unusual patches of the normal and of the unlabelled samples, during training only.
        self._far = self._unlabeled = torch.zeros(0)

    @torch.no_grad()
    def before_training(self, normal: Samples) -> Samples:
        """Choose the patches to train on: the least usual ones of both kinds, and any others of the normal ones."""
        weight = next(self.to_normal.parameters())
        patches, grid = self.patches.extract(normal, weight)
        rows = torch.cat([part.flatten(0, 1) for part in self.patches.fit(patches, grid)])
        values = patches[0].numel()
        del patches
        self._far, others = _far_first(rows)
        if self.unlabeled is None:
            anomalous = self.patches.extract(normal, weight, lambda images: self.synthetic_anomaly(images[None])[0])
        else:
            # Evenly spaced samples of a large set, whatever its order is.
            some = np.linspace(0, len(self.unlabeled) - 1, held_in_memory(len(self.unlabeled), values)).astype(int)
            anomalous = self.patches.extract(self.unlabeled.subset(some), weight)
        self._unlabeled, _ = _far_first(self.patches.whiten(*anomalous).flatten(0, 1))
        return TensorSamples(_in_rows(others))

    @torch.no_grad()
    def as_trained_on(self, held_out: Samples) -> Samples:
        patches = self.patches.extract(held_out, next(self.to_normal.parameters()))
        rows = self.patches.whiten(*patches).flatten(0, 1)
        return TensorSamples(_in_rows(rows[randperm(len(rows))]))  # a validation check takes the first ones

    def after_training(self, normal: Samples) -> None:
        self._far = self._unlabeled = torch.zeros(0)

    def critic_loss(self, x: Tensor) -> Terms:
        return super().critic_loss(self.with_far(x))

    def generator_loss(self, x: Tensor) -> Terms:
        return super().generator_loss(self.with_far(x))

    def with_far(self, x: Tensor) -> Tensor:
        """Add as many of the least usual normal patches to rows of patches ``(K, B, r, F)``: ``(K, 2 B r, F)``."""
        x = x.flatten(1, 2)
        return torch.cat([x, _drawn(self._far, x)], dim=1)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        return mean_l2_squared(a, b)

    def held_out_loss(self, x: Tensor) -> Tensor:
        x = x.flatten(1, 2)
        return self.distance(x, self.to_normal(self.to_anomalous(x)))

    def draw_unlabeled(self, x: Tensor) -> Tensor:
        """Draw from the least usual patches of the unlabelled set: ``(K, B, F)``."""
        return _drawn(self._unlabeled, x)

    def to_anomalous(self, x: Tensor) -> Tensor:
        z = randn(*x.shape[:2], NOISE_DIM, dtype=x.dtype, device=x.device)
        return x + self.anomalous_network(x, z)

    def change(self, x: Tensor) -> tuple[Tensor, Grid]:
        """u - G(u) of samples ``(B, *shape)``, G being the mean of the members: ``(B, h * w, F)``, and (h, w)."""
        white, grid = self.patches(x)
        rows = white.flatten(0, 1)
        normal = self.to_normal(rows.expand(self.members, *rows.shape)).mean(0)
        return white - normal.view_as(white), grid

    def predict(self, x: Tensor, *, with_map: bool = False) -> Prediction:
        change, grid = self.change(x[0])  # all members receive the same samples
        lengths = torch.linalg.vector_norm(change, dim=-1)
        score = most_unusual(lengths).unsqueeze(0)
        return Prediction(score, self.spread(lengths, change, grid, x) if with_map else None)

    def score(self, x: Tensor) -> Tensor:
        return self.predict(x).score

    def anomaly_map(self, x: Tensor) -> Tensor:
        change, grid = self.change(x[0])
        return self.spread(torch.linalg.vector_norm(change, dim=-1), change, grid, x)

    def spread(self, lengths: Tensor, change: Tensor, grid: Grid, x: Tensor) -> Tensor:
        """Return the lengths of the patches' changes at the size of the samples x: ``(K, B, *shape)``."""
        return self.patches.spread(lengths, change, grid, tuple(x.shape[2:])).expand_as(x)

    def critic_logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of patches, and of the same patches after F and G."""
        x = x.flatten(1, 2)
        normal, translated = critique_both(self.critic_normal, x, self.to_normal(self.to_anomalous(x)))
        return normal.logit.mean(-1), translated.logit.mean(-1)


def _far_first(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Return the longest of whitened patches ``(m, F)``, one in `FARTHEST`, and the others in random order."""
    order = patches.square().sum(-1).argsort(descending=True, stable=True)
    far = min(max(len(order) // FARTHEST, FEWEST_PATCHES), len(order) // 2, MOST_PATCHES)
    others = order[far:][randperm(len(order) - far)[:MOST_PATCHES]]
    return patches[order[:far]], patches[others]


def _drawn(patches: Tensor, like: Tensor) -> Tensor:
    """Draw from patches ``(m, F)``, as many as ``like (K, B, F)`` has and the same for each member."""
    chosen = (rand(like.shape[1], dtype=torch.float64) * len(patches)).long()
    return patches[chosen.to(like.device)].expand_as(like)


def _in_rows(patches: Tensor) -> Tensor:
    """``(m, F)`` -> ``(m / r, r, F)``: a step needs more patches than a batch of samples has rows."""
    each = min(PATCHES_IN_A_ROW, len(patches))
    return patches[: len(patches) // each * each].unflatten(0, (-1, each))
