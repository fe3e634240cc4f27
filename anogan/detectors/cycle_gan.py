"""CycleGAN: the change that turns a sample into a normal one, learned from an unlabelled set."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..engine.module import GANModule, Prediction
from ..losses.adversarial import OBJECTIVES
from ..losses.distances import l1, l2_squared, mean_l1
from ..nn.backbone import Backbone
from ..nn.outputs import critique_both
from ..nn.roles import Translator
from ..parameters import at_least, between, one_of, param
from ..seeding import rand
from .base import Detector
from .cycle import CycleModule
from .patch_cycle import PatchCycleModule

WEIGHTS, PIXEL_WEIGHTS = (10.0, 5.0), (0.5, 4.0)  # of cycle and identity; the latter beside critics of whole pictures


class SampleCycleModule(CycleModule):
    """Translation of whole samples; the score is the change of a sample."""

    objective = OBJECTIVES["least_squares"]

    def __init__(
        self,
        backbone: Backbone,
        *,
        choices: int,
        cycle_weight: float,
        identity_weight: float,
        residual_share: float,
    ) -> None:
        anomalous = self.new_translator(backbone)
        super().__init__(backbone, anomalous, cycle_weight=cycle_weight, identity_weight=identity_weight)
        self.synthetic_anomaly = backbone.geometry.synthetic_anomaly
        self.choices = choices
        self.residual_share = residual_share

    def draw_unlabeled(self, x: Tensor) -> Tensor:
        """Draw as many samples as x has: those among several candidates that have the patch with the lowest logit."""
        candidates = self.candidates(x)
        with torch.no_grad():
            logit = self.critic_normal(candidates).logit
        least = logit.reshape(*logit.shape[:2], -1).amin(-1).topk(x.shape[1], largest=False).indices  # (K, B)
        return candidates.gather(1, least.reshape(*least.shape, *[1] * (x.dim() - 2)).expand_as(x))

    def candidates(self, x: Tensor) -> Tensor:
        """Unlabelled samples, or without such a set synthetic anomalies made of x: ``(K, choices * B, *shape)``."""
        if self.unlabeled is None:
            return self.synthetic_anomaly(x.repeat(1, self.choices, *[1] * (x.dim() - 2)))
        drawn = (rand(self.choices * x.shape[1], dtype=torch.float64) * len(self.unlabeled)).long()
        y = self.unlabeled.batch(drawn.numpy()).to(x)
        return y.expand(len(x), *y.shape)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        return mean_l1(a, b)

    def held_out_loss(self, x: Tensor) -> Tensor:
        return mean_l1(x, self.to_normal(self.synthetic_anomaly(x)))

    def identity(self, x: Tensor, y: Tensor) -> Tensor:
        return super().identity(x, y) + self.distance(y, self.anomalous_network(y))

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.to_normal(x)

    def predict(self, x: Tensor, *, with_map: bool = False) -> Prediction:
        changed = self.reconstruct(x)
        before, after = critique_both(self.critic_normal, x, changed)
        residual = l1(x, changed) / x[0, 0].numel()
        features = l2_squared(before.features, after.features) / before.features.shape[-1]
        score = self.residual_share * residual + (1 - self.residual_share) * features
        return Prediction(score, (x - changed).abs() if with_map else None)

    def score(self, x: Tensor) -> Tensor:
        return self.predict(x).score

    def critic_logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        normal, translated = critique_both(self.critic_normal, x, self.to_normal(self.draw_unlabeled(x)))
        shape = (*x.shape[:2], -1)  # (K, B, P) of critics of patches, (K, B) of others
        return normal.logit.reshape(shape).mean(-1), translated.logit.reshape(shape).mean(-1)


class PictureCycleModule(SampleCycleModule):
    """Translation of pictures in pixels, judged by critics of whole pictures with a gradient penalty."""

    objective = OBJECTIVES["wasserstein_gp"]

    @staticmethod
    def new_translator(backbone: Backbone) -> nn.Module:
        return Translator(backbone, bounded=backbone.spec.bounded)

    @staticmethod
    def new_critic(backbone: Backbone) -> nn.Module:
        return backbone.critic()

    def identity(self, x: Tensor, y: Tensor) -> Tensor:
        """Only of G, as among patches: F would learn the identity."""
        return CycleModule.identity(self, x, y)


class CycleGAN(Detector):
    """Translates samples into normal ones, learned from an unlabelled set; scores the change needed.

    Score: of rows, and of images with ``features="pixels"``,

    .. math:: A(x) = 0.9 |x - G(x)|_1 / n + 0.1 |f(x) - f(G(x))|^2 / n_f.

    G translates to normal, f are the features of the critic of
    normal samples. Of images otherwise: mean of ``|u - G(u)|`` over the 1 % of the patches u (at least 4) that change
    most.

    Notes
    -----
    *Unlabelled set.* ``fit(X, X_unlabeled=...)`` takes a second set without labels, such as returned parts or last
    month's production: mostly normal, partly anomalous. Since most of it is normal, G must leave most of its input
    unchanged, which the identity loss enforces; ``explain`` then shows the counterfactual difference.

    *Images.* In pixels, training does not find real defects: a critic of pixels reacts to light and texture before it
    reacts to a crack. So translation works among patches u of a pretrained network's feature maps (`FeatureGAN`),
    whitened by what is usual at their place. With u of normal images and v of the unlabelled set, C and D critics of
    normal and of unlabelled patches (hinge losses), noise z, and F(u, z) = u + f(u, z)::

        C distinguishes u from G(v), D distinguishes v from F(u, z)
        min_G,F  -C(G(v)) - D(F(u, z)) + 10 |u - G(F(u, z))|^2 / d + 5 |u - G(u)|^2 / d

    ``explain`` is the length of u - G(u) at each place, interpolated to the size of the image. There is no
    ``reconstruct``, because patches of features are no image; ``features="pixels"`` has one.

    *Most of an unlabelled set is normal*, and G would learn the identity. Training uses only the least usual 128th of
    the patches v (by length, the Mahalanobis distance), and half of the patches u are the least usual 128th of theirs.
    The two sides then differ in the defects, while rare but normal patches occur in both and must be left unchanged.
    For rows and pixels, `choices` times as many samples are drawn as a batch needs, and those with the lowest logit of
    the critic of normal samples are used (of rows, the lowest logit of one of their patches).

    *Without an unlabelled set*, synthetic anomalies replace it: in images a rectangle (each side 1/16 to 1/2 of the
    image's, uniform in its logarithm) is replaced by a piece of another image, of changed brightness (CutPaste); in
    vectors up to half of the columns take the values of another row.

    *Deviations from the paper*: the cycle of unlabelled samples, ``|y - F(G(y))|``, is left out, because F cannot know
    which normal sample was an anomaly before, and of what kind, so that with it G leaves everything unchanged;
    generators predict a change that is added to the sample (in pixels before a tanh); spectral norm instead of instance
    norm in the critics, or layer norm in pixels; no history of generated samples; averaged weights. Among patches also:
    F takes noise, since a sample can be defective in many ways, and its identity loss is left out, since F then learned
    the identity.

    *Cost.* A training step takes seven passes of generators, on `batch_size` samples or eight times as many patches.
    Each image takes one pass of the frozen network, those of X and of the unlabelled set (at most 512 of each).

    *In pixels* critics see whole images and have a gradient penalty (WGAN-GP), with low weights of cycle and identity:
    0.5 and 4. Critics of patches, whose spectral norm bounds their gradients, were outweighed by both, so that an
    unlabelled set of another kind was left as it is. Generators add their change before a tanh, so that what they make
    stays within the range of pixels. Both were chosen on digit 5 of MNIST, with other digits in half of the unlabelled
    set: after 1,000 steps (160 CPU seconds) 91 % of these digits become pictures that a classifier reads as 5s, and
    89 % of digits that are not in the set; 97 % of the 5s stay 5s, and AUROC of digits that are not in the set is
    0.98. With weight 1 of the identity 95 % are read, but G redraws normal digits, too (AUROC 0.81). On digit 2, which
    had no part in the choice, it is 90 % (benchmarks/results/samples.md; 78 % when the change was added to pixels, and
    85 % after 1,700 steps). An encoder and a decoder in place of the network with skip connections collapsed.

    *Limits.* A float `contamination` and a threshold from fewer than 10 images are computed on images that the
    whitening was fitted to, and are unreliable for new ones. On magnetic tiles with 40 defective images in an
    unlabelled set of 397, `FeatureGAN` without any unlabelled set finds more defects, cracks above all
    (benchmarks/results/unlabelled.md).

    References
    ----------
    Zhu, Park, Isola, Efros: Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks. ICCV
    2017, arXiv:1703.10593.

    Examples
    --------
    >>> import numpy as np
    >>> from anogan import CycleGAN
    >>> rng = np.random.default_rng(0)
    >>> X, X_unlabeled = rng.normal(size=(200, 4)), rng.normal(size=(50, 4)) * 2
    >>> # Few steps make a fast example, and a warning that the detector is under-trained.
    >>> detector = CycleGAN(steps=20, width=8, target_fpr=0.1, random_state=0)
    >>> detector.fit(X, X_unlabeled=X_unlabeled).reconstruct(X[:3]).shape
    (3, 4)
    """

    name = "cycle_gan"
    uses_unlabeled = True
    image_size = 256
    tiny: ClassVar[dict[str, Any]] = {"width": 8, "steps": 3, "batch_size": 16}

    features: str = param(
        "efficientnet_lite0",
        one_of("efficientnet_lite0", "pixels"),
        help="Where pictures are translated: in the feature maps of this frozen network, or in pixels.",
    )
    choices: int = param(
        4,
        at_least(1),
        help="Unlabelled samples drawn for each one used, which is the least normal (not in feature maps).",
    )
    cycle_weight: float | None = param(
        None,
        at_least(0.0, optional=True),
        help="Weight of the cycle's reconstruction loss (default: 10, in pixels 0.5).",
    )
    identity_weight: float | None = param(
        None,
        at_least(0.0, optional=True),
        help="Weight of the generators' changes of samples that are of the target kind already (default: 5, in pixels "
        "4).",
    )
    residual_share: float = param(
        0.9, between(0.0, 1.0), help="Share of the residual in the score (not in feature maps)."
    )
    patience: int = param(
        0, at_least(0), help="Validation checks without improvement after which training stops; 0: never."
    )

    def build(self, backbone: Backbone) -> GANModule:
        has_patches, in_pixels = backbone.geometry.has_patches, self.features == "pixels"
        cycle, identity = PIXEL_WEIGHTS if has_patches and in_pixels else WEIGHTS
        weights = {
            "cycle_weight": cycle if self.cycle_weight is None else self.cycle_weight,
            "identity_weight": identity if self.identity_weight is None else self.identity_weight,
        }
        if has_patches and not in_pixels:
            return PatchCycleModule(backbone, features=self.features, **weights)
        module = PictureCycleModule if has_patches else SampleCycleModule
        return module(backbone, choices=self.choices, residual_share=self.residual_share, **weights)
