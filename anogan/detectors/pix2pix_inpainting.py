"""Pix2pix on normal samples with parts erased: what the rest of a sample does not foretell is unusual."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from ..engine.module import GANModule, Phase, Stage, Terms
from ..losses.adversarial import cross_entropy_critic, non_saturating_generator
from ..nn.backbone import Backbone
from ..parameters import at_least, param
from .base import Detector


class Pix2PixInpaintingModule(GANModule):
    """G fills in what a mask erases; a PatchGAN tells the filled-in sample from the whole one."""

    masks: Tensor  # (M, *shape), True where a mask erases

    def __init__(
        self, backbone: Backbone, latent_dim: int, adversarial_weight: float, reconstruction_weight: float
    ) -> None:
        super().__init__()
        self.generator = backbone.inpainter(latent_dim)
        self.critic = backbone.patch_critic(masked=True)
        self.local_mean = backbone.local_mean
        # Drawn once: at scoring all rows are asked the same questions, and training practises these.
        self.register_buffer("masks", backbone.masks())
        self.adversarial_weight = adversarial_weight
        self.reconstruction_weight = reconstruction_weight

    def stages(self) -> tuple[Stage, ...]:
        return (
            Stage(
                "gan",
                (
                    Phase("critic", (self.critic,), self.critic_loss),
                    Phase("generator", (self.generator,), self.generator_loss),
                ),
                monitor=lambda x: self.erased_l1(x, *self.inpaint(x)),
            ),
        )

    def inpaint(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The sample with a part filled in, and the mask of that part, drawn for each row: ``(K, B, *shape)`` both."""
        chosen = (torch.rand(x.shape[:2], dtype=x.dtype, device=x.device) * len(self.masks)).long()
        mask = self.masks[chosen]
        return torch.where(mask, self.generator(x, mask), x), mask

    def erased_l1(self, x: Tensor, filled: Tensor, mask: Tensor) -> Tensor:
        """Mean absolute error of the erased values: ``(K,)``."""
        return (x - filled).abs().flatten(1).sum(-1) / mask.flatten(1).sum(-1)

    def critic_loss(self, x: Tensor) -> Terms:
        """Isola 2017, eq. 1; both samples are seen with the mask, the condition."""
        filled, mask = self.inpaint(x)
        real, made = self.critic(x, mask).logit, self.critic(filled, mask).logit  # (K, B, P)
        return {"adversarial": cross_entropy_critic(real.flatten(1), made.flatten(1))}

    def generator_loss(self, x: Tensor) -> Terms:
        """Isola 2017, eq. 4: adversarial + 100 l1."""
        filled, mask = self.inpaint(x)
        adversarial = non_saturating_generator(self.critic(filled, mask).logit.flatten(1))
        return {
            "adversarial": self.adversarial_weight * adversarial,
            "reconstruction": self.reconstruction_weight * self.erased_l1(x, filled, mask),
        }

    def reconstruct(self, x: Tensor) -> Tensor:
        """Every value as the rest foretells it, averaged over the sets of masks."""
        foretold = torch.zeros_like(x)
        for mask in self.masks:
            foretold += self.generator(x, mask.expand_as(x)).masked_fill(~mask, 0)
        return foretold / self.masks.sum(0)

    def score(self, x: Tensor) -> Tensor:
        error = (x - self.reconstruct(x)).abs()
        return error.flatten(2).mean(-1) + self.local_mean(error).amax(-1)

    def critic_logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        filled, mask = self.inpaint(x)
        return self.critic(x, mask).logit.mean(-1), self.critic(filled, mask).logit.mean(-1)


class Pix2PixInpainting(Detector):
    """U-Net and PatchGAN that fill in erased parts; scores where the sample is not what its rest foretells.

    Score: the mean of ``|x - x̂|`` and its largest local mean, added, where every value of x̂ was filled in while it was
    erased. Local is a window of a picture, and the whole of a row.

    Notes
    -----
    The paired task is the one of Zavrtanik 2021: masks erase a third of a picture's squares, at three sizes; each set
    of three masks erases every pixel once. On vectors the masks erase an eighth, a quarter and a half of the columns
    (one-hot groups as a whole). x̂ is the mean over the sets. A defect shows at its worst place, by which pictures
    are usually scored; a wrong object shows everywhere.

    Deviations from the papers: the critic gets the mask instead of the erased picture, which the filled-in one
    contains; the l1 distance is that of the erased values alone; no structural similarities; no noise by dropout;
    spectral norm instead of batch norm in the critic; the masks are drawn once; averaged weights; the best weights by
    the error of held-out normal rows are kept. Scoring costs a pass of the generator for each mask (14 on vectors of
    eight columns or more, 9 on pictures from 24 pixels up).

    References
    ----------
    Isola, Zhu, Zhou, Efros: Image-to-Image Translation with Conditional Adversarial Networks. CVPR 2017,
    arXiv:1611.07004.

    Zavrtanik, Kristan, Skočaj: Reconstruction by inpainting for visual anomaly detection. Pattern Recognition 112,
    2021, doi:10.1016/j.patcog.2020.107706.
    """

    name = "pix2pix_inpainting"
    tiny: ClassVar[dict[str, Any]] = {"width": 8, "steps": 3, "batch_size": 16, "latent_dim": 4}

    latent_dim: int = param(32, at_least(1), help="Size of the bottleneck.")
    adversarial_weight: float = param(1.0, at_least(0.0), help="Of the adversarial loss.")
    reconstruction_weight: float = param(100.0, at_least(0.0), help="Of the reconstruction loss.")

    def build(self, backbone: Backbone) -> GANModule:
        return Pix2PixInpaintingModule(backbone, self.latent_dim, self.adversarial_weight, self.reconstruction_weight)
