"""Pix2pix on normal samples with parts erased: values that the rest of a sample does not predict are unusual."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..engine.module import GANModule, Phase, Prediction, Stage, Terms
from ..losses.adversarial import cross_entropy_critic, non_saturating_generator
from ..nn.backbone import Backbone
from ..nn.outputs import Critique
from ..nn.roles import SkipAutoencoder
from ..parameters import at_least, param
from ..seeding import rand
from .base import Detector


class Inpainter(nn.Module):
    """A U-Net that fills in what a mask erases: ``(K, B, *shape)`` and a bool mask -> ``(K, B, *shape)``.

    It sees the mask as an extra channel, and zeros instead of the erased values.
    """

    def __init__(self, backbone: Backbone, latent_dim: int) -> None:
        super().__init__()
        self.net = SkipAutoencoder(backbone, latent_dim, extra_channels=1)
        self.geometry = backbone.geometry

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.net(torch.cat([x.masked_fill(mask, 0), self.geometry.mask_channel(mask).to(x)], dim=2))


class MaskedCritic(nn.Module):
    """A PatchGAN that sees the mask as an extra channel: ``(K, B, *shape)`` and a bool mask -> `Critique`.

    The values outside the mask are the condition, those inside it are real or filled in.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.net = backbone.patch_critic(extra_channels=1)
        self.geometry = backbone.geometry

    def forward(self, x: Tensor, mask: Tensor) -> Critique:
        return self.net(torch.cat([x, self.geometry.mask_channel(mask).to(x)], dim=2))


class Pix2PixInpaintingModule(GANModule):
    """G fills in what a mask erases; a PatchGAN distinguishes the filled-in sample from the whole one."""

    masks: Tensor  # (M, *shape), True where a mask erases

    def __init__(
        self, backbone: Backbone, *, latent_dim: int, adversarial_weight: float, reconstruction_weight: float
    ) -> None:
        super().__init__()
        self.generator = Inpainter(backbone, latent_dim)
        self.critic = MaskedCritic(backbone)
        self.local_mean = backbone.geometry.local_mean
        # The masks are drawn once: training and scoring use the same ones for all rows.
        self.register_buffer("masks", backbone.geometry.masks())
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
        """Draw a mask for each row; return the samples with the erased parts filled in, and the masks."""
        chosen = (rand(x.shape[:2], dtype=x.dtype, device=x.device) * len(self.masks)).long()
        mask = self.masks[chosen]
        return torch.where(mask, self.generator(x, mask), x), mask

    def erased_l1(self, x: Tensor, filled: Tensor, mask: Tensor) -> Tensor:
        """Return the mean absolute error of the erased values: ``(K,)``."""
        return (x - filled).abs().flatten(1).sum(-1) / mask.flatten(1).sum(-1)

    def critic_loss(self, x: Tensor) -> Terms:
        """Isola 2017, eq. 1; the mask is the condition of both samples."""
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
        """Predict every value from the rest of its sample, averaged over the sets of masks."""
        predicted = torch.zeros_like(x)
        for mask in self.masks:
            predicted += self.generator(x, mask.expand_as(x)).masked_fill(~mask, 0)
        return predicted / self.masks.sum(0)

    def predict(self, x: Tensor, *, with_map: bool = False) -> Prediction:
        error = (x - self.reconstruct(x)).abs()
        score = error.flatten(2).mean(-1) + self.local_mean(error).amax(-1)
        return Prediction(score, error if with_map else None)

    def score(self, x: Tensor) -> Tensor:
        return self.predict(x).score

    def critic_logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        filled, mask = self.inpaint(x)
        return self.critic(x, mask).logit.mean(-1), self.critic(filled, mask).logit.mean(-1)


class Pix2PixInpainting(Detector):
    """U-Net and PatchGAN that fill in erased parts; scores values that the rest of a sample does not predict.

    Score: the mean of the residual plus its largest local mean,

    .. math:: A(x) = mean |x - x̂| + max_W mean_W |x - x̂|,

    where every value of x̂ was filled in while it was
    erased. A local mean is that of a window of an image, or that of the whole row.

    Notes
    -----
    The paired task is the one of Zavrtanik 2021: masks erase a third of an image's squares, at three sizes; each set
    of three masks erases every pixel once. On vectors the masks erase an eighth, a quarter and a half of the columns
    (one-hot groups as a whole). x̂ is the mean over the sets. A defect shows at its worst place, by which images
    are usually scored; a wrong object shows everywhere.

    Deviations from the papers: the critic gets the mask instead of the erased image, which the filled-in one
    contains; the l1 distance is that of the erased values alone; no structural similarities; no noise by dropout;
    spectral norm instead of batch norm in the critic; the masks are drawn once; averaged weights; the weights
    with the smallest error on held-out normal rows are kept. Scoring takes a pass of the generator for each mask (14 on
    vectors of eight columns or more, 9 on images of at least 24 pixels).

    References
    ----------
    Isola, Zhu, Zhou, Efros: Image-to-Image Translation with Conditional Adversarial Networks. CVPR 2017,
    arXiv:1611.07004.

    Zavrtanik, Kristan, Skočaj: Reconstruction by inpainting for visual anomaly detection. Pattern Recognition 112,
    2021, doi:10.1016/j.patcog.2020.107706.

    Examples
    --------
    >>> import numpy as np
    >>> from anogan import Pix2PixInpainting
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> # Few steps make a fast example, and a warning that the detector is under-trained.
    >>> detector = Pix2PixInpainting(steps=20, width=8, target_fpr=0.1, random_state=0).fit(X)
    >>> detector.reconstruct(X[:3]).shape
    (3, 4)
    """

    name = "pix2pix_inpainting"
    tiny: ClassVar[dict[str, Any]] = {"width": 8, "steps": 3, "batch_size": 16, "latent_dim": 4}

    latent_dim: int = param(32, at_least(1), help="Size of the bottleneck.")
    adversarial_weight: float = param(1.0, at_least(0.0), help="Weight of the adversarial loss.")
    reconstruction_weight: float = param(100.0, at_least(0.0), help="Weight of the reconstruction loss.")

    def build(self, backbone: Backbone) -> GANModule:
        return Pix2PixInpaintingModule(
            backbone,
            latent_dim=self.latent_dim,
            adversarial_weight=self.adversarial_weight,
            reconstruction_weight=self.reconstruction_weight,
        )
